"""How the command line speaks: tables for people, JSON for programs, progress, one-line errors."""

import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from _thread import interrupt_main, start_new_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from grokode.text import ENCODABLE, visible

__all__ = [
    "counting_progress",
    "if_interrupted",
    "note",
    "one_line_errors",
    "points_progress",
    "print_json",
    "print_line",
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
    rows = [[visible(cell) for cell in row] for row in rows]
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
    # JSON escapes every control character but this one.
    text = json.dumps(_finite(value), indent=2).replace("\x7f", "\\u007f")
    _out.out(text, highlight=False)


def print_line(text: str) -> None:
    """Print a line of text, such as what was written, to standard output."""
    _out.print(visible(text), highlight=False, soft_wrap=True)


def note(*lines: str) -> None:
    """Lines to people, on standard error, so that standard output stays machine-readable."""
    for line in lines:
        _err.print(visible(line), highlight=False, soft_wrap=True)


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
        yield lambda name: progress.update(task, advance=1, state=visible(name))


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


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it: ends a command as Ctrl-C does."""


_ended = KeyboardInterrupt()  # which of the two it was; typer forgets


@contextmanager
def if_interrupted(remedy: str) -> Iterator[None]:
    """Say what to do next if Ctrl-C or SIGTERM comes in here."""
    try:
        yield
    except KeyboardInterrupt:
        _interrupted(remedy)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn the errors that a user can mend into one line and exit code 2.

    Ctrl-C ends with 130, SIGTERM with 143, a reader who has gone with 141. What the terminal's
    encoding lacks is spelled out, so that it never decides whether a command succeeds. A warning is
    a line too, without the line of source that Python adds.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ENCODABLE)
    try:
        with _sigterm_as_interrupt(), _no_interrupt_lost(), warnings.catch_warnings():
            warnings.showwarning = _warn
            yield
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx else "grokode"
        message = " ".join(error.format_message().split()).rstrip(".")
        _fail(f"{message}; see {command} --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        _interrupted()
    except MemoryError as error:
        _fail(f"out of memory ({error}); make p, neurons, seeds or size smaller", 2)
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (ValueError, TypeError, OSError, RuntimeError, OverflowError) as error:
        _fail(" ".join(str(error).split()) or type(error).__name__, 2)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    def end(*_: Any) -> NoReturn:
        global _ended
        _ended = _Terminated()
        raise _ended

    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # someone else decides what the signal does
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Ctrl-C where Python cannot raise, as in a callback of numba's compiler, comes once more."""

    def again(lost: "sys.UnraisableHookArgs") -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            return before(lost)
        terminated = issubclass(lost.exc_type, _Terminated)
        start_new_thread(_interrupt_soon, (signal.SIGTERM if terminated else signal.SIGINT,))

    before, sys.unraisablehook = sys.unraisablehook, again
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt_soon(number: signal.Signals) -> None:
    time.sleep(0.05)  # until the hook is over, where it would be lost as well
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        interrupt_main(number)  # does not end a sleep


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    note(f"warning: {message}")


def _interrupted(remedy: str = "") -> NoReturn:
    # Zarr's event loop would mourn the tasks that it had to leave.
    logging.getLogger("asyncio").disabled = True
    terminated = isinstance(_ended, _Terminated)
    what = "terminated" if terminated else "interrupted"
    _fail(f"{what}; {remedy}" if remedy else what, 143 if terminated else 130)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {visible(message)}", err=True)
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
