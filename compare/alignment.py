"""Alignment scores of a checkpoint: one number for how far phases and magnitudes have come.

For frequency k and neuron j, with A = alpha e^{i phi}, B = beta e^{i psi} and misalignment D, let
S_k = (sum_j alpha_kj^2) (sum_j beta_kj^2) and w_kj = alpha_kj^2 beta_kj^2. The scores weigh an
alignment c_k in [-1, 1] of every frequency by its size S_k. How c_k is made from the neurons is
what they differ in.

Source: "Seeking an Effective Loss for Grokking in Modular Addition" (2026), section 5.3, defined as
its printed numbers have it; the definition in its text is ``ell_neuron_as_written`` here.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = ["RELIABLE_COHERENCE", "SCORES", "alignment_scores", "global_phases", "scores"]

Array = NDArray[np.floating]

RELIABLE_COHERENCE = 0.5
"""A resultant below half the phasors' length leaves more than half of them out of account."""

SCORES = {
    "ell_neuron": "sum_k S_k sum_j w cos D / sum_j w",
    "ell_neuron_norm": "ell_neuron / sum_k S_k",
    "ell_neuron_as_written": "sum_kj w cos D",
    "ell_abs_norm": "sum_k S_k |sum_j w cos D / sum_j w| / sum_k S_k",
    "ell_global": "sum_k S_k cos(2 arg sum_j A - arg sum_j B)",
    "ell_global_norm": "ell_global / sum_k S_k",
    "magnitude": "sum_k S_k",
    "coherence_in": "mean over k of |mean_j e^{i phi}|",
    "coherence_out": "mean over k of |mean_j e^{i psi}|",
    "coherence_joint": "mean over k of |mean_j e^{i D}|",
    "coherence_in_weighted": "mean over k of |sum_j A| / sum_j alpha",
    "coherence_out_weighted": "mean over k of |sum_j B| / sum_j beta",
    "coherence_joint_weighted": "mean over k of |sum_j w e^{i D}| / sum_j w",
    "coherence_aligned": "sum_k S_k |sum_j w e^{i D}| / sum_j w / sum_k S_k",
    "entropy_in": "entropy of sum_j alpha^2 over the frequencies (nats)",
    "entropy_out": "entropy of sum_j beta^2 over the frequencies (nats)",
    "top1_in": "largest share of a frequency in sum_kj alpha^2",
    "top1_out": "largest share of a frequency in sum_kj beta^2",
    "weight_norm": "norm of all weights",
}


def alignment_scores(
    theta: ArrayLike, xi: ArrayLike, coordinates: str = "decoded"
) -> dict[str, float]:
    """Every score in `SCORES` of one set of weights.

    Parameters
    ----------
    theta, xi : arrays (neuron, p)
    coordinates : {"decoded", "raw"}
        ``decoded``: waves from the weights' orthonormal Fourier coefficients, as they should be.
        ``raw``: the weight arrays themselves read as if they were such coefficients, which is how a
        checkpoint is misread when its basis is overlooked.

    Returns
    -------
    dict of float
        Magnitudes are those of orthonormal coefficients, sqrt(p/2) times alpha and beta. A score
        whose weights are all zero is NaN.

    Raises
    ------
    ValueError
        For unknown coordinates, or weights of another shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = alignment_scores(*rng.normal(size=(2, 16, 7)))
    >>> bool(abs(found["ell_neuron"]) <= found["magnitude"])
    True
    """
    theta, xi = (np.asarray(values, dtype=np.float64) for values in (theta, xi))
    A, B = (_waves(values, coordinates) for values in (theta, xi))
    alpha, beta = abs(A), abs(B)
    w = alpha**2 * beta**2
    with np.errstate(divide="ignore", invalid="ignore"):
        misalignment = np.angle(A**2 * B.conj())
        S = (alpha**2).sum(0) * (beta**2).sum(0)
        total = S.sum()
        joint = (w * np.exp(1j * misalignment)).sum(0) / w.sum(0)
        local = S * joint.real
        global_phase, coherence = global_phases(A, B)
        shared = S * np.cos(global_phase)
        shares = [(size**2).sum(0) / (size**2).sum() for size in (alpha, beta)]
        numbers = {
            "ell_neuron": local.sum(),
            "ell_neuron_norm": local.sum() / total,
            "ell_neuron_as_written": (w * np.cos(misalignment)).sum(),
            "ell_abs_norm": abs(local).sum() / total,
            "ell_global": shared.sum(),
            "ell_global_norm": shared.sum() / total,
            "magnitude": total,
            "coherence_in": abs((A / alpha).mean(0)).mean(),
            "coherence_out": abs((B / beta).mean(0)).mean(),
            "coherence_joint": abs(np.exp(1j * misalignment).mean(0)).mean(),
            "coherence_in_weighted": coherence[0].mean(),
            "coherence_out_weighted": coherence[1].mean(),
            "coherence_joint_weighted": abs(joint).mean(),
            "coherence_aligned": (S * abs(joint)).sum() / total,
            "entropy_in": _entropy(shares[0]),
            "entropy_out": _entropy(shares[1]),
            "top1_in": shares[0].max(),
            "top1_out": shares[1].max(),
        }
    norm = np.sqrt(np.sum(np.square(theta)) + np.sum(np.square(xi)))
    return {name: float(value) for name, value in numbers.items()} | {"weight_norm": float(norm)}


def global_phases(
    A: NDArray[np.complexfloating], B: NDArray[np.complexfloating]
) -> tuple[Array, Array]:
    """Misalignment of each frequency's global phases, with the coherence they rest on.

    A global phase is the phase of the sum over neurons. It can be aligned while no neuron is, and
    the other way round: where the coherence is below `RELIABLE_COHERENCE` it says little.

    Parameters
    ----------
    A, B : complex arrays (neuron, frequency)

    Returns
    -------
    misalignment : array (frequency), 2 arg sum A - arg sum B
    coherence : array (2, frequency), |sum A| / sum |A| and the same of B

    Examples
    --------
    >>> D, coherence = global_phases(np.array([[1], [1j]]), np.array([[1j], [1j]]))
    >>> float(abs(D[0]) < 1e-12), coherence.round(3).tolist()
    (1.0, [[0.707], [1.0]])
    """
    sums = A.sum(0), B.sum(0)
    coherence = np.stack([abs(sums[0]) / abs(A).sum(0), abs(sums[1]) / abs(B).sum(0)])
    return np.angle(sums[0] ** 2 * sums[1].conj()), coherence


def scores(run: Run, coordinates: str = "decoded") -> xr.Dataset:
    """Every score over the checkpoints of a run, one checkpoint in memory at a time.

    Parameters
    ----------
    run : Run
        Of one seed.
    coordinates : {"decoded", "raw"}
        See `alignment_scores`.

    Returns
    -------
    Dataset
        One variable (step) for each of `SCORES`; attribute ``coordinates``. A checkpoint with a
        weight that is not finite is NaN.
    """
    weights = run.weights
    rows = []
    for index in range(weights.sizes["step"]):
        at = weights.isel(step=index)
        theta, xi = at.theta.values, at.xi.values
        if np.isfinite(theta).all() and np.isfinite(xi).all():
            rows.append(alignment_scores(theta, xi, coordinates))
        else:
            rows.append(dict.fromkeys(SCORES, np.nan))
    return xr.Dataset(
        {
            name: ("step", [row[name] for row in rows], {"long_name": text})
            for name, text in SCORES.items()
        },
        coords={"step": weights.step.values},
        attrs={"coordinates": coordinates, "p": run.config.p},
    )


def _waves(weights: Array, coordinates: str) -> NDArray[np.complexfloating]:
    """Complex orthonormal coefficients, (neuron, K)."""
    p = fourier.check_modulus(weights.shape[-1])
    if coordinates == "decoded":
        return np.sqrt(p / 2) * fourier.to_waves(weights)[1]
    if coordinates != "raw":
        raise ValueError(f"coordinates must be 'decoded' or 'raw', got {coordinates!r}")
    return weights[..., 1::2] - 1j * weights[..., 2::2]


def _entropy(shares: Array) -> np.floating:
    positive = shares[shares > 0]
    return -(positive * np.log(positive)).sum()
