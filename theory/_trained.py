"""The parameters that a network is trained in, and a flow that is followed in them.

Usually they are theta and xi themselves. With a learned embedding theta is a product: theta_m[x] is
the sum over features of projection and embedding, theta = W E^T, and what moves are W and E, by

    by W = (by theta) E,        by E = (by theta)^T W.

The embedding feels the sum over all neurons, so that neurons are coupled even on the plateau. With
separate inputs theta has 2 p rows here, those of x above those of y; a learned embedding is shared
by both, and has a projection for each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.theory import fourier
from grokode.theory._parallel import one_thread_below
from grokode.theory._projections import block_width
from grokode.theory._updates import optimiser_settings, update
from grokode.theory.rule import TrainingRule

__all__ = ["Followed", "Layers", "follow", "layers_of", "spectra_of"]

Array = NDArray[Any]
Loss = Callable[[Array, Array], tuple[float, Array]]


@dataclass(frozen=True)
class Layers:
    """How a flat state holds theta (rows, neuron) and xi (p, neuron).

    Parameters
    ----------
    p, neurons, rows : int
        Modulus, neurons, and rows of theta.
    features : int
        Of the embedding; 0 if there is none.
    """

    p: int
    neurons: int
    rows: int
    features: int = 0

    @property
    def sets(self) -> int:
        """Sets of input weights: 2 if x and y have their own, else 1."""
        return self.rows // self.p

    @property
    def width(self) -> int:
        """Neurons with those that fill the last block: they are zero, and stay so."""
        return self.neurons + -self.neurons % block_width(self.neurons)

    def state(self, initial: xr.Dataset, dtype: str) -> Array:
        """The flat state of an initial spectrum."""
        weights = fourier.weights(initial)
        xi = self._wide(weights.xi.values.T)
        if self.features:
            embedding = initial.embedding.transpose("residue", "feature").values
            projections = [
                self._wide(initial[name].transpose("feature", "neuron").values)
                for name in ("projection", "projection_y")[: self.sets]
            ]
            parts = [embedding, *projections, xi]
        else:
            theta = [weights.theta.values.T]
            if self.rows > self.p:
                theta.append(initial.theta_y.transpose("neuron", "y").values.T)
            parts = [self._wide(np.concatenate(theta)), xi]
        return np.concatenate([part.ravel() for part in parts]).astype(dtype)

    def weights(self, state: Array) -> tuple[Array, Array]:
        """Theta and xi of a state."""
        *inputs, xi = self._parts(state)
        if not self.features:
            return inputs[0], xi
        return (inputs[0] @ inputs[1]).reshape(self.rows, self.width), xi

    def gradient(self, state: Array, by_both: Array) -> Array:
        """Gradient by the state from that by theta and, below it, xi: (..., neuron)."""
        by_both = by_both.reshape(-1, self.width)
        # Neurons of nothing have an activation: softplus of 0 is none.
        by_both[:, self.neurons :] = 0
        if not self.features:
            return by_both.reshape(-1)
        by_theta, by_xi = np.split(by_both, [self.rows])
        embedding, projections, _ = self._parts(state)
        by_theta = by_theta.reshape(self.sets, self.p, self.width)
        by_embedding = (by_theta @ projections.swapaxes(1, 2)).sum(0)
        parts = (by_embedding, embedding.T @ by_theta, by_xi)
        return np.concatenate([part.ravel() for part in parts])

    def _parts(self, state: Array) -> list[Array]:
        shapes: list[tuple[int, ...]] = [(self.rows, self.width), (self.p, self.width)]
        if self.features:
            shapes[:1] = [(self.p, self.features), (self.sets, self.features, self.width)]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        return [
            part.reshape(shape)
            for part, shape in zip(np.split(state, ends[:-1]), shapes, strict=True)
        ]

    def _wide(self, values: Array) -> Array:
        return np.pad(values, ((0, 0), (0, self.width - self.neurons)))


def layers_of(initial: xr.Dataset, p: int) -> Layers:
    """The layers of an initial spectrum, by what it holds beside the spectrum.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency); with ``theta_y (neuron, y)`` if x and y have input weights of
        their own; with ``embedding (residue, feature)`` and ``projection (neuron, feature)`` if
        theta is their product, and ``projection_y`` if theta_y is one, too.
    p : int

    Raises
    ------
    ValueError
        If embedding and projection do not multiply to theta.
    """
    neurons, rows = initial.sizes["neuron"], 2 * p if "theta_y" in initial else p
    if "embedding" not in initial:
        return Layers(p, neurons, rows)
    _check_product(initial, "projection", fourier.weights(initial).theta.values)
    if rows > p:
        theta_y = initial.theta_y.transpose("neuron", "y").values
        _check_product(initial, "projection_y", theta_y)
    return Layers(p, neurons, rows, initial.sizes["feature"])


def _check_product(initial: xr.Dataset, name: str, theta: Array) -> None:
    if name not in initial:
        raise ValueError(f"initial must have {name} beside its embedding, it has none; add it")
    product = initial[name].dot(initial.embedding, dim="feature").transpose("neuron", "residue")
    off = abs(product.values - theta).max()
    # Parameters of float32, composed in float32 or in float64.
    if not off <= 1e-5 * abs(theta).max():
        which = "theta" if name == "projection" else "theta_y"
        raise ValueError(
            f"{name} times embedding must be the spectrum's {which}, they differ by {off:.3g}; "
            "take all three from one checkpoint"
        )


@dataclass(frozen=True)
class Followed:
    """A flow at the steps that were asked for.

    Parameters
    ----------
    theta, xi : arrays (step, rows or p, neuron)
    losses : array (step)
    stopped : int
        The step from which on the state is held, or -1.
    half_loss : int
        The first step at which the loss is at most half of the first, or -1.
    """

    theta: Array
    xi: Array
    losses: Array
    stopped: int
    half_loss: int


def follow(
    layers: Layers,
    state: Array,
    loss_of: Loss,
    rule: TrainingRule,
    asked: NDArray[np.int64],
    over: Callable[[float], bool] = lambda loss: False,
) -> Followed:
    """Take the optimiser's steps down a loss of theta and xi.

    Parameters
    ----------
    layers : Layers
    state : array, flat
        Overwritten.
    loss_of : function (theta, xi) -> loss, and its gradient by both
    rule : TrainingRule
    asked : integers (step,)
    over : function (loss) -> bool
        Whether to hold the state from there on.
    """
    moments, settings = np.zeros((2, len(state))), optimiser_settings(rule)
    theta = np.empty((len(asked), layers.rows, layers.neurons))
    xi, losses = np.empty((len(asked), layers.p, layers.neurons)), np.empty(len(asked))
    step, stopped, half_loss = -rule.unmoved, -1, -1

    def felt() -> tuple[float, Array]:
        loss, by_both = loss_of(*layers.weights(state))
        return loss, layers.gradient(state, by_both)

    # Threads of the matrix products beside those of the loops would spin against each other.
    with np.errstate(all="ignore"), one_thread_below(layers.width * layers.p**2):
        loss, gradient = felt()
        first = loss
        for index, until in enumerate(asked):
            while step < until and stopped < 0:
                before = state.copy()
                _update(state, moments, gradient, step + rule.unmoved + 1, settings)
                loss, gradient = felt()
                if not np.isfinite(loss):
                    state, stopped = before, max(step, 0)
                    break
                step += 1
                if half_loss < 0 and loss <= first / 2:
                    half_loss = step
                if over(loss):
                    stopped = step
            both = layers.weights(state)
            theta[index], xi[index] = (one[:, : layers.neurons] for one in both)
            losses[index] = loss
    return Followed(theta, xi, losses, stopped, half_loss)


@nb.njit(cache=True)
def _update(state: Array, moments: Array, gradient: Array, step: int, settings: Array) -> None:
    update(state, moments[0], moments[1], gradient, step, settings)


def spectra_of(initial: xr.Dataset, followed: Followed, asked: NDArray[np.int64]) -> xr.Dataset:
    """What was followed as spectra over steps, with the losses."""
    dims, at_steps = ("step", "neuron"), {"step": asked}
    theta, xi = followed.theta.swapaxes(1, 2), followed.xi.swapaxes(1, 2)
    p = xi.shape[2]
    result = fourier.spectrum(
        xr.DataArray(theta[:, :, :p], at_steps, (*dims, "x")),
        xr.DataArray(xi, at_steps, (*dims, "output")),
    )
    if theta.shape[2] > p:
        result = result.assign(theta_y=((*dims, "y"), theta[:, :, p:]))
    if "neuron" in initial.coords:
        result = result.assign_coords(neuron=initial.neuron)
    return result.assign(loss=("step", followed.losses)).assign_attrs(
        stopped=followed.stopped, half_loss=followed.half_loss
    )
