"""The two-layer network f(x, y)[j] = sum_m xi_m[j] sigma(theta_m[x] + theta'_m[y]), no biases.

Usually theta' = theta. Then the loss is symmetric in x and y, so full-batch training needs
unordered pairs only, each with the number of its ordered versions in the set; gradients are
written out, without autograd. Several networks, one to a seed, are computed at once.

Inside, weights lie as one tensor (layer, seed, residue, neuron): theta, theta' if there is one, and
xi last. Neurons lie innermost because everything per pair runs along them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from grokode.nets import tasks
from grokode.nets.activations import ACTIVATIONS, check_activation
from grokode.theory import fourier

__all__ = ["Examples", "Gradient", "Loss", "evaluate", "logits", "outputs"]

_ALL = (slice(None), slice(None))


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
        One of `grokode.nets.activations.ACTIVATIONS`.
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
    of_x, of_y, out = (
        torch.tensor(np.asarray(layer, dtype=np.float64))
        for layer in (theta, theta if theta_y is None else theta_y, xi)
    )
    p = of_x.shape[-1]
    x, y = (tasks.all_pairs(p) if pairs is None else tasks.check_pairs(pairs, p)).T
    values: NDArray[Any] = (sigma(of_x[:, x] + of_y[:, y]).T @ out).numpy()
    return values


@dataclass(frozen=True)
class Examples:
    """Pairs with their answers, as an ensemble of networks sees them.

    Parameters
    ----------
    pairs : array (u, 2)
        Every pair that some seed has; with x <= y if the network is symmetric.
    answers : Tensor (seed, u), integers
    counts : Tensor (seed, u)
        How many ordered pairs of the seed's set each stands for, 0 if none.
    """

    pairs: NDArray[np.int64]
    answers: Tensor
    counts: Tensor

    @classmethod
    def of(
        cls,
        pairs: Sequence[NDArray[Any]],
        tables: Sequence[NDArray[Any]],
        *,
        symmetric: bool,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> "Examples":
        """Examples of ordered pairs (n, 2) and the task's table (p, p), one of each to a seed."""
        p = len(tables[0])
        counts = np.zeros((len(pairs), p, p))
        for count, of_seed in zip(counts, pairs, strict=True):
            np.add.at(count, tuple(of_seed.T), 1)
        if symmetric:
            counts = np.triu(counts) + np.triu(counts.swapaxes(1, 2), 1)
        used = np.argwhere(counts.any(0))
        x, y = used.T
        return cls(
            used,
            torch.tensor(np.stack(tables)[:, x, y], device=device),
            torch.tensor(counts[:, x, y], dtype=dtype, device=device),
        )

    def select(self, rows: Sequence[int]) -> "Examples":
        """The same for some of the seeds."""
        chosen = torch.tensor(list(rows), dtype=torch.long, device=self.answers.device)
        return Examples(self.pairs, self.answers[chosen], self.counts[chosen])


class Gradient:
    """Cross-entropy of an ensemble and its gradient, written out; any device and activation.

    With residual R = softmax(f) - 1(answer), weighted pair by pair, the gradient for xi is
    R^T sigma(z), and for the inputs the sum over the pairs with a residue of sigma'(z) (R xi).

    Parameters
    ----------
    examples : Examples
    activation : str
    weights : Tensor (layer, seed, p, neuron)
        Read at every call, so an optimiser may change it in place.
    loss_dtype : torch.dtype
        Format in which softmax and loss are computed.
    summed : bool
        Take the gradient of the sum over pairs rather than of the mean.
    dropout : float
        Probability that a neuron is left out of a pair's output.

    Attributes
    ----------
    value : Tensor, the gradient, in the shape of the weights
    """

    def __init__(
        self,
        examples: Examples,
        activation: str,
        weights: Tensor,
        *,
        loss_dtype: torch.dtype = torch.float64,
        summed: bool = False,
        dropout: float = 0.0,
    ) -> None:
        self.value = torch.empty_like(weights)
        self._weights = weights
        self._activation = ACTIVATIONS[activation]
        self._incidence = _incidence(examples, weights)
        self._loss = Loss(examples, loss_dtype, summed)
        self._dropout = dropout
        x, y = torch.tensor(examples.pairs, device=weights.device).T
        self._rows = x * weights.shape[2] + y

    def __call__(self, generators: Sequence[torch.Generator] = ()) -> Tensor:
        """Mean loss (seed,) at the weights; fills ``value``. Dropout draws from the generators."""
        inputs, xi = self._weights[:-1], self._weights[-1]
        z = self._incidence @ _stacked(inputs)
        hidden = self._activation.value(z)
        kept = None
        if self._dropout:
            # Drawn for every pair there could be: a seed's draws are its own, whatever the others.
            p, neurons = self._weights.shape[2:]
            kept = torch.stack(
                [
                    torch.rand(p * p, neurons, generator=g, device=z.device)[self._rows]
                    for g in generators
                ]
            )
            kept = (kept >= self._dropout).to(z.dtype) / (1 - self._dropout)
            hidden = hidden * kept
        residual, loss = self._loss(hidden @ xi.mT)
        torch.bmm(residual.mT, hidden, out=self.value[-1])
        back = residual @ xi
        if kept is not None:
            back *= kept
        back = self._incidence.mT @ self._activation.times_slope(back, z)
        layers, seeds, p, neurons = inputs.shape
        self.value[:-1] = back.view(seeds, layers, p, neurons).transpose(0, 1)
        return loss


class Loss:
    """Cross-entropy and its residual over the pairs.

    Parameters
    ----------
    examples : Examples
    dtype : torch.dtype
    summed : bool
        Scale the residual for the sum over pairs; the loss returned is the mean in any case.
    """

    def __init__(self, examples: Examples, dtype: torch.dtype, summed: bool) -> None:
        counts = examples.counts.to(dtype)
        self._dtype = dtype
        self._answers = examples.answers[..., None]
        self._share = (counts / counts.sum(1, keepdim=True))[..., None]
        self._weight = counts[..., None] if summed else self._share

    def __call__(self, values: Tensor, part: tuple[slice, slice] = _ALL) -> tuple[Tensor, Tensor]:
        """Residual and mean loss (seed,) of logits (seed, u, p), for a part of seeds and pairs."""
        answers, share, weight = (v[part] for v in (self._answers, self._share, self._weight))
        # One exponential serves both; log_softmax and its exponential would take two.
        shifted = values.to(self._dtype)
        shifted = shifted - shifted.amax(-1, keepdim=True)
        at_answers = shifted.gather(-1, answers)
        residual = shifted.exp_()
        total = residual.sum(-1, keepdim=True)
        loss = ((total.log() - at_answers) * share).sum((1, 2))
        residual *= weight / total
        residual.scatter_add_(-1, answers, -weight)
        return residual.to(values.dtype), loss


def outputs(weights: Tensor, examples: Examples, activation: str) -> Tensor:
    """Logits (seed, u, p) of an ensemble with weights (layer, seed, p, neuron)."""
    z = _incidence(examples, weights) @ _stacked(weights[:-1])
    return ACTIVATIONS[activation].value(z) @ weights[-1].mT


def evaluate(weights: Tensor, examples: Examples, activation: str) -> tuple[Tensor, Tensor]:
    """Mean loss (nats) and accuracy over the pairs, each (seed,); NaN where there are none."""
    values = outputs(weights, examples, activation).double()
    counts = examples.counts.double()
    losses = torch.nn.functional.cross_entropy(values.mT, examples.answers, reduction="none")
    right = (values.argmax(-1) == examples.answers).double()
    total = counts.sum(1)
    return (counts * losses).sum(1) / total, (counts * right).sum(1) / total


def _stacked(inputs: Tensor) -> Tensor:
    """Input weights (layer, seed, p, neuron) as (seed, layer * p, neuron)."""
    return inputs.transpose(0, 1).flatten(1, 2)


def _incidence(examples: Examples, weights: Tensor) -> Tensor:
    """How often each pair holds each residue: (u, p), or (u, 2 p) with y's residues apart."""
    layers, _, p, _ = weights[:-1].shape
    rows = np.arange(len(examples.pairs))
    incidence = np.zeros((len(rows), layers * p))
    for column, residues in enumerate(examples.pairs.T):
        incidence[rows, residues + (p * column if layers > 1 else 0)] += 1
    return torch.tensor(incidence, dtype=weights.dtype, device=weights.device)
