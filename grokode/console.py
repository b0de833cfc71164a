"""How the command line speaks: tables for people, JSON for programs, progress, one-line errors."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = [
    "counting_progress",
    "note",
    "one_line_errors",
    "print_json",
    "print_table",
    "training_progress",
]

_out = Console()
_err = Console(stderr=True)


def print_table(rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print rows as a table, the first row being the header."""
    header, *body = rows
    table = Table(title=title or None, title_justify="left")
    for index, name in enumerate(header):
        # What a row is about stays whole on a narrow terminal.
        table.add_column(name, no_wrap=index == 0)
    for row in body:
        table.add_row(*row)
    _out.print(table)


def print_json(value: dict[str, Any] | list[Any]) -> None:
    """Print one JSON value to standard output; NaN and infinity become null."""
    typer.echo(json.dumps(_finite(value), indent=2))


def note(text: str) -> None:
    """A line to people, on standard error, so that standard output stays machine-readable."""
    _err.print(text, highlight=False, soft_wrap=True)


@contextmanager
def training_progress(steps: int) -> Iterator[Callable[[int, float, float], None]]:
    """Progress bar of a training; yields the callback for (step, loss, accuracy).

    Nothing is drawn when standard error is no terminal.
    """
    columns = (
        TextColumn("training"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err, disable=not _err.is_terminal, transient=True) as progress:
        task = progress.add_task("training", total=steps, state="")

        def report(step: int, loss: float, accuracy: float) -> None:
            progress.update(task, completed=step, state=f"loss {loss:.4f} acc {accuracy:.3f}")

        yield report


@contextmanager
def counting_progress(text: str, total: int) -> Iterator[Callable[[str], None]]:
    """Progress bar of a list of jobs; yields the callback for (name of the job just done)."""
    columns = (
        TextColumn(text),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[state]}"),
    )
    with Progress(*columns, console=_err, disable=not _err.is_terminal, transient=True) as progress:
        task = progress.add_task(text, total=total, state="")
        yield lambda name: progress.update(task, advance=1, state=name)


# Typer's parent of every complaint about the command line itself, under its own or click's roof.
_UsageError: Any = typer.BadParameter.__base__


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that a user can mend into one line and exit code 2."""
    try:
        yield
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "grokode"
        message = " ".join(error.format_message().split()).rstrip(".")
        _fail(f"{message}; see {command} --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail(
            "interrupted; finished checkpoints of a run are kept, train --resume goes on from them",
            130,
        )
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        _fail(" ".join(str(error).split()) or type(error).__name__, 2)


def _fail(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
