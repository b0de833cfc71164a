"""The run store: a training on disk, written as it goes, that a kill cannot spoil.

A run is a directory:

    run.json      configuration, versions, and how much of the arrays below is complete
    arrays.zarr   weights per checkpoint, metrics per logged step, the pairs
    state-N.pth   the optimiser at the last checkpoint, step N, to resume from
    .lock         held by the one process that writes

Arrays are appended first and ``run.json`` replaced in one rename afterwards, so what a reader sees
is always complete; what a killed writer left beyond it is cut off when the run is resumed.
"""

import json
import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
import zarr
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from grokode.nets.config import TrainingConfig
from grokode.theory import fourier

__all__ = ["Run", "RunWriter", "never_published", "open_run"]

_METRICS = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


class Run:
    """A training on disk, read lazily. Make one with `train`, `import_published` or `open_run`.

    Parameters
    ----------
    path : Path
        Directory of the run.

    Raises
    ------
    ValueError
        If the directory is no run, or its files are damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._manifest = _read_manifest(self.path)
        self.config = TrainingConfig.from_dict(self._manifest["config"])

    @property
    def weights(self) -> xr.Dataset:
        """Weights per checkpoint: ``theta (step, neuron, x)``, ``xi (step, neuron, output)``."""
        layers = self._open("weights").isel(step=slice(len(self._manifest["steps"])))
        p = self.config.p
        theta, xi = (layers.isel(layer=layer) for layer in (0, 1))
        return xr.Dataset(
            {"theta": theta.rename(residue="x"), "xi": xi.rename(residue="output")},
            coords={
                "step": self._manifest["steps"],
                "neuron": np.arange(self.config.neurons),
                "x": np.arange(p),
                "output": np.arange(p),
            },
            attrs=self.attrs | {"p": p},
        )

    @property
    def metrics(self) -> xr.Dataset:
        """Loss (mean cross-entropy, nats) and accuracy over the logged steps, train and test."""
        rows = self._open("metrics").isel(step=slice(self._manifest["logged"])).values
        steps, *columns = rows.T
        return xr.Dataset(
            {name: ("step", column) for name, column in zip(_METRICS, columns, strict=True)},
            coords={"step": steps.astype(np.int64)},
        )

    @property
    def train_pairs(self) -> NDArray[np.int64]:
        """The pairs trained on, (n, 2)."""
        return self._pairs("train_pairs")

    @property
    def test_pairs(self) -> NDArray[np.int64]:
        """The pairs held out, (n, 2); empty when all pairs were trained on."""
        return self._pairs("test_pairs")

    @property
    def attrs(self) -> dict[str, Any]:
        """Where the run comes from: seconds spent, device, versions, source."""
        return dict(self._manifest["attrs"])

    def spectra(self) -> xr.Dataset:
        """Spectrum over the checkpoints, (step, neuron, frequency)."""
        weights = self.weights.load()
        return fourier.spectrum(weights.theta, weights.xi)

    def __repr__(self) -> str:
        c = self.config
        steps = self.weights.step.values
        last = self.metrics.isel(step=-1)
        return (
            f"Run {self.path.name}: p = {c.p}, {c.neurons} {c.activation} neurons, {c.optimizer} "
            f"lr {c.learning_rate:g}, {len(steps)} checkpoints to step {steps[-1]}, "
            f"training loss {float(last.train_loss):.4g}"
        )

    def _open(self, name: str) -> xr.DataArray:
        try:
            with warnings.catch_warnings():
                # A writer's metadata file on its way to being renamed; the array is not touched.
                warnings.filterwarnings(
                    "ignore", message=r"Object at .*\.partial is not recognized"
                )
                return xr.open_zarr(
                    self.path / "arrays.zarr", group=name, chunks=None, consolidated=False
                )[name]
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"{self.path}/arrays.zarr is damaged at {name!r} ({error}); restore it from a copy"
            ) from error

    def _pairs(self, name: str) -> NDArray[np.int64]:
        group = zarr.open_group(self.path / "arrays.zarr", mode="r")
        return np.asarray(group[name]).astype(np.int64).reshape(-1, 2)


def open_run(path: str | Path) -> Run:
    """Open a run for reading; also while another process writes it.

    Parameters
    ----------
    path : str or Path
        Directory made by `train` or `import_published`.

    Raises
    ------
    ValueError
        If there is no directory, or it is no run.
    """
    return Run(Path(path))


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
        train_pairs: NDArray[Any],
        test_pairs: NDArray[Any],
        attrs: Mapping[str, Any],
    ) -> None:
        """Start an empty run."""
        group = zarr.open_group(self.path / "arrays.zarr", mode="w")
        # Zarr has no chunk of size zero; an empty test set is stored flat.
        group.create_array("train_pairs", data=np.asarray(train_pairs, dtype=np.int64).ravel())
        group.create_array("test_pairs", data=np.asarray(test_pairs, dtype=np.int64).ravel())
        self.manifest = {
            "format": 1,
            "config": config.to_dict(),
            "attrs": dict(attrs) | _versions(),
            "steps": [],
            "logged": 0,
        }

    def reopen(self, config: TrainingConfig) -> None:
        """Go on with an existing run, cutting off what a killed writer left unfinished."""
        self.manifest = _read_manifest(self.path) | {"config": config.to_dict()}
        complete = {"weights": len(self.manifest["steps"]), "metrics": self.manifest["logged"]}
        for name, count in complete.items():
            array = zarr.open_array(self.path / "arrays.zarr", path=f"{name}/{name}")
            array.resize((count, *array.shape[1:]))

    def append(
        self,
        steps: Sequence[int],
        theta: NDArray[Any],
        xi: NDArray[Any],
        metrics: Sequence[Mapping[str, float]],
        state: Mapping[str, Any],
        seconds: float,
    ) -> None:
        """Add checkpoints (step, neuron, p) and logged metrics, then make both visible at once."""
        layers = xr.DataArray(
            np.stack([theta, xi], axis=1), dims=("step", "layer", "neuron", "residue")
        )
        self._extend("weights", layers, bool(self.manifest["steps"]), chunk=1)
        if metrics:
            rows = [[row[name] for name in ("step", *_METRICS)] for row in metrics]
            table = xr.DataArray(np.asarray(rows, dtype=np.float64), dims=("step", "quantity"))
            self._extend("metrics", table, bool(self.manifest["logged"]), chunk=4096)
        self.manifest["steps"] += [int(step) for step in steps]
        self.manifest["logged"] += len(metrics)
        self.manifest["attrs"]["seconds"] = seconds
        state_file = f"state-{steps[-1]}.pth"
        _replace(self.path / state_file, lambda file: torch.save(dict(state), file))
        old = self.manifest.get("state")
        self.manifest["state"] = state_file
        text = json.dumps(self.manifest, indent=1).encode()
        _replace(self.path / "run.json", lambda file: file.write(text))
        if old is not None:
            (self.path / old).unlink(missing_ok=True)

    def state(self) -> dict[str, Any]:
        """The optimiser's state saved with the last checkpoint."""
        loaded: dict[str, Any] = torch.load(self.path / self.manifest["state"], weights_only=True)
        return loaded

    def _extend(self, name: str, rows: xr.DataArray, exists: bool, chunk: int) -> None:
        """Append rows to one array; one array grows at once, so no reader sees two lengths."""
        store = self.path / "arrays.zarr"
        data = rows.to_dataset(name=name)
        if exists:
            data.to_zarr(store, group=name, append_dim="step", consolidated=False)
            return
        encoding = {name: {"chunks": (chunk, *rows.shape[1:])}}
        data.to_zarr(store, group=name, mode="w", consolidated=False, encoding=encoding)


def never_published(path: Path) -> bool:
    """Whether a directory holds only what a writer leaves that was killed before its first step."""
    leftovers = {"arrays.zarr", ".lock", "state-0.pth", "state-0.pth.new", "run.json.new"}
    return path.is_dir() and {file.name for file in path.iterdir()} <= leftovers


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise ValueError(f"{path} is no directory; give a run made by train or import")
    file = path / "run.json"
    if not file.is_file():
        raise ValueError(
            f"{path} is no run (it has no run.json); give a directory made by train or import"
        )
    try:
        manifest: dict[str, Any] = json.loads(file.read_text())
        if manifest["format"] != 1:
            raise ValueError(f"format {manifest['format']} is unknown")
        if not manifest["steps"]:
            raise ValueError("it has no checkpoint")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is damaged ({error}); restore it from a copy") from error
    return manifest


def _replace(path: Path, write: Any) -> None:
    """Write a file beside and rename it over, so that no reader meets half of it."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _versions() -> dict[str, str]:
    names = ("grokode", "torch", "numpy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
