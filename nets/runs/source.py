"""Reading a run of this format: every file held against its digest before it is used."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grokode.nets.runs.layout import Layout, Plan, expected
from grokode.nets.runs.manifest import Header, Manifest, header_bytes, tail_bytes
from grokode.nets.runs.record import Record
from grokode.nets.runs.store import Stepwise, check_document, damaged, read_chunk
from grokode.text import visible

__all__ = ["Source", "read_rows", "resumable", "saved_state", "verified"]


class Source:
    """A run on disk as it was when it was opened; what is written meanwhile is not seen.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ValueError
        If it is no run, holds no checkpoint yet, or is damaged.

    Warns
    -----
    UserWarning
        If the last checkpoint is damaged, naming it; then the run is what it was before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = verified(path)
        if not self._manifest.steps:
            raise ValueError(f"{path} has no checkpoint yet; resume it, or wait for its writer")
        header = self._manifest.header
        self.config, self.seeds = header.config, header.seeds
        self.metrics: dict[str, str] = header.metrics
        self.steps, self.logged = self._manifest.steps, self._manifest.logged
        self.ended = self._manifest.ended
        self.damage = self._manifest.damage
        self.digest = self._manifest.digest
        self.attrs = header.attrs | {"seconds": self._manifest.last.seconds}
        self.parameters: dict[str, Layout] = expected(self.config)[0]
        if self.damage:
            step = f"step {self.steps[-1]}, its last whole checkpoint"
            warnings.warn(visible(f"{self.damage}; {path} is used up to {step}"), stacklevel=4)

    def parameter(self, name: str) -> Stepwise:
        """Weights (step, seed, ...) of one parameter, read when looked at."""
        plan = self._manifest.plans[f"weights/{name}"]
        blocks = len(self.steps)
        try:
            self._check(plan, blocks, blocks)
        except (OSError, ValueError) as error:
            raise self._explained(plan.path, error) from None
        shape = (blocks, *plan.shape[1:])
        return Stepwise(shape, plan.dtype, self._reader(plan))

    def rows(self, name: str) -> NDArray[Any]:
        """Every logged step of an array, ``metrics/<name>`` or ``correct``."""
        return self._logged(name, 0)[: len(self.logged)]

    def correct(self) -> Stepwise:
        """Whether each input is answered rightly (step, seed, x, y), read when looked at."""
        plan = self._manifest.plans["correct"]
        full = len(self.logged) // plan.rows
        parts, tail = self._reader(plan), self._logged("correct", full)

        def read(row: int, seeds: list[int]) -> NDArray[Any]:
            if row < full * plan.rows:
                return parts(row, seeds).astype(bool)
            return tail[row - full * plan.rows, seeds].astype(bool)

        return Stepwise((len(self.logged), *plan.shape[1:]), "bool", read)

    @property
    def known(self) -> frozenset[str]:
        """Names of the data that the run says."""
        return frozenset(self._manifest.header.data or {})

    def data(self, name: str) -> NDArray[Any]:
        """Inputs (example, ...), answers (seed, example), or indices train, test (seed, n).

        Raises
        ------
        ValueError
            If the run does not say, or the files are damaged.
        """
        stored = self._manifest.header.data or {}
        if name not in stored:
            raise ValueError(
                f"{self.path} does not say its {name} examples; import it again with them"
            )
        plan, digests = stored[name]
        try:
            check_document(self.path / "arrays.zarr", plan, plan.shape[0])
            parts = [
                _array(self._read(plan, plan.key(block), digest), plan)
                for block, digest in enumerate(digests)
            ]
        except (OSError, ValueError) as error:
            raise self._explained(plan.path, error) from None
        if not parts:
            return np.empty(plan.shape, dtype=plan.dtype)
        whole: NDArray[Any] = np.concatenate(parts)[: plan.shape[0]]
        examples = stored["inputs"][0].shape[0]
        if name in ("train", "test") and not ((whole >= 0) & (whole < examples)).all():
            raise damaged(self.path, plan.path, "it names inputs that there are not")
        return whole

    def check_files(self) -> None:
        """Raise a ValueError that names a file of the arrays if it is missing or cut short."""
        for name in self.parameters:
            self.parameter(name)
        for name in self._manifest.plans:
            if not name.startswith("weights/"):
                self.rows(name)
        for name in self._manifest.header.data or {}:
            self.data(name)

    def _reader(self, plan: Plan) -> Callable[[int, list[int]], NDArray[Any]]:
        """One step of some seeds; the last chunk stays at hand for the next step."""
        digests, together = self._manifest.chunks[plan.path], plan.chunks[1]
        held: dict[int, NDArray[Any]] = {}

        def read(row: int, seeds: list[int]) -> NDArray[Any]:
            parts = []
            for seed in seeds:
                index = row // plan.rows * plan.seed_chunks + seed // together
                if index not in held:
                    held.clear()
                    key = plan.key(*divmod(index, plan.seed_chunks))
                    try:
                        held[index] = _array(self._read(plan, key, digests[index]), plan)
                    except ValueError as error:
                        raise self._explained(plan.path, error) from None
                parts.append(held[index][row % plan.rows, seed % together])
            return np.stack(parts) if parts else np.empty((0, *plan.shape[2:]), dtype=plan.dtype)

        return read

    def _read(self, plan: Plan, key: str, digest: str) -> bytes:
        file = self.path / "arrays.zarr" / plan.path / key
        return read_chunk(file, plan.chunk_bytes, digest)

    def _check(self, plan: Plan, blocks: int, least: int) -> None:
        """Hold the files of an array against what they should be, all but their content."""
        folder = self.path / "arrays.zarr" / plan.path
        check_document(self.path / "arrays.zarr", plan, least)
        keys = list(plan.keys(blocks))
        used = set(keys)
        # One look at the directory: a look at each of ten thousand files takes ten times that.
        # Files of no use here may vanish: a resumed writer clears away what kills left unpublished.
        with os.scandir(folder) as files:
            sizes = {
                file.name: file.stat(follow_symlinks=False).st_size
                for file in files
                if file.name in used and file.is_file(follow_symlinks=False)
            }
        for key in keys:
            if key not in sizes:
                raise ValueError(f"{folder / key} is missing")
            if sizes[key] != plan.chunk_bytes:
                raise ValueError(f"{folder / key} is not of its {plan.chunk_bytes} bytes")

    def _logged(self, name: str, first: int) -> NDArray[Any]:
        """Logged steps from a chunk on, by this manifest or, its tail being gone, a later one."""
        manifest = self._manifest
        plan = manifest.plans[name]
        while True:
            try:
                blocks = len(manifest.logged) // plan.rows
                self._check(plan, blocks, blocks * plan.rows)
                return read_rows(self.path, manifest, name, first)
            except (OSError, ValueError) as error:
                later = self._later(manifest)
                if later is None:
                    raise self._explained(name, error) from None
                manifest = later

    def _later(self, manifest: Manifest) -> Manifest | None:
        """What a writer has published since, if it is this run's and goes further."""
        try:
            later = Manifest.read(self.path)
        except ValueError:
            return None
        same = later.header.id == manifest.header.id
        further = same and later.header.journal[0] > manifest.header.journal[0]
        return later if further else None

    def _explained(self, name: str, error: Exception) -> ValueError:
        """What is wrong with a file: damage, or that the run is no longer where it was opened."""
        try:
            here = Header.parse(header_bytes(self.path)).id == self._manifest.header.id
        except (OSError, ValueError):
            here = (self.path / "run.json").is_file()
        if here:
            return damaged(self.path, name, error)
        return ValueError(
            f"{self.path} is no longer the run that was opened: it was moved, removed or replaced; "
            "open it where it is now"
        )


def verified(path: Path) -> Manifest:
    """The manifest up to its last whole publication: its last checkpoint and the tail are read."""
    while True:
        content = header_bytes(path)
        manifest = Manifest.read(path)
        while True:
            try:
                if manifest.records:
                    _check_last(path, manifest)
                return manifest
            except (OSError, ValueError) as error:
                if header_bytes(path) != content:
                    break
                if len(manifest.records) == 1:
                    # Used as it is; what is damaged is named when it is read.
                    return manifest
                manifest.drop_last(str(error))


def resumable(path: Path) -> Manifest:
    """As `verified`, back to the last checkpoint whose state is whole too.

    Warns
    -----
    UserWarning
        If that is not the last one: what is damaged, and where the training goes on.

    Raises
    ------
    ValueError
        If the one before has no whole state either; further back none is kept.
    """
    manifest, refused = verified(path), None
    for _ in range(2):
        if not manifest.records:
            return manifest
        step = manifest.last.step
        try:
            _check_last(path, manifest)
            saved_state(path, manifest.last)
        except (OSError, ValueError) as error:
            refused = refused or error
            while manifest.records and manifest.last.step == step:
                manifest.drop_last(str(error))
            if manifest.records:
                continue
            break
        if manifest.damage:
            told = f"{manifest.damage}; {path} goes on from step {step}, its last whole checkpoint"
            warnings.warn(visible(told), stacklevel=2)
        return manifest
    raise refused or ValueError(f"{path} has no whole checkpoint to go on from")


def _check_last(path: Path, manifest: Manifest) -> None:
    """Read the last checkpoint and the steps logged last."""
    for name, plan in manifest.plans.items():
        if name.startswith("weights/"):
            block, parts = len(manifest.steps) - 1, plan.seed_chunks
            for part in range(parts):
                file = path / "arrays.zarr" / name / plan.key(block, part)
                read_chunk(file, plan.chunk_bytes, manifest.chunks[name][block * parts + part])
    _tail_content(path, manifest)


def read_rows(path: Path, manifest: Manifest, name: str, first: int = 0) -> NDArray[Any]:
    """The logged steps of an array from a chunk on: its full chunks, and the tail."""
    plan = manifest.plans[name]
    folder = path / "arrays.zarr" / name
    parts = [
        _array(read_chunk(folder / plan.key(block), plan.chunk_bytes, digest), plan)
        for block, digest in enumerate(manifest.chunks[name])
        if block >= first
    ]
    return np.concatenate([*parts, _tail(path, manifest, name)])


def saved_state(path: Path, record: Record) -> dict[str, Any]:
    """The state that a publication saved to resume from.

    Raises
    ------
    ValueError
        If the file is missing or not what was written.
    """
    file = path / f"state-{record.step}.pth"
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != record.state:
        raise ValueError(
            f"{file} is missing or was altered, so the training cannot go on from there; restore "
            "it from a copy"
        )
    # On the CPU, wherever it was saved: a training goes on where it can.
    buffer = io.BytesIO(content)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True, map_location="cpu")
    return loaded


def _tail(path: Path, manifest: Manifest, name: str) -> NDArray[Any]:
    """The logged steps of an array that fill no chunk yet."""
    content, offset = _tail_content(path, manifest), 0
    rows = len(manifest.logged)
    for other, plan in manifest.plans.items():
        if other.startswith("weights/"):
            continue
        count = rows % plan.rows
        if other == name:
            shape = (count, *plan.shape[1:])
            size = count * plan.row_bytes
            return np.frombuffer(content[offset : offset + size], _little(plan)).reshape(shape)
        offset += count * plan.row_bytes
    raise KeyError(name)


def _tail_content(path: Path, manifest: Manifest) -> bytes:
    rows = len(manifest.logged)
    size = tail_bytes(manifest.plans, rows)
    return read_chunk(path / f"tail-{rows}.bin", size, manifest.last.tail) if size else b""


def _array(content: bytes, plan: Plan) -> NDArray[Any]:
    return np.frombuffer(content, _little(plan)).reshape(plan.chunks).astype(plan.dtype, copy=False)


def _little(plan: Plan) -> np.dtype[Any]:
    return np.dtype(plan.dtype).newbyteorder("<")
