"""Lotteries too many for memory: winners of random neurons, streamed to disk in chunks.

The waves of Gaussian weights are themselves independent complex Gaussians, so tickets are drawn
directly, decided by their closed-form blow-up times, and forgotten; what stays of a neuron is its
winner. A million neurons at p = 997, 5e8 tickets, take 12 MB on disk and hardly any memory.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.executors import run_tasks
from grokode.theory._checks import check_integer, check_number
from grokode.theory._winner_store import WinnerStore
from grokode.theory.exact import blowup_time
from grokode.theory.fourier import check_modulus

__all__ = ["stream_winners"]

Array = NDArray[Any]

# Neurons drawn from one generator. Part of the meaning of a seed: not to be changed.
_BLOCK = 256


def stream_winners(
    p: int,
    neurons: int,
    scale: float,
    seed: int,
    out: str | Path,
    *,
    chunk: int = 2048,
    resume: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    generator: Literal["pcg64", "philox"] = "pcg64",
    device: Literal["cpu", "cuda"] = "cpu",
) -> xr.Dataset:
    """Winner and blow-up time of every neuron of a Gaussian network, into a Zarr store.

    A killed stream, resumed, gives the same numbers as an uninterrupted one; they do not depend on
    `chunk` or on who decides them either.

    Parameters
    ----------
    p : int
        Odd modulus.
    neurons : int
    scale : float
        Weights of both layers are scale * N(0, 1) / sqrt(p).
    seed : int
    out : path
        Directory of the store: a journal with the checksum of every chunk, and the arrays in
        ``winners.zarr``.
    chunk : int
        Neurons between writes, a multiple of 256: what a kill costs at most. Memory hardly depends
        on it, since tickets are drawn and decided 256 neurons at a time.
    resume : bool
        Go on with a store that a stream of the same p, neurons, scale and seed has left in `out`.
        Nothing that exists is ever overwritten otherwise.
    workers : int
        Processes that decide chunks, if more than one; this one writes them.
    scheduler : str, optional
        Address of a dask scheduler, whose workers decide the chunks instead.
    generator : {"pcg64", "philox"}
        Where tickets are drawn from: numpy's generator, block by block, or a counter, which gives
        any ticket at once. Part of what a stream is.
    device : {"cpu", "cuda"}
        Where tickets are drawn and decided; "cuda" has philox alone, and wants chunks of 2**18
        neurons to be busy. Times agree to rounding.

    Returns
    -------
    Dataset
        ``winner (neuron)``, the frequency of the ticket that blows up first, and its
        ``blowup_time (neuron)`` in gradient-flow time of the summed loss; read from the store when
        they are used.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the store to resume is of another stream or damaged.
    FileExistsError
        If there is something at `out` and `resume` is false.
    BlockingIOError
        If another process is writing the store.
    RuntimeError
        If a chunk cannot be decided by any worker; those before it are kept. If there is no CUDA
        device where one is asked for.
    OSError
        If the scheduler does not answer, or the store cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     won = stream_winners(23, 1000, 0.1, seed=0, out=f"{folder}/winners.zarr").load()
    >>> won.winner.shape, int(won.winner.min()), int(won.winner.max())
    ((1000,), 1, 11)
    """
    p = check_modulus(p)
    neurons, seed = check_integer("neurons", neurons, 1), check_integer("seed", seed, 0)
    chunk, scale = check_integer("chunk", chunk, 1), check_number("scale", scale, above=0)
    workers = check_integer("workers", workers, 1)
    if chunk % _BLOCK:
        raise ValueError(f"chunk must be a multiple of {_BLOCK}, got {chunk}")
    path = Path(out)
    stream: dict[str, Any] = {"p": p, "neurons": neurons, "scale": scale, "seed": seed}
    decide = _decider(generator, device, seed)
    if generator != "pcg64":  # streams of old say nothing of theirs
        stream["generator"] = generator
    store = _open(path, stream, chunk, resume)
    if store.done < store.chunks:
        with store.writing():
            store.check()
            # The store's own chunks, should it be resumed with others.
            starts = range(store.done * store.chunk, neurons, store.chunk)
            chunks = [(p, s, min(s + store.chunk, neurons), scale, seed) for s in starts]
            if workers == 1 and scheduler is None:
                decided: Iterator[tuple[Array, Array]] = (decide(*of_chunk) for of_chunk in chunks)
            else:
                decided = _in_order(decide, chunks, workers, scheduler)
            for winners, times in decided:
                store.append(winners, times)
    else:
        store.check()
    return store.open()


def _open(path: Path, stream: dict[str, Any], chunk: int, resume: bool) -> WinnerStore:
    """A new store, or the one to resume."""
    if not os.path.lexists(path):
        return WinnerStore.create(path, stream, chunk)
    if not resume:
        raise FileExistsError(f"{path} exists; pass resume=True to go on with it")
    store = WinnerStore(path)
    if store.stream != stream:
        raise ValueError(f"{path} is the stream of {store.stream}, not of {stream}; change one")
    return store


def _in_order(
    decide: Callable[..., tuple[Array, Array]],
    chunks: list[tuple[Any, ...]],
    workers: int,
    scheduler: str | None,
) -> Iterator[tuple[Array, Array]]:
    """Chunks decided by others, in their order: few wait for one before them."""
    waiting: dict[int, tuple[Array, Array]] = {}
    following = 0
    for ended in run_tasks(partial(_alone, decide), chunks, workers=workers, scheduler=scheduler):
        if ended.error is not None:
            _, start, stop, *_ = chunks[ended.task]
            raise RuntimeError(
                f"neurons {start} to {stop} are not decided ({ended.error}); resume=True goes on "
                "with them"
            ) from ended.error
        waiting[ended.task] = ended.result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _alone(decide: Callable[..., tuple[Array, Array]], *chunk: Any) -> tuple[Array, Array]:
    """Decide a chunk on one thread of a process beside others."""
    nb.set_num_threads(1)
    return decide(*chunk)


def _decider(generator: str, device: str, seed: int) -> Any:
    """The function that draws and decides; ValueError if there is none, or no such device."""
    if (generator, device) not in (("pcg64", "cpu"), ("philox", "cpu"), ("philox", "cuda")):
        raise ValueError(
            f"generator and device must be pcg64 on cpu, or philox on cpu or cuda, got {generator} "
            f"on {device}; choose one of these"
        )
    if generator == "pcg64":
        return _decide
    if seed >= 2**63:
        raise ValueError(f"seed must be below 2**63 with philox, got {seed}")
    if device == "cuda":
        from grokode.theory import cuda_solvers

        cuda_solvers.check_available()
    return partial(_decide_counted, device)


def _decide_counted(
    device: str, p: int, start: int, stop: int, scale: float, seed: int
) -> tuple[Array, Array]:
    """As `_decide`, drawn from the counter."""
    spread = 2**0.5 * scale / p
    if device == "cuda":
        from grokode.theory import cuda_lottery

        return cuda_lottery.decide_neurons(p, start, stop - start, spread, seed)
    from grokode.theory._philox import decide_loop

    winners, times = np.empty(stop - start, dtype=np.int32), np.empty(stop - start)
    decide_loop(start, p, seed, spread, winners, times)
    return winners, times


def _decide(p: int, start: int, stop: int, scale: float, seed: int) -> tuple[Array, Array]:
    """Winner and its blow-up time for the neurons from start, a multiple of the block, to stop."""
    winners, times = np.empty(stop - start, dtype=np.int32), np.empty(stop - start)
    for first in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - first)
        theta_hat, xi_hat = _draw(p, scale, seed, first // _BLOCK, count)
        T = blowup_time(theta_hat, xi_hat, p)
        part = slice(first - start, first - start + count)
        best = T.argmin(axis=1)
        winners[part] = best + 1
        times[part] = T[np.arange(count), best]
    return winners, times


def _draw(p: int, scale: float, seed: int, block: int, count: int) -> tuple[Array, Array]:
    """Waves of the first `count` neurons of a block.

    A wave (2/p) sum_x w[x] e^(-i w_k x) of weights with variance scale^2/p has real and imaginary
    parts of variance 2 scale^2/p^2.
    """
    rng = np.random.default_rng((seed, block))
    waves = rng.standard_normal((count, 2, p - 1))
    waves *= 2**0.5 * scale / p
    pairs = waves.view(np.complex128)
    return pairs[:, 0], pairs[:, 1]
