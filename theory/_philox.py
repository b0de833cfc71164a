"""Tickets drawn from a counter: any ticket of a lottery at once, on any device, the same.

Philox4x32-10 turns a counter of four 32-bit words and a key of two into four words; neuron and
frequency are the counter, the seed is the key. So nothing is kept between draws, and a device
thread draws and decides a neuron without memory.

Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC11 (2011).
"""

import math
from typing import Any

from numba import njit, prange
from numpy.typing import NDArray

from grokode.theory._elliptic import _blowup, _blowup_straight
from grokode.theory._parallel import parallel

__all__ = ["decide", "decide_loop", "philox", "ticket"]

Array = NDArray[Any]

_LOW = 0xFFFFFFFF
_FACTORS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85

# What calls functions of another file is not cached: numba would not notice a change there.
_scalar: Any = njit(error_model="numpy")
_cached: Any = njit(cache=True, error_model="numpy")


@_cached
def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """Four random words of 32 bits from a counter and a key of such words, as 64-bit integers."""
    for _ in range(10):
        # A product's upper half survives the wrap to a negative number, since its sign is cut off.
        one, two = _FACTORS[0] * c0, _FACTORS[1] * c2
        c0, c1, c2, c3 = (
            ((two >> 32) & _LOW) ^ c1 ^ k0,
            two & _LOW,
            ((one >> 32) & _LOW) ^ c3 ^ k1,
            one & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


@_cached
def _wave(neuron: int, frequency: int, layer: int, seed: int) -> tuple[float, float]:
    """Two independent N(0, 1), by Box and Muller."""
    high, low, third, fourth = philox(
        neuron & _LOW, (neuron >> 32) & _LOW, frequency, layer, seed & _LOW, (seed >> 32) & _LOW
    )
    # 53 bits, and half a step away from 0 and 1.
    u = (((high << 21) | (low >> 11)) + 0.5) * 2.0**-53
    v = (((third << 21) | (fourth >> 11)) + 0.5) * 2.0**-53
    size = math.sqrt(-2.0 * math.log(u))
    return size * math.cos(2.0 * math.pi * v), size * math.sin(2.0 * math.pi * v)


@_cached
def ticket(
    neuron: int, frequency: int, seed: int, spread: float
) -> tuple[float, float, float, float]:
    """Real and imaginary parts of both waves of a ticket, each N(0, spread^2)."""
    ar, ai = _wave(neuron, frequency, 0, seed)
    br, bi = _wave(neuron, frequency, 1, seed)
    return spread * ar, spread * ai, spread * br, spread * bi


@_scalar
def decide(neuron: int, p: int, seed: int, spread: float) -> tuple[int, float]:
    """The frequency that blows up first in a neuron, and when."""
    winner, least = 1, math.inf
    for frequency in range(1, (p - 1) // 2 + 1):
        ar, ai, br, bi = ticket(neuron, frequency, seed, spread)
        time = _blowup_straight(ar, ai, br, bi, float(p))
        if math.isnan(time):
            time = _blowup(complex(ar, ai), complex(br, bi), float(p))
        if time < least:
            winner, least = frequency, time
    return winner, least


def _decide_loop(
    first: int, p: int, seed: int, spread: float, winners: Array, times: Array
) -> None:
    for row in prange(len(winners)):
        winners[row], times[row] = decide(first + row, p, seed, spread)


decide_loop = parallel(_decide_loop, cache=False)
