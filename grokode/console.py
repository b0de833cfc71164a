"""How the command line speaks: tables for people, JSON for programs, progress, one-line errors."""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = [
    "counting_progress",
    "if_interrupted",
    "note",
    "one_line_errors",
    "points_progress",
    "print_json",
    "print_numbers",
    "print_table",
    "training_progress",
]


class _Console(Console):
    """Leaves a reader who has had enough, as in a pipe to head, to `one_line_errors`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


# Text is shown as it is: in markup, [bench] would be a style.
_out = _Console(markup=False, emoji=False)
_err = _Console(markup=False, emoji=False, stderr=True)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table, the first row being the header.

    Where a terminal is too narrow for its words, each row becomes a paragraph: nothing is cut off.
    """
    header, *body = rows
    for gap in (2, 1):
        # Beside the column's padding, if any, there is a space between two columns.
        widths = _widths(rows, _out.width - gap * len(header) + 1)
        if widths is not None:
            table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), show_edge=False)
            for name, width in zip(header, widths, strict=True):
                table.add_column(name, width=width)
            for row in body:
                table.add_row(*row)
            _out.print(table, "")
            return
    for name, *values in body:
        _out.print(name, highlight=False)
        for title, value in zip(header[1:], values, strict=True):
            if value:
                _out.print(f"  {title}: {value}" if title else f"  {value}", highlight=False)
    _out.print()


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Widths of columns that keep words, and the whole of the first, uncut; None without room."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, cells)) for cells in columns]
    words = [max(len(word) for cell in cells for word in [*cell.split(), ""]) for cells in columns]
    words[0] = widths[0]
    while sum(widths) > room:
        spare = [width - least for width, least in zip(widths, words, strict=True)]
        if not any(spare):
            return None
        widths[spare.index(max(spare))] -= 1
    return widths


def print_numbers(title: str, numbers: dict[str, Any]) -> None:
    """Print names and values as a table of two columns."""
    print_table([[title, ""], *([name, _as_text(value)] for name, value in numbers.items())])


def print_json(value: dict[str, Any] | list[Any]) -> None:
    """Print one JSON value to standard output; NaN and infinity become null."""
    _out.out(json.dumps(_finite(value), indent=2), highlight=False)


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


@contextmanager
def points_progress(total: int) -> Iterator[Callable[[int, int, int], None]]:
    """Progress bar of a sweep; yields the callback for (done, running, failed)."""
    columns = (
        TextColumn("sweep"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err, disable=not _err.is_terminal, transient=True) as progress:
        task = progress.add_task("sweep", total=total, state="")

        def report(done: int, running: int, failed: int) -> None:
            state = f"{running} running, {failed} failed"
            progress.update(task, completed=done + failed, state=state)

        yield report


# Typer's parent of every complaint about the command line itself, under its own or click's roof.
_UsageError: Any = typer.BadParameter.__base__


@contextmanager
def if_interrupted(remedy: str) -> Iterator[None]:
    """Say what to do next if Ctrl-C comes in here."""
    try:
        yield
    except KeyboardInterrupt:
        _interrupted(f"interrupted; {remedy}")


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
        _interrupted("interrupted")
    except MemoryError as error:
        _fail(f"out of memory ({error}); make p, neurons, seeds or size smaller", 2)
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        _fail(" ".join(str(error).split()) or type(error).__name__, 2)


def _interrupted(message: str) -> None:
    # Zarr's event loop would mourn the tasks that it had to leave.
    logging.getLogger("asyncio").disabled = True
    _fail(message, 130)


def _fail(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.6g}"
    return f"{value}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
