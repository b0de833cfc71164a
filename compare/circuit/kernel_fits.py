"""Clock or pizza: how the logits of the key frequencies depend on x - y.

A "clock" network multiplies the waves of x and y: its logits are c_k cos(w_k (x + y - j)) whatever
x - y is. A "pizza" network adds them before a ReLU: its logits are
c_k |cos(w_k (x - y)/2)| cos(w_k (x + y - j)), the kernel that the two-layer theory has for ReLU.
Frequencies are orthogonal over j, so their scales are fitted one by one.

Source: Zhong et al., arXiv:2306.17844, section 3 (both logits) and section 4 (the two measures).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from grokode.compare.common.kernels import kernels

__all__ = ["circularity", "distance_irrelevance", "fit_kernels"]

Array = NDArray[np.float64]


def fit_kernels(logits: Array, keys: Sequence[int]) -> dict[str, tuple[float, Array]]:
    """Share of the logits' variance that each form explains, and its scales c_k.

    Parameters
    ----------
    logits : array (x, y, output)
        A constant over the output does not count.
    keys : sequence of int
        The frequencies of the forms.

    Returns
    -------
    dict
        ``clock`` and ``pizza``: R^2 and the scales (key,) in logits.

    Examples
    --------
    >>> t = np.add.outer(np.arange(7), np.arange(7))[..., None] - np.arange(7)
    >>> r2, scales = fit_kernels(3 * np.cos(2 * np.pi * 2 / 7 * t), [2])["clock"]
    >>> round(r2, 9), scales.round(9).tolist()
    (1.0, [3.0])
    """
    p = len(logits)
    centred = logits - logits.mean(-1, keepdims=True)
    total = np.square(centred).sum()
    residue = np.arange(p)
    sums, apart = np.add.outer(residue, residue) % p, np.subtract.outer(residue, residue) % p
    by_form = {"clock": np.ones((p // 2, p)), "pizza": kernels(p, "relu")}
    fits = {}
    for form, kernel in by_form.items():
        scales, explained = [], 0.0
        for k in keys:
            over_pairs = kernel[k - 1][apart]
            turn = np.exp(2j * np.pi * k / p * residue)
            wave = np.tensordot(over_pairs * turn[sums], centred, 2)
            projection = (wave * turn.conj()).sum().real
            size = p / 2 * np.square(over_pairs).sum()
            scales.append(projection / size)
            explained += projection**2 / size
        fits[form] = (float(explained / total) if total else np.nan, np.array(scales))
    return fits


def distance_irrelevance(logits: Array) -> float:
    """How little the right answer's logit depends on x - y: 0 not on x + y, 1 not on x - y.

    The standard deviation over x + y at each x - y, averaged, over that of all pairs. Zhong et al.
    find 0.17 for pizzas and 0.85 for clocks.

    Parameters
    ----------
    logits : array (x, y, output)

    Raises
    ------
    ValueError
        If the right answers' logits are all equal.

    Examples
    --------
    >>> t = np.add.outer(np.arange(5), np.arange(5))
    >>> right = np.eye(5)[t % 5] * (t % 5)[..., None]
    >>> distance_irrelevance(right)
    1.0
    """
    p = len(logits)
    x, y = np.indices((p, p))
    right = np.empty((p, p))
    right[(x + y) % p, (x - y) % p] = logits[x, y, (x + y) % p]
    if right.max() == right.min():
        raise ValueError("logits of the right answers are all equal; nothing varies with x - y")
    return float(right.std(0).mean() / right.std())


def circularity(embedding: Array) -> float:
    """How nearly the first four principal components of an embedding are single waves, in [0, 1].

    Parameters
    ----------
    embedding : array (x, width)

    Raises
    ------
    ValueError
        If it has fewer than four components.

    Notes
    -----
    Zhong et al., appendix B: of each component the largest share of its power at one frequency,
    averaged; they call 0.995 and more circular.

    Examples
    --------
    >>> angles = 2 * np.pi / 7 * np.outer(np.arange(7), [1, 1, 2, 2]) + [0, 1.57, 0, 1.57]
    >>> circularity(np.cos(angles)) > 0.995
    True
    """
    p, width = embedding.shape
    if min(p - 1, width) < 4:
        raise ValueError(f"embedding must have four components, got shape {embedding.shape}")
    centred = embedding - embedding.mean(0)
    left, _, _ = np.linalg.svd(centred, full_matrices=False)
    power = np.square(np.abs(np.fft.rfft(left[:, :4], axis=0)[1:])) * 2 / p
    return float(power.max(0).mean())
