"""Kernels on all threads that a forked child can call too.

GNU OpenMP, numba's usual threading layer on Linux, ends a process that was forked after its first
parallel loop, and a pool would wait for it for ever. A child of a process whose threads run is
given the same loop on one thread.
"""

import functools
import os
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

import numba as nb
from numba.np.ufunc.parallel import threading_layer

__all__ = ["parallel", "renamed"]

Function = TypeVar("Function", bound=Callable[..., Any])

_alone = False  # whether this process was forked from one whose threads run


def parallel(function: Function, *, cache: bool = True) -> Function:
    """Compile a loop over `numba.prange` for all threads, and for one thread in a forked child.

    Parameters
    ----------
    function : function
    cache : bool
        Whether numba keeps the compiled code on disk.

    Examples
    --------
    >>> import numpy as np
    >>> def fill(out):
    ...     for i in nb.prange(len(out)):
    ...         out[i] = 2 * i
    >>> out = np.zeros(3)
    >>> parallel(fill, cache=False)(out)
    >>> out.tolist()
    [0.0, 2.0, 4.0]
    """
    options: dict[str, Any] = {"cache": cache, "error_model": "numpy"}
    threads: Any = nb.njit(parallel=True, **options)(function)
    # numba's cache tells code apart by the names of functions alone.
    serial: Any = nb.njit(**options)(renamed(function, "alone"))

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return (serial if _alone else threads)(*arguments)

    return call  # type: ignore[return-value]


def renamed(function: Callable[..., Any], key: str, **bound: Any) -> Callable[..., Any]:
    """A copy of a function under a name that ends in key, with some globals bound."""
    name = f"{function.__name__}_{key}"
    scope = {**function.__globals__, **bound} if bound else function.__globals__
    copy = FunctionType(function.__code__, scope, name, function.__defaults__, function.__closure__)
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return copy


def _after_fork() -> None:
    global _alone
    try:
        threading_layer()
    except ValueError:
        return  # no thread has been started yet, so the child may start its own
    _alone = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
