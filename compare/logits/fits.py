"""A network's logits against Proposition 1, the ReLU kernel and its own waves.

Softmax does not see a constant added to the logits of a pair, so both sides are centred over the
output before they are compared.

With d = x - y, Proposition 1 is one case of sum_k c_k kernel_k(d) cos(w_k (x + y - j)): the kernel
cos^2(w_k d/2) of a quadratic network, and every c_k the same. Frequencies are orthogonal over j,
so scales of their own are fitted one by one.

Source: arXiv:2602.16849, Proposition 1 and Figure 8; for the ReLU kernel its section on ReLU.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.kernels import (
    all_logits,
    centred_logits,
    kernels,
    only_winners,
    same_frequency_moments,
)
from grokode.nets import tasks
from grokode.nets.networks.activations import check_activation
from grokode.theory import fourier, mechanism
from grokode.theory._labels import check_weights

__all__ = ["FITS", "KERNELS", "PEAKS", "QUANTILES", "logits"]

Array = NDArray[Any]

# The activation behind each kernel.
KERNELS = {"proposition_1": "quadratic", "relu_kernel": "relu"}
FITS = (
    "proposition_1",
    "proposition_1_per_frequency",
    "relu_kernel",
    "relu_kernel_per_frequency",
    "single_frequency",
    "single_frequency_unscaled",
)
# Where the logits of a pair may have a peak; the last two are for pairs x = y.
PEAKS = ("x+y", "2x", "2y", "background", "x+y where x=y", "background where x=y")
_LOGIT = {"units": "logits"}
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def logits(theta: ArrayLike, xi: ArrayLike, activation: str = "quadratic") -> xr.Dataset:
    """Logits of a network over all pairs, beside those that theory gives it.

    Parameters
    ----------
    theta : array (neuron, p)
        Input weights.
    xi : array (neuron, p)
        Output weights, ``xi[m, j]``.
    activation : str
        Proposition 1 is about ``quadratic`` and the ReLU kernel about ``relu``; a network of any
        activation is compared to both.

    Returns
    -------
    Dataset
        ``network, theory (x, y, output)``, centred over the output; theory is Proposition 1 at its
        best scale. Numbers of that fit: ``accuracy`` over all pairs, ``scale`` (least squares),
        ``r2`` (share of the centred logits' variance that the prediction explains) and
        ``expected_scale``, the scale that the weights themselves give under the proposition's
        assumptions (half the mean signal of a frequency; quadratic activation only, else NaN).

        All fits: ``fit_r2 (fit)``. ``single_frequency`` is the network with each neuron cut down to
        the wave of its winner, phases and activation as they are, times one fitted scale
        ``single_frequency_scale``; ``single_frequency_unscaled`` is without. Of both kernels,
        ``frequency_scale (kernel, frequency)`` are the fitted c_k, ``uniform_scale (kernel)`` the
        one fitted to all, and ``weights_scale (kernel, frequency)`` the c_k computed from the
        weights, for the network's own kernel.

        Peaks and margins, with ``source`` the network, the two kernels at their uniform scale, and
        ``weights``: the network's own kernel with the mean c_k of the weights, nothing fitted.
        ``peak_height, peak_spread (source, peak)`` are mean and standard deviation over the logits
        at each place of `PEAKS`. ``margin (source, x, y)`` is the right answer minus the best other
        one, ``margin_quantile (source, quantile)`` and ``margin_min, margin_mean (source)`` are
        taken over all pairs. ``proposition_margin`` is a N p / 8 at the fitted scale and
        ``softmax_bound`` what it leaves to the right answer at least (0 if that says nothing);
        ``expected_margin`` and ``expected_softmax_bound`` are these at ``expected_scale``;
        ``probability_min`` and ``probability_mean`` are the network's softmax on the right answer,
        over all pairs.

        Where nothing can be compared, all are NaN and attribute ``reason`` says why; else it is
        empty.

    Raises
    ------
    ValueError
        If shapes differ, or p is even.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fit = logits(rng.normal(size=(8, 5)), rng.normal(size=(8, 5)))
    >>> bool(0 <= fit.r2 < 1)
    True
    """
    theta, xi = map(np.asarray, check_weights(theta, xi))
    activation = check_activation(activation)
    network, reason = centred_logits(theta, xi, activation)
    p = theta.shape[-1]
    K = (p - 1) // 2
    uniform, single = np.full(2, np.nan), np.nan
    fitted = weights = np.full((2, K), np.nan)
    explained = np.full(len(FITS), np.nan)
    if not reason:
        # In units of the largest logit no square of a tiny or huge one leaves the range of floats.
        unit = np.abs(network).max()
        uniform, fitted, by_kernels = _kernel_fits(network / unit)
        uniform, fitted = unit * uniform, unit * fitted
        single, by_waves = _single_frequency_fit(theta, xi, activation, network, unit)
        explained = np.concatenate([by_kernels, by_waves])
        weights = _weights_scales(fourier.spectrum(theta, xi), activation)
    sources = {"network": network} | _predicted(p, uniform, weights.mean(-1), activation)
    dims = ("x", "y", "output")
    return xr.Dataset(
        {
            "network": (dims, network, {"long_name": "network's logits, centred"} | _LOGIT),
            "theory": (
                dims,
                sources["proposition_1"],
                {"long_name": "Proposition 1, centred"} | _LOGIT,
            ),
            "r2": explained[0],
            "fit_r2": ("fit", explained, {"long_name": "share of the logits' variance explained"}),
            "single_frequency_scale": single,
        }
        | _scales(uniform, fitted, weights)
        | _peak_variables(sources)
        | _margin_variables(sources, uniform[0] / 2, weights[0].mean() / 2),
        coords=dict.fromkeys(dims, np.arange(p))
        | {
            "fit": list(FITS),
            "kernel": list(KERNELS),
            "frequency": np.arange(1, K + 1),
            "source": list(sources),
            "peak": list(PEAKS),
            "quantile": list(QUANTILES),
        },
        attrs={"p": p, "activation": activation, "reason": reason},
    )


def _scales(uniform: Array, fitted: Array, weights: Array) -> dict[str, Any]:
    """Scales of both kernels, fitted and of the weights, and those of Proposition 1."""
    each = ("kernel", "frequency")
    return {
        "scale": uniform[0] / 2,
        "expected_scale": weights[0].mean() / 2,
        "uniform_scale": ("kernel", uniform, {"long_name": "fitted c"} | _LOGIT),
        "frequency_scale": (each, fitted, {"long_name": "fitted c_k"} | _LOGIT),
        "weights_scale": (each, weights, {"long_name": "c_k computed from the weights"} | _LOGIT),
    }


def _peak_variables(sources: dict[str, Array]) -> dict[str, Any]:
    heights, spreads = _peaks(sources)
    each = ("source", "peak")
    return {
        "peak_height": (each, heights, {"long_name": "mean logit"} | _LOGIT),
        "peak_spread": (each, spreads, {"long_name": "standard deviation of the logits"} | _LOGIT),
    }


def _margin_variables(
    sources: dict[str, Array], scale: float, expected_scale: float
) -> dict[str, Any]:
    """Margins of every source, what Proposition 1 gives them, and the network's softmax."""
    network = sources["network"]
    p = len(network)
    margins = np.stack([_margins(values) for values in sources.values()])
    quantiles = np.quantile(margins, QUANTILES, axis=(1, 2)).T
    probability = _probability(network)
    per_scale = mechanism.proposition_1_margin(p, 1.0)
    return {
        "accuracy": np.nan if np.isnan(network).any() else (margins[0] > 0).mean(),
        "margin": (
            ("source", "x", "y"),
            margins,
            {"long_name": "right answer minus best other"} | _LOGIT,
        ),
        "margin_min": ("source", margins.min((1, 2)), _LOGIT),
        "margin_mean": ("source", margins.mean((1, 2)), _LOGIT),
        "margin_quantile": (("source", "quantile"), quantiles, _LOGIT),
        "proposition_margin": scale * per_scale,
        "softmax_bound": _bound(p, scale),
        "expected_margin": expected_scale * per_scale,
        "expected_softmax_bound": _bound(p, expected_scale),
        "probability_min": probability.min(),
        "probability_mean": probability.mean(),
    }


def _predicted(p: int, uniform: Array, own: Array, activation: str) -> dict[str, Array]:
    """Logits by both kernels at their fitted scale, and by the network's own at its weights'."""
    proposition = _centred_proposition(p)
    of_each = np.ones((p - 1) // 2)
    if activation == "relu":
        weights = _pattern("relu", own[1] * of_each)
    else:
        weights = own[0] / 2 * proposition
    return {
        "proposition_1": uniform[0] / 2 * proposition,
        "relu_kernel": _pattern("relu", uniform[1] * of_each),
        "weights": weights,
    }


def _kernel_fits(network: Array) -> tuple[Array, Array, Array]:
    """Least-squares c (kernel), c_k (kernel, frequency), and R^2 of each fit in the order of FITS.

    The product of the logits with kernel_k(d) cos(w_k (x + y - j)), summed over j, is the real part
    of their transform turned back by x + y.
    """
    p = len(network)
    x, k = np.arange(p), np.arange(1, (p + 1) // 2)
    _, waves = fourier.to_waves(network)
    turn = np.exp(2j * np.pi / p * k * ((x[:, None] + x) % p)[..., None])
    aligned = p / 2 * (waves * turn).real
    # Sums over pairs, by d = x - y.
    by_difference = np.zeros((p, len(k)))
    np.add.at(by_difference, (x[:, None] - x) % p, aligned)
    tables = np.stack([kernels(p, kernel) for kernel in KERNELS.values()])
    products = (tables * by_difference.T).sum(-1)
    norms = p / 2 * p * (tables**2).sum(-1)
    uniform = products.sum(-1) / norms.sum(-1)
    explained = np.stack([products.sum(-1) * uniform, (products**2 / norms).sum(-1)], -1)
    return uniform, products / norms, explained.ravel() / (network**2).sum()


def _single_frequency_fit(
    theta: Array, xi: Array, activation: str, network: Array, unit: float
) -> tuple[float, Array]:
    """Scale of the network whose neurons keep their winner's wave alone, R^2 with and without."""
    alone = all_logits(*only_winners(fourier.spectrum(theta, xi)), activation)
    alone = (alone - alone.mean(-1, keepdims=True)) / unit
    network = network / unit
    product, norm, variance = (network * alone).sum(), (alone**2).sum(), (network**2).sum()
    unscaled = (2 * product - norm) / variance
    # Winners without an input wave leave rounding, and nothing to scale.
    if norm <= 1e-24 * variance:
        return np.nan, np.array([0.0, unscaled])
    return product / norm, np.array([product**2 / norm / variance, unscaled])


def _weights_scales(spectrum: xr.Dataset, activation: str) -> Array:
    """The c_k of the weights, (kernel, frequency): NaN but for the network's own kernel."""
    scales = np.full((len(KERNELS), spectrum.sizes["frequency"]), np.nan)
    for row, kernel in enumerate(KERNELS.values()):
        if kernel == activation:
            scales[row] = same_frequency_moments(spectrum, activation)[2].real
    return scales


def _bound(p: int, scale: float) -> float:
    """What a scale leaves to the right answer at least; 0 where that says nothing, NaN for NaN."""
    return np.nan if np.isnan(scale) else max(0.0, mechanism.softmax_bound(p, max(scale, 0.0)))


def _centred_proposition(p: int) -> Array:
    pattern = mechanism.proposition_1(p)
    return pattern - pattern.mean(-1, keepdims=True)


def _pattern(kernel: str, scales: Array) -> Array:
    """sum_k c_k kernel_k(d) cos(w_k (x + y - j)), (x, y, output)."""
    p = 2 * len(scales) + 1
    residue = np.arange(p)
    # Over d and e = x + y - j first: p^2 values, each used p times.
    waves = np.cos(2 * np.pi / p * np.outer(np.arange(1, len(scales) + 1), residue))
    by_difference = (scales * kernels(p, kernel).T) @ waves
    x, y, j = residue[:, None, None], residue[None, :, None], residue
    return by_difference[(x - y) % p, (x + y - j) % p]


def _peaks(sources: dict[str, Array]) -> tuple[Array, Array]:
    """Mean and standard deviation of the logits at the places of `PEAKS`, (source, peak)."""
    p = len(sources["network"])
    residue = np.arange(p)
    x, y, j = residue[:, None, None], residue[None, :, None], residue
    answer, of_x, of_y = (x + y) % p == j, (2 * x) % p == j, (2 * y) % p == j
    same = x == y
    masks = (
        answer & ~same,
        of_x & ~same,
        of_y & ~same,
        ~(answer | of_x | of_y | same),
        answer & same,
        ~answer & same,
    )
    moments = np.full((2, len(sources), len(masks)), np.nan)
    for column, mask in enumerate(np.broadcast_arrays(*masks)):
        # At p = 3 the three peaks leave no background.
        if mask.any():
            for row, values in enumerate(sources.values()):
                moments[:, row, column] = values[mask].mean(), values[mask].std()
    return moments[0], moments[1]


def _margins(values: Array) -> Array:
    """Logit of the right answer minus the best other, (x, y)."""
    answers = tasks.table("addition", len(values))[..., None]
    right = np.take_along_axis(values, answers, -1)[..., 0]
    others = np.where(np.arange(len(values)) == answers, -np.inf, values)
    return right - others.max(-1)


def _probability(network: Array) -> Array:
    """Softmax of the right answer, (x, y)."""
    exponentials = np.exp(network - network.max(-1, keepdims=True))
    answers = tasks.table("addition", len(network))[..., None]
    right = np.take_along_axis(exponentials, answers, -1)[..., 0]
    return right / exponentials.sum(-1)
