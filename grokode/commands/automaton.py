"""What a recurrent network's hidden states are, and become."""

from pathlib import Path
from typing import Annotated

import typer

from grokode.commands.options import Figure, Json, RunPath, Seed, check_new, open_one_seed
from grokode.commands.telling import ask, draw_sheet, tell
from grokode.console import note

__all__ = ["automaton"]


def automaton(
    run: RunPath,
    tolerance: Annotated[
        list[float] | None,
        typer.Option(
            help="Part of sigma within which two hidden states count as one, repeatable, "
            "increasing; 0.01 and 0.1 if not given."
        ),
    ] = None,
    length: Annotated[
        list[int] | None,
        typer.Option(
            help="Length of random sequences to be answered, repeatable; 25, 100, 250, 1000, 2500 "
            "and 10000 if not given."
        ),
    ] = None,
    sheet: Annotated[
        str,
        typer.Option(help="What to draw: automaton, states, losses, positions, pairs or criteria."),
    ] = "automaton",
    animation: Annotated[
        Path | None,
        typer.Option(help="Also write a page on which the states move through training (.html)."),
    ] = None,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Read the automaton off a recurrent network's hidden states, and ask theory which merge.

    Hidden states are computed at every checkpoint, for all sequences up to the training length: a
    few seconds to a hundred checkpoints. Counts hang on the tolerance, so they stand side by side.
    """
    check_new(figure)
    check_new(animation, (".html",))
    given = {"tolerances": tolerance, "lengths": length}
    options = {name: values for name, values in given.items() if values}
    question, measured = ask("automaton", open_one_seed(run, seed), **options)
    if figure:
        draw_sheet(question, measured, sheet, figure)
    if animation:
        from grokode.compare.automata.animation import animation as moving
        from grokode.files import create_file

        page = moving(measured["positions"], f"Hidden states of {run.name} through training")
        create_file(animation, lambda out: out.write(page.encode()))
        note(f"wrote {animation}")
    tell(question, measured, json)
