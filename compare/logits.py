"""A network's logits against Proposition 1.

Softmax does not see a constant added to the logits of a pair, so both sides are centred over the
output before they are compared.

Source: arXiv:2602.16849, Proposition 1 and Figure 8.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode.nets import mlp
from grokode.theory import fourier, mechanism

__all__ = ["logits"]


def logits(theta: ArrayLike, xi: ArrayLike, activation: str = "quadratic") -> xr.Dataset:
    """Logits of a network over all pairs, beside those of Proposition 1 at the best scale.

    Parameters
    ----------
    theta : array (neuron, p)
        Input weights.
    xi : array (neuron, p)
        Output weights, ``xi[m, j]``.
    activation : str
        Proposition 1 is about ``quadratic``; any other activation is still compared to it.

    Returns
    -------
    Dataset
        ``network, theory (x, y, output)``, both centred over the output, and the numbers
        ``accuracy`` over all pairs, ``scale`` (least squares), ``r2`` (share of the centred
        logits' variance that the prediction explains) and ``expected_scale``, the scale that the
        weights themselves give under the proposition's assumptions (half the mean signal of a
        frequency; quadratic activation only, else NaN).

    Raises
    ------
    ValueError
        If shapes differ, p is even, a weight is not finite, or the logits are all equal.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fit = logits(rng.normal(size=(8, 5)), rng.normal(size=(8, 5)))
    >>> bool(0 <= fit.r2 < 1)
    True
    """
    spectrum = fourier.spectrum(theta, xi)
    p = spectrum.attrs["p"]
    raw = mlp.logits(theta, xi, activation).reshape(p, p, p)
    x = np.arange(p)
    accuracy = (raw.argmax(-1) == (x[:, None] + x) % p).mean()
    network = raw - raw.mean(-1, keepdims=True)
    pattern = mechanism.proposition_1(p)
    pattern -= pattern.mean(-1, keepdims=True)
    variance = (network**2).sum()
    if variance == 0:
        raise ValueError(
            "the network's logits are equal for every output, so no scale fits; "
            "give a network whose weights are not all zero"
        )
    scale = (network * pattern).sum() / (pattern**2).sum()
    expected = (
        mechanism.frequency_scales(spectrum).mean() / 2 if activation == "quadratic" else np.nan
    )
    dims = ("x", "y", "output")
    return xr.Dataset(
        {
            "network": (dims, network, {"long_name": "network's logits, centred"}),
            "theory": (dims, scale * pattern, {"long_name": "Proposition 1, centred"}),
            "accuracy": accuracy,
            "scale": scale,
            "expected_scale": float(expected),
            "r2": 1 - ((network - scale * pattern) ** 2).sum() / variance,
        },
        coords=dict.fromkeys(dims, x),
        attrs={"p": p, "activation": activation},
    )
