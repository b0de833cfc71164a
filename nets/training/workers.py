"""Threads that share the seeds of a step; torch and the compiled loops let go of Python's lock."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["Workers"]

Result = TypeVar("Result")


class Workers:
    """The calling thread and some more.

    Parameters
    ----------
    pool : ThreadPoolExecutor, optional
    others : int
        How many threads the pool has.
    """

    def __init__(self, pool: ThreadPoolExecutor | None = None, others: int = 0) -> None:
        self._pool, self._others = pool, others

    @classmethod
    @contextmanager
    def of(cls, count: int) -> Iterator["Workers"]:
        """So many threads in all, until the context ends.

        Examples
        --------
        >>> with Workers.of(2) as workers:
        ...     workers.run([lambda: 1, lambda: 2, lambda: 3])
        [1, 2, 3]
        """
        if count == 1:
            yield cls()
            return
        # None of them has threads of torch's own.
        with ThreadPoolExecutor(count - 1, "seeds", torch.set_num_threads, (1,)) as pool:
            yield cls(pool, count - 1)

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

        others = min(self._others, len(calls) - 1)
        shared = [self._pool.submit(work) for _ in range(others)] if self._pool else []
        try:
            work()
        finally:
            wait(shared)
        for other in shared:
            other.result()
        return [results[index] for index in range(len(calls))]
