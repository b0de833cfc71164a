"""The one process that writes a run."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import zarr
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec

from grokode.nets.manifest import FORMAT, read_manifest, replace_file, versions, write_manifest
from grokode.nets.runs import METRICS, CheckedStore, read_pairs
from grokode.nets.training.config import TrainingConfig

__all__ = ["RunWriter"]


class RunWriter:
    """The one process that writes a run; a context manager that holds its lock.

    Parameters
    ----------
    path : Path
        Directory of the run; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")
        self.manifest: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"{self.path} is being written by another process; wait for it or choose another "
                "directory"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def create(
        self,
        config: TrainingConfig,
        seeds: Sequence[int],
        parameters: Mapping[str, Any],
        data: Mapping[str, NDArray[Any]],
        attrs: Mapping[str, Any],
    ) -> None:
        """Start an empty run; training and test examples are (seed, n) indices of pairs."""
        train_pairs, test_pairs = (config.data.inputs[data[name]] for name in ("train", "test"))
        group = zarr.open_group(self.path / "arrays.zarr", mode="w")
        # Zarr has no chunk of size zero; an empty test set is stored flat.
        for name, pairs in (("train_pairs", train_pairs), ("test_pairs", test_pairs)):
            group.create_array(
                name,
                data=np.asarray(pairs, dtype=np.int64).ravel(),
                compressors=(Crc32cCodec(),),
                config={"write_empty_chunks": True},
            )
        p, layers = config.p, 3 if config.separate_inputs else 2
        growing: list[tuple[str, Any, tuple[int, ...], tuple[str, ...]]] = [
            (
                "weights",
                config.dtype,
                (layers, config.neurons, p),
                ("layer", "neuron", "residue"),
            ),
            ("metrics", "float64", (len(METRICS),), ("quantity",)),
        ]
        if config.log_grid:
            growing.append(("correct", "uint8", (p, p), ("x", "y")))
        for name, dtype, shape, dims in growing:
            steps, each = (1, 1) if name == "weights" else (1024, len(seeds))
            group.require_group(name).create_array(
                name,
                shape=(0, len(seeds), *shape),
                chunks=(steps, each, *shape),
                dtype=dtype,
                fill_value=0 if dtype == "uint8" else np.nan,
                compressors=(Crc32cCodec(),),
                dimension_names=("step", "seed", *dims),
            )
        self.manifest = {
            "format": FORMAT,
            "config": config.to_dict(),
            "attrs": dict(attrs) | versions(),
            "seeds": [int(seed) for seed in seeds],
            "steps": [],
            "logged": [],
            "ended": {},
        }

    def reopen(self, config: TrainingConfig) -> None:
        """Go on with an existing run, cutting off what a killed writer left unfinished."""
        self.manifest = read_manifest(self.path) | {"config": config.to_dict()}
        self._take_up_fitted(config)
        complete = {"weights": len(self.manifest["steps"]), "metrics": len(self.manifest["logged"])}
        if config.log_grid:
            complete["correct"] = complete["metrics"]
        for name, count in complete.items():
            array = self._array(name)
            array.resize((count, *array.shape[1:]))

    def _take_up_fitted(self, config: TrainingConfig) -> None:
        """A seed fitted at the last checkpoint goes on if the new ``stop_loss`` is lower."""
        losses = np.asarray(self._array("metrics")[len(self.manifest["logged"]) - 1, :, 0])
        for seed, step in self.ended("fitted").items():
            loss = losses[self.manifest["seeds"].index(seed)]
            still = config.stop_loss is not None and loss < config.stop_loss
            if step == self.manifest["steps"][-1] and not still:
                del self.manifest["ended"][str(seed)]

    def _config(self) -> Any:
        return TrainingConfig.from_dict(self.manifest["config"])

    def checkpoint(self, step: int, seeds: Sequence[int], weights: Mapping[str, Any]) -> None:
        """Add weights (seed, layer, neuron, p) of some seeds; unseen until published."""
        layers = self._config().network.weights(weights)
        self._extend("weights", seeds, [np.stack(list(layers.values()), axis=1)])
        self.manifest["steps"].append(int(step))

    def log(
        self,
        seeds: Sequence[int],
        rows: Sequence[tuple[int, NDArray[Any]]],
        grids: Sequence[NDArray[Any]] = (),
    ) -> None:
        """Add logged steps of some seeds; unseen until published.

        Parameters
        ----------
        seeds : sequence of int
        rows : sequence of (step, array (seed, quantity))
            Quantities in the order of `METRICS`.
        grids : sequence of arrays (seed, p, p), optional
            One for each logged step.
        """
        self._extend("metrics", seeds, [values for _, values in rows])
        p = self.manifest["config"]["p"]
        self._extend("correct", seeds, [grid.reshape(len(grid), p, p) for grid in grids])
        self.manifest["logged"] += [int(step) for step, _ in rows]

    def end(self, seed: int, step: int, why: str) -> None:
        """Note that a seed is trained no further, fitted or diverged; unseen until published."""
        self.manifest["ended"][str(seed)] = {"step": int(step), "why": why}

    def ended(self, why: str) -> dict[int, int]:
        """Seeds that ended for a reason, with their last step."""
        return {
            int(seed): end["step"]
            for seed, end in self.manifest["ended"].items()
            if end["why"] == why
        }

    def publish(self, seeds: Sequence[int], state: Mapping[str, Any], seconds: float) -> None:
        """Make visible at once all that was added, with the state to resume these seeds from."""
        self.manifest["attrs"]["seconds"] = seconds
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        old = self.manifest.get("state", {}).get("file")
        name = f"state-{self.manifest['steps'][-1]}.pth"
        replace_file(self.path / name, lambda file: file.write(buffer.getbuffer()))
        digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
        self.manifest["state"] = {"file": name, "sha256": digest, "seeds": list(seeds)}
        self.publish_end()
        if old not in (None, name):
            (self.path / old).unlink(missing_ok=True)

    def publish_end(self) -> None:
        """Make visible that seeds ended, with the state of the last checkpoint."""
        write_manifest(self.path, self.manifest)

    def last(self) -> tuple[tuple[int, ...], dict[str, NDArray[Any]], int]:
        """Seeds of the last checkpoint, their weights (seed, layer, neuron, p), and its step."""
        seeds = tuple(self.manifest["state"]["seeds"])
        rows = [self.manifest["seeds"].index(seed) for seed in seeds]
        weights = np.asarray(self._array("weights")[-1])
        names = ("theta", "theta_y", "xi") if weights.shape[1] == 3 else ("theta", "xi")
        layers = dict(zip(names, weights[rows].transpose(1, 0, 2, 3), strict=True))
        return seeds, layers, self.manifest["steps"][-1]

    def data(self, name: str, seeds: Sequence[int]) -> list[NDArray[np.int64]]:
        """Training or test examples (n,) of some seeds."""
        every = read_pairs(self.path, f"{name}_pairs", len(self.manifest["seeds"]))
        data = self._config().data
        return [data.index(every[self.manifest["seeds"].index(seed)]) for seed in seeds]

    def state(self) -> dict[str, Any]:
        """The state saved with the last checkpoint.

        Raises
        ------
        ValueError
            If the file is missing or not what was written.
        """
        stored = self.manifest["state"]
        file = self.path / stored["file"]
        content = file.read_bytes() if file.exists() else b""
        if hashlib.sha256(content).hexdigest() != stored["sha256"]:
            raise ValueError(
                f"{file} is missing or was altered, so the training cannot go on exactly; restore "
                "it from a copy"
            )
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
        return loaded

    def _array(self, name: str) -> zarr.Array[Any]:
        array = zarr.open_array(CheckedStore(self.path / "arrays.zarr"), path=f"{name}/{name}")
        # A chunk of nothing but NaN is a file, too: one that is missing means damage.
        return array.with_config({"write_empty_chunks": True})

    def _extend(self, name: str, seeds: Sequence[int], values: Sequence[NDArray[Any]]) -> None:
        """Append steps of some seeds to an array; the others keep the fill value."""
        if not values:
            return
        array = self._array(name)
        count = array.shape[0]
        array.resize((count + len(values), *array.shape[1:]))
        if len(seeds) == array.shape[1]:
            array[count:] = np.stack(values)
            return
        rows = [self.manifest["seeds"].index(seed) for seed in seeds]
        for at, of_step in enumerate(values, start=count):
            for row, of_seed in zip(rows, of_step, strict=True):
                array[at, row] = of_seed
