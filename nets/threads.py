"""How many threads torch has for work of a size."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread_below"]

_SMALL = 10**6


@contextmanager
def one_thread_below(work: int) -> Iterator[None]:
    """A context in which torch has one thread if there is little to do.

    Products of a small network are over before a second thread has woken up: two gain at most a
    third at p = 23 and 512 neurons on an idle machine, and lose tenfold when another program has
    the second core, because they wait for each other at every product.

    Parameters
    ----------
    work : int
        Numbers in the largest array of a step.

    Examples
    --------
    >>> with one_thread_below(1000):
    ...     torch.get_num_threads()
    1
    """
    threads = torch.get_num_threads()
    if work < _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
