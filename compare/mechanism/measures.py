"""What a network learned, in the terms of the published Observations 1 to 4.

1. Each neuron's weights are one cosine in each layer. 2. Its output phase is twice its input phase.
3. Neurons are spread evenly over the frequencies, phases evenly over the circle, magnitudes alike.
4. Only the even part of the activation matters.

Numbers of one checkpoint are in `grokode.compare.mechanism.cosines` (1), `phases` (2 and 3) and
`leakage` (the harmonics that ReLU adds); here are the fourth, what goes over steps, and all of it
together.

Source: arXiv:2602.16849, Observations 1 to 4, Figures 2 to 7, 12 and 13a.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode.compare.common.checkpoints import over_checkpoints
from grokode.compare.common.kernels import centred_logits
from grokode.compare.common.observe import checkpoint, one_network
from grokode.compare.mechanism.cosines import (
    LAYERS,
    basis_coefficients,
    cosine_fits,
    energy_shares,
    sparsity,
)
from grokode.compare.mechanism.leakage import harmonic_leakage
from grokode.compare.mechanism.phases import (
    frequency_balance,
    magnitude_homogeneity,
    phase_doubling,
    phase_uniformity,
    winning_waves,
)
from grokode.nets import tasks
from grokode.nets.runs import Run
from grokode.theory import fourier
from grokode.theory._labels import check_weights

__all__ = [
    "PUBLISHED_SWAP",
    "activation_swap",
    "mechanism",
    "mechanism_history",
]

PUBLISHED_SWAP = {
    "abs": 1.0,
    "quadratic": 1.0,
    "quartic": 1.0,
    "softplus2": 1.0,
    "exp": 1.0,
    "relu": np.nan,
    "gelu": np.nan,
    "identity": 0.041,
    "cubic": 0.036,
}
"""Accuracy over all pairs of the published ReLU network under each activation; NaN: not given."""


def activation_swap(
    theta: ArrayLike,
    xi: ArrayLike,
    activations: Sequence[str] = tuple(PUBLISHED_SWAP),
    answers: ArrayLike | None = None,
) -> xr.Dataset:
    """Accuracy over all pairs of one set of weights under each activation (Observation 4).

    Parameters
    ----------
    theta, xi : array (neuron, p)
    activations : sequence of str
        Names of `grokode.nets.networks.activations.ACTIVATIONS`.
    answers : integers (x, y), optional
        Right outputs, those of addition if not given.

    Returns
    -------
    Dataset
        ``accuracy (activation)``, NaN where ``reason (activation)`` says why there is none;
        ``published (activation)``, that of a ReLU network; attribute ``chance`` = 1/p.

    Raises
    ------
    ValueError
        For an unknown activation, weights of another shape, or an even p.

    Examples
    --------
    >>> x = np.arange(5)
    >>> k, phi = np.array([1, 1, 1, 2, 2, 2]), 2 * np.pi * np.array([0, 1, 2, 0, 1, 2]) / 3
    >>> phase = 2 * np.pi * np.outer(k, x) / 5 + phi[:, None]
    >>> weights = np.cos(phase), np.cos(phase + phi[:, None])
    >>> swap = activation_swap(*weights, ["quadratic", "identity"])
    >>> swap.accuracy.values.tolist()
    [1.0, 0.2]
    """
    theta, xi = map(np.asarray, check_weights(theta, xi))
    p = theta.shape[-1]
    right_ones = tasks.table("addition", p) if answers is None else np.asarray(answers)
    accuracies, reasons = [], []
    for activation in activations:
        values, reason = centred_logits(theta, xi, activation)
        right = float((values.argmax(-1) == right_ones).mean())
        accuracies.append(np.nan if reason else right)
        reasons.append(reason)
    return xr.Dataset(
        {
            "accuracy": ("activation", accuracies, {"long_name": "accuracy over all pairs"}),
            "published": ("activation", [PUBLISHED_SWAP.get(name, np.nan) for name in activations]),
            "reason": ("activation", reasons),
        },
        coords={"activation": list(activations)},
        attrs={"p": p, "chance": 1 / p},
    )


def mechanism_history(run: Run) -> xr.Dataset:
    """How sparse, aligned and true to their first frequency neurons are, over the checkpoints.

    Parameters
    ----------
    run : Run
        Of one seed, with one input layer.

    Returns
    -------
    Dataset
        ``initial_share (step, layer, neuron)``, the share of a neuron's energy at the frequency
        that led it at the first checkpoint (largest beta; NaN if it had none); ``same_leader
        (step)``, the part of the neurons that it still leads; ``participation (step, layer)``,
        median of `sparsity`; ``mean_abs_sin (step)`` of `phase_doubling`. NaN where ``reason
        (step)`` says why.

    Raises
    ------
    ValueError
        If the run holds several seeds, or its x and y have input weights of their own.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = mechanism_history(train(config, f"{folder}/run"))
    >>> history.step.values.tolist(), float(history.same_leader[0])
    ([0, 10, 20], 1.0)
    """
    weights = one_network(run)
    shape = (weights.sizes["step"], len(LAYERS), weights.sizes["neuron"])
    share, participation = np.full(shape, np.nan), np.full(shape[:2], np.nan)
    same, sine = np.full((2, shape[0]), np.nan)
    reasons = [""] * shape[0]
    first: xr.DataArray | None = None
    for now in over_checkpoints(run):
        index = now.index
        if now.reason:
            reasons[index] = now.reason
            continue
        spectrum = fourier.spectrum(now.theta, now.xi)
        waves = winning_waves(spectrum)
        alive, of_layer = waves.neuron.values, energy_shares(spectrum)
        if alive.size:
            participation[index] = np.median((of_layer[:, alive] ** 2).sum(-1), axis=-1)
            sine[index] = np.abs(np.sin(waves.misalignment.values)).mean()
        if index == 0:
            first = waves.frequency
        if first is None or not first.size:
            reasons[index] = "the first checkpoint has no waves to compare with"
            continue
        rows = first.neuron.values
        share[index][:, rows] = of_layer[:, rows, first.values - 1]
        leader = np.zeros(shape[-1], dtype=int)
        leader[alive] = waves.frequency
        same[index] = (leader[rows] == first.values).mean()
    cells = ("step", "layer")
    return xr.Dataset(
        {
            "initial_share": (
                (*cells, "neuron"),
                share,
                {"long_name": "share of energy at the first leading frequency"},
            ),
            "same_leader": ("step", same),
            "participation": (cells, participation),
            "mean_abs_sin": ("step", sine),
            "reason": ("step", reasons),
        },
        coords={
            "step": weights.step.values,
            "layer": list(LAYERS),
            "neuron": weights.neuron.values,
        },
        attrs={"p": run.config.p, "initial": run.config.initial},
    )


def mechanism(run: Run, step: int | None = None) -> dict[str, xr.Dataset]:
    """Observations 1 to 4 on one checkpoint of a run, and what they have over steps.

    Numbers for tables and JSON are taken from it by `grokode.compare.mechanism.tables`.

    Parameters
    ----------
    run : Run
        Of one seed, with one input layer.
    step : int, optional
        A step that has a checkpoint; the last one if not given.

    Returns
    -------
    dict of Datasets
        ``history`` from `mechanism_history`; ``fits, coefficients, sparsity, doubling, balance,
        uniformity, homogeneity, leakage, swap`` of the checkpoint, none of them if its weights are
        not finite; ``about``, empty but for its attributes ``p, neurons, activation, step,
        initial`` and ``reason``, why the checkpoint has no numbers, or ``""``.

    Raises
    ------
    NotMeasured
        If x and y have input weights of their own.
    ValueError
        If there is no checkpoint at that step, or the run holds several seeds.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     measured = mechanism(train(config, f"{folder}/run"))
    >>> measured["about"].attrs["step"], measured["balance"].attrs["reason"][:20]
    (20, '8 neurons on 2 frequ')
    """
    one_network(run)
    config, now = run.config, checkpoint(run, step)
    finite = bool(np.isfinite(now.theta).all() and np.isfinite(now.xi).all())
    about = {
        "p": config.p,
        "neurons": config.neurons,
        "activation": config.activation,
        "step": int(now.step),
        "initial": config.initial,
        "reason": "" if finite else f"weights at step {int(now.step)} are not all finite",
    }
    measured = {"about": xr.Dataset(attrs=about), "history": mechanism_history(run)}
    if not finite:
        return measured
    theta, xi = now.theta.values, now.xi.values
    spectrum = fourier.spectrum(theta, xi)
    answers = tasks.table(config.task, config.p, config.seed)
    return measured | {
        "fits": cosine_fits(theta, xi),
        "coefficients": basis_coefficients(theta, xi),
        "sparsity": sparsity(spectrum),
        "doubling": phase_doubling(spectrum),
        "balance": frequency_balance(spectrum),
        "uniformity": phase_uniformity(spectrum),
        "homogeneity": magnitude_homogeneity(spectrum),
        "leakage": harmonic_leakage(spectrum),
        "swap": activation_swap(theta, xi, answers=answers),
    }
