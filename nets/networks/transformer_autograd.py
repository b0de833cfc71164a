"""The gradient of transformers of any number of layers, by autograd."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from grokode.nets.networks.base import Parameters
from grokode.nets.networks.own_pairs import OwnPairs, kept_factors
from grokode.nets.networks.transformer_model import activations
from grokode.nets.tasks.base import Task
from grokode.nets.tasks.examples import Examples

if TYPE_CHECKING:
    from grokode.nets.networks.transformer import Transformer

__all__ = ["TransformerAutograd"]


class TransformerAutograd:
    """As `grokode.nets.networks.autograd.Autograd`, on every seed's own pairs, with dropout.

    Parameters
    ----------
    network, task, examples, parameters, gradients, seeds
        As `grokode.nets.networks.base.Network.objective` has them.
    """

    def __init__(
        self,
        network: "Transformer",
        task: Task,
        examples: Examples,
        parameters: Parameters,
        gradients: Parameters,
        seeds: Sequence[int],
    ) -> None:
        self._network = network
        self._pairs = OwnPairs.of(task, examples)
        self._parameters, self._gradients = parameters, gradients
        self._seeds = tuple(seeds)

    def __call__(self, step: int) -> Tensor:
        """Mean loss (seed,) at the parameters; fills the gradients."""
        network, inputs = self._network, self._pairs.inputs
        kept = None
        if network.dropout:
            shape = (inputs.shape[1], network.layers, network.neurons or network.width)
            like = self._parameters["W_E"]
            kept = kept_factors(self._seeds, step, shape, network.dropout, like)
        leaves = {name: value.detach().requires_grad_() for name, value in self._parameters.items()}
        with torch.enable_grad():
            values = activations(network, leaves, inputs, kept).logits
        residual, loss = self._pairs.criterion(values.detach())
        back = torch.autograd.grad(values, list(leaves.values()), residual)
        for gradient, value in zip(self._gradients.values(), back, strict=True):
            gradient.copy_(value)
        return loss
