"""A training in a process of its own, so that whoever serves pages can go on serving."""

import multiprocessing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grokode.nets import TrainingConfig, train

__all__ = ["Trainer"]


class _StopAskedError(Exception):
    """Raised at a logged step once somebody has asked to stop."""


def _run(
    config: TrainingConfig, seeds: list[int], path: Path, resume: bool, stop: Any, told: Any
) -> None:
    """The process: train until the end, or until told to stop; send why it ended, or ``""``."""

    def on_step(step: int, loss: float, accuracy: float) -> None:
        if stop.is_set():
            raise _StopAskedError

    why = ""
    try:
        train(config, path, seeds=seeds, resume=resume, on_step=on_step)
    except _StopAskedError:
        why = "stopped"
    except KeyboardInterrupt:
        why = "interrupted"
    except (OSError, RuntimeError, ValueError) as error:
        why = str(error)
    told.send(why)


@dataclass(eq=False)
class Trainer:
    """One training at a time, written as a run by `grokode.nets.train`.

    Parameters
    ----------
    folder : Path
        Where runs are made.
    """

    folder: Path
    path: Path | None = None
    ended: str | None = None
    _config: TrainingConfig | None = None
    _seeds: list[int] = field(default_factory=list)
    _process: Any = None
    _stop: Any = None
    _told: Any = None

    @property
    def running(self) -> bool:
        """Whether a training is going on. Once it is not, ``ended`` says why, "" being its end."""
        if self._process is None:
            return False
        # Not waited for: whoever asks serves pages meanwhile.
        if self._process.is_alive():
            return True
        try:
            self.ended = self._told.recv()
        except EOFError:
            self.ended = "its process was killed"
        self._process.join()
        self._process = None
        return False

    @property
    def resumable(self) -> bool:
        """Whether there is a training that stopped before its end."""
        return not self.running and self.path is not None and bool(self.ended)

    def start(self, config: TrainingConfig, seeds: list[int], name: str) -> None:
        """Begin a training in a new folder.

        Parameters
        ----------
        config : TrainingConfig
        seeds : list of int
        name : str
            What the folder's name begins with.

        Raises
        ------
        ValueError
            While another one is going on.
        """
        self._refuse_while_running()
        number = 1
        while (path := self.folder / f"{name}-{number}").exists():
            number += 1
        self.path, self._config, self._seeds = path, config, seeds
        self._begin(resume=False)

    def resume(self) -> None:
        """Go on with the training that stopped.

        Raises
        ------
        ValueError
            If there is none.
        """
        self._refuse_while_running()
        if not self.resumable:
            raise ValueError("nothing has stopped that could be resumed; train first")
        self._begin(resume=True)

    def stop(self) -> None:
        """Ask the training to stop at its next logged step."""
        if self._stop is not None:
            self._stop.set()

    def close(self) -> None:
        """Stop and wait; a training that does not listen is ended, and keeps its checkpoints."""
        self.stop()
        if self._process is not None:
            self._process.join(5)
            self._process.kill()
            self._process.join()
            self._process = None

    def _refuse_while_running(self) -> None:
        if self.running:
            raise ValueError("a training is going on; stop it first")

    def _begin(self, resume: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._told, told = context.Pipe(duplex=False)
        self.ended = None
        self._process = context.Process(
            target=_run,
            args=(self._config, self._seeds, self.path, resume, self._stop, told),
            daemon=True,
        )
        self._process.start()
        told.close()
