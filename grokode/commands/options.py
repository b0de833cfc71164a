"""Options that several commands share, and what they mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.console import note

if TYPE_CHECKING:
    from grokode.nets import Run

__all__ = ["Figure", "Json", "RunPath", "Seed", "draw", "open_one_seed", "refuse_existing"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
RunPath = Annotated[Path, typer.Argument(help="A run: a directory made by train or import.")]
Seed = Annotated[int | None, typer.Option(help="Seed to look at, where the run holds several.")]
Figure = Annotated[
    Path | None, typer.Option(help="Also write the figure here (.png, .svg or .pdf).")
]


def open_one_seed(path: Path, seed: int | None) -> "Run":
    """The run at a path, narrowed to one seed."""
    from grokode import nets

    run = nets.open_run(path, seed)
    if run.seed is None:
        raise ValueError(f"{path} holds the seeds {list(run.seeds)}; choose one with --seed")
    return run


def refuse_existing(path: Path | None) -> None:
    """Raise FileExistsError rather than write over something."""
    if path is not None and path.exists():
        raise FileExistsError(f"{path} exists and is not overwritten; choose another name")


def draw(path: Path, on_axes: Any) -> None:
    """Write the figure that a function draws on Axes."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    on_axes(ax)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    note(f"wrote {path}")
