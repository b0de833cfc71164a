"""The one process that writes a run."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from grokode.nets.runs.begun import BEGUN, clean, named, never_published
from grokode.nets.runs.format2 import FORMAT as FORMAT_2
from grokode.nets.runs.format2 import format_of
from grokode.nets.runs.layout import METRICS, Layout, Plan, expected
from grokode.nets.runs.manifest import JOURNAL, Header, Manifest, chained, versions
from grokode.nets.runs.output import Output
from grokode.nets.runs.record import Record
from grokode.nets.runs.source import Source, read_rows, resumable, saved_state
from grokode.nets.runs.store import BusyError, Folder, replace_all
from grokode.nets.runs.tails import Tails
from grokode.nets.training.config import TrainingConfig
from grokode.nets.workers import Behind

__all__ = ["RunWriter"]


class RunWriter:
    """The one process that writes a run; a context manager that holds its lock.

    What is added is seen by nobody until it is published, and durable from then on. The directory
    is known by itself: moved while it is written, it is written where it is, and a new one of the
    same name is left alone. A thread of its own can write, ``behind`` one that computes.

    Parameters
    ----------
    path : Path
        Directory of the run; made if it is not there.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets.runs.layout import expected
    >>> config = TrainingConfig(p=3, neurons=1)
    >>> data = {"inputs": np.zeros((1, 2), int), "answers": np.zeros((1, 1), int),
    ...         "train": np.zeros((1, 1), int), "test": np.zeros((1, 0), int)}
    >>> one = np.zeros((1, 1, 3), dtype="float32")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RunWriter(Path(folder) / "run") as writer:
    ...         writer.create(config, [0], expected(config)[0], data, {})
    ...         writer.checkpoint(0, [0], {"theta": one, "xi": one})
    ...         writer.log([0], [(0, np.zeros((1, 6)))])
    ...         writer.publish([0], {}, 0.0)
    ...     Source(Path(folder) / "run").steps
    [0]
    """

    def __init__(self, path: Path) -> None:
        self.path, self.behind = path, Behind()
        self._lock = FileLock(path / ".lock")
        self._published: Manifest
        self._plans: dict[str, Plan] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self._data: dict[str, NDArray[Any]] = {}
        self._recent: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        self._folder = Folder(self.path)
        self._output = Output(self._folder)
        try:
            self._lock.acquire(timeout=0)
            if not self._folder.is_at(self.path):
                raise ValueError(f"{self.path} was moved just now; try again")
        except BaseException as error:
            self._let_go()
            if not isinstance(error, Timeout):
                raise
            remedy = "wait for it or choose another directory"
            raise BusyError(f"{self.path} is being written by another process; {remedy}") from None
        return self

    def __exit__(self, kind: Any, raised: BaseException | None, _: Any) -> None:
        if not self.behind.at_home:
            return  # a forked child: thread, lock and files are its parent's
        try:
            self.behind.end()
            if (error := self.behind.error()) is not None:
                if raised is None:
                    raise error
                raised.add_note(f"{self.path} could not be written either: {error}")
            if raised is None and self._plans and self._published.records:
                self._round_off()
        finally:
            if not self.behind.busy:  # struck in the middle of its end: the files are the thread's
                self._let_go()

    def _let_go(self) -> None:
        self._output.close()
        self._lock.release()

    # What is read of the run that is being written.

    @property
    def seconds(self) -> float:
        """Seconds spent on training up to the last publication."""
        return self._seconds

    @property
    def logged(self) -> int:
        """The last logged step; -1 without any."""
        return self._last_logged

    def ended(self, why: str) -> dict[int, int]:
        """Seeds that ended for a reason, with their last step."""
        return {int(s): end["step"] for s, end in self._ended.items() if end["why"] == why}

    def last(self) -> tuple[tuple[int, ...], dict[str, NDArray[Any]], int]:
        """Seeds of the last checkpoint, its parameters (seed, ...), and its step."""
        source, record = Source(self.path), self._published.last
        rows = [self._seeds.index(seed) for seed in record.seeds]
        at = len(source.steps) - 1
        values = {name: source.parameter(name).read(at, rows) for name in source.parameters}
        return tuple(record.seeds), values, record.step

    def data(self, name: str, seeds: Sequence[int]) -> NDArray[Any]:
        """Inputs (example, ...), or answers, train or test (seed, n) of some seeds."""
        values = self._data[name] if name in self._data else Source(self.path).data(name)
        return values if name == "inputs" else values[[self._seeds.index(s) for s in seeds]]

    def state(self) -> dict[str, Any]:
        """The state saved with the last checkpoint.

        Raises
        ------
        ValueError
            If the file is missing or not what was written.
        """
        return saved_state(self.path, self._published.last)

    # What is written.

    def create(
        self,
        config: TrainingConfig,
        seeds: Sequence[int],
        parameters: Mapping[str, Layout],
        data: Mapping[str, NDArray[Any]],
        attrs: Mapping[str, Any],
        metrics: Mapping[str, str] = METRICS,
    ) -> None:
        """Start an empty run; its configuration is on disk when this returns.

        Parameters
        ----------
        config : TrainingConfig
        seeds : sequence of int
        parameters : mapping of name to Layout
            Those that follow from the configuration.
        data : mapping of arrays
            ``inputs`` (example, ...) of all seeds, ``answers`` (seed, example), and the indices of
            inputs ``train`` and ``test`` (seed, n); train is left out where it is not known.
        attrs : mapping of plain values
            Where the run comes from.
        metrics : mapping of name to its meaning

        Raises
        ------
        FileExistsError
            If the directory holds anything that is not of a run without checkpoints.
        """
        if not never_published(self.path):
            raise FileExistsError(
                f"{self.path} exists and is not overwritten; choose another directory"
            )
        if dict(parameters) != expected(config)[0]:
            raise ValueError(f"parameters must be {expected(config)[0]}, got {dict(parameters)}")
        self._folder.remove_tree("arrays.zarr")
        clean(self._folder, [])
        header = Header(
            secrets.token_hex(32),
            config,
            tuple(int(seed) for seed in seeds),
            dict(metrics),
            dict(attrs) | versions(),
        )
        # The mark by which the folder is known as ours, before anything else is in it.
        replace_all([(self._folder, BEGUN, header.text())])
        self._begin(Manifest(header, header.plans))
        for plan in self._plans.values():
            self._output.describe_new(plan, 0)
        stored = {name: self._output.store(name, values) for name, values in data.items()}
        self._output.sync()
        header = Header.parse(replace(header, data=stored).text())
        self._published = Manifest(header, header.plans)
        self._data = {name: np.asarray(values) for name, values in data.items()}

    def reopen(self, config: TrainingConfig) -> None:
        """Go on with an existing run, from its last whole checkpoint.

        What a killed writer left unpublished is cut off, and so is a last checkpoint that is
        damaged, or whose state is, if the state of the one before it is there.

        Raises
        ------
        ValueError
            If it is of an older format, or a file is missing or altered.
        """
        if format_of(self.path) == FORMAT_2:
            raise ValueError(
                f"{self.path} was written by grokode 0.1: it can be read, but not resumed; train "
                "anew into another directory"
            )
        manifest = resumable(self.path)
        if not manifest.records:
            raise ValueError(f"{self.path} has no checkpoint to go on from; start afresh")
        self._begin(manifest)
        last, rows = manifest.last, len(manifest.logged)
        self._ended = {seed: dict(end) for seed, end in (last.ended or {}).items()}
        self._seconds, self._last_logged = last.seconds, max(manifest.logged, default=-1)
        self._steps, self._rows, self._step = len(manifest.steps), rows, manifest.steps[-1]
        for name, plan in self._plans.items():
            self._output.room[name] = self._steps if _is_weight(name) else 0
            if not _is_weight(name):
                self._tails.rows[name] = [*read_rows(self.path, manifest, name, rows // plan.rows)]
        self._recent = [(record.step, record.rows) for record in manifest.records[-2:]]
        before = [record for record in manifest.records if record.step != last.step]
        if before:
            self._recent.insert(0, (before[-1].step, before[-1].rows))
        self._take_up_fitted(config, manifest)
        header = replace(manifest.header, config=config, journal=(last.end, last.chain))
        if header.plans != self._plans:
            raise ValueError(f"config asks for other arrays than {self.path} has")
        if manifest.damage:
            replace_all([(self._folder, "run.json", header.text())])
        if not self._folder.is_at(self.path):
            raise ValueError(f"{self.path} was moved just now; try again")
        self._published.header = header
        clean(self._folder, self._recent)

    def checkpoint(
        self, step: int, seeds: Sequence[int], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """Add every parameter (seed, ...) of some seeds; the others are NaN from here on."""
        if step <= self._step:
            raise ValueError(f"step must be above {self._step}, got {step}")
        rows = [self._seeds.index(seed) for seed in seeds]
        digests = {}
        for name, plan in self._plans.items():
            if not _is_weight(name):
                continue
            values = np.asarray(arrays[name.removeprefix("weights/")])
            if values.shape != (len(rows), *plan.shape[2:]) or values.dtype != plan.dtype:
                raise ValueError(
                    f"{name} must be {plan.dtype} of shape {(len(rows), *plan.shape[2:])}, got "
                    f"{values.dtype} of shape {values.shape}"
                )
            self._output.make_room(plan, self._steps + 1)
            digests[name] = self._output.step(plan, self._steps, rows, values)
        self._steps, self._step = self._steps + 1, int(step)
        self._added.checkpoints.append((self._step, digests))

    def log(
        self,
        seeds: Sequence[int],
        rows: Sequence[tuple[int, NDArray[Any]]],
        grids: Sequence[NDArray[Any]] = (),
    ) -> None:
        """Add logged steps of some seeds.

        Parameters
        ----------
        seeds : sequence of int
        rows : sequence of (step, array (seed, metric))
            Metrics in the order of `METRICS`.
        grids : sequence of arrays (seed, p, p)
            One for each logged step, where the configuration asks for them.
        """
        chosen = [self._seeds.index(seed) for seed in seeds]
        for at, (step, values) in enumerate(rows):
            if step <= self._last_logged:
                raise ValueError(f"step must be above {self._last_logged}, got {step}")
            for column, name in enumerate(self._metrics):
                row = np.full(len(self._seeds), np.nan)
                row[chosen] = values[:, column]
                self._log_row(name, row)
            if "correct" in self._plans:
                grid = np.zeros(self._plans["correct"].shape[1:], dtype=np.uint8)
                grid[chosen] = np.reshape(grids[at], (len(chosen), *grid.shape[1:]))
                self._log_row("correct", grid)
            self._rows, self._last_logged = self._rows + 1, int(step)
            self._added.logged.append(self._last_logged)

    def end(self, seed: int, step: int, why: str) -> None:
        """Note that a seed is trained no further, fitted or diverged."""
        self._ended[str(int(seed))] = {"step": int(step), "why": why}
        self._added.ended = self._ended

    def publish(self, seeds: Sequence[int], state: Mapping[str, Any], seconds: float) -> None:
        """Make durable and then visible at once all that was added.

        Parameters
        ----------
        seeds : sequence of int
            Those that the state is of.
        state : mapping
            What to resume from at the checkpoint that was added last.
        seconds : float
            Spent on training so far.
        """
        if not self._added.checkpoints:
            raise ValueError("there is no new checkpoint to publish; publish_end has none")
        # In passing: a copy of it all would take as long as the disk.
        save = partial(torch.save, dict(state))
        handle, self._added.state = self._folder.write_by(f"state-{self._step}.pth", save)
        self._output.hold(handle)
        self._added.seeds = [int(seed) for seed in seeds]
        self._added.seconds = self._seconds = float(seconds)
        self._publish()

    def publish_end(self) -> None:
        """Make visible that seeds ended, with the state of the last checkpoint."""
        self._added.seconds = self._seconds
        self._publish()

    # How.

    def _begin(self, manifest: Manifest) -> None:
        self._published = manifest
        self._plans, self._seeds = manifest.plans, manifest.header.seeds
        self._metrics = [f"metrics/{name}" for name in manifest.header.metrics]
        self._steps = self._rows = 0
        self._step = self._last_logged = -1
        self._seconds = 0.0
        self._ended = {}
        self._data = {}
        logged = {name: plan for name, plan in self._plans.items() if not _is_weight(name)}
        self._tails = Tails(self._output, logged)
        self._recent = []
        self._added = _nothing()
        self._output.begin(self._plans, new=not manifest.records)

    def _publish(self) -> None:
        added, rows = self._added, self._rows
        tail = self._tails.content()
        if tail:
            added.tail = hashlib.sha256(tail).hexdigest()
            if not (self._recent and self._recent[-1][1] == rows):
                self._output.hold(self._folder.write(f"tail-{rows}.bin", tail))
        body, header = added.text(), self._published.header
        offset, before = header.journal
        chain = chained(before, body)
        line = chain.encode() + b" " + body + b"\n"
        self._output.hold(self._folder.append(JOURNAL, offset, line))
        self._output.sync()
        header = replace(header, journal=(offset + len(line), chain))
        replace_all([(self._folder, "run.json", header.text())])
        self._settle(added, header)
        if not self._folder.is_at(self.path):
            raise OSError("it was moved while it was written; it is whole where it is now")

    def _settle(self, added: Record, header: Header) -> None:
        """Take note of a publication, and remove the files that nobody needs any more."""
        last = self._published.records[-1:]
        added.settle(
            last[0] if last else None, self._step, self._steps, self._rows, *header.journal
        )
        self._published = Manifest(header, self._plans, records=[added])
        self._added = _nothing()
        recent = [*self._recent, (self._step, self._rows)]
        kept = {*sorted({step for step, _ in recent})[-2:]}
        old, self._recent = recent, [pair for pair in recent if pair[0] in kept]
        needed = named(self._recent)
        for name in {BEGUN, *named(old)} - needed:
            self._folder.remove(name)

    def _log_row(self, name: str, row: NDArray[Any]) -> None:
        digest = self._tails.add(name, row, self._rows)
        if digest:
            self._added.full.setdefault(name, []).append(digest)

    def _round_off(self) -> None:
        """For other readers of Zarr: every logged step in its array, and lengths that are true.

        Chunks that are not full are not named by any manifest; this reader takes their steps from
        the tail, so that they can be written over when the training goes on.
        """
        if self._added.checkpoints or self._added.logged:
            return
        self._tails.write_out(self._rows)
        steps = {name: self._steps if _is_weight(name) else self._rows for name in self._plans}
        self._output.describe(steps)
        self._output.sync()

    def _take_up_fitted(self, config: TrainingConfig, manifest: Manifest) -> None:
        """A seed fitted at the last checkpoint goes on if the new ``stop_loss`` is lower."""
        fitted = self.ended("fitted")
        if not fitted or not manifest.logged:  # of a loss that was never logged nothing is known
            return
        losses = read_rows(self.path, manifest, "metrics/train_loss")[-1]
        for seed, step in fitted.items():
            loss = losses[self._seeds.index(seed)]
            still = config.stop_loss is not None and loss < config.stop_loss
            if step == self._step and not still:
                del self._ended[str(seed)]
                self._added.ended = self._ended


def _nothing() -> Record:
    return Record([], [], {}, "", "", [], None, 0.0)


def _is_weight(name: str) -> bool:
    return name.startswith("weights/")
