"""Making runs, and looking at what they are."""

from pathlib import Path
from typing import Annotated

import typer

from grokode.commands.options import Json, RunPath, Seed, check_new, open_one_seed
from grokode.console import print_json, print_numbers

__all__ = ["export", "import_", "info"]


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
