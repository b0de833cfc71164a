"""Making runs, and looking at what they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grokode.commands.options import Json, RunPath, Seed, check_new, open_one_seed
from grokode.console import (
    if_interrupted,
    note,
    print_json,
    print_numbers,
    print_table,
    training_progress,
)

if TYPE_CHECKING:
    pass

__all__ = ["demo", "export", "import_", "info"]


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


def import_(
    source: Annotated[Path, typer.Argument(help="Directory of published checkpoints (*.pth).")],
    out: Annotated[Path, typer.Option(help="Directory of the run to make; must not exist.")],
    activation: Annotated[
        str | None,
        typer.Option(help="Activation, where the directory's name does not say it."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn a directory of published checkpoints (He et al.) into a run.

    Files are read with weights_only loading: a checkpoint that needs code is refused.
    """
    from grokode.nets import import_published

    run = import_published(source, out, activation=activation)
    if json:
        print_json(
            {
                "p": run.config.p,
                "neurons": run.config.neurons,
                "activation": run.config.activation,
                "optimizer": run.config.optimizer,
                "steps": run.weights.step.values.tolist(),
            }
        )
    else:
        typer.echo(f"{run}")


def info(run: RunPath, seed: Seed = None, json: Json = False) -> None:
    """Say what a run is: configuration, how far it is, its last numbers, where it was made."""
    from grokode import nets

    opened = nets.open_run(run, seed)
    if json:
        print_json(opened.describe())
    else:
        print_numbers("", {"run": f"{opened}"} | opened.describe())


def export(
    run: RunPath,
    out: Annotated[
        Path, typer.Option(help="File to write: .npz, or .pth as the authors' loader reads it.")
    ],
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Write the weights of one checkpoint to a file of its own.

    A .npz holds theta, xi (neuron, residue) and step; a .pth the keys mlp.W_in, mlp.W_out and
    mlp.basis under "model".
    """
    check_new(out, (".npz", ".pth"))
    file = open_one_seed(run, seed).export(out, step)
    if json:
        print_json({"file": str(file)})
    else:
        typer.echo(f"wrote {file}")
