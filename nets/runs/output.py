"""The files of a run as they are written: held open until all are synced at once."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokode.nets.runs.layout import Plan, plan_data
from grokode.nets.runs.store import GROUP, Folder, replace_all, sync_all

__all__ = ["Output"]

_OPEN = 64
"""Files written and not yet synced at most."""
_FIRST = 64
"""Steps that a new array says it has room for; doubled when they are used up."""


class Output:
    """Chunks and descriptions of arrays below the directory of a run.

    Parameters
    ----------
    folder : Folder
        The run's own directory, known by itself and not by its name.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.plans: Mapping[str, Plan] = {}
        self.room: dict[str, int] = {}
        self.folders: dict[str, Folder] = {}
        self.touched: dict[str, Folder] = {}
        self._handles: list[int] = []

    def begin(self, plans: Mapping[str, Plan], *, new: bool) -> None:
        """Take up the arrays of a run; of a new one, make the groups they lie in."""
        self.plans = plans
        root = self.folders["arrays.zarr"] = self.folder.below("arrays.zarr")
        for name in ("weights", "metrics", "data"):
            self.folders[name] = root.below(name)
        if new:
            for name in ("arrays.zarr", "weights", "metrics", "data"):
                self.touched[name] = self.folders[name]
                self.hold(self.folders[name].write("zarr.json", _json(GROUP)))

    def close(self) -> None:
        """Let go of everything, synced or not."""
        for handle in self._handles:
            os.close(handle)
        for folder in (*self.folders.values(), self.folder):
            folder.close()
        self._handles, self.folders = [], {}

    def chunk(self, plan: Plan, place: tuple[int, int], values: NDArray[Any]) -> str:
        """Write a chunk; returns its digest."""
        little = np.dtype(plan.dtype).newbyteorder("<")
        content = np.ascontiguousarray(values, little).tobytes()
        self.hold(self.of(plan.path).write(plan.key(*place), content))
        return hashlib.sha256(content).hexdigest()

    def step(self, plan: Plan, at: int, rows: Sequence[int], values: NDArray[Any]) -> list[str]:
        """Write a step of some seeds, NaN for the others; the digests of its chunks."""
        padded = plan.seed_chunks * plan.chunks[1]
        whole = np.full((padded, *plan.shape[2:]), np.nan, plan.dtype)
        whole[rows] = values
        return [
            self.chunk(plan, (at, part), block)
            for part, block in enumerate(whole.reshape(plan.seed_chunks, *plan.chunks[1:]))
        ]

    def store(self, name: str, values: NDArray[Any]) -> tuple[Plan, tuple[str, ...]]:
        """Write an array of the data, whole."""
        values = np.asarray(values)
        plan = plan_data(name, values.shape, str(values.dtype))
        self.describe_new(plan, len(values))
        digests = []
        for block in range(-(-len(values) // plan.rows) if values.size else 0):
            part = np.zeros(plan.chunks, plan.dtype)
            some = values[block * plan.rows : (block + 1) * plan.rows]
            part[: len(some)] = some
            content = np.ascontiguousarray(part, part.dtype.newbyteorder("<")).tobytes()
            self.hold(self.of(plan.path).write(plan.key(block), content))
            digests.append(hashlib.sha256(content).hexdigest())
        return plan, tuple(digests)

    def make_room(self, plan: Plan, length: int) -> None:
        """Let zarr.json say so many steps at least: doubled, to be written seldom."""
        if length > self.room.get(plan.path, 0):
            self.describe({plan.path: max(_FIRST, 1 << (length - 1).bit_length())})

    def describe(self, lengths: Mapping[str, int]) -> None:
        """Let the zarr.json of some arrays say how many steps there are, or are room for."""
        self.room |= lengths
        replace_all(
            [
                (self.of(name), "zarr.json", _json(self.plans[name].document(length)))
                for name, length in lengths.items()
            ]
        )

    def describe_new(self, plan: Plan, length: int) -> None:
        """Write the zarr.json of an array that is new."""
        self.hold(self.of(plan.path).write("zarr.json", _json(plan.document(length))))

    def of(self, path: str) -> Folder:
        """The directory of an array."""
        if path not in self.folders:
            group, _, name = path.rpartition("/")
            self.folders[path] = self.folders[group or "arrays.zarr"].below(name)
            self.touched[group or "arrays.zarr"] = self.folders[group or "arrays.zarr"]
        self.touched[path] = self.folders[path]
        return self.folders[path]

    def hold(self, handle: int) -> None:
        """Keep a written file open until `sync`."""
        self._handles.append(handle)
        if len(self._handles) >= _OPEN:
            handles, self._handles = self._handles, []
            sync_all(handles)

    def sync(self) -> None:
        """Make durable what was written, and the names it has."""
        handles, self._handles = self._handles, []
        folders, self.touched = [*self.touched.values(), self.folder], {}
        sync_all(handles, folders)


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=1).encode()
