"""Many trainings from one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.commands.options import Figure, Json, check_new, draw
from grokode.console import (
    if_interrupted,
    note,
    points_progress,
    print_json,
    print_numbers,
    print_table,
)

if TYPE_CHECKING:
    from grokode.nets.sweeps import Progress

__all__ = ["sweep"]


def sweep(
    file: Annotated[Path, typer.Argument(help="The sweep, a TOML file.")],
    out: Annotated[
        Path, typer.Option(help="Directory of the sweep; one that was begun is gone on with.")
    ],
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on this machine; one to a core if not given."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a dask scheduler to train on instead; needs grokode[cluster]."
        ),
    ] = None,
    collect: Annotated[
        str | None,
        typer.Option(
            help="Questions, with commas between, that every finished run is asked: lottery, "
            "logits, mechanism, grokking, alignment, ...; their numbers go into --table."
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Write the numbers of all points and seeds here (.nc, .csv)."),
    ] = None,
    show: Annotated[str, typer.Option(help="Number that the figure shows.")] = "test_accuracy",
    figure: Figure = None,
    yes: Annotated[bool, typer.Option("--yes", help="Train more than 10,000 points.")] = False,
    json: Json = False,
) -> None:
    """Train every point of a sweep, several at once, and gather what came out.

    The file has settings under [base], axes under [axes] (lists, or ranges as {from = 0.01,
    to = 10, count = 7, scale = "log"}), and at the top preset, seeds (how many, or which), keep
    ("all" checkpoints or the "ends") and draws (points drawn at random from the ranges). Points
    that are finished stay, those half done go on from their checkpoints, one that fails is named
    with its reason and costs the others nothing. Exit code 1 if a point failed.
    """
    from grokode.nets.sweeps import open_sweep, read_sweep, run_sweep

    check_new(figure)
    check_new(table, (".nc", ".csv"))
    asked = read_sweep(file)
    measure = None
    if collect:
        from grokode.compare.sweeps import numbers_of

        measure = numbers_of(collect.split(","))
    with (
        if_interrupted("finished points and checkpoints are kept, the same command goes on"),
        points_progress(asked.size) as bar,
    ):
        ended = run_sweep(
            asked,
            out,
            workers=workers,
            scheduler=scheduler,
            large=yes,
            on_progress=lambda at: bar(at.done, at.running, len(at.failed)),
        )
    if table is not None or figure is not None:
        from grokode.compare.sweeps import sweep_figure, write_table

        numbers = open_sweep(out).dataset(measure)
        if table is not None:
            write_table(numbers, table)
            note(f"wrote {table}")
        if figure is not None:
            draw(figure, lambda ax: sweep_figure(numbers, show, ax))
    _tell(ended, out, json)
    raise typer.Exit(1 if ended.failed else 0)


def _tell(ended: "Progress", out: Path, json: bool) -> None:
    summary: dict[str, Any] = {
        "points": ended.points,
        "done": ended.done,
        "failed": [{"point": fail.point, "reason": fail.reason} for fail in ended.failed],
        "seconds": ended.seconds,
    }
    if json:
        print_json(summary)
        return
    print_numbers(f"{out}", summary | {"failed": len(ended.failed)})
    if ended.failed:
        print_table([["point", "why it failed"], *([f"{f.point}", f.reason] for f in ended.failed)])
