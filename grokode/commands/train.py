"""Making runs, and looking at what they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grokode.commands.options import Json
from grokode.console import (
    if_interrupted,
    note,
    print_json,
    print_table,
    training_progress,
)

if TYPE_CHECKING:
    pass

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
    about half a minute on a laptop. Writes run/, figures/ and report.html into --out. Exit code 1
    if theory does not hold on the plateau of the loss. Interrupted, the same command goes on.
    """
    interrupted = (out / "run").is_dir() and not (out / "report.html").exists()
    if out.exists() and not interrupted:
        raise FileExistsError(f"{out} exists and is not overwritten; choose another name")
    from grokode.compare import (
        PLATEAU_CLAIM,
        compare_run,
        errors_table,
        logit_tables,
        logits_table,
        winners_table,
        write_report,
    )
    from grokode.compare.winners import winners_json
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
        note(f"{run}\nlaying theory over it")
        comparison = compare_run(run)
        page = write_report(comparison, out)
    if json:
        print_json(
            {
                "holds_on_plateau": comparison.holds_on_plateau,
                "steps": int(run.weights.step[-1]),
                "winners": winners_json(comparison.winners),
                "logits": logit_tables.logits_json(comparison.logits),
                "report": str(page),
            }
        )
    else:
        print_table(winners_table(comparison.winners))
        if comparison.errors is not None:
            print_table(errors_table(comparison.errors))
        print_table(logits_table(comparison.logits))
        verdict = "holds" if comparison.holds_on_plateau else "does not hold"
        note(f"{comparison.partings()}\nTheory {verdict} here: {PLATEAU_CLAIM}.\nwrote {page}")
    raise typer.Exit(0 if comparison.holds_on_plateau else 1)
