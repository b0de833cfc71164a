"""Alignment scores of a checkpoint: one number for how far phases and magnitudes have come.

For frequency k and neuron j, with A = alpha e^{i phi}, B = beta e^{i psi} and misalignment D, let
S_k = (sum_j alpha_kj^2) (sum_j beta_kj^2) and w_kj = alpha_kj^2 beta_kj^2. The scores weigh an
alignment c_k in [-1, 1] of every frequency by its size S_k. How c_k is made from the neurons is
what they differ in.

``ell_neuron_norm_as_printed`` is the score as the case study computed it, with 1e-12 added to both
divisors, S_k made of means over neurons in place of sums: to 1e-6 its printed numbers, which on
networks that start small are not the score's own (0.902158 where that is 0.901796).

Source: "Seeking an Effective Loss for Grokking in Modular Addition" (2026), section 5.3, defined as
its printed numbers have it; the definition in its text is ``ell_neuron_as_written`` here.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.compare.common.checkpoints import over_checkpoints
from grokode.compare.common.observe import one_network
from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = ["RELIABLE_COHERENCE", "SCORES", "alignment_scores", "global_phases", "scores"]

Array = NDArray[np.floating]

RELIABLE_COHERENCE = 0.5
"""Coherence is the weighted mean of cos(phase of a neuron - global phase): below one half, neurons
lie some 60 degrees and more from the phase that is to stand for them."""

_PRINTED_EPSILON = 1e-12

CONVENTION = (
    "orthonormal Fourier coefficients (cos: a, sin: b) of every weight vector; the phase of a wave "
    "is arg(a - i b), and D = 2 phi - psi"
)

SCORES = {
    "ell_neuron": "sum_k S_k sum_j w cos D / sum_j w",
    "ell_neuron_norm": "ell_neuron / sum_k S_k",
    "ell_neuron_norm_as_printed": "ell_neuron_norm with both divisors + 1e-12, S_k / neurons^2",
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
        Magnitudes are those of orthonormal coefficients, sqrt(p/2) times alpha and beta. A wave
        of no magnitude has no phase and is left out of the means; a frequency where no neuron has
        both waves adds nothing; a score of which nothing is left is NaN.

    Raises
    ------
    ValueError
        For unknown coordinates, or weights of another shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> of_weights = alignment_scores(*rng.normal(size=(2, 16, 7)))
    >>> bool(abs(of_weights["ell_neuron"]) <= of_weights["magnitude"])
    True
    """
    theta, xi = (np.asarray(values, dtype=np.float64) for values in (theta, xi))
    if theta.ndim != 2 or theta.shape != xi.shape:
        raise ValueError(
            f"theta and xi must have one shape (neuron, p), got {theta.shape} and {xi.shape}; "
            "select one seed and one step, and transpose xi if it is (p, neuron)"
        )
    A, B = (_waves(values, coordinates) for values in (theta, xi))
    alpha, beta = abs(A), abs(B)
    w = alpha**2 * beta**2
    # Phasors of length 1, or 0 where there is no phase.
    unit_in, unit_out = _ratio(A, alpha, empty=0), _ratio(B, beta, empty=0)
    turn = unit_in**2 * unit_out.conj()
    S = (alpha**2).sum(0) * (beta**2).sum(0)
    total = S.sum()
    joint = _ratio((w * turn).sum(0), w.sum(0))
    local = S * np.nan_to_num(joint.real)
    global_phase, coherence = global_phases(A, B)
    shared = S * np.cos(global_phase)
    shares = [_ratio((size**2).sum(0), (size**2).sum()) for size in (alpha, beta)]
    numbers = {
        "ell_neuron": local.sum(),
        "ell_neuron_norm": _ratio(local.sum(), total),
        "ell_neuron_norm_as_printed": _as_printed(w, turn.real, S / len(w) ** 2),
        "ell_neuron_as_written": (w * turn.real).sum(),
        "ell_abs_norm": _ratio(abs(local).sum(), total),
        "ell_global": shared.sum(),
        "ell_global_norm": _ratio(shared.sum(), total),
        "magnitude": total,
        "coherence_in": _mean(_resultant(unit_in)),
        "coherence_out": _mean(_resultant(unit_out)),
        "coherence_joint": _mean(_resultant(turn)),
        "coherence_in_weighted": _mean(coherence[0]),
        "coherence_out_weighted": _mean(coherence[1]),
        "coherence_joint_weighted": _mean(abs(joint)),
        "coherence_aligned": _ratio((S * np.nan_to_num(abs(joint))).sum(), total),
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
    coherence : array (2, frequency), |sum A| / sum |A| and the same of B; NaN without magnitude

    Examples
    --------
    >>> D, coherence = global_phases(np.array([[1], [1j]]), np.array([[1j], [1j]]))
    >>> float(abs(D[0]) < 1e-12), coherence.round(3).tolist()
    (1.0, [[0.707], [1.0]])
    """
    sums = A.sum(0), B.sum(0)
    coherence = np.stack([_ratio(abs(sums[0]), abs(A).sum(0)), _ratio(abs(sums[1]), abs(B).sum(0))])
    return np.angle(sums[0] ** 2 * sums[1].conj()), coherence


def scores(run: Run, coordinates: str = "decoded") -> xr.Dataset:
    """Every score over the checkpoints of a run.

    Parameters
    ----------
    run : Run
        Of one seed.
    coordinates : {"decoded", "raw"}
        See `alignment_scores`.

    Returns
    -------
    Dataset
        One variable (step) for each of `SCORES`; ``global_misalignment (step, frequency)`` in
        radians with ``global_coherence (step, layer, frequency)`` and ``global_reliable``, whether
        that is at least `RELIABLE_COHERENCE` in both layers; attributes ``coordinates`` and
        ``convention``. A checkpoint with a weight that is not finite is NaN.

    Raises
    ------
    ValueError
        For unknown coordinates, a run of several seeds, or one with separate inputs, where a
        ticket has two input phases.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=4, checkpoint_every=2, log_every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     over_steps = scores(train(config, f"{folder}/run"))
    >>> over_steps.ell_neuron.dims, over_steps.step.values.tolist()
    (('step',), [0, 2, 4])
    """
    one_network(run)
    K = (run.config.p - 1) // 2
    rows, phases, coherences, steps = [], [], [], []
    for now in over_checkpoints(run):
        if now.reason:
            row = dict.fromkeys(SCORES, np.nan)
            phase, coherence = np.full(K, np.nan), np.full((2, K), np.nan)
        else:
            row = alignment_scores(now.theta, now.xi, coordinates)
            waves = (_waves(layer, coordinates) for layer in (now.theta, now.xi))
            phase, coherence = global_phases(*waves)
        steps.append(now.step)
        rows.append(row)
        phases.append(phase)
        coherences.append(coherence)
    columns: dict[str, Any] = {
        name: ("step", [row[name] for row in rows], {"long_name": text})
        for name, text in SCORES.items()
    }
    columns["global_misalignment"] = (
        ("step", "frequency"),
        np.stack(phases),
        {"units": "rad", "long_name": "misalignment of the global phases"},
    )
    columns["global_coherence"] = (
        ("step", "layer", "frequency"),
        np.stack(coherences),
        {"long_name": "|sum over neurons of a wave| / sum of its magnitudes"},
    )
    columns["global_reliable"] = (
        ("step", "frequency"),
        (np.stack(coherences) >= RELIABLE_COHERENCE).all(1),
        {"long_name": f"global phases of coherence {RELIABLE_COHERENCE} or more in both layers"},
    )
    return xr.Dataset(
        columns,
        coords={
            "step": steps,
            "layer": ["theta", "xi"],
            "frequency": np.arange(1, K + 1),
        },
        attrs={"coordinates": coordinates, "convention": CONVENTION, "p": run.config.p},
    )


def _waves(weights: Array, coordinates: str) -> NDArray[np.complexfloating]:
    """Complex orthonormal coefficients, (neuron, K)."""
    p = fourier.check_modulus(weights.shape[-1])
    if coordinates == "decoded":
        return np.sqrt(p / 2) * fourier.to_waves(weights)[1]
    if coordinates != "raw":
        raise ValueError(f"coordinates must be 'decoded' or 'raw', got {coordinates!r}")
    return weights[..., 1::2] - 1j * weights[..., 2::2]


def _as_printed(w: Array, cosines: Array, mean_sizes: Array) -> Any:
    """The case study's own arithmetic: its epsilon counts where weights are small."""
    local = (w * cosines).sum(0) / (w.sum(0) + _PRINTED_EPSILON)
    return (mean_sizes * local).sum() / (mean_sizes.sum() + _PRINTED_EPSILON)


def _ratio(part: ArrayLike, whole: ArrayLike, empty: float = np.nan) -> NDArray[Any]:
    """Quotient of part and whole, `empty` where the whole is zero."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, empty, part.dtype), where=whole > 0)


def _resultant(phasors: NDArray[np.complexfloating]) -> Array:
    """Length of the mean over the neurons that have a phase, (frequency)."""
    return _ratio(abs(phasors.sum(0)), (phasors != 0).sum(0))


def _mean(values: Array) -> float:
    """Mean over the frequencies that have a value."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan


def _entropy(shares: Array) -> float:
    positive = shares[shares > 0]
    return float((positive * np.log(1 / positive)).sum()) if positive.size else np.nan
