"""Options that several commands share, and what they mean."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.console import note

if TYPE_CHECKING:
    from grokode.nets import Run

__all__ = ["FIGURES", "Figure", "Json", "RunPath", "Seed", "check_new", "draw", "open_one_seed"]

FIGURES = (".png", ".svg", ".pdf")

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


def check_new(path: Path | None, endings: tuple[str, ...] = FIGURES) -> None:
    """Refuse a file that could not be written in the end, before the work is done."""
    if path is None:
        return
    if path.suffix not in endings:
        raise ValueError(f"{path} must end in {' or '.join(endings)}")
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists and is not overwritten; choose another name")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise OSError(f"{path.parent} is no folder that can be written to; make it first")


def draw(path: Path, on_axes: Any) -> None:
    """Write the figure that a function draws on Axes."""
    import matplotlib.pyplot as plt

    from grokode.compare.common.style import save_figure

    figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    on_axes(ax)
    save_figure(figure, path, dpi=150)
    plt.close(figure)
    note(f"wrote {path}")
