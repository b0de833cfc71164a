"""Which Fourier modes of the logits a harmonic flow keeps: names, and the sets they stand for.

Logits f(x, y)[j] on Z_p^3 have modes F(a, b, c), those with c = 0 of no effect on softmax. Sets:

    an order h       a = i c, b = l c with |i|, |l| <= h
    moments          the (i, l) of a quadratic network without cross-frequency terms: s^2 e^{iwj},
                     |s|^2 e^{iwj} and s^2 e^{-iwj}, s = e^{iwx} + e^{iwy}
    rows             a = 0 or b = 0: all of the form g(x, j) + g(y, j)
    diagonals        a = b: g(x + y, j)
    antidiagonals    a = -b: g(x - y, j)
    slants           a = +-c or b = +-c: g(x +- j, y) and its mirror image
    symmetric        a + b + 2 c = 0: the average over shifts (x + s, y + s, j + 2 s)

The first two are *lines*, functions of i x + l y + j; the next three are *planes*, functions of
j and of the projection of (x, y) on a direction. Lines and planes are held by few directions, which
is what makes them cheap; slants and the symmetric part are cut out of the whole logits.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["DEFAULT", "SETS", "Kept", "parse_kept", "part_of"]

PLANES: dict[str, tuple[tuple[int, int], ...]] = {
    "rows": ((1, 0), (0, 1)),
    "diagonals": ((1, 1),),
    "antidiagonals": ((1, -1),),
}
MOMENTS = ((0, 0), (1, -1), (-1, 1), (2, 0), (0, 2), (1, 1), (-2, 0), (0, -2), (-1, -1))

SETS = (*PLANES, "slants", "symmetric", "moments")
"""Names of the sets that are not an order."""

DEFAULT = "rows+3"


@dataclass(frozen=True)
class Kept:
    """A union of sets of modes, with or without the margins.

    Parameters
    ----------
    sets : frozenset of str
        Some of `SETS`.
    order : int, optional
        Not negative; no harmonics of this kind if not given.
    margins : bool
        Beside the modes, the right answer's logit of every pair, less the mean logit, is exact.
    """

    sets: frozenset[str] = frozenset()
    order: int | None = None
    margins: bool = True

    @property
    def planes(self) -> tuple[tuple[int, int], ...]:
        """Directions (i, l) of the planes that are kept."""
        return tuple(d for name, ds in PLANES.items() if name in self.sets for d in ds)

    @property
    def reach(self) -> int:
        """Largest |i| or |l| of a line; -1 if there are no lines."""
        moments = 2 if "moments" in self.sets else -1
        return max(-1 if self.order is None else self.order, moments)

    @property
    def projected(self) -> bool:
        """Whether lines and planes are all there is."""
        return not self.sets & {"slants", "symmetric"}

    def lines(self, p: int) -> NDArray[np.bool_]:
        """Which lines hold a mode that no plane does, (c - 1, i + reach, l + reach).

        Every mode is counted once: where p divides c (i - i') two lines share one.
        """
        n = max(2 * self.reach + 1, 0)
        kept = np.zeros(((p - 1) // 2, n, n), dtype=bool)
        order = -1 if self.order is None else self.order
        moments = MOMENTS if "moments" in self.sets else ()
        for c in range(1, (p + 1) // 2):
            seen = set()
            for row, column in np.ndindex(n, n):
                i, l = row - self.reach, column - self.reach  # noqa: E741
                mode = (i * c % p, l * c % p)
                if mode in seen or not (max(abs(i), abs(l)) <= order or (i, l) in moments):
                    continue
                seen.add(mode)
                kept[c - 1, row, column] = not any(
                    (mode[0] * d[1] - mode[1] * d[0]) % p == 0 for d in self.planes
                )
        return kept

    def mask(self, p: int) -> NDArray[np.bool_]:
        """Which modes are kept, (a, b, c) with c = 0..K; those with c = 0 never are."""
        a, b, c = np.ogrid[:p, :p, : (p + 1) // 2]
        kept = np.zeros(np.broadcast_shapes(a.shape, b.shape, c.shape), dtype=bool)
        for i, l in self.planes:  # noqa: E741
            kept |= (a * l - b * i) % p == 0
        for k, i, l in np.argwhere(self.lines(p)) if self.reach >= 0 else ():  # noqa: E741
            kept[(i - self.reach) * (k + 1) % p, (l - self.reach) * (k + 1) % p, k + 1] = True
        if "slants" in self.sets:
            for one in (a, b):
                kept |= ((one - c) % p == 0) | ((one + c) % p == 0)
        if "symmetric" in self.sets:
            kept |= (a + b + 2 * c) % p == 0
        return kept & (c > 0)


def parse_kept(text: str) -> Kept:
    """What a name keeps: sets and an order joined by ``+``; ``-margins`` leaves margins out.

    Parameters
    ----------
    text : str
        As ``"3"``, ``"rows+3"`` or ``"symmetric-margins"``.

    Raises
    ------
    ValueError
        For a name that is neither a set nor an order, or two orders.

    Examples
    --------
    >>> parse_kept("rows+3-margins")
    Kept(sets=frozenset({'rows'}), order=3, margins=False)
    """
    names = text.removesuffix("-margins").split("+")
    orders = [int(name) for name in names if name.isascii() and name.isdigit()]
    unknown = [name for name in names if name not in SETS and not name.isdigit()]
    if unknown or len(orders) > 1:
        raise ValueError(
            f"what is kept must be one order and some of {', '.join(SETS)} joined by '+', as "
            f"'{DEFAULT}' or '{DEFAULT}-margins', got {text!r}"
        )
    return Kept(
        frozenset(names) & frozenset(SETS),
        orders[0] if orders else None,
        not text.endswith("-margins"),
    )


def part_of(logits: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.floating]:
    """The kept modes of logits.

    Parameters
    ----------
    logits : array (p, p, p) or (p p, p)
        Over x, y and j.
    mask : array (p, p, (p + 1) / 2) of bool
        From `Kept.mask`.

    Examples
    --------
    >>> logits = np.add.outer(np.add.outer([0.0, 1, 2], [0, 5, 1]), [0, 0, 0])
    >>> float(np.abs(part_of(logits, parse_kept("rows").mask(3))).max())  # nothing depends on j
    0.0
    """
    p = logits.shape[-1]
    spectrum = scipy.fft.rfftn(logits.reshape(p, p, p)) * mask
    part: NDArray[np.floating] = scipy.fft.irfftn(spectrum, s=(p, p, p))
    return part.reshape(logits.shape)
