"""What two-layer networks compute: logits, and the gradient of the loss written out.

Usually theta' = theta. Then the loss is symmetric in x and y, so full-batch training needs
unordered pairs only, each with the number of its ordered versions in the set; gradients are
written out, without autograd. Several networks, one to a seed, are computed at once.

Inside, a layer is (seed, residue, neuron): neurons innermost, as everything per pair runs along
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from grokode.nets import tasks
from grokode.nets.networks.activations import ACTIVATIONS, check_activation
from grokode.nets.networks.base import Objective, Parameters
from grokode.nets.tasks.base import Criterion
from grokode.nets.tasks.examples import Examples
from grokode.nets.threads import one_thread_below
from grokode.theory import fourier

__all__ = ["Gradient", "Layers", "composed", "layers", "logits", "objective", "outputs"]


@dataclass(frozen=True)
class Layers:
    """The layers of an ensemble, or the gradient for them.

    Parameters
    ----------
    inputs : tuple of Tensor (seed, p, neuron)
        Theta, and theta_y if it is separate.
    xi : Tensor (seed, p, neuron)
    """

    inputs: tuple[Tensor, ...]
    xi: Tensor


def layers(parameters: Parameters) -> Layers:
    """The layers of parameters, as views where theta is one of them."""
    values = parameters if "theta" in parameters else composed(parameters)
    inputs = tuple(values[name].mT for name in ("theta", "theta_y") if name in values)
    return Layers(inputs, values["xi"].mT)


def composed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Theta, theta_y if there is one, and xi of a network with an embedding.

    Parameters
    ----------
    parameters : dict of Tensor or array (..., *shape)
    """
    embedding = parameters["embedding"]
    return {
        name.replace("projection", "theta"): (embedding @ value.mT).mT
        for name, value in parameters.items()
        if name.startswith("projection")
    } | {"xi": parameters["xi"]}


def logits(
    theta: ArrayLike,
    xi: ArrayLike,
    activation: str,
    pairs: ArrayLike | None = None,
    *,
    theta_y: ArrayLike | None = None,
) -> NDArray[Any]:
    """Logits of a network in float64.

    Parameters
    ----------
    theta : array (neuron, p)
    xi : array (neuron, p), ``xi[m, j]``
    activation : str
        One of `grokode.nets.networks.activations.ACTIVATIONS`.
    pairs : integers (n, 2), optional
        All pairs, x outermost, if not given.
    theta_y : array (neuron, p), optional
        Input weights of y, where they are not those of x.

    Returns
    -------
    array (n, p)

    Examples
    --------
    >>> logits([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], "quadratic", [(0, 0)]).tolist()
    [[0.0, 4.0, 0.0]]
    """
    sigma = ACTIVATIONS[check_activation(activation)].value
    theta, xi = fourier.check_weights(theta, xi)
    # A residue's weights lie side by side: pairs take whole rows, five times faster than columns.
    of_x, of_y = (
        torch.tensor(np.ascontiguousarray(np.asarray(layer, dtype=np.float64).T))
        for layer in (theta, theta if theta_y is None else theta_y)
    )
    p = len(of_x)
    pairs = tasks.all_pairs(p) if pairs is None else tasks.check_pairs(pairs, p)
    x, y = torch.tensor(pairs).T
    out = torch.tensor(np.asarray(xi, dtype=np.float64))
    with one_thread_below(len(pairs) * len(out)):
        values: NDArray[Any] = (sigma(of_x[x].add_(of_y[y])) @ out).numpy()
    return values


def objective(
    activation: str,
    dropout: float,
    criterion: Criterion,
    examples: Examples,
    parameters: Parameters,
    gradients: Parameters,
    seeds: Sequence[int],
) -> Objective:
    """The training loss, fused on the CPU for the activations that are; see `Network.objective`."""
    from grokode.nets.networks.fused import FUSED, FusedGradient

    embedded = None
    if "embedding" not in parameters:
        weights, to_weights = layers(parameters), layers(gradients)
    else:
        embedded = _Embedded(parameters, gradients)
        weights, to_weights = embedded.weights, embedded.to_weights
    on_cpu = weights.xi.device.type == "cpu"
    gradient: Objective
    if on_cpu and activation in FUSED and not dropout:
        gradient = FusedGradient(examples, activation, criterion, weights, to_weights)
    else:
        gradient = Gradient(
            examples,
            activation,
            criterion,
            weights,
            to_weights,
            dropout=dropout,
            seeds=seeds,
        )
    return gradient if embedded is None else embedded.around(gradient)


class _Embedded:
    """The layers that an embedding and projections make, and the gradient passed on to them."""

    def __init__(self, parameters: Parameters, gradients: Parameters) -> None:
        self._parameters, self._gradients = parameters, gradients
        self._names = [name for name in parameters if name.startswith("projection")]
        self.weights = layers(parameters)
        self.to_weights = Layers(
            tuple(torch.empty_like(theta) for theta in self.weights.inputs), gradients["xi"].mT
        )

    def around(self, gradient: Objective) -> Objective:
        """The objective in embedding and projections, of one in theta."""

        def embedded(step: int) -> Tensor:
            # Products of whole arrays: what a seed gets does not hang on where it lies in memory.
            embedding = self._parameters["embedding"].contiguous()
            maps = [self._parameters[name].mT.contiguous() for name in self._names]
            for theta, projection in zip(self.weights.inputs, maps, strict=True):
                torch.matmul(embedding, projection, out=theta)
            loss = gradient(step)
            parts = []
            for name, projection, to_theta in zip(
                self._names, maps, self.to_weights.inputs, strict=True
            ):
                parts.append(to_theta @ projection.mT)
                self._gradients[name].mT.copy_(embedding.mT @ to_theta)
            self._gradients["embedding"].copy_(torch.stack(parts).sum(0))
            return loss

        return embedded


class Gradient:
    """Loss of an ensemble and its gradient, written out; any device and activation.

    With the residual R of the logits, the gradient for xi is R^T sigma(z), and for the inputs the
    sum over the pairs with a residue of sigma'(z) (R xi).

    Parameters
    ----------
    examples : Examples
    activation : str
    criterion : Criterion
    weights : Layers
        Read at every call, so an optimiser may change them in place.
    to_weights : Layers
        Filled at every call.
    dropout : float
        Probability that a neuron is left out of a pair's output.
    seeds : sequence of int
        Of the dropout.
    """

    def __init__(
        self,
        examples: Examples,
        activation: str,
        criterion: Criterion,
        weights: Layers,
        to_weights: Layers,
        *,
        dropout: float = 0.0,
        seeds: Sequence[int] = (),
    ) -> None:
        self._weights, self._to_weights = weights, to_weights
        self._activation = ACTIVATIONS[activation]
        self._incidence = _incidence(examples.inputs, weights)
        self._criterion = criterion
        self._dropout = dropout
        self._seeds = seeds
        x, y = torch.tensor(examples.inputs, device=weights.xi.device).T
        self._rows = x * weights.xi.shape[1] + y

    def __call__(self, step: int) -> Tensor:
        """Mean loss (seed,) at the weights; fills the gradient."""
        xi, to_xi = self._weights.xi, self._to_weights.xi
        z = self._incidence @ _stacked(self._weights)
        hidden = self._activation.value(z)
        kept = self._kept(step, z) if self._dropout else None
        if kept is not None:
            hidden = hidden * kept
        residual, loss = self._criterion(hidden @ xi.mT)
        torch.bmm(residual.mT, hidden, out=to_xi)
        back = residual @ xi
        if kept is not None:
            back *= kept
        back = self._incidence.mT @ self._activation.times_slope(back, z)
        parts = back.split(xi.shape[1], dim=1)
        for to_theta, part in zip(self._to_weights.inputs, parts, strict=True):
            to_theta.copy_(part)
        return loss

    def _kept(self, step: int, z: Tensor) -> Tensor:
        """What each pair keeps of each neuron, drawn for every pair there could be.

        A seed's draws are its own, whatever the others; and drawn anew from seed and step, so that
        a resumed training drops the same neurons.
        """
        _, p, neurons = self._weights.xi.shape
        draws = []
        for seed in self._seeds:
            generator = torch.Generator(z.device).manual_seed((seed << 32) + step)
            draws.append(
                torch.rand(p * p, neurons, generator=generator, device=z.device)[self._rows]
            )
        return (torch.stack(draws) >= self._dropout).to(z.dtype) / (1 - self._dropout)


def outputs(weights: Layers, pairs: NDArray[Any], activation: str) -> Tensor:
    """Logits (seed, n, p) of an ensemble for pairs (n, 2)."""
    z = _incidence(pairs, weights) @ _stacked(weights)
    return ACTIVATIONS[activation].value(z) @ weights.xi.mT


def _stacked(weights: Layers) -> Tensor:
    """Input weights as (seed, layer * p, neuron)."""
    return weights.inputs[0] if len(weights.inputs) == 1 else torch.cat(weights.inputs, dim=1)


def _incidence(pairs: NDArray[Any], weights: Layers) -> Tensor:
    """How often each pair holds each residue: (n, p), or (n, 2 p) with y's residues apart."""
    count, p = len(weights.inputs), weights.inputs[0].shape[1]
    rows = np.arange(len(pairs))
    incidence = np.zeros((len(rows), count * p))
    for column, residues in enumerate(pairs.T):
        incidence[rows, residues + (p * column if count > 1 else 0)] += 1
    return torch.tensor(incidence, dtype=weights.xi.dtype, device=weights.xi.device)
