"""What arrays a run has: shapes, chunks and metadata, all following from its configuration."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokode.nets.networks.base import Layout
from grokode.nets.training.config import TrainingConfig

__all__ = ["DATA", "METRICS", "Layout", "Plan", "chunk_count", "expected", "plan_data", "plans"]

METRICS = {
    "train_loss": "mean cross-entropy over the training pairs (nats)",
    "test_loss": "mean cross-entropy over the test pairs (nats)",
    "train_accuracy": "part of the training pairs answered rightly",
    "test_accuracy": "part of the test pairs answered rightly",
    "gradient_norm": "norm of the loss gradient over all weights",
    "weight_norm": "norm of all weights",
}

DATA = ("inputs", "answers", "train", "test")
"""Inputs (example, ...), answers (seed, example), and the split: (seed, n) indices of inputs."""

_WEIGHTS_BYTES = 2**20
_METRICS_BYTES = 2**14
_GRID_BYTES = 2**16


def expected(config: TrainingConfig) -> tuple[dict[str, Layout], str, Layout | None]:
    """Parameters, their number format, and the grid of answers that a configuration asks for."""
    sizes = config.data.grid if config.log_grid else {}
    grid = Layout(tuple(sizes), tuple(sizes.values())) if sizes else None
    return config.network.layout(config.data), config.dtype, grid


@dataclass(frozen=True)
class Plan:
    """One array on disk.

    Parameters
    ----------
    path : str
        Below ``arrays.zarr``.
    dims : tuple of str
    shape : tuple of int
        Where the first dimension is ``step`` the array grows along it, and its length is not said.
    chunks : tuple of int
    dtype : str
    attributes : mapping
    """

    path: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    attributes: Mapping[str, str]

    @property
    def rows(self) -> int:
        """Steps to a chunk."""
        return self.chunks[0]

    @property
    def chunk_bytes(self) -> int:
        """Size of every file of this array but zarr.json."""
        return math.prod(self.chunks) * np.dtype(self.dtype).itemsize

    @property
    def row_bytes(self) -> int:
        """Size of one step of all seeds."""
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def seed_chunks(self) -> int:
        """Files to one block of steps."""
        return chunk_count(self.shape[1], self.chunks[1])

    def key(self, *first: int) -> str:
        """Name of a chunk's file, by its place along the first dimensions."""
        return ".".join(["c", *map(str, first), *"0" * (len(self.dims) - len(first))])

    def keys(self, blocks: int) -> Iterator[str]:
        """Names of the chunks of the first blocks of steps."""
        for block in range(blocks):
            for part in range(self.seed_chunks):
                yield self.key(block, part)

    def document(self, length: int) -> dict[str, Any]:
        """Content of ``zarr.json``, the first dimension being so long."""
        dtype = np.dtype(self.dtype)
        codec: dict[str, Any] = {"name": "bytes"}
        if dtype.itemsize > 1:
            codec["configuration"] = {"endian": "little"}
        return {
            "shape": [length, *self.shape[1:]],
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.chunks)}},
            # All chunks of an array lie in one directory, which is synced once to a checkpoint.
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": "NaN" if dtype.kind == "f" else 0,
            "codecs": [codec],
            "attributes": dict(self.attributes),
            "dimension_names": list(self.dims),
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }


def plans(config: TrainingConfig, seeds: int, metrics: Mapping[str, str]) -> dict[str, Plan]:
    """The arrays that grow: ``weights/<name>``, ``metrics/<name>`` and, if asked for, ``correct``.

    Weights have a chunk to a checkpoint, of as many seeds as fit in a mebibyte; a chunk of metrics
    or of grids has as many steps as fit in 16 or 64 KiB.
    """
    parameters, dtype, grid = expected(config)
    result = []
    for name, layout in parameters.items():
        each = max(1, math.prod(layout.shape) * np.dtype(dtype).itemsize)
        together = min(seeds, max(1, _WEIGHTS_BYTES // each))
        chunks = (1, together, *layout.shape)
        result.append(_grown(f"weights/{name}", seeds, layout, chunks, dtype, {}))
    rows = max(1, _METRICS_BYTES // (8 * seeds))
    for name, text in metrics.items():
        one = Layout((), ())
        attributes = {"long_name": text}
        result.append(_grown(f"metrics/{name}", seeds, one, (rows, seeds), "float64", attributes))
    if grid is not None:
        rows = max(1, _GRID_BYTES // (seeds * math.prod(grid.shape)))
        result.append(_grown("correct", seeds, grid, (rows, seeds, *grid.shape), "uint8", {}))
    return {plan.path: plan for plan in result}


def plan_data(name: str, shape: Sequence[int], dtype: str) -> Plan:
    """An array of the data, whose shape is known from the start; a chunk is about a mebibyte."""
    after = {"answers": ("example",), "train": ("item",), "test": ("item",)}
    extra = tuple("position" if axis == 1 else f"axis_{axis}" for axis in range(1, len(shape)))
    dims = ("example", *extra) if name == "inputs" else ("seed", *after[name])
    # Zarr has no chunk of size zero.
    row = [max(1, size) for size in shape[1:]]
    each = math.prod(row) * np.dtype(dtype).itemsize
    leading = min(max(1, shape[0]), max(1, _WEIGHTS_BYTES // each))
    return Plan(f"data/{name}", dims, tuple(shape), (leading, *row), dtype, {})


def chunk_count(length: int, chunk: int) -> int:
    """How many chunks cover a dimension."""
    return -(-length // chunk)


def _grown(
    path: str,
    seeds: int,
    layout: Layout,
    chunks: tuple[int, ...],
    dtype: str,
    attributes: Mapping[str, str],
) -> Plan:
    dims = ("step", "seed", *layout.dims)
    return Plan(path, dims, (0, seeds, *layout.shape), chunks, dtype, attributes)
