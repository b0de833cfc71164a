"""A training on disk, read lazily and only as it was written."""

import pkgutil
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.files import create_file
from grokode.nets.networks.two_layer import TwoLayer
from grokode.nets.records import check_path
from grokode.nets.runs.format2 import FORMAT as FORMAT_2
from grokode.nets.runs.format2 import OldSource, format_of
from grokode.nets.runs.layout import METRICS
from grokode.nets.runs.source import Source
from grokode.nets.runs.store import Stepwise
from grokode.text import visible
from grokode.theory import fourier

__all__ = ["EXPORTS", "Run", "open_run"]

EXPORTS = {
    ".npz": "grokode.nets.readers.state_dict:write",
    ".pth": "grokode.nets.readers.he2026:write",
}
"""What writes a checkpoint to a file, by its ending: a function (configuration, step, layers by
name, binary file) beside the reader of the same layout, loaded when it is asked for."""


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

    Warns
    -----
    UserWarning
        If the last checkpoint is damaged, naming it; the run then ends with the one before.
    """

    def __init__(self, path: Path, seed: int | None = None) -> None:
        self.path = check_path("path", path)
        old = format_of(self.path) == FORMAT_2
        self._source: Source | OldSource = OldSource(self.path) if old else Source(self.path)
        self.stored_config = self._source.config
        self.seeds: tuple[int, ...] = self._source.seeds
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
    def parameters(self) -> xr.Dataset:
        """Every parameter of the network per checkpoint, (step, ...) with its own dimensions.

        Dimension ``seed`` leads while no seed is selected; a seed that ended early is NaN from then
        on. Values are read when they are looked at.
        """
        layouts = self._source.parameters
        sizes = {
            dim: size
            for layout in layouts.values()
            for dim, size in zip(layout.dims, layout.shape, strict=True)
        }
        views = {
            name: self._view(self._source.parameter(name), self._steps, layout.dims)
            for name, layout in layouts.items()
        }
        coords = {dim: np.arange(size) for dim, size in sizes.items()}
        return xr.Dataset(views, coords=coords, attrs=self.attrs)

    @property
    def weights(self) -> xr.Dataset:
        """Weights per checkpoint, ``theta (step, neuron, x)`` and ``xi (step, neuron, output)``.

        With separate inputs ``theta_y (step, neuron, y)`` too; see `parameters`.

        Raises
        ------
        ValueError
            If the network is not one of two layers.
        """
        stored, config = self.parameters, self.config
        if not isinstance(config.network, TwoLayer):
            raise ValueError(f"{self.path} has no theta and xi; look at its parameters instead")
        if "embedding" in stored:
            layers = config.network.weights({str(k): v.values for k, v in stored.items()})
            dims = stored.xi.dims[:-2]
            inner = {"theta": "x", "theta_y": "y", "xi": "output"}
            stored = xr.Dataset(
                {name: ((*dims, "neuron", inner[name]), layer) for name, layer in layers.items()},
                coords={name: stored[name] for name in (*dims, "neuron")}
                | {inner[name]: np.arange(config.p) for name in layers},
                attrs=stored.attrs,
            )
        return stored.assign_attrs(p=config.p)

    @property
    def metrics(self) -> xr.Dataset:
        """Loss (nats), accuracy and norms over the logged steps; see `METRICS`."""
        rows = {name: self._source.rows(f"metrics/{name}") for name in self._source.metrics}
        return xr.Dataset(
            {
                name: self._selected(
                    xr.DataArray(
                        values[: len(self._logged)],
                        dims=("step", "seed"),
                        coords=self._coordinates(self._logged),
                        attrs={"long_name": self._source.metrics[name]},
                    )
                )
                for name, values in rows.items()
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
        return self._view(self._source.correct(), self._logged, ("x", "y"))

    @property
    def train_pairs(self) -> NDArray[np.int64]:
        """The pairs trained on, (n, 2), or (seed, n, 2) while no seed is selected.

        Raises
        ------
        ValueError
            If the run does not say, as one imported without its split.
        """
        return self._pairs("train")

    @property
    def test_pairs(self) -> NDArray[np.int64]:
        """The pairs held out, as `train_pairs`; empty when all pairs were trained on."""
        return self._pairs("test")

    @property
    def knows_split(self) -> bool:
        """Whether the run says what was trained on and what was held out; an import may not."""
        return {"train", "test"} <= self._source.known

    @property
    def attrs(self) -> dict[str, Any]:
        """Where the run comes from: seconds spent, device, versions, source."""
        return dict(self._source.attrs)

    @property
    def ended(self) -> dict[int, dict[str, Any]]:
        """Seeds that ended before the others: the step, and why."""
        return {seed: dict(end) for seed, end in self._source.ended.items()}

    @property
    def digest(self) -> str:
        """Of everything that the run held when it was opened, whatever is written since."""
        return self._source.digest

    def spectra(self) -> xr.Dataset:
        """Spectrum over the checkpoints, (step, neuron, frequency), of a network of two layers."""
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
        if file.suffix not in EXPORTS:
            raise ValueError(f"file must end in {' or '.join(EXPORTS)}, got {file}")
        weights = self.weights
        at = int(weights.step[-1]) if step is None else step
        if at not in weights.step:
            raise ValueError(f"step must be one of {weights.step.values.tolist()}, got {step}")
        layers = {str(name): layer.values for name, layer in weights.sel(step=at).items()}
        write = pkgutil.resolve_name(EXPORTS[file.suffix])
        create_file(file, lambda out: write(self.config, at, layers, out))
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
            "training pairs": self.train_pairs.shape[-2] if self.knows_split else "unknown",
            "test pairs": self.test_pairs.shape[-2] if self.knows_split else "unknown",
            "checkpoints": len(steps),
            "first and last checkpoint": [steps[0], steps[-1]],
            **{name: float(last[name].mean()) for name in METRICS},
            **{
                f"seed {seed} ended": f"step {end['step']}, {end['why']}"
                for seed, end in self.ended.items()
            },
            **{{"device": "trained on"}.get(name, name): v for name, v in self.attrs.items()},
            **({"damaged": self._source.damage} if self._source.damage else {}),
        }

    def __repr__(self) -> str:
        c = self.config
        last = self.metrics.isel(step=-1)
        seeds = f", {len(self.seeds)} seeds" if self.seed is None else ""
        return (
            f"Run {visible(self.path.name)}: {self._network()}{seeds}, "
            f"{c.optimizer} lr {c.learning_rate:g}, {len(self._steps)} checkpoints to step "
            f"{self._steps[-1]}, training loss {float(last.train_loss.mean()):.4g}"
        )

    def _network(self) -> str:
        """Modulus and network in a few words."""
        settings = self.config.to_dict()
        kind = settings.get("activation", settings["network"])
        modulus = f"p = {settings['p']}, " if "p" in settings else ""
        return f"{modulus}{settings.get('neurons', settings.get('width'))} {kind} neurons"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(visible(name))}</th>"
            f"<td>{escape(visible(str(value)))}</td></tr>"
            for name, value in self.describe().items()
        )
        return f"<table>{rows}</table>"

    def check_files(self) -> None:
        """Raise a ValueError that names a file of the arrays if it is missing or cut short."""
        self._source.check_files()

    @property
    def _steps(self) -> list[int]:
        return self._until_end(self._source.steps)

    @property
    def _logged(self) -> list[int]:
        return self._until_end(self._source.logged)

    def _until_end(self, steps: list[int]) -> list[int]:
        end = self.ended.get(self.seed) if self.seed is not None else None
        return steps if end is None else [step for step in steps if step <= end["step"]]

    def _view(self, array: Stepwise, steps: list[int], dims: tuple[str, ...]) -> xr.DataArray:
        """An array of the selected seed, or of all with them leading, up to their last step."""
        whole = xr.DataArray(array.variable(("step", "seed", *dims)))
        some = whole.isel(step=slice(len(steps)))
        return self._selected(some.assign_coords(self._coordinates(steps)))

    def _selected(self, array: xr.DataArray) -> xr.DataArray:
        if self.seed is None:
            return array.transpose("seed", ...)
        return array.sel(seed=self.seed, drop=True)

    def _coordinates(self, steps: list[int]) -> dict[str, Any]:
        return {"step": np.asarray(steps, dtype=np.int64), "seed": list(self.seeds)}

    def _pairs(self, name: str) -> NDArray[np.int64]:
        inputs, chosen = self._source.data("inputs"), self._source.data(name)
        pairs: NDArray[np.int64] = inputs[chosen]
        return pairs if self.seed is None else pairs[self.seeds.index(self.seed)]


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
    return Run(check_path("path", path), seed)
