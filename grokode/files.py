"""Files that appear whole or not at all: written beside under a fresh name, synced, then renamed.

A temporary file's name cannot be guessed, is made without following links, and ends in `PARTIAL`,
our own mark: nothing without it is ever cleaned up.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

__all__ = ["PARTIAL", "create_file", "replace_file", "sync_directory"]

PARTIAL = ".grokode-partial"

Write = Callable[[IO[bytes]], Any]


def replace_file(path: Path, write: Write) -> None:
    """Write a file, in place of the one there was, so that no reader and no power cut meets half.

    Parameters
    ----------
    path : Path
    write : function (file)
        Writes the content to a file opened for bytes.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays, and nothing is left beside it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     replace_file(Path(folder) / "a", lambda file: file.write(b"whole"))
    ...     [(file.name, file.read_text()) for file in Path(folder).iterdir()]
    [('a', 'whole')]
    """
    temporary = _written(path, write)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def create_file(path: Path, write: Write) -> None:
    """As `replace_file`, but never over a file that is there.

    Raises
    ------
    FileExistsError
        If there is a file, link or folder of that name, also one made meanwhile.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists and is not overwritten; choose another name")
    temporary = _written(path, write)
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists and is not overwritten; choose another name"
        ) from None
    except OSError:  # a file system without hard links
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _written(path: Path, write: Write) -> Path:
    """A synced file of that content beside the path, under a name of its own."""
    temporary = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
