"""A sweep in numbers and pictures: any question asked of every run, over its axes and seeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import xarray as xr
from matplotlib.axes import Axes

from grokode.compare.common.style import NETWORK, SEQUENTIAL, say
from grokode.compare.registry import QUESTIONS
from grokode.files import create_file
from grokode.nets.records import check_choice
from grokode.nets.runs import Run
from grokode.nets.sweeps.results import final_metrics

__all__ = ["numbers_of", "sweep_figure", "write_table"]

_COMMANDS = {"winners": "lottery", "stages": "grokking", "scores": "alignment"}
"""Questions whose command, or whose answer in JSON, has another name."""


def numbers_of(questions: Sequence[str]) -> Callable[[Run], dict[str, float]]:
    """A measure for `grokode.nets.sweeps.SweepResult.dataset`.

    Parameters
    ----------
    questions : sequence of str
        Names in `grokode.compare.QUESTIONS`, or of the commands that ask them; the last metrics are
        among the numbers in any case.

    Returns
    -------
    function (Run of one seed) -> numbers by name
        Of the question q the numbers of its JSON, named ``q/key/key``; a question that refuses the
        run adds none.

    Raises
    ------
    ValueError
        For a name that is no question.
    """
    for name in questions:
        check_choice("collect", _COMMANDS.get(name, name), tuple(QUESTIONS))

    def measure(run: Run) -> dict[str, float]:
        numbers = final_metrics(run)
        for name in questions:
            question = QUESTIONS[_COMMANDS.get(name, name)]
            if question.needs(run) is None:
                plain = question.plain(question.measure(run))
                numbers |= dict(_numbers(plain, name))
        return numbers

    return measure


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """The numbers in nested dictionaries; lists and texts are left out."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(part, f"{name}/{key}")
    elif isinstance(value, bool | int | float | np.number):
        yield name, float(value)


def sweep_figure(numbers: xr.Dataset, show: str, ax: Axes) -> Axes:
    """One number over the sweep: a heat map over two axes, a curve with its spread over one.

    Parameters
    ----------
    numbers : Dataset
        From `grokode.nets.sweeps.SweepResult.dataset`.
    show : str
        Which of its variables.
    ax : Axes

    Returns
    -------
    Axes
        Means over the seeds that have the number; on a curve the seeds are dots, and the band is
        the 95% t interval of the mean.
    """
    check_choice("show", show, [str(name) for name in numbers.data_vars])
    values = numbers[show]
    axes = [str(dim) for dim in values.dims if dim != "seed" and values.sizes[dim] > 1]
    values = values.isel({dim: 0 for dim in values.dims if dim not in (*axes, "seed")})
    if len(axes) == 2:
        return _heat_map(values.mean("seed"), axes, show, ax)
    if len(axes) == 1:
        return _curve(values, axes[0], show, ax)
    return say(f"a figure needs one or two axes with several values, not {len(axes)}", ax)


def _heat_map(values: xr.DataArray, axes: Sequence[str], show: str, ax: Axes) -> Axes:
    down, across = axes
    image = ax.imshow(
        values.transpose(down, across), origin="lower", cmap=SEQUENTIAL, aspect="auto"
    )
    for axis, name in ((ax.xaxis, across), (ax.yaxis, down)):
        labels = [_label(value) for value in values[name].values]
        axis.set_ticks(range(len(labels)), labels)
        axis.set_label_text(name.replace("_", " "))
    ax.figure.colorbar(image, ax=ax, label=f"{show.replace('_', ' ')}, mean over seeds")
    return ax


def _curve(values: xr.DataArray, axis: str, show: str, ax: Axes) -> Axes:
    at = values[axis].values
    numeric = np.issubdtype(at.dtype, np.number)
    x = at if numeric else np.arange(len(at))
    mean, count = values.mean("seed"), values.count("seed")
    half = values.std("seed", ddof=1) / np.sqrt(count) * scipy.stats.t.ppf(0.975, count - 1)
    ax.plot(x, mean, **NETWORK)
    ax.fill_between(x, mean - half, mean + half, color=NETWORK["color"], alpha=0.2)
    ax.plot(x, values.transpose(axis, "seed"), ".", color=NETWORK["color"], markersize=4)
    if not numeric:
        ax.set_xticks(x, [str(value) for value in at])
    elif at.min() > 0 and at.max() > 20 * at.min():
        ax.set_xscale("log")
    ax.set(xlabel=axis.replace("_", " "), ylabel=show.replace("_", " "))
    return ax


def _label(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else f"{value}"


def write_table(numbers: xr.Dataset, file: Path) -> None:
    """Write the numbers, as NetCDF (.nc) or as rows of text (.csv), never over a file.

    Raises
    ------
    FileExistsError
        If there is a file of that name.
    """
    if file.suffix == ".csv":
        rows = numbers.to_dataframe().reset_index().to_csv(index=False)
        create_file(file, lambda out: out.write(rows.encode()))
    else:
        content = numbers.to_netcdf(engine="scipy")
        create_file(file, lambda out: out.write(bytes(content)))
