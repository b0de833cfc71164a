"""Where streamed winners lie: arrays written chunk by chunk, each with its checksum in a journal.

A stream is a directory:

    stream.jsonl    what is streamed and the checksum of the arrays' metadata, then those of chunk
                    0, 1, ..., a line each, written when the chunk is on the disk
    winners.zarr    winner and blowup_time
    .lock           held by the one process that writes

Every line ends in a checksum of its own. A kill or a power cut loses the chunk in flight; what is
altered, swapped or missing otherwise is named and refused.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from grokode.files import PARTIAL, replace_file, sync_directory

__all__ = ["WinnerStore"]

_JOURNAL, _ARRAYS = "stream.jsonl", "winners.zarr"
_FORMAT = 2  # 1 had no journal
_VARIABLES = {
    "winner": ("int32", 0, "frequency of the winning ticket"),
    "blowup_time": ("float64", np.nan, "blow-up time of the winning ticket"),
}
_METADATA = ("zarr.json", *(f"{name}/zarr.json" for name in _VARIABLES))
_DIGEST = 32  # hexadecimal digits of SHA-256 that are kept


class WinnerStore:
    """One stream on disk: open an existing one, or `create` it.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If there is no stream, or its journal or metadata are damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines, self._end = _read_journal(path)
        head, *chunks = lines
        if head.get("format") != _FORMAT:
            raise ValueError(
                f"{path} is a stream of format {head.get('format')}, not {_FORMAT}; choose "
                "another out"
            )
        self.stream: dict[str, Any] = head["stream"]
        self.chunk: int = head["chunk"]
        self._digests: dict[str, str] = dict(head["metadata"])
        for index, line in enumerate(chunks):
            if line.get("index") != index:
                raise ValueError(f"{path / _JOURNAL} was altered: chunk {index} is not where it is")
            self._digests |= _chunk_keys(index, line["digests"])
        self.done = len(chunks)

    @classmethod
    def create(cls, path: Path, stream: Mapping[str, Any], chunk: int) -> "WinnerStore":
        """A new store, built aside and renamed, so that one at `path` always has its arrays."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
        draft.mkdir()
        try:
            _create_arrays(draft / _ARRAYS, stream, chunk)
            metadata = {key: _digest((draft / _ARRAYS / key).read_bytes()) for key in _METADATA}
            head = {"format": _FORMAT, "stream": stream, "chunk": chunk, "metadata": metadata}
            replace_file(draft / _JOURNAL, lambda file: file.write(_line(head)))
            draft.rename(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_directory(path.parent)
        return cls(path)

    @property
    def chunks(self) -> int:
        """How many chunks the whole stream has."""
        return -(-int(self.stream["neurons"]) // self.chunk)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock; what a kill left beyond the journal is cut off."""
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BlockingIOError(
                f"{self.path} is being written by another process; wait until it is done"
            ) from None
        try:
            # Another process may have gone on between opening and locking.
            self.__init__(self.path)  # type: ignore[misc]
            os.truncate(self.path / _JOURNAL, self._end)
            for left in (self.path / _ARRAYS).rglob(f".*{PARTIAL}"):
                left.unlink()
            yield
        finally:
            lock.release()

    def append(self, winner: NDArray[Any], time: NDArray[Any]) -> None:
        """Write the next chunk, and its line in the journal once it is on the disk."""
        written = _Arrays(self.path / _ARRAYS)
        group = zarr.open_group(written, mode="r+")
        first = self.done * self.chunk
        for name, values in (("winner", winner), ("blowup_time", time)):
            group[name][first : first + len(values)] = values  # type: ignore[index]
        digests = {name: written.digests[_key(name, self.done)] for name in _VARIABLES}
        with (self.path / _JOURNAL).open("ab") as journal:
            journal.write(_line({"index": self.done, "digests": digests}))
            journal.flush()
            os.fsync(journal.fileno())
            self._end = journal.tell()
        self._digests |= _chunk_keys(self.done, digests)
        self.done += 1

    def check(self) -> None:
        """Raise ValueError if any file of the arrays is missing or altered."""
        for key, digest in self._digests.items():
            _check(self.path / _ARRAYS / key, digest)

    def open(self) -> xr.Dataset:
        """The arrays, each chunk checked when it is read."""
        store = _Arrays(self.path / _ARRAYS, self._digests, read_only=True)
        return xr.open_zarr(store, consolidated=False, chunks=None)


class _Arrays(LocalStore):
    """Files of arrays: written whole and synced, and read only with the checksum they should have.

    Parameters
    ----------
    root : Path
    expected : mapping from key to digest, optional
        What may be read; anything, if not given.
    """

    def __init__(
        self, root: Path, expected: Mapping[str, str] | None = None, *, read_only: bool = False
    ) -> None:
        super().__init__(root, read_only=read_only)
        self._expected = expected
        self.digests: dict[str, str] = {}

    async def get(self, key: str, *args: Any, **options: Any) -> Buffer | None:
        """The content of a file; ValueError if it is not what was written."""
        if self._expected is not None and key in self._expected:
            _check(Path(self.root) / key, self._expected[key])
        return await super().get(key, *args, **options)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file that appears whole or not at all."""
        content, path = value.to_bytes(), Path(self.root) / key
        self.digests[key] = _digest(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(content))


def _create_arrays(path: Path, stream: Mapping[str, Any], chunk: int) -> None:
    group = zarr.open_group(_Arrays(path), mode="w", attributes=dict(stream))
    for name, (dtype, fill, meaning) in _VARIABLES.items():
        group.create_array(
            name,
            shape=(stream["neurons"],),
            chunks=(chunk,),
            dtype=dtype,
            fill_value=fill,
            dimension_names=["neuron"],
            attributes={"long_name": meaning},
        )


def _key(name: str, index: int) -> str:
    return f"{name}/c/{index}"


def _chunk_keys(index: int, digests: Mapping[str, str]) -> dict[str, str]:
    return {_key(name, index): digests[name] for name in _VARIABLES}


def _check(path: Path, digest: str) -> None:
    if not path.is_file():  # a pipe in its place would be waited for
        raise ValueError(f"{path} is missing; stream again into another out")
    content = path.read_bytes()
    if _digest(content) != digest:
        raise ValueError(
            f"{path} was altered: its checksum does not fit; stream again into another out"
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST]


def _line(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content).encode()
    return text + b"\t" + _digest(text).encode() + b"\n"


def _read_journal(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of a journal, and where the last whole one ends."""
    if not (path / _JOURNAL).is_file():
        raise ValueError(f"{path} holds no stream of winners; choose another out")
    content = (path / _JOURNAL).read_bytes()
    lines, end = [], 0
    for raw in content.splitlines(keepends=True):
        text, _, digest = raw.rstrip(b"\n").rpartition(b"\t")
        if raw.endswith(b"\n") and digest.decode(errors="replace") == _digest(text):
            lines.append(json.loads(text))
            end += len(raw)
        elif end + len(raw) == len(content) and lines and not raw.endswith(b"\n"):
            break  # the line in flight when the writer was killed
        else:
            raise ValueError(
                f"{path / _JOURNAL} was altered in line {len(lines) + 1}; stream again into "
                "another out"
            )
    if not lines:
        raise ValueError(f"{path} holds no stream of winners; choose another out")
    return lines, end
