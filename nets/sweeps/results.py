"""A sweep as one labelled Dataset: any measure of a run over all axes and seeds."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokode.nets.records import check_path
from grokode.nets.runs import METRICS, Run, open_run
from grokode.nets.sweeps.engine import read_record, run_of
from grokode.nets.sweeps.sweep import Point, Sweep

__all__ = ["SweepResult", "final_metrics", "open_sweep"]

Measure = Callable[[Run], Mapping[str, float] | xr.Dataset]


def open_sweep(path: str | Path) -> "SweepResult":
    """A sweep made by `run_sweep`, also while it is running.

    Parameters
    ----------
    path : path

    Raises
    ------
    ValueError
        If the directory is no sweep, or its record is damaged.
    """
    stored = read_record(check_path("path", path))
    stored.pop("format")
    return SweepResult(Path(path), Sweep(**stored))


class SweepResult:
    """The runs of a sweep.

    Parameters
    ----------
    path : Path
    sweep : Sweep
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        self.path = path
        self.sweep = sweep

    def runs(self) -> Iterator[tuple[Point, Run]]:
        """Points that have a run, with it; one is open at a time."""
        for point in self.sweep.points():
            folder = run_of(self.path, point.number)
            if (folder / "run.json").exists():
                yield point, open_run(folder)

    def dataset(self, measure: Measure | None = None) -> xr.Dataset:
        """A measure of every run and seed.

        Parameters
        ----------
        measure : function (Run of one seed) -> numbers by name, or a Dataset
            The last metrics if not given. Runs are read one at a time, so memory holds one. Where
            a measure refuses a run (ValueError), or there is none, the numbers are missing.

        Returns
        -------
        Dataset
            Over the axes and ``seed``, or over ``point`` and ``seed`` where points were drawn, with
            the axes' values as coordinates.

        Raises
        ------
        ValueError
            If nothing can be measured yet, or a measure's Datasets differ in their own dimensions
            or labels, as over several p; `tree` holds these.
        """
        rows = self._measured(final_metrics if measure is None else measure)
        shapes = {tuple(sorted(row.sizes.items())) for row in rows.values()}
        if len(shapes) > 1:
            raise ValueError(
                f"what was measured has different sizes, {sorted(shapes)}; take tree(measure)"
            )
        for name, labels in next(iter(rows.values())).indexes.items():
            if not all(labels.equals(row.indexes.get(name)) for row in rows.values()):
                raise ValueError(
                    f"what was measured has different labels along {name}; take tree(measure)"
                )
        nothing = xr.full_like(next(iter(rows.values())), np.nan, dtype=float)
        points = list(self.sweep.points())
        whole = xr.concat(
            [
                xr.concat(
                    [rows.get((point.number, seed), nothing) for seed in self.sweep.seeds],
                    dim=xr.DataArray(list(self.sweep.seeds), dims="seed", name="seed"),
                    coords="minimal",
                    compat="override",
                    join="outer",
                )
                for point in points
            ],
            dim="point",
            coords="minimal",
            compat="override",
            join="outer",
        )
        return self._over_axes(whole, points)

    def tree(self, measure: Measure) -> xr.DataTree:
        """A measure of every run and seed, where its Datasets differ in their shapes.

        Parameters
        ----------
        measure : as in `dataset`

        Returns
        -------
        DataTree
            A node ``/point/seed`` to each. Its attributes are the values on the axes, and what goes
            together with them.

        Raises
        ------
        ValueError
            If nothing can be measured yet.
        """
        settings = {point.number: point.settings for point in self.sweep.points()}
        return xr.DataTree.from_dict(
            {
                f"/{number}/{seed}": measured.assign_attrs(measured.attrs | settings[number])
                for (number, seed), measured in self._measured(measure).items()
            }
        )

    def _measured(self, measure: Measure) -> dict[tuple[int, int], xr.Dataset]:
        """By point and seed; without those that the measure refuses."""
        rows: dict[tuple[int, int], xr.Dataset] = {}
        for point, run in self.runs():
            for seed in run.seeds:
                try:
                    measured = measure(run.select(seed))
                except ValueError:
                    continue
                rows[point.number, seed] = (
                    measured if isinstance(measured, xr.Dataset) else xr.Dataset(dict(measured))
                )
        if not rows:
            raise ValueError(f"{self.path} has no point that can be measured yet; train it first")
        return rows

    def _over_axes(self, whole: xr.Dataset, points: list[Point]) -> xr.Dataset:
        if self.sweep.draws:
            return whole.assign_coords(
                {
                    name: ("point", [point.values[name] for point in points])
                    for name in self.sweep.axes
                }
            )
        axes = self.sweep.coordinates()
        if not axes:
            return whole.isel(point=0)
        index = xr.Coordinates.from_pandas_multiindex(_multi_index(axes), "point")
        return (
            whole.assign_coords(index).unstack("point").reindex(axes).transpose(*axes, "seed", ...)
        )


def final_metrics(run: Run) -> dict[str, float]:
    """The last losses, accuracies and norms, and the step they belong to."""
    last = run.metrics.isel(step=-1)
    return {name: float(last[name]) for name in METRICS} | {"step": float(last.step)}


def _multi_index(axes: Mapping[str, list[Any]]) -> Any:
    import pandas as pd

    return pd.MultiIndex.from_product(list(axes.values()), names=list(axes))
