"""Runs to look into: one page that opens anywhere, or served while a training runs."""

from pathlib import Path
from typing import Annotated

import typer

from grokode.commands.options import Seed, check_new
from grokode.console import counting_progress, note

__all__ = ["explore"]


def explore(
    runs: Annotated[list[Path], typer.Argument(help="Runs made by train or import.")],
    out: Annotated[
        Path | None, typer.Option(help="Write one page here (.html) in place of serving.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to serve on, 0 for any that is free.")
    ] = 5006,
    into: Annotated[
        Path, typer.Option(help="Folder that trainings started from the page are written into.")
    ] = Path("."),
    seed: Seed = None,
) -> None:
    """See inside runs: every measure linked and moving, theory over the network.

    With --out one file that opens from disk without a network, under 5 MB for a run of p = 23 and
    251 checkpoints; it says what it leaves out. Without, a page served to this machine alone until
    Ctrl-C, with all neurons and steps, and a panel to train with. Of a run with several seeds the
    first is looked at unless --seed is given.
    """
    if out is not None:
        check_new(out, (".html",))
    elif not into.is_dir():
        raise ValueError(f"--into must be a folder that is there, got {into}; make it first")
    from grokode import nets
    from grokode.compare.explorer.registry import VIEWS

    opened = [nets.open_run(run) for run in runs]
    chosen = [run.select(run.seeds[0] if seed is None else seed) for run in opened]
    count = len(VIEWS) * len(chosen)
    if out is not None:
        from grokode.compare.explorer.page import write_explorer

        with counting_progress("writing", count) as on_view:
            write_explorer(chosen, out, on_view)
        typer.echo(f"wrote {out}")
        return
    from grokode.compare.explorer.server import Hall, serve

    hall = Hall(chosen, into)
    with counting_progress("measuring", count) as on_view:
        hall.measure(on_view)
    serve(hall, port, lambda address: note(f"open {address} in a browser; Ctrl-C ends it"))
