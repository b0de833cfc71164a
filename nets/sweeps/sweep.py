"""What a sweep is: a base configuration, axes, seeds; from a small TOML file or in Python."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from grokode.nets.records import check_choice, check_path, check_whole, nearest
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.presets import preset

__all__ = ["Point", "Sweep", "read_sweep"]

_RANGES: dict[str, Any] = {"linear": np.linspace, "log": np.geomspace}
_KEEP = ("all", "ends")
_TABLES = ("preset", "seeds", "keep", "draws", "draw_seed", "base", "axes")


@dataclass(frozen=True)
class Point:
    """One configuration of a sweep.

    Parameters
    ----------
    number : int
    values : dict
        The value on every axis.
    settings : dict
        These and what goes together with them.
    config : TrainingConfig
    """

    number: int
    values: dict[str, Any]
    settings: dict[str, Any]
    config: TrainingConfig


@dataclass(frozen=True)
class Sweep:
    """Configurations to train: every combination of the axes' values, each for every seed.

    Parameters
    ----------
    base : dict
        Settings that all points share, and ``preset`` if they start from one.
    axes : dict
        Setting -> its values. A value may be a dict of settings that go together, the axis' own
        among them: ``{"p": [{"p": 7, "learning_rate": 0.1}, ...]}``. With ``draws``, all axes are
        drawn together instead, see there.
    seeds : sequence of int
        Trained side by side at every point.
    keep : {"all", "ends"}
        Checkpoints that a run keeps: those of its schedule, or the first and the last alone.
    draws : int, optional
        Number of points; every axis is then (least, largest, "linear" or "log"), and each point
        draws its values uniformly or log-uniformly between them.
    draw_seed : int
        Of these draws.

    Raises
    ------
    ValueError
        For an axis that no configuration has, one without values or with one twice, a seed among
        the settings, draws from no range, or a point that is no configuration.

    Examples
    --------
    >>> sweep = Sweep({"p": 5, "neurons": 8}, {"scale": [0.1, 0.2], "learning_rate": [1.0]})
    >>> [point.values for point in sweep.points()]
    [{'scale': 0.1, 'learning_rate': 1.0}, {'scale': 0.2, 'learning_rate': 1.0}]
    """

    base: Mapping[str, Any]
    axes: Mapping[str, Sequence[Any]]
    seeds: Sequence[int] = (0,)
    keep: str = "all"
    draws: int | None = None
    draw_seed: int = 0

    def __post_init__(self) -> None:
        check_choice("keep", self.keep, _KEEP)
        if self.draws is not None:
            check_whole("draws", self.draws, least=1)
        check_whole("draw_seed", self.draw_seed)
        for name, values in self.axes.items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise ValueError(f"axis {name} needs a list of values, got {values!r}")
            if self.draws is None:
                _check_values(name, values)
            else:
                _check_range(name, values)
        set_by = dict.fromkeys(self.base, "base")
        for axis, values in self.axes.items():
            together = {axis}.union(*(value for value in values if isinstance(value, Mapping)))
            for name in sorted(together):
                if set_by.get(name, "base") != "base":
                    raise ValueError(
                        f"axes {set_by[name]} and {axis} both set {name}; leave it to one of them"
                    )
                set_by[name] = axis
        if "seed" in set_by:
            place = set_by["seed"] if set_by["seed"] == "base" else f"axis {set_by['seed']}"
            raise ValueError(f"{place} sets seed; give seeds = [...] instead")
        if not isinstance(self.seeds, Sequence) or not self.seeds:
            raise ValueError(f"seeds must be a list of integers, got {self.seeds!r}")
        for seed in self.seeds:
            check_whole("seeds", seed)
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must be different integers, got {list(self.seeds)}")

    @property
    def size(self) -> int:
        """Number of points."""
        if self.draws is not None:
            return self.draws
        return math.prod(len(values) for values in self.axes.values())

    def points(self) -> Iterator[Point]:
        """All points, in order; the last axis runs fastest."""
        combinations = self._drawn() if self.draws else product(*self.axes.values())
        for number, values in enumerate(combinations):
            settings: dict[str, Any] = {}
            for name, value in zip(self.axes, values, strict=True):
                settings |= value if isinstance(value, Mapping) else {name: value}
            at = {name: settings[name] for name in self.axes}
            yield Point(number, at, settings, self._config(settings))

    def coordinates(self) -> dict[str, list[Any]]:
        """The values along every axis, without what goes together with them."""
        return {
            name: [value[name] if isinstance(value, Mapping) else value for value in values]
            for name, values in self.axes.items()
        }

    def _drawn(self) -> Iterator[tuple[float, ...]]:
        rng = np.random.default_rng(self.draw_seed)
        for _ in range(self.draws or 0):
            values = []
            for least, largest, scale in self.axes.values():
                share = rng.random()
                values.append(
                    least + share * (largest - least)
                    if scale == "linear"
                    else least * (largest / least) ** share
                )
            yield tuple(values)

    def _config(self, values: Mapping[str, Any]) -> TrainingConfig:
        settings = dict(self.base) | dict(values)
        name = settings.pop("preset", None)
        try:
            config = preset(name, **settings) if name else TrainingConfig(**settings)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the point {dict(values)} is no configuration: {error}") from error
        config = config.replace(seed=self.seeds[0])
        return config if self.keep == "all" else config.replace(checkpoint_every=config.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "base": dict(self.base),
            "axes": {name: list(values) for name, values in self.axes.items()},
            "seeds": list(self.seeds),
            "keep": self.keep,
            "draws": self.draws,
            "draw_seed": self.draw_seed,
        }


def _check_values(axis: str, values: Sequence[Any]) -> None:
    """Different values, with the axis' own among settings that go together."""
    seen: list[Any] = []
    for value in values:
        if isinstance(value, Mapping) and axis not in value:
            raise ValueError(
                f"axis {axis} has settings that go together, {dict(value)}, without {axis} among "
                "them"
            )
        own = value[axis] if isinstance(value, Mapping) else value
        if own in seen:
            raise ValueError(f"axis {axis} has {own!r} twice; leave one out")
        seen.append(own)


def _check_range(axis: str, values: Sequence[Any]) -> None:
    """What values are drawn from: (least, largest, "linear" or "log")."""
    scale = values[-1]
    if not isinstance(scale, str) or len(values) != 3:
        raise ValueError(
            f'axis {axis} needs (least, largest, "linear" or "log") to draw from, got {values!r}'
        )
    check_choice(f"scale of axis {axis}", scale, _RANGES)
    least, largest = values[:2]
    if not all(isinstance(end, int | float) and math.isfinite(end) for end in (least, largest)):
        raise ValueError(f"axis {axis} needs two numbers to draw between, got {values!r}")
    if least > largest or (scale == "log" and least <= 0):
        raise ValueError(
            f"axis {axis} needs a range from the least, above 0 if it is log, got {values!r}"
        )


def read_sweep(file: str | Path) -> Sweep:
    """A sweep from a TOML file.

    Parameters
    ----------
    file : path
        ``preset``, ``seeds`` (a number of them, or a list), ``keep``, ``draws`` and ``draw_seed``
        at the top, settings under ``[base]`` and axes under ``[axes]``: lists, or ranges
        ``{from = 0.01, to = 10, count = 7, scale = "log"}`` (``linear`` if not given), without
        ``count`` where there are ``draws``. In a list, ``{p = 7, learning_rate = 0.1}`` is a value
        of the axis p with what goes together with it.

    Raises
    ------
    ValueError
        If the file is no sweep, naming what is wrong.
    """
    path = check_path("file", file)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is no file; give a sweep, a TOML file")
    try:
        stored = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(
            f"{path} is missing; give a sweep file, see grokode sweep --help"
        ) from None
    except (OSError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} is no TOML file ({error})") from error
    for name in stored:
        if name not in _TABLES:
            raise ValueError(
                f"{path}: unknown entry {name!r}{nearest(name, _TABLES)}; a sweep has "
                f"{', '.join(_TABLES)}"
            )
    base = dict(stored.get("base", {}))
    if "preset" in stored:
        base["preset"] = stored["preset"]
    seeds, draws = stored.get("seeds", 1), stored.get("draws")
    try:
        return Sweep(
            base,
            {
                name: _values(name, values, drawn=draws is not None)
                for name, values in stored.get("axes", {}).items()
            },
            seeds=range(seeds) if isinstance(seeds, int) else seeds,
            keep=stored.get("keep", "all"),
            draws=draws,
            draw_seed=stored.get("draw_seed", 0),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _values(name: str, given: Any, *, drawn: bool) -> list[Any]:
    """Values of an axis: a list as it is, a range spelled out."""
    if not isinstance(given, Mapping):
        return given if isinstance(given, list) else [given]
    wanted = {"from", "to"} if drawn else {"from", "to", "count"}
    if set(given) - {"scale"} != wanted:
        raise ValueError(f"axis {name} needs {', '.join(sorted(wanted))}, got {', '.join(given)}")
    scale = check_choice(f"scale of axis {name}", given.get("scale", "linear"), _RANGES)
    if drawn:
        return [given["from"], given["to"], scale]
    values = _RANGES[scale](given["from"], given["to"], given["count"])
    whole = all(isinstance(given[end], int) for end in ("from", "to"))
    rounded = [round(value) for value in values.tolist()]
    return rounded if whole and np.allclose(values, rounded) else values.tolist()
