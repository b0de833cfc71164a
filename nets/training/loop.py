"""Training of networks into a run that survives being killed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.nets.records import check_path
from grokode.nets.runs import Run, RunWriter, never_published
from grokode.nets.tasks.examples import Examples
from grokode.nets.threads import one_thread_below
from grokode.nets.training import requests
from grokode.nets.training.config import TrainingConfig, is_due
from grokode.nets.training.ensemble import Ensemble, Intervention
from grokode.nets.workers import Workers

__all__ = ["DivergedError", "train"]

OnStep = Callable[[int, float, float], None]


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
        State to start from in place of the configured initialisation: for two-layer networks a
        spectrum (neuron, frequency), with ``theta_y (neuron, y)`` for separate inputs (theta if not
        given), ``embedding (residue, feature)`` and ``projection (neuron, feature)`` where these
        are trained.
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
    path = check_path("out", out)
    requests.check_time_limit(time_limit)
    config = requests.with_given(config, initial, train_pairs)
    seeds = requests.check_seeds(config, seeds, intervention)
    resuming = resume and (path / "run.json").exists()
    if path.exists() and not resuming and not (resume and never_published(path)):
        raise FileExistsError(
            f"{path} exists and is not overwritten; choose another directory, or resume a run"
        )
    attrs = {
        "device": requests.device_of(config),
        "seconds": 0.0,
        "intervention": requests.name_of(intervention),
    }
    if resuming:
        run = Run(path)
        requests.check_same(config, seeds, intervention, run)
        run.check_files()
        requests.check_given(run, initial, train_pairs)
    else:
        # Everything that can be refused is refused before a directory is made.
        parameters = requests.start(config, seeds, initial)
        answers = np.stack([config.data.answers(seed) for seed in seeds])
        data = requests.split(config, seeds, train_pairs)
        data |= {"inputs": config.data.inputs, "answers": answers}
    try:
        with RunWriter(path) as writer, _threads(config, len(seeds)) as workers:
            if resuming:
                writer.reopen(config)
                training = _Training.resumed(config, writer, workers)
            else:
                writer.create(config, seeds, config.network.layout(config.data), data, attrs)
                training = _Training(config, writer, seeds, parameters, 0, workers)
                training.start()
            training.advance(intervention, time_limit, on_step)
    except OSError as error:
        raise OSError(
            f"{path} could not be written ({error.strerror or error}); remove the cause and "
            "resume: finished checkpoints are kept"
        ) from error
    if diverged := writer.ended("diverged"):
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
        parameters: Mapping[str, NDArray[Any]],
        step: int,
        workers: Workers,
    ) -> None:
        self._config = config
        self._writer = writer
        self._step = step
        self._began = time.perf_counter() - writer.seconds
        device = requests.device_of(config)
        self._train, self._test = (
            Examples.of(
                config.data,
                seeds,
                [*writer.data(name, seeds)],
                symmetric=config.symmetric,
                dtype=getattr(torch, config.dtype),
                device=device,
            )
            for name in ("train", "test")
        )
        self._every = _every(config, seeds, device) if config.log_grid else None
        self._ensemble = Ensemble(config, seeds, parameters, self._train, device, workers)
        self._logged = writer.logged
        self._rows: list[tuple[int, NDArray[Any]]] = []
        self._grids: list[NDArray[Any]] = []

    @classmethod
    def resumed(cls, config: TrainingConfig, writer: RunWriter, workers: Workers) -> "_Training":
        """From the last checkpoint on."""
        seeds, parameters, step = writer.last()
        training = cls(config, writer, seeds, parameters, step, workers)
        training._ensemble.load(writer.state())
        fitted, diverged = ({*writer.ended(why)} for why in ("fitted", "diverged"))
        # One that diverged since then does so again, unless nobody else is left: to the same bits
        # as before only on the same seeds, whose numbers may be rounded together.
        training._drop(fitted | diverged if {*seeds} <= fitted | diverged else fitted)
        return training

    def start(self) -> None:
        """Log and write step 0."""
        self._ensemble.loss(0)
        self._log()
        # What compiles is compiled by now; the seconds of a run are those of its steps.
        self._began = time.perf_counter()
        self._save()
        self._writer.behind.wait()  # a training that has begun is a run

    def advance(
        self, intervention: Intervention | None, time_limit: float | None, on_step: OnStep | None
    ) -> None:
        """Train until all steps are done, every seed has ended, or the time is up."""
        schedule, ensemble = self._config.schedule, self._ensemble
        first, until = (
            self._step,
            np.inf if time_limit is None else time.perf_counter() + time_limit,
        )
        while ensemble.seeds:
            # Nothing is read from a GPU before something is due: it need not wait for the host.
            ensemble.loss(self._step)
            last = self._step >= schedule.steps
            log = last or is_due(self._step, schedule.log_every)
            save = last or is_due(self._step, schedule.checkpoint_every)
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
        row = ensemble.measure(self._train, self._test).numpy(force=True)
        # A seed that diverged before a kill was published with what was logged until then.
        if self._step > self._logged:
            self._rows.append((self._step, row))
            if self._every is not None:
                right = ensemble.outputs(self._every).argmax(-1) == self._every.answers
                self._grids.append(right.numpy(force=True).astype(np.uint8))
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
        """Write a checkpoint with all that was logged, and let go of the fitted seeds.

        A thread writes it while the training goes on; the next one waits for that.
        """
        writer, ensemble = self._writer, self._ensemble
        step, seeds = self._step, ensemble.seeds
        writer.behind.wait()
        weights, state, flush = ensemble.weights(), ensemble.state(), self._flush()
        seconds = time.perf_counter() - self._began

        def write() -> None:
            writer.checkpoint(step, seeds, weights)
            flush()
            for seed in fitted:
                writer.end(seed, step, "fitted")
            writer.publish(seeds, state, seconds)

        writer.behind.do(write)
        self._drop(fitted)

    def _flush(self) -> Callable[[], None]:
        """What hands over all that was logged, which is forgotten here."""
        rows, grids = self._rows, self._grids
        self._rows, self._grids = [], []
        return partial(self._writer.log, self._ensemble.seeds, rows, grids)

    def _end_diverged(self) -> None:
        """Let go of the seeds whose loss stopped being finite since the last look."""
        steps = dict(zip(self._ensemble.seeds, self._ensemble.diverged_at.tolist(), strict=True))
        diverged = {seed: step for seed, step in steps.items() if step >= 0}
        if not diverged:
            return
        self._writer.behind.wait()
        self._flush()()
        for seed, step in diverged.items():
            self._writer.end(seed, step, "diverged")
        # The state stays that of the last checkpoint, from which a resumed training sets out.
        self._writer.publish_end()
        self._drop(set(diverged))

    def _drop(self, seeds: set[int] | frozenset[int]) -> None:
        if not seeds:
            return
        rows = [row for row, seed in enumerate(self._ensemble.seeds) if seed not in seeds]
        self._train, self._test = (part.select(rows) for part in (self._train, self._test))
        self._every = self._every and self._every.select(rows)
        self._ensemble.keep(rows, self._train)
        if rows:
            # Anew, as a training does that is resumed here: rounded without those that ended.
            self._ensemble.loss(self._step)


def _every(config: TrainingConfig, seeds: Sequence[int], device: str) -> Examples:
    """All inputs there are, in their order, for the grid of answers."""
    rows = np.arange(len(config.data.inputs))
    return Examples.of(config.data, seeds, [rows] * len(seeds), device=device)


@contextmanager
def _threads(config: TrainingConfig, seeds: int) -> Iterator[Workers]:
    """Torch's threads are those of the training: each for a seed, or all for a large product."""
    threads = torch.get_num_threads()
    shared = requests.device_of(config) == "cpu" and seeds > 1
    # None of the others has threads of torch's own.
    alone = partial(torch.set_num_threads, 1)
    with (
        one_thread_below(0 if shared else config.network.work(config.data)),
        Workers.of(min(threads, seeds) if shared else 1, alone) as workers,
    ):
        yield workers
