"""How a network is trained: a task, a network, an optimiser and a schedule, in frozen records."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from grokode.nets import records
from grokode.nets.networks import NETWORKS, Network, TwoLayer
from grokode.nets.tasks import TASKS, Modular, Task
from grokode.nets.training.optimizers import OPTIMIZERS
from grokode.theory.optimizer import OptimizerRule

__all__ = ["Schedule", "TrainingConfig", "check_config", "is_due", "parse_setting"]


@dataclass(frozen=True)
class Schedule:
    """How long a training lasts, and what it writes when.

    Parameters
    ----------
    steps : int
        Optimiser steps at most.
    stop_loss : float, optional
        Stop at the first logged step whose training loss is below.
    checkpoint_every : int or "log"
        Steps between checkpoints; "log" for twenty to a decade.
    log_every : int or "log"
        Steps between logged metrics; "log" for twenty to a decade.
    log_grid : bool
        Log for every pair whether it is answered rightly.
    dtype : {"float32", "float64"}
        Number format of the weights.
    device : {"auto", "cpu", "cuda"}
        Where to train; auto takes a GPU if there is one.

    Raises
    ------
    ValueError
        For a value out of range, naming it.
    """

    steps: int = 10_000
    stop_loss: float | None = None
    checkpoint_every: int | str = 200
    log_every: int | str = 100
    log_grid: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        for name in ("checkpoint_every", "log_every"):
            value = getattr(self, name)
            if value != "log" and (isinstance(value, str) or value < 1):
                raise ValueError(f"{name} must be 'log' or an integer of at least 1, got {value!r}")
        records.check_least(self, 1, "steps")
        if self.stop_loss is not None and not 0 < self.stop_loss < math.inf:
            raise ValueError(f"stop_loss must be positive and finite, got {self.stop_loss}")


@dataclass(frozen=True, init=False)
class TrainingConfig:
    """Configuration of one training: four records, and the seed.

    Every setting has one name, whichever record it is in: it can be given, read and replaced by
    that name alone, ``TrainingConfig(p=23, neurons=512)``, ``config.learning_rate``,
    ``dataclasses.replace(config, steps=50)``.

    Parameters
    ----------
    data : Task, optional
        See `grokode.nets.tasks`; the network's own ``TASK`` if not given, modular arithmetic if it
        has none. Also its name.
    network : Network, optional
        See `grokode.nets.networks`; two layers if not given. Also its name.
    rule : OptimizerRule, optional
    schedule : Schedule, optional
    seed : int
        Of the initial weights, of the split, of dropout, and of a random task.
    **settings
        Fields of these records, in place of what the records say.

    Raises
    ------
    ValueError
        For an unknown name, or a value of another type or out of range, naming it.

    Examples
    --------
    >>> config = TrainingConfig(p=23, neurons=512, learning_rate=0.5)
    >>> config.learning_rate, config.network.neurons, config.neurons
    (0.5, 512, 512)
    """

    data: Task
    network: Network
    rule: OptimizerRule
    schedule: Schedule
    seed: int

    def __init__(
        self,
        *,
        data: Task | str | None = None,
        network: Network | str | None = None,
        rule: OptimizerRule | None = None,
        schedule: Schedule | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        chosen = _named("network", network, NETWORKS, TwoLayer)
        given: dict[str, Any] = {
            "data": _named("data", data, TASKS, getattr(chosen, "TASK", Modular)),
            "network": chosen,
            "rule": rule or OptimizerRule,
            "schedule": schedule or Schedule,
        }
        known = [name for record in given.values() for name in _settings(record)]
        for name in settings:
            if name not in known:
                raise ValueError(
                    f"unknown setting {name!r}{records.nearest(name, known)}; choose one of "
                    f"{', '.join(known)}"
                )
        for part, record in given.items():
            object.__setattr__(self, part, _with(record, settings))
        object.__setattr__(self, "seed", records.plain(_Seed, {"seed": seed})["seed"])
        records.check_least(self, 0, "seed")
        if self.schedule.log_grid and not self.data.grid:
            raise ValueError(
                f"log_grid needs inputs that form a grid, {type(self.data).__name__} has none; "
                "leave it out"
            )
        records.check_choice("optimizer", self.rule.optimizer, OPTIMIZERS)

    def __getattr__(self, name: str) -> Any:
        """A setting, from whichever record has it."""
        if not name.startswith("_"):
            for part in ("data", "network", "rule", "schedule"):
                record = self.__dict__.get(part)
                if record is not None and name in _settings(record):
                    return getattr(record, name)
        raise AttributeError(f"{type(self).__name__} has no setting {name!r}")

    @property
    def symmetric(self) -> bool:
        """Whether the network and the task treat the two inputs alike."""
        return self.network.symmetric and self.data.mirror is not None

    @staticmethod
    def records(
        data: type[Task] | None = None, network: type[Network] | None = None
    ) -> tuple[type, ...]:
        """The types of the four records, those of the default task and network if not given."""
        chosen: type = network or TwoLayer
        task: type = getattr(chosen, "TASK", Modular) if data is None else data
        return (task, chosen, OptimizerRule, Schedule)

    def replace(self, **settings: Any) -> "TrainingConfig":
        """The same with other settings, as `dataclasses.replace` does."""
        return replace(self, **settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by name, for JSON."""
        values: dict[str, Any] = {
            "data": _name(self.data, TASKS),
            "network": _name(self.network, NETWORKS),
        }
        for record in (self.data, self.network, self.rule, self.schedule):
            values |= asdict(record)  # type: ignore[arg-type]
        return values | {"seed": self.seed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingConfig":
        """Back from `to_dict`; unknown names raise ValueError."""
        return cls(**values)


@dataclass(frozen=True)
class _Seed:
    seed: int = 0


def _named(name: str, given: Any, registry: Mapping[str, type], default: type) -> Any:
    """A record, or the type of one that is still to be made."""
    if given is None:
        return default
    return (
        registry[records.check_choice(name, given, registry)] if isinstance(given, str) else given
    )


def _settings(record: Any) -> list[str]:
    """Names of a record's settings."""
    return [field.name for field in fields(record) if field.init]


def _with(record: Any, settings: Mapping[str, Any]) -> Any:
    """The record with those of the settings that are its own, or made from them."""
    kind = record if isinstance(record, type) else type(record)
    own = {name: value for name, value in settings.items() if name in _settings(record)}
    if record is not kind:
        own = {name: getattr(record, name) for name in _settings(record)} | own
    missing = [name for name in records.required(kind) if name not in own]
    if missing:
        raise ValueError(f"{missing[0]} must be given for {kind.__name__}")
    return kind(**records.plain(kind, own))


def _name(record: Any, registry: Mapping[str, type]) -> str:
    """The name under which a record's type is registered."""
    for name, kind in registry.items():
        if type(record) is kind:
            return name
    raise ValueError(
        f"{type(record).__name__} is not registered, so a run could not be read back; add it to "
        "the registry of its kind"
    )


def parse_setting(
    name: str, text: str, kinds: Iterable[type] = (Modular, TwoLayer, OptimizerRule, Schedule)
) -> Any:
    """A setting's value from the text of a command line.

    Parameters
    ----------
    name : str
        A setting of `TrainingConfig`.
    text : str
        A number, true or false, a name, numbers with commas between, or none.
    kinds : types, optional
        The records that settings are looked for in.

    Raises
    ------
    ValueError
        For an unknown setting, or text that is no value of its type.

    Examples
    --------
    >>> parse_setting("steps", "500"), parse_setting("betas", "0.9,0.999")
    (500, (0.9, 0.999))
    """
    for given, value in (("name", name), ("text", text)):
        if not isinstance(value, str):
            raise TypeError(f"{given} must be text, got {value!r}")
    homes = {setting: kind for kind in (*kinds, _Seed) for setting in _settings(kind)}
    if name not in homes:
        raise ValueError(
            f"unknown setting {name!r}{records.nearest(name, homes)}; choose one of "
            f"{', '.join(homes)}"
        )
    return records.parse(homes[name], name, text)


def check_config(config: Any) -> None:
    """TypeError unless it is a configuration."""
    if not isinstance(config, TrainingConfig):
        raise TypeError(
            f"config must be a TrainingConfig, as from grokode.nets.preset, got {config!r}"
        )


def is_due(step: int, every: int | str) -> bool:
    """Whether a step is on a schedule: every n steps, or "log", twenty to a decade.

    Examples
    --------
    >>> [step for step in range(1, 16) if is_due(step, "log")]
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14]
    """
    if isinstance(every, int):
        return step % every == 0
    return step == 0 or step == round(10 ** (round(20 * math.log10(step)) / 20))
