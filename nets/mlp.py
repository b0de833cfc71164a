"""The two-layer network f(x, y)[j] = sum_m xi[m, j] sigma(theta[m, x] + theta[m, y]), no biases.

The loss is symmetric in x and y, so full-batch training needs unordered pairs only, each with the
number of its ordered versions in the training set; gradients are written out, without autograd.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from grokode.nets import tasks

__all__ = ["ACTIVATIONS", "Batch", "Gradient", "check_activation", "logits"]

# Each activation writes sigma(z) into `out`, and multiplies a gradient by sigma'(z) in place.
ACTIVATIONS: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "quadratic": (torch.square, lambda gradient, z: gradient.mul_(z).mul_(2)),
    "relu": (
        lambda z, out=None: torch.clamp(z, min=0, out=out),
        lambda gradient, z: gradient.masked_fill_(z <= 0, 0),
    ),
}


def check_activation(name: str) -> str:
    """Return the name if it is an activation of the network, else raise ValueError."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return name


def logits(
    theta: ArrayLike, xi: ArrayLike, activation: str, pairs: ArrayLike | None = None
) -> NDArray[Any]:
    """Logits of a network in float64.

    Parameters
    ----------
    theta : array (neuron, p)
    xi : array (neuron, p), ``xi[m, j]``
    activation : str
    pairs : integers (n, 2), optional
        All pairs, x outermost, if not given.

    Returns
    -------
    array (n, p)

    Examples
    --------
    >>> logits([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], "quadratic", [(0, 0)]).tolist()
    [[0.0, 4.0, 0.0]]
    """
    sigma, _ = ACTIVATIONS[check_activation(activation)]
    weights = torch.tensor(np.asarray(theta, dtype=np.float64))
    p = weights.shape[-1]
    x, y = (tasks.all_pairs(p) if pairs is None else tasks.check_pairs(pairs, p)).T
    hidden = sigma(weights[:, x] + weights[:, y])
    values: NDArray[Any] = (hidden.T @ torch.tensor(np.asarray(xi, dtype=np.float64))).numpy()
    return values


@dataclass(frozen=True)
class Batch:
    """Pairs as the network sees them, on one device.

    Parameters
    ----------
    incidence : Tensor (p, u)
        How often each residue occurs in each unordered pair: theta @ incidence is the input.
    answers : Tensor (u), integers
    counts : Tensor (u)
        Ordered versions of each unordered pair in the set; they sum to the number of pairs.
    """

    incidence: Tensor
    answers: Tensor
    counts: Tensor

    @classmethod
    def of(cls, pairs: NDArray[Any], p: int, dtype: torch.dtype, device: str) -> "Batch":
        """The batch of ordered pairs (n, 2)."""
        unordered, counts = np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)
        incidence = np.zeros((p, len(unordered)))
        for column in unordered.T:
            incidence[column, np.arange(len(unordered))] += 1
        return cls(
            torch.tensor(incidence, dtype=dtype, device=device),
            torch.tensor(tasks.answers(unordered, p), device=device),
            torch.tensor(counts, dtype=dtype, device=device),
        )

    def loss_and_accuracy(self, theta: Tensor, xi: Tensor, activation: str) -> tuple[float, float]:
        """Mean cross-entropy (nats) and accuracy over the pairs; NaN where there are none."""
        if not len(self.answers):
            return float("nan"), float("nan")
        sigma, _ = ACTIVATIONS[activation]
        outputs = sigma(theta @ self.incidence).T @ xi
        losses = torch.nn.functional.cross_entropy(outputs, self.answers, reduction="none")
        right = (outputs.argmax(-1) == self.answers).to(losses.dtype)
        total = self.counts.sum()
        return float(self.counts @ losses / total), float(self.counts @ right / total)


class Gradient:
    """Mean cross-entropy over a batch and its gradients, written out, in buffers that are reused.

    With residual R = softmax(f) - 1(answer), weighted by counts / n, the gradient for xi is
    sigma(z) R and for theta (sigma'(z) * (xi R^T)) incidence^T. Allocating the (neuron, u) arrays
    anew at every step would cost more than computing them.

    Parameters
    ----------
    batch : Batch
    activation : str
    theta : Tensor (neuron, p)
        Sets shape, dtype and device of the buffers.
    """

    def __init__(self, batch: Batch, activation: str, theta: Tensor) -> None:
        self._batch = batch
        self._sigma, self._times_slope = ACTIVATIONS[activation]
        self._share = (batch.counts / batch.counts.sum())[:, None]
        self._rows = torch.arange(len(batch.answers), device=theta.device)
        self._z = theta.new_empty(len(theta), len(batch.answers))
        self._hidden, self._back = torch.empty_like(self._z), torch.empty_like(self._z)
        self.theta, self.xi = torch.empty_like(theta), torch.empty_like(theta)

    def __call__(self, theta: Tensor, xi: Tensor) -> float:
        """Loss at these weights; fills ``self.theta`` and ``self.xi`` with its gradients."""
        batch = self._batch
        torch.mm(theta, batch.incidence, out=self._z)
        self._sigma(self._z, out=self._hidden)
        log_probabilities = torch.log_softmax(self._hidden.T @ xi, dim=-1)
        at_answers = log_probabilities[self._rows, batch.answers]
        residual = log_probabilities.exp_()
        residual[self._rows, batch.answers] -= 1
        residual *= self._share
        torch.mm(self._hidden, residual, out=self.xi)
        torch.mm(xi, residual.T, out=self._back)
        torch.mm(self._times_slope(self._back, self._z), batch.incidence.T, out=self.theta)
        return -float(at_answers @ self._share[:, 0])
