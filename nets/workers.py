"""Threads that share calls, for what lets go of Python's lock: torch, compiled loops, the disk.

Not a pool of Python's: Ctrl-C in the middle of a pool's own work may leave a lock of its taken, and
then it waits for ever, now or when Python ends. These threads share nothing with the caller but
queues that are safe from that, and nobody waits for them when Python ends.
"""

import os
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Behind", "Workers"]

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


class Behind:
    """Another thread that makes one call at a time, while the caller goes on.

    Of use once: after its end there is no thread any more.

    Examples
    --------
    >>> made, behind = [], Behind()
    >>> for number in (1, 2):
    ...     behind.do(lambda number=number: made.append(number))
    >>> behind.wait()
    >>> behind.end()
    >>> made
    [1, 2]
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[_Call | None] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._last: _Call | None = None
        self._process = os.getpid()

    @property
    def at_home(self) -> bool:
        """Whether this is the process that has the thread, and no child forked from it."""
        return self._process == os.getpid()

    @property
    def busy(self) -> bool:
        """Whether a call is still being made."""
        return self.at_home and self._last is not None and not self._last.over

    def do(self, function: Callable[[], object]) -> None:
        """Have a call made, the one before it being over; raises what that raised."""
        self.wait()
        if not self.at_home:
            raise RuntimeError("a forked child has no thread of its parent's; train in one of them")
        call = _Call(function)
        if self._last is None:
            start_new_thread(_make, (self._waiting, self._ended))
        self._last = call
        self._waiting.put(self._last)

    def wait(self) -> None:
        """Wait until the last call is over; raises what it raised."""
        self._settle()
        if (error := self.error()) is not None:
            raise error

    def error(self) -> BaseException | None:
        """What the last call raised, told once."""
        if self._last is None:
            return None
        error, self._last.error = self._last.error, None
        return error

    def end(self) -> None:
        """Wait for the last call and let go of the thread; what strikes meanwhile is put off."""
        struck: BaseException | None = None
        while True:
            try:
                self._settle()
                self._waiting.put(None)
                break
            except BaseException as raised:  # Ctrl-C, or whatever a handler of signals raises
                struck = raised
        if struck is not None:
            raise struck

    def _settle(self) -> None:
        if self.busy:
            self._waiting.put(self._last)  # once more, should Ctrl-C have struck before it was put
        while self.busy:
            self._ended.get()


class _Call:
    """A call and what became of it."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.over = False
        self.error: BaseException | None = None


def _make(waiting: "SimpleQueue[_Call | None]", ended: "SimpleQueue[None]") -> None:
    """Make the calls that are waiting, each once, until there is none."""
    while (call := waiting.get()) is not None:
        if not call.over:
            try:
                call.function()
            except BaseException as raised:
                call.error = raised
            del call.function  # nothing of the caller's is held
            call.over = True
            ended.put(None)


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
