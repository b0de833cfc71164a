"""What a network that adds pairs computes."""

from typing import Annotated

import typer

from grokode.commands.options import Figure, Json, RunPath, Seed, check_new, open_one_seed
from grokode.commands.telling import ask, draw_sheet, tell

__all__ = ["circuit"]


def circuit(
    run: RunPath,
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    history: Annotated[
        bool, typer.Option(help="Follow the progress measures over every checkpoint.")
    ] = True,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Find the waves by which a network adds mod p: key frequencies, clock or pizza, phases.

    For transformers, two-layer networks and networks of summed embeddings, trained on addition or
    subtraction. Restricted loss keeps the key frequencies' waves of x + y in the logits, excluded
    loss takes them away; over the checkpoints they give the phases of training.
    """
    check_new(figure)
    question, measured = ask("circuit", open_one_seed(run, seed), step=step, history=history)
    if figure:
        draw_sheet(question, measured, "progress" if "progress" in measured else "circuit", figure)
    tell(question, measured, json)
