"""Commands on runs as they lie: from checkpoints, what they are, and out to a file again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.commands.options import Json, RunPath, Seed, check_new, open_one_seed
from grokode.console import if_interrupted, note, print_json, print_line, print_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["export", "import_", "info"]


def import_(
    source: Annotated[
        Path, typer.Argument(help="Checkpoints: a published directory, or your own file or files.")
    ],
    out: Annotated[Path, typer.Option(help="Directory of the run to make; must not exist.")],
    activation: Annotated[
        str | None,
        typer.Option(help="Activation, where the directory's name does not say it."),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(help="Kind of checkpoints, as he2026; told by their look if not given."),
    ] = None,
    input_weights: Annotated[
        str | None, typer.Option(help="Name of the first matrix, where its shape does not tell.")
    ] = None,
    output_weights: Annotated[str | None, typer.Option(help="Name of the second matrix.")] = None,
    p: Annotated[
        int | None, typer.Option(help="Modulus, where both sides of the matrices could be it.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="What your own network was trained on; addition if not given."),
    ] = None,
    train_pairs: Annotated[
        str | None,
        typer.Option(
            help="What your own network was trained on: a file with integers (n, 2) (.npy, .pth), "
            'or "all"; unknown if not given.'
        ),
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="What else is known of your own training, repeatable: optimizer, learning_rate, "
            "weight_decay, momentum, betas, loss.",
        ),
    ] = [],  # noqa: B006 (typer reads it, nothing changes it)
    json: Json = False,
) -> None:
    """Turn checkpoints into a run: published ones (He et al.), or those of your own network.

    Your own: two matrices without biases in .pth, .pt, .npz or .safetensors, one file or a
    directory of files with their steps in their names. Files are read without running code, and
    what has no place in the network is refused by name.
    """
    from grokode import nets

    settings = {}
    for setting in set_:
        name, _, text = setting.partition("=")
        name = "learning_rate" if name == "lr" else name
        settings[name] = nets.parse_setting(name, text)
    given = {
        "activation": activation,
        "input_weights": input_weights,
        "output_weights": output_weights,
        "p": p,
        "task": task,
        "train_pairs": None if train_pairs is None else _pairs(train_pairs),
        "settings": settings or None,
    }
    options = {name: value for name, value in given.items() if value is not None}
    with if_interrupted("nothing was imported; the same command starts again"):
        run = nets.import_checkpoint(source, out, reader=reader, **options)
    if json:
        # A network of another kind has no such setting.
        names = ("p", "neurons", "activation", "optimizer")
        settings = {name: getattr(run.config, name, None) for name in names}
        print_json(settings | {"steps": run.parameters.step.values.tolist()})
    else:
        print_line(f"{run}")
    for name in ("reading", "assumed"):
        if name in run.attrs:
            note(f"{name}: {run.attrs[name]}")


def _pairs(text: str) -> "NDArray[Any] | str":
    """Training pairs from a file, or the word for all of them."""
    from grokode.nets.readers.files import read_array

    return text if text == "all" else read_array(Path(text))


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
        print_line(f"wrote {file}")
