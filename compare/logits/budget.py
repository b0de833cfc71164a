"""The logit budget: an exact split of a network's logits into what answers and what disturbs.

With d = x - y and S = x + y, what one wave of a quadratic neuron gives with itself is

    alpha^2 beta cos^2(w d/2) [cos(w (S-j) + D) + 2 cos(w j + psi) + cos(w (S+j) + 2 phi + psi)],

so a network's logits, centred over j, are the sum of

    signal            cos D of the first term: sum_k Re(mu-) cos^2(w d/2) cos(w (S - j))
    misalignment      sin D of the first term: -sum_k Im(mu-) cos^2(w d/2) sin(w (S - j))
    two_phase         the second term, through mu0 (its phase psi is 2 phi when aligned)
    four_phase        the third term, through mu+ (its phase 2 phi + psi is 4 phi when aligned)
    cross_frequency   products of three waves that are not all of one frequency
    dc                products with the mean of theta; the mean of xi is gone with the centring

with the moments mu0 = sum_m |A|^2 B, mu+ = sum_m A^2 B and mu- = sum_m A^2 conj(B). Phases spread
evenly cancel mu0 and mu+; random ones leave the two noises 5/N of the signal's variance for N
neurons to a frequency.

Under ReLU, max(z, 0) = z/2 + |z|/2. The wave of a neuron's winner has the harmonics

    |cos u| = 2/pi + (4/pi) [ cos(2u)/3 - cos(4u)/15 + ... ],    2u = w S + 2 phi,

times |cos(w d/2)|; the constant and cos(2u), at the winner's own output wave, are the same four
parts. Then come ``harmonics`` (all else that the winner's input wave alone gives through |z|/2:
higher harmonics, and other output waves), ``linear`` (z/2, mean and all waves) and ``remainder``
(what the mean and the other input waves change in |z|/2).

Source: arXiv:2602.16849, Proposition 1 and its proof, here without its assumptions.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.checkpoints import over_checkpoints
from grokode.compare.common.kernels import (
    all_logits,
    centred_logits,
    kernels,
    only_winners,
    same_frequency_moments,
)
from grokode.nets.networks.activations import check_activation
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory._labels import check_weights

__all__ = ["PARTS", "budget_over_steps", "common_share", "logit_budget"]

Array = NDArray[Any]

_SAME_FREQUENCY = ("signal", "misalignment", "two_phase", "four_phase")
PARTS: dict[str, tuple[str, ...]] = {
    "quadratic": (*_SAME_FREQUENCY, "cross_frequency", "dc"),
    "relu": (*_SAME_FREQUENCY, "harmonics", "linear", "remainder"),
}


def logit_budget(theta: ArrayLike, xi: ArrayLike, activation: str = "quadratic") -> xr.Dataset:
    """Parts of a network's logits, and the share of the variance that each and each two hold.

    Parameters
    ----------
    theta : array (neuron, p)
        Input weights.
    xi : array (neuron, p)
        Output weights, ``xi[m, j]``.
    activation : str
        ``quadratic`` or ``relu``; no split is known for another.

    Returns
    -------
    Dataset
        ``parts (part, x, y, output)``, which sum to the logits centred over the output;
        ``covariance (part, other)``, their mean products as shares of the logits' variance, which
        sum to 1; ``share (part)``, its diagonal; ``variance``, the mean square of the centred
        logits; ``closure``, the largest error of the sum of parts over the largest logit. Where
        there is no split, all are NaN and attribute ``reason`` says why; else it is empty.

    Raises
    ------
    ValueError
        If shapes differ, or p is even.

    Examples
    --------
    One neuron of one frequency: the terms' weights 1, 2, 1 make their shares 1/6, 4/6, 1/6.

    >>> x = np.arange(7)
    >>> phi = 0.4
    >>> theta = np.cos(2 * np.pi * x / 7 + phi)[None]
    >>> xi = np.cos(2 * np.pi * x / 7 + 2 * phi)[None]
    >>> budget = logit_budget(theta, xi)
    >>> (6 * budget.share.sel(part=["signal", "two_phase", "four_phase"])).round(9).values.tolist()
    [1.0, 4.0, 1.0]
    """
    theta, xi = map(np.asarray, check_weights(theta, xi))
    activation = check_activation(activation)
    network, reason = centred_logits(theta, xi, activation)
    if activation not in PARTS:
        reason = f"the budget is known for {' and '.join(PARTS)} networks, this one is {activation}"
    names = PARTS.get(activation, PARTS["quadratic"])
    if reason:
        parts = np.full((len(names), *network.shape), np.nan)
    elif activation == "quadratic":
        parts = _quadratic_parts(theta, xi)
    else:
        parts = _relu_parts(theta, xi)
    largest = np.abs(network).max()
    # In units of the largest logit no square of a tiny or huge one leaves the range of floats.
    flat = (parts / largest).reshape(len(names), -1)
    scaled = network.ravel() / largest
    covariance = flat @ flat.T / (scaled @ scaled)
    dims = ("x", "y", "output")
    residues = np.arange(network.shape[-1])
    return xr.Dataset(
        {
            "parts": (("part", *dims), parts, {"long_name": "part of the centred logits"}),
            "covariance": (
                ("part", "other"),
                covariance,
                {"long_name": "mean product of two parts", "units": "share of the variance"},
            ),
            "share": (
                "part",
                covariance.diagonal().copy(),
                {"long_name": "part's own variance", "units": "share of the variance"},
            ),
            "variance": largest * (largest * (scaled @ scaled) / scaled.size),
            "closure": np.abs(flat.sum(0) - scaled).max(),
        },
        coords={"part": list(names), "other": list(names)} | dict.fromkeys(dims, residues),
        attrs={"p": len(residues), "activation": activation, "reason": reason},
    )


def budget_over_steps(run: Run) -> xr.Dataset:
    """Budget of every checkpoint of a run, read one at a time.

    Parameters
    ----------
    run : Run
        Of one seed, with one input layer.

    Returns
    -------
    Dataset
        ``covariance (step, part, other)``, ``share (step, part)``, ``variance (step)`` and
        ``closure (step)`` as in `logit_budget`, and ``reason (step)``: why a step has none, or
        empty.

    Raises
    ------
    ValueError
        If the run holds several seeds, or its x and y have input weights of their own.
    """
    rows, steps = [], []
    for now in over_checkpoints(run):
        budget = logit_budget(now.theta, now.xi, run.config.activation)
        numbers = budget.drop_vars(["parts", "x", "y", "output"])
        rows.append(numbers.assign(reason=budget.attrs["reason"]))
        steps.append(now.step)
    result = xr.concat(rows, dim=xr.Variable("step", steps), combine_attrs="drop")
    return result.assign_attrs(p=run.config.p, activation=run.config.activation)


def common_share(budget: xr.Dataset) -> xr.DataArray:
    """What the parts have in common: twice the sum of their covariances, NaN without a budget.

    Parameters
    ----------
    budget : Dataset
        From `logit_budget` or `budget_over_steps`.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * np.arange(7) / 7)[None]
    >>> budget = logit_budget(wave, wave)
    >>> bool(abs(budget.share.sum() + common_share(budget) - 1) < 1e-12)
    True
    """
    whole = budget.covariance.sum(["part", "other"], skipna=False)
    return whole - budget.share.sum("part", skipna=False)


def _same_frequency_parts(spectrum: xr.Dataset, activation: str) -> Array:
    """The four parts of waves of one frequency, (4, x, y, output), by a transform over j."""
    p = spectrum.attrs["p"]
    x, k = np.arange(p), np.arange(1, (p + 1) // 2)
    kernel = kernels(p, activation).T[(x[:, None] - x) % p]
    turn = np.exp(2j * np.pi / p * k * ((x[:, None] + x) % p)[..., None])
    mu0, mu_plus, mu_minus = same_frequency_moments(spectrum, activation)
    parts = np.zeros((len(_SAME_FREQUENCY), p, p, p))
    # Re(z e^{iwj}) at each frequency; the answer's terms turn with e^{-iwj}.
    for part, waves in zip(
        parts,
        (mu_minus.real * turn.conj(), -1j * mu_minus.imag * turn.conj(), mu0, mu_plus * turn),
        strict=True,
    ):
        part[:] = fourier.from_waves(np.zeros((p, p)), kernel * waves)
    return parts


def _quadratic_parts(theta: Array, xi: Array) -> Array:
    """All parts of a quadratic network, in the order of `PARTS`."""
    same = _same_frequency_parts(fourier.spectrum(theta, xi), "quadratic")
    mean = theta.mean(-1, keepdims=True)
    waves, out = theta - mean, xi - xi.mean(-1, keepdims=True)
    # (2 mean + z)^2 - z^2, z the sum of the waves at x and y.
    of_one = (4 * mean * waves).T @ out
    dc = (4 * mean**2).T @ out + of_one[:, None] + of_one
    cross = all_logits(waves, out, "quadratic") - same.sum(0)
    return np.concatenate([same, [cross, dc]])


def _relu_parts(theta: Array, xi: Array) -> Array:
    """All parts of a ReLU network, in the order of `PARTS`."""
    spectrum = fourier.spectrum(theta, xi)
    same = _same_frequency_parts(spectrum, "relu")
    out = xi - xi.mean(-1, keepdims=True)
    alone = all_logits(only_winners(spectrum)[0], out / 2, "abs")
    whole = all_logits(theta, out / 2, "abs")
    of_one = theta.T @ out / 2
    linear = of_one[:, None] + of_one
    return np.concatenate([same, [alone - same.sum(0), linear, whole - alone]])
