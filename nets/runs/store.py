"""Files of a run: a directory known by itself, chunks read only as they were written."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from grokode.files import PARTIAL
from grokode.nets.runs.layout import Plan
from grokode.nets.workers import Workers

__all__ = [
    "GROUP",
    "BusyError",
    "Folder",
    "Stepwise",
    "check_chunk",
    "check_document",
    "damaged",
    "read_chunk",
    "replace_all",
    "sync_all",
]

GROUP = {"attributes": {}, "zarr_format": 3, "node_type": "group"}

_BY_HANDLE = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_DOCUMENT_BYTES = 2**20


class BusyError(ValueError):
    """The run is being written by another process."""


class Folder:
    """A directory by its handle: what is written lands in it, wherever it is moved meanwhile.

    Windows has no such handles, but does not move a directory either in which a file is open.

    Parameters
    ----------
    path : Path
        A directory, no link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if _BY_HANDLE else None

    def close(self) -> None:
        """Let go of the directory."""
        if self._handle is not None:
            os.close(self._handle)

    def below(self, name: str) -> "Folder":
        """A directory in this one, made if it is not there."""
        with suppress(FileExistsError):
            os.mkdir(self._at(name), dir_fd=self._handle)
        inner = Folder.__new__(Folder)
        inner.path = self.path / name
        flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
        inner._handle = os.open(name, flags, dir_fd=self._handle) if _BY_HANDLE else None
        return inner

    def is_at(self, path: Path) -> bool:
        """Whether this directory still has that name."""
        if self._handle is None:
            return True
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def names(self) -> list[str]:
        """Names of what is in it."""
        return os.listdir(self.path if self._handle is None else self._handle)

    def write(self, name: str, content: bytes | memoryview) -> int:
        """Write a file that no manifest names yet; returns its open handle, still to be synced."""
        self.remove(name)
        return _written(os.open(self._at(name), _NEW, 0o666, dir_fd=self._handle), content)

    def write_by(self, name: str, fill: Callable[[Any], object]) -> tuple[int, str]:
        """As `write`, what a function writes to a stream; the handle and the SHA-256."""
        self.remove(name)
        stream = _Stream(os.open(self._at(name), _NEW, 0o666, dir_fd=self._handle))
        try:
            fill(stream)
            if stream.error is not None:
                raise stream.error
        except BaseException as raised:
            os.close(stream.handle)
            # Who fills it may tell of the disk's error by one of its own.
            raise (stream.error or raised) from None
        return stream.handle, stream.sha256.hexdigest()

    def append(self, name: str, offset: int, content: bytes) -> int:
        """Write from an offset on, over what was there; returns the handle, still to be synced."""
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self._at(name), flags, 0o666, dir_fd=self._handle)
        try:
            os.ftruncate(handle, offset)
            os.lseek(handle, offset, os.SEEK_SET)
        except BaseException:
            os.close(handle)
            raise
        return _written(handle, content)

    def rename(self, name: str, new: str) -> None:
        """Rename a file in it, over one that is there."""
        os.replace(self._at(name), self._at(new), src_dir_fd=self._handle, dst_dir_fd=self._handle)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._handle)

    def remove_tree(self, name: str) -> None:
        """Remove a directory in this one, if it is there, and all that is in it."""
        if name in self.names():
            shutil.rmtree(self._at(name), dir_fd=self._handle)

    def sync(self) -> None:
        """Make the names in it durable, where the system can."""
        if self._handle is not None:
            os.fsync(self._handle)

    def _at(self, name: str) -> str:
        return name if self._handle is not None else str(self.path / name)


class _Stream:
    """A file that is open for writing, as `torch.save` wants one, and the digest of its content."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write all of it."""
        self.sha256.update(content)
        try:
            _write(self.handle, content)
        except OSError as error:
            self.error = error
            raise
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""


def _written(handle: int, content: bytes | memoryview) -> int:
    try:
        _write(handle, content)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _write(handle: int, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def sync_all(handles: Sequence[int], folders: Iterable[Folder] = ()) -> None:
    """Make files and directories durable, all at once, and close the files.

    Side by side they share the disk's commits: a third of the time of one after the other.
    """
    jobs: list[Callable[[], None]] = [
        *(lambda handle=handle: os.fsync(handle) for handle in handles),
        *(folder.sync for folder in folders),
    ]
    try:
        if jobs:
            with Workers.of(min(8, len(jobs))) as workers:
                workers.run(jobs)
    finally:
        for handle in handles:
            os.close(handle)


def replace_all(files: Sequence[tuple[Folder, str, bytes]]) -> None:
    """Write files beside, sync them and rename them over: each appears whole or not at all."""
    folders = [folder for folder, _, _ in files]
    temporaries = [f".{secrets.token_hex(8)}{PARTIAL}" for _ in files]
    handles: list[int] = []
    try:
        for (folder, _, content), temporary in zip(files, temporaries, strict=True):
            handles.append(folder.write(temporary, content))
        given, handles = handles, []
        sync_all(given)
        for (folder, name, _), temporary in zip(files, temporaries, strict=True):
            folder.rename(temporary, name)
    except BaseException:
        for handle in handles:
            os.close(handle)
        for folder, temporary in zip(folders, temporaries, strict=True):
            folder.remove(temporary)
        raise
    sync_all([], folders)


def damaged(path: Path, name: str, why: object) -> ValueError:
    """The error of an array that is not what was written."""
    return ValueError(f"{path}/arrays.zarr is damaged at {name!r} ({why}); restore it from a copy")


def read_chunk(file: Path, size: int, digest: str) -> bytes:
    """A file of that size and SHA-256.

    Raises
    ------
    ValueError
        If it is missing, of another size or another content, naming it.
    """
    try:
        check_chunk(file, size)
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} is unreadable: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{file} was altered: its checksum does not fit")
    return content


def check_chunk(file: Path, size: int) -> None:
    """Raise a ValueError that names a file if it is missing or of another size."""
    if not file.is_file():
        raise ValueError(f"{file} is missing")
    if file.stat().st_size != size:
        raise ValueError(f"{file} is not of its {size} bytes")


def check_document(root: Path, plan: Plan, least: int) -> None:
    """Hold ``zarr.json`` of an array, and of the group it is in, against what we write.

    Nothing is decoded by it; but another reader would be, and it shows that something was altered.

    Raises
    ------
    ValueError
        If anything is not as the configuration has it, or the array is shorter than it must be.
    """
    group, _, _ = plan.path.rpartition("/")
    for name in dict.fromkeys(("", group)):
        if _document(root / name / "zarr.json") != GROUP:
            raise ValueError(f"{root / name / 'zarr.json'} is not as it was written")
    file = root / plan.path / "zarr.json"
    document = _document(file)
    shape = document.get("shape") if isinstance(document, dict) else None
    length = shape[0] if isinstance(shape, list) and shape else None
    fixed = plan.dims[0] != "step"
    if type(length) is not int or length < least or (fixed and length > least):
        raise ValueError(f"{file} is not of a length of {least} or more")
    # As text, so that 1, 1.0 and true are not one.
    wanted = plan.document(length)
    if json.dumps(document, sort_keys=True) != json.dumps(wanted, sort_keys=True):
        raise ValueError(f"{file} is not as the configuration has it")


def _document(file: Path) -> Any:
    if not file.is_file() or file.stat().st_size > _DOCUMENT_BYTES:
        raise ValueError(f"{file} is missing or too large")
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise ValueError(f"{file} is not readable") from None


Read = Callable[[int, list[int]], NDArray[Any]]


class Stepwise(BackendArray):
    """An array (step, seed, ...) read when it is looked at, one step after the other.

    Parameters
    ----------
    shape : tuple of int
    dtype : str
    read : function (row, seeds) -> array (seed, ...)
        One step of some seeds, by their places.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str, read: Read) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.read = read

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """What xarray asks for."""
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._part)

    def variable(self, dims: Sequence[str]) -> xr.Variable:
        """With dimension names, read once and kept."""
        lazy: Any = indexing.LazilyIndexedArray(self)
        return xr.Variable(dims, indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy)))

    def _part(self, key: tuple[Any, ...]) -> NDArray[Any]:
        rows = np.atleast_1d(np.arange(self.shape[0])[key[0]])
        seeds = np.atleast_1d(np.arange(self.shape[1])[key[1]])
        wanted = seeds.tolist()
        blocks = []
        for row in rows.tolist():
            block = self.read(row, wanted)
            for axis, of in enumerate(key[2:], start=1):
                if not isinstance(of, int | np.integer):
                    block = block[(slice(None),) * axis + (of,)]
            blocks.append(block)
        if not blocks:
            return np.empty(self._empty(key), dtype=self.dtype)
        result = np.stack(blocks)
        scalars = tuple(0 if isinstance(of, int | np.integer) else slice(None) for of in key[:2])
        inner = tuple(of if isinstance(of, int | np.integer) else slice(None) for of in key[2:])
        return result[(*scalars, *inner)]

    def _empty(self, key: tuple[Any, ...]) -> tuple[int, ...]:
        sizes = (np.arange(size)[of].shape for of, size in zip(key, self.shape, strict=True))
        return tuple(size for shape in sizes for size in shape)
