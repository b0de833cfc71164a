"""Full-batch training of two-layer networks into a run that survives being killed."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.nets import tasks
from grokode.nets.config import TrainingConfig, is_due
from grokode.nets.ensemble import Ensemble, Intervention
from grokode.nets.mlp import Examples, evaluate, outputs
from grokode.nets.runs import Run, RunWriter, never_published
from grokode.nets.runs.layout import expected
from grokode.nets.start import initial_weights

__all__ = ["DivergedError", "train"]

OnStep = Callable[[int, float, float], None]

_SMALL = 10**6
"""Pairs times neurons below which one thread is as fast as several."""


class DivergedError(RuntimeError):
    """The loss stopped being finite; what was saved before is kept."""


def train(
    config: TrainingConfig,
    out: str | Path,
    *,
    seeds: Sequence[int] | None = None,
    initial: xr.Dataset | None = None,
    train_pairs: ArrayLike | None = None,
    intervention: Intervention | None = None,
    resume: bool = False,
    time_limit: float | None = None,
    on_step: OnStep | None = None,
) -> Run:
    """Train a network, or one to a seed, and return the run, which is written as training goes.

    The checkpoint of step s holds the weights after s updates, so step 0 is the start. Metrics
    logged at step s belong to those same weights. The last step always has both.

    Parameters
    ----------
    config : TrainingConfig
    out : path
        Directory of the run; it must not exist unless resumed.
    seeds : sequence of int, optional
        Train a network for each, side by side, each as if trained alone; the configured seed if not
        given. A seed that reaches ``stop_loss`` ends there, with an extra checkpoint.
    initial : Dataset, optional
        Spectrum (neuron, frequency) to start from, in place of the configured initialisation.
    train_pairs : integers (n, 2), optional
        Pairs to train on, in place of the configured fraction; the others are the test set.
    intervention : function (step, weights), optional
        Called after every update with the number of updates done and the `Weights`, which it may
        change in place. A run made with one is resumed with the same one.
    resume : bool
        Go on with the run in `out` from its last checkpoint, to the same result (the same bits on
        the same CPU) as if it had never stopped. Start afresh if there is no run yet. The
        configuration must be that of the run, but for ``steps`` and ``stop_loss``.
    time_limit : float, optional
        Seconds after which to stop at the next logged step, with a checkpoint to resume from.
    on_step : function (step, loss, accuracy), optional
        Called at every logged step with the means over seeds.

    Raises
    ------
    FileExistsError
        If `out` exists and is not resumed.
    DivergedError
        If the loss of a seed stops being finite, once the others are trained. Earlier checkpoints
        are kept.
    OSError
        If a checkpoint cannot be written, say on a full disk. Earlier checkpoints are kept.
    ValueError
        For a start, pairs or a run that do not fit the configuration.

    Examples
    --------
    >>> import tempfile
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train(config, Path(folder) / "run").weights.step.values.tolist()
    [0, 10, 20]
    """
    path = Path(out)
    if time_limit is not None and not (
        isinstance(time_limit, int | float | np.number) and time_limit >= 0
    ):
        raise ValueError(f"time_limit must be a number of seconds >= 0, got {time_limit!r}")
    if initial is not None:
        config = replace(config, initial="given")
    if train_pairs is not None:
        _, held_out = tasks.complement(train_pairs, config.p)
        config = replace(config, train_fraction=(config.p**2 - len(held_out)) / config.p**2)
    seeds = _check_seeds(config, seeds, intervention)
    begun = resume and never_published(path)
    resuming = resume and (path / "run.json").exists() and not begun
    if path.exists() and not resuming and not begun:
        raise FileExistsError(
            f"{path} exists and is not overwritten; choose another directory, or resume a run"
        )
    attrs = {
        "device": device_of(config),
        "seconds": 0.0,
        "intervention": _name(intervention),
    }
    if resuming:
        run = Run(path)
        _check_same(config, seeds, attrs, run)
        run.check_files()
        _check_given(run, initial, train_pairs)
    else:
        # Everything that can be refused is refused before a directory is made.
        weights = np.stack([initial_weights(config, seed, initial) for seed in seeds])
        splits = [_split(config, seed, train_pairs) for seed in seeds]
    try:
        with RunWriter(path) as writer:
            if resuming:
                writer.reopen(config)
                training = _Training.resumed(config, writer)
            else:
                data = _data(config, seeds, splits)
                writer.create(config, seeds, expected(config)[0], data, attrs)
                training = _Training(config, writer, seeds, weights, 0)
                training.start()
            with _threads(config):
                training.advance(intervention, time_limit, on_step)
            diverged = writer.ended("diverged")
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error.strerror or error}); remove the cause and "
            "resume: finished checkpoints are kept"
        ) from error
    if diverged:
        where = ", ".join(f"seed {seed} at step {step}" for seed, step in diverged.items())
        raise DivergedError(
            f"the loss stopped being finite: {where} with learning_rate {config.learning_rate}; "
            f"lower it; the checkpoints of {path} are kept"
        )
    return Run(path)


class _Training:
    """The seeds still trained, their ensemble, and what was logged since the last checkpoint."""

    def __init__(
        self,
        config: TrainingConfig,
        writer: RunWriter,
        seeds: Sequence[int],
        weights: NDArray[Any],
        step: int,
    ) -> None:
        self._config = config
        self._writer = writer
        self._step = step
        self._began = time.perf_counter() - writer.seconds
        device = device_of(config)
        inputs = writer.data("inputs", seeds)
        self._train, self._test = (
            _examples(config, seeds, [*inputs[writer.data(name, seeds)]], device)
            for name in ("train", "test")
        )
        self._grid = _examples(config, seeds, [tasks.all_pairs(config.p)] * len(seeds), device)
        self._ensemble = Ensemble(config, seeds, weights, self._train, device)
        self._diverged_at = torch.full((len(seeds),), -1, device=device)
        self._logged = writer.logged
        self._rows: list[tuple[int, NDArray[Any]]] = []
        self._grids: list[NDArray[Any]] = []

    @classmethod
    def resumed(cls, config: TrainingConfig, writer: RunWriter) -> "_Training":
        """From the last checkpoint on."""
        seeds, layers, step = writer.last()
        weights = np.stack([*layers.values()], axis=1)
        training = cls(config, writer, seeds, weights, step)
        training._ensemble.load(writer.state())
        training._drop({*writer.ended("diverged"), *writer.ended("fitted")})
        return training

    def start(self) -> None:
        """Log and write step 0."""
        self._ensemble.loss(0)
        self._log()
        # What compiles is compiled by now; the seconds of a run are those of its steps.
        self._began = time.perf_counter()
        self._save()

    def advance(
        self, intervention: Intervention | None, time_limit: float | None, on_step: OnStep | None
    ) -> None:
        """Train until all steps are done, every seed has ended, or the time is up."""
        config, ensemble = self._config, self._ensemble
        first, until = (
            self._step,
            np.inf if time_limit is None else time.perf_counter() + time_limit,
        )
        while ensemble.seeds:
            loss = ensemble.loss(self._step)
            # Looked at only when something is due: a GPU need not wait for the host before that.
            fresh = (self._diverged_at < 0) & ~torch.isfinite(loss)
            self._diverged_at = torch.where(fresh, self._step, self._diverged_at)
            last = self._step >= config.steps
            log = last or is_due(self._step, config.log_every)
            save = last or is_due(self._step, config.checkpoint_every)
            if self._step > first and (log or save):
                self._end_diverged()
                if not ensemble.seeds:
                    return
                fitted: set[int] = set()
                if log:
                    fitted = self._log(on_step)
                stop = last or time.perf_counter() > until
                if save or stop or fitted:
                    self._save(fitted)
                if stop:
                    return
            elif last:
                return
            ensemble.update(self._step)
            self._step += 1
            if intervention is not None:
                intervention(self._step, ensemble.views())

    def _log(self, on_step: OnStep | None = None) -> set[int]:
        """Log this step; returns the seeds whose loss is below ``stop_loss``."""
        config, ensemble = self._config, self._ensemble
        parts = [
            evaluate(ensemble.inner, examples, config.activation)
            for examples in (self._train, self._test)
        ]
        losses, accuracies = zip(*parts, strict=True)
        columns = (*losses, *accuracies, *ensemble.norms())
        row = torch.stack([column.double() for column in columns], dim=1).numpy(force=True)
        # A seed that diverged before a kill was published with what was logged until then.
        if self._step > self._logged:
            self._rows.append((self._step, row))
            if config.log_grid:
                self._grids.append(self._correct())
        if on_step is not None:
            on_step(self._step, float(row[:, 0].mean()), float(row[:, 2].mean()))
        if config.stop_loss is None:
            return set()
        return {
            seed
            for seed, loss in zip(ensemble.seeds, row[:, 0], strict=True)
            if loss < config.stop_loss
        }

    def _save(self, fitted: set[int] | frozenset[int] = frozenset()) -> None:
        """Write a checkpoint with all that was logged, and let go of the fitted seeds."""
        ensemble = self._ensemble
        names = expected(self._config)[0]
        layers = dict(zip(names, ensemble.weights().swapaxes(0, 1), strict=True))
        self._writer.checkpoint(self._step, ensemble.seeds, layers)
        self._flush()
        for seed in fitted:
            self._writer.end(seed, self._step, "fitted")
        self._writer.publish(ensemble.seeds, ensemble.state(), time.perf_counter() - self._began)
        self._drop(fitted)

    def _flush(self) -> None:
        self._writer.log(self._ensemble.seeds, self._rows, self._grids)
        self._rows, self._grids = [], []

    def _end_diverged(self) -> None:
        """Let go of the seeds whose loss stopped being finite since the last look."""
        steps = dict(zip(self._ensemble.seeds, self._diverged_at.tolist(), strict=True))
        diverged = {seed: step for seed, step in steps.items() if step >= 0}
        if not diverged:
            return
        self._flush()
        for seed, step in diverged.items():
            self._writer.end(seed, step, "diverged")
        # The state stays that of the last checkpoint, from which a resumed training sets out.
        self._writer.publish_end()
        self._drop(set(diverged))

    def _drop(self, seeds: set[int] | frozenset[int]) -> None:
        if not seeds:
            return
        rows = [row for row, seed in enumerate(self._ensemble.seeds) if seed not in seeds]
        self._train, self._test, self._grid = (
            examples.select(rows) for examples in (self._train, self._test, self._grid)
        )
        self._diverged_at = self._diverged_at[rows]
        self._ensemble.keep(rows, self._train)

    def _correct(self) -> NDArray[Any]:
        values = outputs(self._ensemble.inner, self._grid, self._config.activation)
        right = (values.argmax(-1) == self._grid.answers).numpy(force=True)
        p = self._config.p
        x, y = self._grid.pairs.T
        grids = np.zeros((len(right), p, p), dtype=np.uint8)
        if self._config.symmetric:
            grids[:, y, x] = right
        grids[:, x, y] = right
        return grids


@contextmanager
def _threads(config: TrainingConfig) -> Iterator[None]:
    """One thread for small networks, whose products are over before a second one has woken up.

    Two threads gain at most a third at p = 23 and 512 neurons on an idle machine, and lose tenfold
    when another program has the second core, because they wait for each other at every product.
    """
    threads = torch.get_num_threads()
    if config.p**2 * config.neurons < _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def device_of(config: TrainingConfig) -> str:
    """The device a configuration is trained on, here."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is not available here; use 'auto' or 'cpu'")
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return config.device


def _examples(
    config: TrainingConfig, seeds: Sequence[int], pairs: Sequence[NDArray[Any]], device: str
) -> Examples:
    return Examples.of(
        pairs,
        [tasks.table(config.task, config.p, seed) for seed in seeds],
        symmetric=config.symmetric,
        dtype=getattr(torch, config.dtype),
        device=device,
    )


def _check_seeds(
    config: TrainingConfig, seeds: Sequence[int] | None, intervention: Intervention | None
) -> tuple[int, ...]:
    if seeds is not None and not isinstance(seeds, Iterable):
        raise ValueError(f"seeds must be a sequence of integers, got {seeds!r}")
    chosen = tuple(
        replace(config, seed=seed).seed for seed in ([config.seed] if seeds is None else seeds)
    )
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"seeds must be different integers >= 0, got {list(chosen)}")
    if intervention is not None and not callable(intervention):
        raise ValueError(f"intervention must be a function (step, weights), got {intervention!r}")
    if intervention is not None and (config.separate_inputs or config.embedding is not None):
        raise ValueError(
            "intervention acts on theta and xi, which a network with separate_inputs or an "
            "embedding does not have as parameters; leave one of them out"
        )
    return chosen


def _name(intervention: Intervention | None) -> str:
    return "" if intervention is None else getattr(intervention, "__name__", repr(intervention))


def _split(
    config: TrainingConfig, seed: int, train_pairs: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if train_pairs is None:
        return tasks.split_pairs(config.p, config.train_fraction, seed)
    return tasks.complement(train_pairs, config.p)


def _data(
    config: TrainingConfig,
    seeds: Sequence[int],
    splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> dict[str, NDArray[Any]]:
    """Inputs, answers and split as a run has them."""
    p = config.p
    train, test = (np.stack(pairs) for pairs in zip(*splits, strict=True))
    return {
        "inputs": tasks.all_pairs(p),
        "answers": np.stack([tasks.table(config.task, p, seed).ravel() for seed in seeds]),
        "train": train[..., 0] * p + train[..., 1],
        "test": test[..., 0] * p + test[..., 1],
    }


def _check_same(
    config: TrainingConfig, seeds: Sequence[int], attrs: dict[str, Any], run: Run
) -> None:
    """Refuse to resume a run under another configuration; it may only be made longer."""
    if run.stored_config.initial == "published":
        raise ValueError(
            f"{run.path} was imported, without the optimiser's state, so it cannot be resumed; "
            "train from its weights by passing initial"
        )
    may_differ = {"steps", "stop_loss", "device"}
    mine, stored = config.to_dict(), run.stored_config.to_dict()
    mine |= {"seeds": list(seeds), "intervention": attrs["intervention"]}
    stored |= {"seeds": list(run.seeds), "intervention": run.attrs["intervention"]}
    for name in mine.keys() - may_differ:
        if mine[name] != stored[name]:
            raise ValueError(
                f"{name} is {stored[name]} in {run.path}, got {mine[name]}; resume with the run's "
                "own configuration"
            )


def _check_given(run: Run, initial: xr.Dataset | None, train_pairs: ArrayLike | None) -> None:
    """Refuse to resume a run from another start or on other pairs than it was given."""
    config = run.stored_config
    first = run.seeds[0]
    alone = run.select(first)
    if train_pairs is not None and not np.array_equal(
        tasks.check_pairs(train_pairs, config.p), alone.train_pairs
    ):
        raise ValueError(f"train_pairs are not those of {run.path}; leave them out to resume it")
    if initial is not None:
        theta, *_, xi = initial_weights(config, first, initial)
        start = alone.weights.isel(step=0)
        if not (np.array_equal(start.theta, theta) and np.array_equal(start.xi, xi)):
            raise ValueError(f"initial is not the start of {run.path}; resume with the same one")
