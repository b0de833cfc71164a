"""Folders at the beginning of a run: which of them are ours, and how one appears whole."""

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from grokode.files import PARTIAL, sync_directory
from grokode.nets.runs.format2 import FORMAT as FORMAT_2
from grokode.nets.runs.format2 import OldSource, format_of
from grokode.nets.runs.manifest import JOURNAL, Header, Manifest, header_bytes
from grokode.nets.runs.store import Folder
from grokode.nets.training.config import TrainingConfig

__all__ = ["BEGUN", "appearing", "asked_of", "clean", "named", "never_published"]

_TEMPORARY = re.compile(r"\.[0-9a-f]{16}" + re.escape(PARTIAL))
BEGUN = "begun.json"
"""What a run was asked for, until its first checkpoint; the mark of a folder of ours."""
_OWN = re.compile(r"state-\d+\.pth|tail-\d+\.bin|begun\.json|" + _TEMPORARY.pattern)
"""Names of the files in a run that its writer makes and removes."""


def never_published(path: Path) -> bool:
    """Whether a directory is empty but for what a writer leaves that saved no checkpoint."""
    if not path.is_dir():
        return False
    names = {file.name for file in path.iterdir()} - {".lock"}
    if all(map(_TEMPORARY.fullmatch, names)):
        return True
    if {name for name in names if not _OWN.fullmatch(name)} - {"arrays.zarr", JOURNAL}:
        return False
    return _begun(path) is not None


def asked_of(path: Path) -> tuple[TrainingConfig, tuple[int, ...]] | None:
    """Configuration and seeds that a run was begun with, be it before its first checkpoint.

    Raises
    ------
    ValueError
        If there is a run, but its manifest is damaged.
    """
    if not (path / "run.json").exists():
        return _begun(path)
    if format_of(path) == FORMAT_2:
        old = OldSource(path)
        return old.config, old.seeds
    header = Manifest.read(path).header
    return header.config, header.seeds


def _begun(path: Path) -> tuple[TrainingConfig, tuple[int, ...]] | None:
    try:
        header = Header.parse(header_bytes(path, BEGUN))
    except (OSError, ValueError):
        return None
    return header.config, header.seeds


def named(recent: Iterable[tuple[int, int]]) -> set[str]:
    """The files of states and tails that publications (step, rows) name."""
    return {name for step, rows in recent for name in (f"state-{step}.pth", f"tail-{rows}.bin")}


def clean(folder: Folder, recent: Iterable[tuple[int, int]]) -> None:
    """Remove what kills left: states, tails and temporaries that no publication names."""
    needed = named(recent)
    for name in folder.names():
        if _OWN.fullmatch(name) and name not in needed:
            folder.remove(name)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A directory to write a run in, which takes its name when it is whole, and else is gone.

    Raises
    ------
    FileExistsError
        If there is anything of that name, also made meanwhile.
    """
    text = f"{path} exists and is not overwritten; choose another directory"
    if path.exists() or path.is_symlink():
        raise FileExistsError(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists() or path.is_symlink():
            raise FileExistsError(text)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(path.parent)
