"""The main job in one command: train, predict, compare, and tell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.commands.options import Json
from grokode.console import (
    counting_progress,
    if_interrupted,
    note,
    print_json,
    print_table,
    training_progress,
)

if TYPE_CHECKING:
    from grokode.compare import Comparison

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run, the figures and the page.")],
    p: Annotated[int, typer.Option(help="Modulus, odd.")] = 23,
    neurons: Annotated[int, typer.Option(help="Width of the network.")] = 512,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.")] = 0,
    json: Json = False,
) -> None:
    """The main job: train a network, integrate theory from the same start, lay one over the other.

    Quadratic activation, small Gaussian initialisation, SGD on all pairs until the loss is fitted;
    then the whole ladder of predictors up to moment flow, where each leaves the network, and the
    logits with their budget: about a minute on a laptop. Writes run/, figures/ and report.html into
    --out. Exit code 1 if theory does not hold on the plateau of the loss. Interrupted, the same
    command goes on.
    """
    page = out / "report.html"
    written = page.exists() and page.stat().st_size > 0  # a full disk may have left it empty
    interrupted = (out / "run").is_dir() and not written
    if out.exists() and not interrupted:
        raise FileExistsError(f"{out} exists and is not overwritten; choose another name")
    from grokode import compare
    from grokode.nets import TrainingConfig
    from grokode.nets import train as train_network

    config = TrainingConfig(
        p=p,
        neurons=neurons,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.1,
        initial="gaussian",
        scale=0.1,
        seed=seed,
        steps=30_000,
        checkpoint_every=200,
        log_every=100,
        stop_loss=0.05,
    )
    with if_interrupted("the same command goes on from the last checkpoint"):
        with training_progress(config.steps) as on_step:
            run = train_network(config, out / "run", resume=interrupted, on_step=on_step)
        note(f"{run}", "laying theory over it")
        with counting_progress("asking", len(compare.QUESTIONS)) as count:
            comparison = compare.compare_run(run, on_part=count)
        compare.write_report(comparison, out)
    if json:
        print_json(_numbers(comparison, page))
    else:
        _tell(comparison)
        note(f"wrote {page}: open it in a browser; next: grokode explore {run.path}")
    raise typer.Exit(0 if comparison.holds_on_plateau else 1)


def _numbers(comparison: "Comparison", page: Path) -> dict[str, Any]:
    plain = {
        name: answer.question.plain(answer.measured)
        for name, answer in comparison.answers.items()
        if not answer.reason
    }
    return {
        "holds_on_plateau": comparison.holds_on_plateau,
        "steps": int(comparison.run.weights.step[-1]),
        "winners": plain["lottery"],
        "logits": plain["logits"],
        "report": str(page),
        "verdicts": [verdict.plain() for verdict in comparison.verdicts],
    }


def _tell(comparison: "Comparison") -> None:
    from grokode import compare
    from grokode.compare.common.claims import claims_table

    for name in ("lottery", "logits"):
        answer = comparison.answers[name]
        for table in answer.question.tables(answer.measured):
            if table.rows:
                print_table(table.rows)
    print_table(claims_table(comparison.verdicts))
    verdict = "holds" if comparison.holds_on_plateau else "does not hold"
    note(comparison.partings(), f"Theory {verdict} here: {compare.PLATEAU_CLAIM}.")
