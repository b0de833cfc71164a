"""The gradient of any network by autograd, where nothing faster is written."""

import torch
from torch import Tensor

from grokode.nets.networks.base import Network, Parameters
from grokode.nets.tasks.base import Task
from grokode.nets.tasks.examples import Examples

__all__ = ["Autograd"]


class Autograd:
    """An `Objective`: outputs, the task's residual there, and autograd back from it.

    Parameters
    ----------
    network, task, examples, parameters, gradients
        As `grokode.nets.networks.base.Network.objective` has them.
    """

    def __init__(
        self,
        network: Network,
        task: Task,
        examples: Examples,
        parameters: Parameters,
        gradients: Parameters,
    ) -> None:
        self._network = network
        self._inputs = examples.inputs
        self._criterion = task.criterion(examples)
        self._parameters = parameters
        self._gradients = gradients

    def __call__(self, step: int) -> Tensor:
        """Mean loss (seed,) at the parameters; fills the gradients."""
        leaves = {name: value.detach().requires_grad_() for name, value in self._parameters.items()}
        with torch.enable_grad():
            values = self._network.outputs(leaves, self._inputs)
        residual, loss = self._criterion(values.detach())
        back = torch.autograd.grad(values, list(leaves.values()), residual)
        for gradient, value in zip(self._gradients.values(), back, strict=True):
            gradient.copy_(value)
        return loss
