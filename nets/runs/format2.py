"""Runs as grokode 0.1 wrote them, format 2: read, not gone on with.

One array of all layers, one of all metrics, and the pairs, each chunk with a CRC-32C.
"""

import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from grokode.nets import tasks
from grokode.nets.runs.layout import DATA, METRICS, Layout
from grokode.nets.runs.manifest import check_attrs, check_config, check_seeds, header_bytes
from grokode.nets.runs.store import GROUP, Stepwise, check_chunk, damaged

__all__ = ["FORMAT", "OldSource", "format_of"]

FORMAT = 2
_ROWS = 1024
_CRC = 4


def format_of(path: Path) -> Any:
    """The format that a run says it has; None if that cannot be read."""
    try:
        values = json.loads(header_bytes(path))
    except (RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return values.get("format") if isinstance(values, dict) else None


class OldSource:
    """A run of format 2, as `grokode.nets.runs.source.Source` has the present one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = header_bytes(path)
            self.digest = hashlib.sha256(content).hexdigest()
            values = json.loads(content)
            stored = values.pop("sha256")
            text = json.dumps(values, sort_keys=True)
            if stored != hashlib.sha256(text.encode()).hexdigest():
                raise ValueError("it was altered: its checksum does not fit")
            self.config = check_config(values["config"])
            self.seeds = check_seeds(values["seeds"])
            self.attrs = check_attrs(values["attrs"])
            self.steps, self.logged = _steps(values["steps"]), _steps(values["logged"])
            self.ended = _ended(values["ended"], self.seeds)
        except KeyError as error:
            raise ValueError(f"{path / 'run.json'} is damaged (it lacks {error})") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{path / 'run.json'} is damaged ({error}); restore it from a copy"
            ) from None
        self.metrics, self.damage = METRICS, ""
        names = {"theta": "x", "theta_y": "y", "xi": "output"}
        if not self.config.separate_inputs:
            del names["theta_y"]
        shape = (self.config.neurons, self.config.p)
        # Also of a network with an embedding, whose theta is the product.
        self.parameters = {name: Layout(("neuron", dim), shape) for name, dim in names.items()}

    def parameter(self, name: str) -> Stepwise:
        """Weights (step, seed, neuron, residue) of one layer, read when looked at."""
        layer, layers = [*self.parameters].index(name), len(self.parameters)
        inner = self.parameters[name].shape
        array = self._open("weights", (1, 1, layers, *inner), ("layer", "neuron", "residue"))
        for index, seed in enumerate(self.seeds):
            end = self.ended.get(seed, {}).get("step", math.inf)
            for row, step in enumerate(self.steps):
                if step <= end:
                    self._check("weights", (row, index), array)

        def read(row: int, seeds: list[int]) -> NDArray[Any]:
            parts = [np.asarray(array[row, seed, layer]) for seed in seeds]
            return np.stack(parts) if parts else np.empty((0, *inner), dtype=array.dtype)

        return Stepwise((len(self.steps), len(self.seeds), *inner), self.config.dtype, read)

    def rows(self, name: str) -> NDArray[Any]:
        """Every logged step of an array, ``metrics/<name>`` or ``correct``."""
        if name == "correct":
            return np.asarray(self._grown("correct")[: len(self.logged)])
        column = [*METRICS].index(name.removeprefix("metrics/"))
        return np.asarray(self._grown("metrics")[: len(self.logged), :, column])

    def correct(self) -> Stepwise:
        """Whether each pair is answered rightly (step, seed, x, y), read when looked at."""
        array, p = self._grown("correct"), self.config.p

        def read(row: int, seeds: list[int]) -> NDArray[Any]:
            return np.asarray(array[row]).astype(bool)[seeds]

        return Stepwise((len(self.logged), len(self.seeds), p, p), "bool", read)

    @property
    def known(self) -> frozenset[str]:
        """Names of the data that the run says: all."""
        return frozenset(DATA)

    def data(self, name: str) -> NDArray[Any]:
        """Inputs, answers, and the indices train and test, from the pairs that are stored."""
        p = self.config.p
        if name == "inputs":
            return tasks.all_pairs(p)
        if name == "answers":
            return np.stack([self.config.data.answers(s) for s in self.seeds])
        stored = f"{name}_pairs"
        root = self.path / "arrays.zarr"
        try:
            document = _document(root / stored / "zarr.json")
            size = document["shape"][0] if isinstance(document, dict) else None
            count = size if type(size) is int and size >= 0 else -1
            # Pairs may repeat, but no more of them are stored than the file holds.
            if count > 0:
                check_chunk(root / stored / "c" / "0", 8 * count + _CRC)
            _hold(root, stored, _expected((count,), (max(1, count),), "int64", None))
            array = zarr.open_array(_CheckedStore(root, read_only=True), path=stored, mode="r")
            pairs = np.asarray(array).astype(np.int64).reshape(len(self.seeds), -1, 2)
            if pairs.size:
                tasks.check_pairs(pairs.reshape(-1, 2), p)
        except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
            raise damaged(self.path, stored, error) from None
        return pairs[..., 0] * p + pairs[..., 1]

    def check_files(self) -> None:
        """Raise a ValueError that names a file of the arrays if it is missing or cut short."""
        self.parameter("theta")
        self.rows("metrics/train_loss")

    def _grown(self, name: str) -> "zarr.Array[Any]":
        p = self.config.p
        inner, dims = {
            "metrics": ((len(METRICS),), ("quantity",)),
            "correct": ((p, p), ("x", "y")),
        }[name]
        array = self._open(name, (_ROWS, len(self.seeds), *inner), dims)
        for row in range(math.ceil(len(self.logged) / _ROWS)):
            self._check(name, (row, 0), array)
        return array

    def _open(self, name: str, chunks: tuple[int, ...], dims: tuple[str, ...]) -> "zarr.Array[Any]":
        """An array whose metadata are those that follow from the configuration."""
        root, least = self.path / "arrays.zarr", len(self.logged)
        dtype = {"weights": self.config.dtype, "metrics": "float64", "correct": "uint8"}[name]
        try:
            if name == "weights":
                least = len(self.steps)
            if _document(root / name / "zarr.json") != GROUP:
                raise ValueError("its group is not as it was written")
            document = _document(root / name / name / "zarr.json")
            length = document["shape"][0]
            if type(length) is not int or length < least:
                raise ValueError(f"it has fewer than {least} steps")
            shape = (length, len(self.seeds), *chunks[2:])
            document = _expected(shape, chunks, dtype, ["step", "seed", *dims])
            _hold(root, f"{name}/{name}", document)
            return zarr.open_array(
                _CheckedStore(root, read_only=True), path=f"{name}/{name}", mode="r"
            )
        except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
            raise damaged(self.path, name, error) from None

    def _check(self, name: str, chunk: tuple[int, int], array: "zarr.Array[Any]") -> None:
        """Zarr reads a missing file as fill values; here it is an error that names the file."""
        size = array.dtype.itemsize * math.prod(array.chunks) + _CRC
        folder = self.path / "arrays.zarr" / name / name / "c"
        try:
            check_chunk(folder.joinpath(*map(str, chunk), *"0" * (len(array.chunks) - 2)), size)
        except ValueError as error:
            raise damaged(self.path, name, error) from None


class _CheckedStore(LocalStore):
    """Files of arrays with checksums; it names an altered one, which the codec cannot."""

    async def get(self, key: str, *args: Any, **options: Any) -> Buffer | None:
        content = await super().get(key, *args, **options)
        if content is not None and "/c/" in key:
            spec: Any = SimpleNamespace(prototype=zarr.core.buffer.default_buffer_prototype())
            try:
                await Crc32cCodec().decode([(content, spec)])
            except ValueError:
                raise ValueError(
                    f"{self.root / key} was altered: its checksum does not fit; restore it from a "
                    "copy"
                ) from None
        return content


def _expected(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str, dims: list[str] | None
) -> dict[str, Any]:
    """What grokode 0.1 wrote as ``zarr.json``."""

    def plain(name: str, of: Any) -> dict[str, Any]:
        return {"name": name, "configuration": of}

    codec = {"name": "bytes"} if dtype == "uint8" else plain("bytes", {"endian": "little"})
    document = {
        "shape": [*shape],
        "data_type": dtype,
        "chunk_grid": plain("regular", {"chunk_shape": [*chunks]}),
        "chunk_key_encoding": plain("default", {"separator": "/"}),
        "fill_value": "NaN" if dtype.startswith("float") else 0,
        "codecs": [codec, {"name": "crc32c"}],
        "attributes": {},
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    return document if dims is None else document | {"dimension_names": dims}


def _hold(root: Path, name: str, document: dict[str, Any]) -> None:
    written = _document(root / name / "zarr.json")
    if json.dumps(written, sort_keys=True) != json.dumps(document, sort_keys=True):
        raise ValueError(f"{root / name / 'zarr.json'} is not as the configuration has it")


def _document(file: Path) -> Any:
    if not file.is_file() or file.stat().st_size > 2**20:
        raise ValueError(f"{file} is missing or too large")
    return json.loads(file.read_bytes())


def _steps(values: Any) -> list[int]:
    fine = isinstance(values, list) and all(type(s) is int and 0 <= s < 2**53 for s in values)
    if not (fine and values and all(a < b for a, b in pairwise(values))):
        raise ValueError("it has no checkpoint, or steps that do not grow")
    return list(values)


def _ended(values: Any, seeds: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    fine = isinstance(values, dict) and all(
        seed in map(str, seeds)
        and isinstance(end, dict)
        and end.keys() == {"step", "why"}
        and type(end["step"]) is int
        and type(end["why"]) is str
        for seed, end in values.items()
    )
    if not fine:
        raise ValueError("ended must say step and why for seeds")
    return {int(seed): end for seed, end in values.items()}
