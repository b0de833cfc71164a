"""Threads that share calls, for what lets go of Python's lock: torch, compiled loops, the disk.

Not a pool of Python's: Ctrl-C in the middle of a pool's own work may leave a lock of its taken, and
then it waits for ever, now or when Python ends. These threads share nothing with the caller but
queues that are safe from that, and nobody waits for them when Python ends.
"""

from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Workers"]

Result = TypeVar("Result")
Ended = SimpleQueue[BaseException | None]
Waiting = SimpleQueue[tuple[Callable[[], None], Ended] | None]


class Workers:
    """The calling thread and some more.

    A call must not run others by the same workers, and a forked child has none of the threads: both
    would wait for ever.

    Parameters
    ----------
    others : int
        How many more.
    prepare : function, optional
        Called once by each of the others, before its first call.
    """

    def __init__(self, others: int = 0, prepare: Callable[[], Any] | None = None) -> None:
        self._others, self._waiting = others, Waiting()
        for _ in range(others):
            # The module threading waits until its threads have begun, and takes locks for that.
            start_new_thread(_serve, (self._waiting, prepare))

    @classmethod
    @contextmanager
    def of(cls, count: int, prepare: Callable[[], Any] | None = None) -> Iterator["Workers"]:
        """So many threads in all, until the context ends.

        Examples
        --------
        >>> with Workers.of(2) as workers:
        ...     workers.run([lambda: 1, lambda: 2, lambda: 3])
        [1, 2, 3]
        """
        workers = cls(count - 1, prepare)
        try:
            yield workers
        finally:
            for _ in range(count - 1):
                workers._waiting.put(None)

    def run(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """What each call returns, in their order; whoever is free makes the next call.

        Where one raises, or Ctrl-C does, those under way end, no other is made, and it is raised.
        """
        results: dict[int, Result] = {}
        rest = iter(list(enumerate(calls)))

        def work() -> None:
            try:
                for index, call in rest:
                    results[index] = call()
            finally:
                # After an error, nothing is left for anybody.
                for _ in rest:
                    pass

        ended, others = Ended(), min(self._others, len(calls) - 1)
        for _ in range(others):
            self._waiting.put((work, ended))
        try:
            work()
        finally:
            errors = [ended.get() for _ in range(others)]
        for error in errors:
            if error is not None:
                raise error
        return [results[index] for index in range(len(calls))]


def _serve(waiting: Waiting, prepare: Callable[[], Any] | None) -> None:
    """Do what is waiting, until it is nothing."""
    while (job := waiting.get()) is not None:
        work, ended = job
        error: BaseException | None = None
        try:
            if prepare is not None:
                prepare()
                prepare = None
            work()
        except BaseException as raised:
            error = raised
        ended.put(error)
        del job, work, error  # nothing of the caller's is held while waiting
