"""Trainings on record, followed from their seed."""

from pathlib import Path
from typing import Annotated

import typer

from grokode.commands.options import Json
from grokode.console import counting_progress, print_json, print_table

__all__ = ["replay"]


def replay(
    log: Annotated[Path, typer.Argument(help="A log of trainings, as p023_training_log.json.")],
    configuration: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Training in the log, repeatable; all if not given."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Follow it up to this step only.")] = None,
    json: Json = False,
) -> None:
    """Follow a recorded training from its seed, and say how far the two agree.

    The logs are those that the authors of arXiv:2602.16849 published. Errors are the largest over
    the rows of the log: relative for losses and norms, absolute for accuracies. All of a log take
    two minutes at p = 23. Exit code 1 if one does not hold.
    """
    from grokode.nets.replay import read_log, replay_json
    from grokode.nets.replay import replay as follow

    recorded = read_log(log)
    names = configuration or list(recorded)
    for name in names:
        if name not in recorded:
            raise ValueError(f"configuration must be one of {', '.join(recorded)}, got {name!r}")
    rows = {}
    with counting_progress("replaying", len(names)) as count:
        for name in names:
            rows[name] = replay_json(follow(recorded[name], steps))
            count(name)
    if json:
        print_json({"runs": rows})
    else:
        columns = ("steps", "start_error", "loss_error", "accuracy_error", "norm_error")
        print_table(
            [["training", *(name.replace("_", " ") for name in columns), "holds"]]
            + [
                [name, *(f"{row[column]:.6g}" for column in columns), str(row["holds"])]
                for name, row in rows.items()
            ]
        )
    if not all(row["holds"] for row in rows.values()):
        raise typer.Exit(1)
