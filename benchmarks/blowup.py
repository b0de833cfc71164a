"""Blow-up times of Gaussian tickets, beside SciPy's complex elliprf; and a contour of them.

The peer does one call a ticket and is given the roots of the cubic for nothing. The error is
against 30 digits of mpmath.
"""

from typing import Any

import mpmath
import numpy as np
from scipy.special import elliprf

from grokode.theory.exact import blowup_time
from grokode.theory.lottery import contour

from .record import best_of, row

P = 23


def rows(n: int = 1_000_000) -> list[dict[str, Any]]:
    """Nanoseconds a ticket, and seconds for a contour of as many tickets, on one core."""
    A, B = np.random.default_rng(0).normal(size=(2, n, 2)) @ np.array([1, 1j])
    seconds, T = best_of(lambda: blowup_time(A, B, P))
    wrong = max(abs(T[i] / _reference(A[i], B[i]) - 1) for i in range(min(n, 200)))
    # Typical arguments of R_F: one real and two conjugate ones.
    x, y = np.abs(A) ** 2, B + 2
    theirs, _ = best_of(lambda: elliprf(x + 0j, y, y.conj()))
    size = round(n**0.5)
    axes = np.geomspace(0.001, 0.1, size), np.linspace(0, 2 * np.pi, size)
    whole, _ = best_of(lambda: contour(P, *axes), repeats=3)
    return [
        row(
            "blow-up time",
            seconds / n * 1e9,
            "ns/ticket",
            error=float(wrong),
            peer="scipy.special.elliprf, one complex call",
            theirs=theirs / n * 1e9,
        ),
        row(f"lottery contour, {size} x {size}", whole, "s"),
    ]


def _reference(A: complex, B: complex) -> float:
    with mpmath.workdps(30):
        a, b = mpmath.mpmathify(A), mpmath.mpmathify(B)
        C1 = abs(a) ** 2 - 2 * abs(b) ** 2
        product = a**2 * mpmath.conj(b)
        v0 = abs(b) ** 2
        roots = mpmath.polyroots(
            [4, 4 * C1, C1**2, -(product.imag**2)], maxsteps=500, extraprec=200
        )
        straight = mpmath.elliprf(*(v0 - root for root in roots)).real
        if product.real < 0:
            v = max(root.real for root in roots if abs(root.imag) < mpmath.mpf(10) ** -20)
            least = min(range(3), key=lambda i: abs(roots[i] - v))
            rest = [v - root for i, root in enumerate(roots) if i != least]
            straight = 2 * mpmath.elliprf(0, *rest).real - straight
        return float(straight / (2 * P))
