"""What trained tickets compute: Proposition 1, its margin and its softmax bound.

A diversified, aligned quadratic network has the closed-form logits

    f(x, y)[j] = s [ -1 + (p/2) 1(x+y = j) + (p/4) (1(2x = j) + 1(2y = j)) ]   (mod p),

with s = a N / 2, where N neurons hold each frequency and a = alpha^2 beta of each of them (the
published text has alpha beta^2, a misprint: there are two input factors and one output factor).

Source: arXiv:2602.16849, Proposition 1.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.theory._checks import check_number
from grokode.theory.fourier import check_modulus, check_variables

__all__ = ["frequency_scales", "proposition_1", "proposition_1_margin", "softmax_bound"]


def proposition_1(p: int, scale: float = 1.0) -> NDArray[Any]:
    """Logits of Proposition 1 for every pair.

    Parameters
    ----------
    p : int
        Odd modulus.
    scale : float
        s = a N / 2, the depth of the background.

    Returns
    -------
    array (x, y, output)

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3, or the scale not a finite number.

    Examples
    --------
    The published worked example, x = 3 and y = 7 at p = 23:

    >>> f = proposition_1(23)[3, 7]
    >>> float(f[10]), float(f[6]), float(f[14]), float(f[0])
    (10.5, 4.75, 4.75, -1.0)
    """
    p, scale = check_modulus(p), check_number("scale", scale)
    residue = np.arange(p)
    x, y, j = residue[:, None, None], residue[None, :, None], residue
    answer = (x + y) % p == j
    doubled = ((2 * x) % p == j).astype(float) + ((2 * y) % p == j)
    return scale * (-1 + p / 2 * answer + p / 4 * doubled)


def proposition_1_margin(p: int, scale: float) -> float:
    """Right answer minus best wrong answer for x != y: scale * p / 4, that is a N p / 8.

    For x = y both spurious peaks fall on the right answer and the margin is scale * p.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3. A scale of NaN (no such kernel) gives NaN.

    Examples
    --------
    >>> proposition_1_margin(23, 1.0) == 10.5 - 4.75
    True
    """
    return scale * check_modulus(p) / 4


def softmax_bound(p: int, scale: float) -> float:
    """Lower bound 1 - (p-1) e^{-margin} on the softmax mass of the right answer, all pairs.

    Raises
    ------
    TypeError, ValueError
        As `proposition_1_margin`.

    Examples
    --------
    >>> round(softmax_bound(23, 3.0), 6)
    0.999999
    """
    return float(1 - (p - 1) * np.exp(-proposition_1_margin(p, scale)))


def frequency_scales(spectrum: xr.Dataset) -> xr.DataArray:
    """Signal of each frequency, c_k = sum over neurons of alpha^2 beta cos D, (..., frequency).

    Under the assumptions of Proposition 1 every c_k equals a N, so their mean is twice its scale.

    Examples
    --------
    >>> from grokode.theory.fourier import spectrum
    >>> x = np.arange(5)
    >>> wave = np.cos(2 * np.pi * 2 * x / 5)[None]
    >>> round(frequency_scales(spectrum(2 * wave, 3 * wave)).sel(frequency=2).item(), 12)
    12.0
    """
    check_variables(spectrum, "theta_hat", "xi_hat")
    signal = (spectrum.theta_hat**2 * spectrum.xi_hat.conj()).real
    return signal.sum("neuron").rename("c").assign_attrs(long_name="signal of a frequency")
