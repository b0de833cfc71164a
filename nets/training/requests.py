"""What is asked of a training, checked before a directory is made."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.nets import tasks
from grokode.nets.runs import Run
from grokode.nets.runs.manifest import MOST_SEEDS
from grokode.nets.tasks import Modular
from grokode.nets.training.config import TrainingConfig, check_config
from grokode.nets.training.ensemble import Intervention
from grokode.nets.training.memory import check_memory

__all__ = [
    "check_given",
    "check_same",
    "check_seeds",
    "check_time_limit",
    "device_of",
    "name_of",
    "split",
    "start",
    "with_given",
]


def check_time_limit(time_limit: float | None) -> None:
    """Raise ValueError unless it is a number of seconds, or none."""
    if time_limit is not None and not (
        isinstance(time_limit, int | float | np.number) and time_limit >= 0
    ):
        raise ValueError(f"time_limit must be a number of seconds >= 0, got {time_limit!r}")


def with_given(
    config: TrainingConfig, initial: xr.Dataset | None, train_pairs: ArrayLike | None
) -> TrainingConfig:
    """The configuration of a training whose start or pairs are given, as the run records it."""
    if initial is not None:
        config = config.replace(initial="given")
    if train_pairs is not None:
        if not isinstance(config.data, Modular):
            raise ValueError(
                f"train_pairs are of the task modular, this is {type(config.data).__name__}; "
                "leave them out"
            )
        _, held_out = tasks.complement(train_pairs, config.p)
        config = config.replace(train_fraction=(config.p**2 - len(held_out)) / config.p**2)
    return config


def check_seeds(
    config: TrainingConfig, seeds: Sequence[int] | None, intervention: Intervention | None
) -> tuple[int, ...]:
    """The seeds to train; ValueError for seeds or an intervention that cannot be, or too many."""
    check_config(config)
    if seeds is not None and not isinstance(seeds, Iterable):
        raise ValueError(f"seeds must be a sequence of integers, got {seeds!r}")
    asked = [config.seed] if seeds is None else list(islice(seeds, MOST_SEEDS + 1))
    if len(asked) > MOST_SEEDS:
        raise ValueError(
            f"seeds must be {MOST_SEEDS} at most, got more; train them in several runs"
        )
    chosen = tuple(config.replace(seed=seed).seed for seed in asked)
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"seeds must be different integers >= 0, got {list(chosen)}")
    if intervention is not None:
        _check_intervention(config, intervention)
    check_memory(config, len(chosen), device_of(config))
    return chosen


def _check_intervention(config: TrainingConfig, intervention: Intervention) -> None:
    if not callable(intervention):
        raise ValueError(f"intervention must be a function (step, weights), got {intervention!r}")
    there = tuple(config.network.layout(config.data))
    needed = getattr(intervention, "parameters", there)
    if needed != there:
        raise ValueError(
            f"intervention acts on networks with the parameters {', '.join(needed)}; this one has "
            f"{', '.join(there)}: leave it out or train another"
        )


def name_of(intervention: Intervention | None) -> str:
    """What a run calls an intervention."""
    return "" if intervention is None else getattr(intervention, "__name__", repr(intervention))


def device_of(config: TrainingConfig) -> str:
    """The device a configuration is trained on, here."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available here; use 'auto' or 'cpu'")
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(config.device)


def start(
    config: TrainingConfig, seeds: Sequence[int], initial: xr.Dataset | None
) -> dict[str, NDArray[Any]]:
    """Parameters that each seed starts from, (seed, *shape) in the configured number format."""
    drawn = [config.network.draw(config.data, seed, initial) for seed in seeds]
    return {
        name: np.stack([of_seed[name] for of_seed in drawn]).astype(config.dtype)
        for name in config.network.layout(config.data)
    }


def split(
    config: TrainingConfig, seeds: Sequence[int], train_pairs: ArrayLike | None
) -> dict[str, NDArray[Any]]:
    """Training and test examples of each seed, (seed, n) indices into the task's inputs."""
    data: Any = config.data
    if train_pairs is None:
        both = [_drawn_split(config, seed) for seed in seeds]
    else:
        train, test = (data.index(pairs) for pairs in tasks.complement(train_pairs, data.p))
        both = [(train, test)] * len(seeds)
    return {
        name: np.stack(rows)
        for name, rows in zip(("train", "test"), zip(*both, strict=True), strict=True)
    }


def _drawn_split(config: TrainingConfig, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The task's own split, unless the network's seed recipe has one."""
    data: Any = config.data
    order = getattr(config.network, "order", lambda task, seed: None)(data, seed)
    if order is None:
        both: tuple[NDArray[Any], NDArray[Any]] = data.split(seed)
        return both
    count = int(data.train_fraction * len(order))
    return np.sort(order[:count]), np.sort(order[count:])


def check_same(
    config: TrainingConfig, seeds: Sequence[int], intervention: Intervention | None, run: Run
) -> None:
    """Refuse to resume a run under another configuration; it may only be made longer."""
    if run.stored_config.to_dict().get("initial") == "published":
        raise ValueError(
            f"{run.path} was imported, without the optimiser's state, so it cannot be resumed; "
            "train from its weights by passing initial"
        )
    may_differ = {"steps", "stop_loss", "device"}
    mine, stored = config.to_dict(), run.stored_config.to_dict()
    mine |= {"seeds": list(seeds), "intervention": name_of(intervention)}
    stored |= {"seeds": list(run.seeds), "intervention": run.attrs["intervention"]}
    for name in mine.keys() - may_differ:
        if mine[name] != stored[name]:
            raise ValueError(
                f"{name} is {stored[name]} in {run.path}, got {mine[name]}; resume with the run's "
                "own configuration"
            )


def check_given(run: Run, initial: xr.Dataset | None, train_pairs: ArrayLike | None) -> None:
    """Refuse to resume a run from another start or on other pairs than it was given."""
    config = run.stored_config
    first = run.seeds[0]
    alone = run.select(first)
    if train_pairs is not None and not np.array_equal(
        tasks.check_pairs(train_pairs, config.p), alone.train_pairs
    ):
        raise ValueError(f"train_pairs are not those of {run.path}; leave them out to resume it")
    if initial is not None:
        given = start(config, [first], initial)
        stored = alone.parameters.isel(step=0)
        if not all(np.array_equal(stored[name], values[0]) for name, values in given.items()):
            raise ValueError(f"initial is not the start of {run.path}; resume with the same one")
