"""The run store: a training on disk, written as it goes, that a kill cannot spoil.

A run is a directory:

    run.json      configuration, versions, and how much of the arrays below is complete
    arrays.zarr   weights per checkpoint, metrics per logged step, the pairs, each with checksums
    state-N.pth   the optimiser at the last checkpoint, step N, to resume from
    .lock         held by the one process that writes

Arrays are appended first and ``run.json`` replaced in one rename afterwards, so what a reader sees
is always complete; what a killed writer left beyond it is cut off when the run is resumed.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from grokode.nets.manifest import read_manifest, replace_file
from grokode.nets.training.config import TrainingConfig
from grokode.theory import fourier

__all__ = ["METRICS", "CheckedStore", "Run", "open_run", "read_pairs"]

_CHECKSUM_BYTES = 4

METRICS = {
    "train_loss": "mean cross-entropy over the training pairs (nats)",
    "test_loss": "mean cross-entropy over the test pairs (nats)",
    "train_accuracy": "part of the training pairs answered rightly",
    "test_accuracy": "part of the test pairs answered rightly",
    "gradient_norm": "norm of the loss gradient over all weights",
    "weight_norm": "norm of all weights",
}


class CheckedStore(LocalStore):
    """Files of arrays with checksums; it names an altered one, as the codec, seeing bytes, cannot.

    Parameters
    ----------
    root : Path
    """

    async def get(self, key: str, *args: Any, **options: Any) -> Buffer | None:
        """The content of a file, None if there is none; ValueError if its checksum is wrong."""
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


class Run:
    """A training on disk, read lazily. Make one with `train`, `import_published` or `open_run`.

    Parameters
    ----------
    path : Path
        Directory of the run.
    seed : int, optional
        Look at this seed alone. A run of one seed is looked at that way in any case.

    Raises
    ------
    ValueError
        If the directory is no run, its files are damaged, or it has no such seed.
    """

    def __init__(self, path: Path, seed: int | None = None) -> None:
        self.path = Path(path)
        self._manifest = read_manifest(self.path)
        self.stored_config = TrainingConfig.from_dict(self._manifest["config"])
        self.seeds: tuple[int, ...] = tuple(self._manifest["seeds"])
        if seed is not None and seed not in self.seeds:
            raise ValueError(f"seed must be one of {list(self.seeds)} in {path}, got {seed}")
        self.seed = self.seeds[0] if len(self.seeds) == 1 else seed
        self.config = (
            self.stored_config if self.seed is None else replace(self.stored_config, seed=self.seed)
        )

    def select(self, seed: int) -> "Run":
        """The same run, one seed of it alone."""
        return Run(self.path, seed)

    @property
    def weights(self) -> xr.Dataset:
        """Weights per checkpoint, ``theta (step, neuron, x)`` and ``xi (step, neuron, output)``.

        With separate inputs ``theta_y (step, neuron, y)`` too. Dimension ``seed`` leads while no
        seed is selected; a seed that ended early is NaN from then on.
        """
        layers = self._view("weights", self._steps)
        p = self.config.p
        rename = {"theta": "x", "theta_y": "y", "xi": "output"}
        names = ["theta", "theta_y", "xi"] if self.config.separate_inputs else ["theta", "xi"]
        return xr.Dataset(
            {
                name: layers.isel(layer=index).rename(residue=rename[name])
                for index, name in enumerate(names)
            },
            coords={"neuron": np.arange(self.config.neurons)}
            | {rename[name]: np.arange(p) for name in names},
            attrs=self.attrs | {"p": p},
        )

    @property
    def metrics(self) -> xr.Dataset:
        """Loss (nats), accuracy and norms over the logged steps; see `METRICS`."""
        rows = self._view("metrics", self._logged).load()
        return xr.Dataset(
            {
                name: rows.isel(quantity=index).assign_attrs(long_name=text)
                for index, (name, text) in enumerate(METRICS.items())
            }
        )

    @property
    def correct(self) -> xr.DataArray:
        """Whether each pair is answered rightly, (step, x, y), where ``log_grid`` was asked for.

        Raises
        ------
        ValueError
            If the run has no such grid.
        """
        if not self.config.log_grid:
            raise ValueError(f"{self.path} was trained without log_grid; it has no grid of answers")
        return self._view("correct", self._logged).astype(bool)

    @property
    def train_pairs(self) -> NDArray[np.int64]:
        """The pairs trained on, (n, 2), or (seed, n, 2) while no seed is selected."""
        return self._pairs("train_pairs")

    @property
    def test_pairs(self) -> NDArray[np.int64]:
        """The pairs held out, as `train_pairs`; empty when all pairs were trained on."""
        return self._pairs("test_pairs")

    @property
    def attrs(self) -> dict[str, Any]:
        """Where the run comes from: seconds spent, device, versions, source."""
        return dict(self._manifest["attrs"])

    @property
    def ended(self) -> dict[int, dict[str, Any]]:
        """Seeds that ended before the others: the step, and why."""
        return {int(seed): dict(end) for seed, end in self._manifest["ended"].items()}

    def spectra(self) -> xr.Dataset:
        """Spectrum over the checkpoints, (step, neuron, frequency)."""
        weights = self.weights.load()
        return fourier.spectrum(weights.theta, weights.xi)

    def export(self, file: str | Path, step: int | None = None) -> Path:
        """Write the weights of one checkpoint to a file of its own.

        Parameters
        ----------
        file : path
            ``.npz`` with arrays theta, xi (neuron, p) and step, or ``.pth`` in the layout that the
            authors' own loader reads: ``model`` with mlp.W_in, mlp.W_out and mlp.basis, beside the
            optimiser's settings, which `import_published` needs.
        step : int, optional
            A step that has a checkpoint; the last one if not given.

        Raises
        ------
        FileExistsError
            If the file exists.
        ValueError
            For another ending, a step without checkpoint, or a run of several seeds; for ``.pth``
            also if y has input weights of its own, for which that layout has no place.
        """
        file = Path(file)
        if self.seed is None:
            raise ValueError(f"seed must be chosen, {self.path} holds {list(self.seeds)}")
        if file.suffix not in (".npz", ".pth"):
            raise ValueError(f"file must end in .npz or .pth, got {file}")
        if file.suffix == ".pth" and self.config.separate_inputs:
            raise ValueError(f"file must end in .npz with separate_inputs, got {file}")
        if file.exists():
            raise FileExistsError(f"{file} exists and is not overwritten; choose another name")
        weights = self.weights
        at = int(weights.step[-1]) if step is None else step
        if at not in weights.step:
            raise ValueError(f"step must be one of {weights.step.values.tolist()}, got {step}")
        layers = {str(name): layer.values for name, layer in weights.sel(step=at).items()}
        if file.suffix == ".npz":
            replace_file(file, lambda out: np.savez(out, allow_pickle=False, step=at, **layers))
            return file
        model = {
            "mlp.W_in": torch.tensor(layers["theta"]),
            "mlp.W_out": torch.tensor(layers["xi"].T.copy()),
            "mlp.basis": torch.tensor(fourier.fourier_basis(self.config.p)),
        }
        group = {"lr": self.config.learning_rate, "weight_decay": self.config.weight_decay}
        adamw = self.config.optimizer == "adamw"
        for name in ("betas", "eps") if adamw else ("momentum",):
            group[name] = getattr(self.config, name)
        stored = {"model": model, "epoch": at, "optimizer": {"state": {}, "param_groups": [group]}}
        replace_file(file, lambda out: torch.save(stored, out))
        return file

    def describe(self) -> dict[str, Any]:
        """What the run is, by name; `grokode info` prints it. Metrics are means over seeds."""
        c, steps = self.config, self._steps
        last = self.metrics.isel(step=-1)
        unused = ("momentum",) if c.optimizer == "adamw" else ("betas", "eps")
        config = {
            name: value
            for name, value in c.to_dict().items()
            if value is not None and name not in ("seed", *unused)
        }
        return {
            "path": str(self.path),
            "seeds": list(self.seeds) if self.seed is None else [self.seed],
            **config,
            "training pairs": self.train_pairs.shape[-2],
            "test pairs": self.test_pairs.shape[-2],
            "checkpoints": len(steps),
            "first and last checkpoint": [steps[0], steps[-1]],
            **{name: float(last[name].mean()) for name in METRICS},
            **{
                f"seed {seed} ended": f"step {end['step']}, {end['why']}"
                for seed, end in self.ended.items()
            },
            **{{"device": "trained on"}.get(name, name): v for name, v in self.attrs.items()},
        }

    def __repr__(self) -> str:
        c = self.config
        last = self.metrics.isel(step=-1)
        seeds = f", {len(self.seeds)} seeds" if self.seed is None else ""
        return (
            f"Run {self.path.name}: p = {c.p}, {c.neurons} {c.activation} neurons{seeds}, "
            f"{c.optimizer} lr {c.learning_rate:g}, {len(self._steps)} checkpoints to step "
            f"{self._steps[-1]}, training loss {float(last.train_loss.mean()):.4g}"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
            for name, value in self.describe().items()
        )
        return f"<table>{rows}</table>"

    @property
    def _steps(self) -> list[int]:
        return self._until_end(self._manifest["steps"])

    @property
    def _logged(self) -> list[int]:
        return self._until_end(self._manifest["logged"])

    def _until_end(self, steps: list[int]) -> list[int]:
        end = self.ended.get(self.seed) if self.seed is not None else None
        return steps if end is None else [step for step in steps if step <= end["step"]]

    def check_files(self) -> None:
        """Raise a ValueError that names a file of the arrays if it is missing or cut short."""
        for name in ("weights", "metrics", "correct")[: 3 if self.config.log_grid else 2]:
            self._view(name, [])
        for name in ("train_pairs", "test_pairs"):
            self._pairs(name)

    def _view(self, name: str, steps: list[int]) -> xr.DataArray:
        """An array up to its last complete step, of the selected seed."""
        store = CheckedStore(self.path / "arrays.zarr", read_only=True)
        try:
            # The store says which dimensions an array has, so that any reader of Zarr sees them.
            with warnings.catch_warnings():
                # A writer's metadata file on its way to being renamed, or one that is damaged and
                # makes an error here.
                warnings.filterwarnings("ignore", message=r"Object at .* is not recognized")
                array = xr.open_zarr(store, group=name, chunks=None, consolidated=False)[name]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise _damaged(self.path, name, error) from error
        self._check_chunks(name, array)
        if array.sizes["step"] < len(steps):
            raise _damaged(self.path, name, f"it has fewer than {len(steps)} steps")
        view = array.isel(step=slice(len(steps))).assign_coords(
            step=np.asarray(steps, dtype=np.int64), seed=list(self.seeds)
        )
        if self.seed is None:
            return view.transpose("seed", ...)
        return view.sel(seed=self.seed, drop=True)

    def _check_chunks(self, name: str, array: xr.DataArray) -> None:
        """Zarr reads a missing file as fill values; here it is an error that names the file."""
        chunks: tuple[int, ...] = array.encoding["chunks"]
        size = array.dtype.itemsize * math.prod(chunks) + _CHECKSUM_BYTES
        folder = self.path / "arrays.zarr" / name / name / "c"
        written = (
            self._weight_chunks()
            if name == "weights"
            else ((row, 0) for row in range(math.ceil(len(self._manifest["logged"]) / chunks[0])))
        )
        for chunk in written:
            file = folder.joinpath(*map(str, chunk), *"0" * (len(chunks) - 2))
            if not file.is_file():
                raise _damaged(self.path, name, f"{file} is missing")
            if file.stat().st_size != size:
                raise _damaged(self.path, name, f"{file} is not of its {size} bytes")

    def _weight_chunks(self) -> Iterator[tuple[int, int]]:
        """Row and seed's index of the checkpoints there are: to the end of a seed, if it ended."""
        for index, seed in enumerate(self.seeds):
            end = self.ended.get(seed, {}).get("step", math.inf)
            if self.seed in (None, seed):
                for row, step in enumerate(self._manifest["steps"]):
                    if step <= end:
                        yield row, index

    def _pairs(self, name: str) -> NDArray[np.int64]:
        pairs = read_pairs(self.path, name, len(self.seeds))
        return pairs if self.seed is None else pairs[self.seeds.index(self.seed)]


def read_pairs(path: Path, name: str, seeds: int) -> NDArray[np.int64]:
    """Training or test pairs of a run, (seed, n, 2).

    Raises
    ------
    ValueError
        If they are missing or damaged.
    """
    try:
        array = zarr.open_array(path / "arrays.zarr", path=name, mode="r")
        if array.nchunks_initialized < array.nchunks:
            raise ValueError("a file is missing")
        return np.asarray(array).astype(np.int64).reshape(seeds, -1, 2)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _damaged(path, name, error) from error


def open_run(path: str | Path, seed: int | None = None) -> Run:
    """Open a run for reading; also while another process writes it.

    Parameters
    ----------
    path : str or Path
        Directory made by `train` or `import_published`.
    seed : int, optional
        Look at this seed alone.

    Raises
    ------
    ValueError
        If there is no directory, it is no run, or it has no such seed.
    """
    return Run(Path(path), seed)


def _damaged(path: Path, name: str, why: object) -> ValueError:
    return ValueError(f"{path}/arrays.zarr is damaged at {name!r} ({why}); restore it from a copy")
