"""What a network learned, in the terms of the published Observations 1 to 4.

1. Each neuron's weights are one cosine in each layer. 2. Its output phase is twice its input phase.
3. Neurons are spread evenly over the frequencies, phases evenly over the circle, magnitudes alike.
4. Only the even part of the activation matters.

Numbers of one checkpoint are in `grokode.compare.cosines` (1), `phases` (2 and 3) and `leakage`
(the harmonics that ReLU adds); here are the fourth, what goes over steps, and all of it together.

Source: arXiv:2602.16849, Observations 1 to 4, Figures 2 to 7, 12 and 13a.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from grokode.compare.cosines import (
    LAYERS,
    basis_coefficients,
    cosine_fits,
    energy_shares,
    sparsity,
)
from grokode.compare.kernels import centred_logits
from grokode.compare.leakage import harmonic_leakage
from grokode.compare.observe import checkpoint, one_network
from grokode.compare.phases import (
    frequency_balance,
    magnitude_homogeneity,
    phase_doubling,
    phase_uniformity,
    winning_waves,
)
from grokode.nets import tasks
from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = [
    "PUBLISHED_SWAP",
    "Mechanism",
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
    theta, xi = np.asarray(theta, dtype=np.float64), np.asarray(xi, dtype=np.float64)
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

    One checkpoint is in memory at a time.

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
    for index in range(shape[0]):
        now = weights.isel(step=index).load()
        if not _is_finite(now):
            reasons[index] = "weights are not all finite"
            continue
        spectrum = fourier.spectrum(now.theta.values, now.xi.values)
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


@dataclass(frozen=True)
class Mechanism:
    """Everything `mechanism` measured on one run.

    Parameters
    ----------
    p, neurons, step : int
    activation : str
    reason : str
        Why the checkpoint has no numbers, or empty.
    parts : mapping of str to Dataset
        ``fits, coefficients, sparsity, doubling, balance, uniformity, homogeneity, leakage, swap``,
        none if there is a reason.
    history : Dataset
        From `mechanism_history`.
    """

    p: int
    neurons: int
    step: int
    activation: str
    reason: str
    parts: Mapping[str, xr.Dataset]
    history: xr.Dataset


def mechanism(run: Run, step: int | None = None) -> Mechanism:
    """Observations 1 to 4 on one checkpoint of a run, and what they have over steps.

    Numbers for tables and JSON are taken from it by `grokode.compare.mechanism_tables`.

    Parameters
    ----------
    run : Run
        Of one seed, with one input layer.
    step : int, optional
        A step that has a checkpoint; the last one if not given.

    Raises
    ------
    ValueError
        If there is no checkpoint at that step, the run holds several seeds, or its x and y have
        input weights of their own.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = mechanism(train(config, f"{folder}/run"))
    >>> found.step, found.reason, found.parts["balance"].attrs["reason"][:20]
    (20, '', '8 neurons on 2 frequ')
    """
    one_network(run)
    now = checkpoint(run, step)
    parts: dict[str, xr.Dataset] = {}
    if _is_finite(now):
        theta, xi = now.theta.values, now.xi.values
        spectrum = fourier.spectrum(theta, xi)
        answers = tasks.table(run.config.task, run.config.p, run.config.seed)
        parts = {
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
    return Mechanism(
        p=run.config.p,
        neurons=run.config.neurons,
        step=int(now.step),
        activation=run.config.activation,
        reason="" if parts else f"weights at step {int(now.step)} are not all finite",
        parts=parts,
        history=mechanism_history(run),
    )


def _is_finite(weights: xr.Dataset) -> bool:
    return bool(np.isfinite(weights.theta).all() and np.isfinite(weights.xi).all())
