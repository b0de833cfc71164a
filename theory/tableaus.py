"""Explicit Runge-Kutta methods as tables of constants that check themselves.

Sources: Ch. Tsitouras, Computers & Mathematics with Applications 62 (2011) 770, for Tsit5; Hairer,
Norsett and Wanner, Solving Ordinary Differential Equations I, II.5 and II.6, for DOP853 (its
constants are taken from SciPy) and the classical RK4.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import scipy
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

Array = NDArray[Any]

__all__ = ["METHODS", "Tableau", "get_method"]


@dataclass(frozen=True, eq=False)
class Tableau:
    """One explicit method: its steps, its error estimate and its dense output.

    Stage s is ``k_s = f(t + c_s h, y + h sum_j a_sj k_j)``. The last of the main stages is the
    derivative at the end of the step, so its row of `a` holds the weights of the step itself and
    it serves as the first stage of the next.

    Parameters
    ----------
    name : str
    order : int
        Global order of the step.
    c : array (s + extra,)
        Nodes.
    a : array (s + extra, s + extra)
        Strictly lower triangular. Rows from s on are stages that only dense output needs.
    stages : int
        s, the main stages.
    errors : array (m, s)
        Weights of the error estimates; none for a method of fixed step. With two rows (fifth and
        third order), they are blended as in DOP853.
    dense : array (s + extra, degree)
        ``y(t + x h) = y + h sum_s k_s sum_j dense[s, j] x^(j+1)``.

    Raises
    ------
    ValueError
        If a constant violates consistency, a quadrature or an end condition: a mistyped constant.

    Examples
    --------
    >>> get_method("tsit5").order
    5
    """

    name: str
    order: int
    c: Array
    a: Array
    stages: int
    errors: Array
    dense: Array

    def __post_init__(self) -> None:
        s, total = self.stages, len(self.c)
        b = self.a[s - 1, :s]
        powers = np.arange(self.order)
        conditions = {
            "a must be strictly lower triangular": np.triu(self.a),
            "rows of a must sum to c": self.a.sum(axis=1) - self.c,
            "b must integrate polynomials below its order": [
                b @ self.c[:s] ** k - 1 / (k + 1) for k in powers
            ],
            # One condition beyond quadrature for each of the orders 3 to 5: b A c^k.
            "b must satisfy the order conditions of a c^k": [
                b @ self.a[:s, :s] @ self.c[:s] ** k - 1 / ((k + 1) * (k + 2))
                for k in range(1, min(self.order, 6) - 1)
            ],
            "error estimates must vanish for constants": self.errors.sum(axis=1),
            "dense output must end on the step": self.dense.sum(axis=1)
            - np.concatenate([b, np.zeros(total - s)]),
            "dense output must be exact for constants": self.dense.sum(axis=0)
            - np.eye(self.dense.shape[1])[0],
        }
        for meaning, residual in conditions.items():
            worst = np.abs(residual).max(initial=0.0)
            # Published constants carry 16 digits; DOP853's dense ones reach 1e3.
            if not worst < 1e-10:
                raise ValueError(f"tableau {self.name}: {meaning}, off by {worst:.2g}")

    @property
    def adaptive(self) -> bool:
        """Whether the method estimates its own error."""
        return len(self.errors) > 0


def get_method(name: str) -> Tableau:
    """The method of that name.

    Raises
    ------
    ValueError
        If there is none, listing those there are.

    Examples
    --------
    >>> get_method("dopri853").order
    8
    """
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]()


def _lower(rows: list[list[float]]) -> Array:
    a = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        a[i, : len(row)] = row
    return a


def _polynomials(columns: list[Polynomial]) -> Array:
    """Coefficients of x, x^2, ... of polynomials without constant term, one row each."""
    degree = max(column.degree() for column in columns)
    rows = np.zeros((len(columns), degree))
    for row, column in zip(rows, columns, strict=True):
        row[: column.degree()] = column.coef[1:]
    return rows


def _rk4() -> Tableau:
    x = Polynomial([0.0, 1.0])
    b = [1 / 6, 1 / 3, 1 / 3, 1 / 6]
    # Cubic Hermite between the ends of the step: as accurate, at order 4, as the step.
    dense = [weight * x**2 * (3 - 2 * x) for weight in [*b, 0.0]]
    dense[0] += x * (x - 1) ** 2
    dense[4] += x**2 * (x - 1)
    return Tableau(
        name="rk4",
        order=4,
        c=np.array([0, 0.5, 0.5, 1, 1]),
        a=_lower([[], [0.5], [0, 0.5], [0, 0, 1], b]),
        stages=5,
        errors=np.zeros((0, 5)),
        dense=_polynomials(dense),
    )


def _tsit5() -> Tableau:
    x = Polynomial([0.0, 1.0])
    a = _lower(
        [
            [],
            [0.161],
            [-0.008480655492356989, 0.335480655492357],
            [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
            [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
            [
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.028269050394068383,
            ],
            [
                0.09646076681806523,
                0.01,
                0.4798896504144996,
                1.379008574103742,
                -3.290069515436081,
                2.324710524099774,
            ],
        ]
    )
    error = [
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        1 / 66,
    ]
    dense = [
        -1.0530884977290216
        * x
        * (x - 1.3299890189751412)
        * (x**2 - 1.4364028541716351 * x + 0.7139816917074209),
        0.1017 * x**2 * (x**2 - 2.1966568338249754 * x + 1.2949852507374631),
        2.490627285651252793 * x**2 * (x**2 - 2.38535645472061657 * x + 1.57803468208092486),
        -16.54810288924490272 * (x - 1.21712927295533244) * (x - 0.61620406037800089) * x**2,
        47.37952196281928122 * (x - 1.203071208372362603) * (x - 0.658047292653547382) * x**2,
        -34.87065786149660974 * (x - 1.2) * (x - 2 / 3) * x**2,
        2.5 * (x - 1) * (x - 0.6) * x**2,
    ]
    return Tableau(
        name="tsit5",
        order=5,
        c=np.array([0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1]),
        a=a,
        stages=7,
        errors=np.array([error]),
        dense=_polynomials(dense),
    )


def _dopri853() -> Tableau:
    x = Polynomial([0.0, 1.0])
    main, total = 13, 16
    published = scipy.integrate.DOP853
    a = np.zeros((total, total))
    a[:12, :12] = published.A
    a[12, :12] = published.B
    a[main:] = published.A_EXTRA
    # SciPy nests its dense output as x (F0 + (1-x) (F1 + x (F2 + (1-x) (F3 + ...)))).
    first, last = np.eye(total)[[0, 12]]
    increment = a[12]
    nested = [increment, first - increment, 2 * increment - first - last, *published.D]
    dense = [Polynomial([0.0])] * total
    for i, weights in enumerate(reversed(nested)):
        dense = [
            (so_far + weight) * (x if i % 2 == 0 else 1 - x)
            for so_far, weight in zip(dense, weights, strict=True)
        ]
    return Tableau(
        name="dopri853",
        order=8,
        c=np.concatenate([published.C, [1.0], published.C_EXTRA]),
        a=a,
        stages=main,
        errors=np.array([published.E5, published.E3]),
        dense=_polynomials(dense),
    )


METHODS = {"tsit5": cache(_tsit5), "dopri853": cache(_dopri853), "rk4": cache(_rk4)}
"""Makers of methods: ``tsit5`` and ``dopri853`` adapt their steps, ``rk4`` has a fixed one."""
