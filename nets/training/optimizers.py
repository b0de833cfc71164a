"""The optimisers, fused, over one buffer of parameters."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from grokode.theory.optimizer import OptimizerRule

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["OPTIMIZERS"]


def _sgd(rule: OptimizerRule, parameters: "list[Tensor]") -> "Optimizer":
    from torch.optim import SGD

    return SGD(
        parameters,
        lr=rule.learning_rate,
        momentum=rule.momentum,
        weight_decay=rule.weight_decay,
        fused=True,
    )


def _of_adam_family(name: str) -> "Callable[[OptimizerRule, list[Tensor]], Optimizer]":
    def make(rule: OptimizerRule, parameters: "list[Tensor]") -> "Optimizer":
        import torch

        optimizer: Optimizer = getattr(torch.optim, name)(
            parameters,
            lr=rule.learning_rate,
            betas=rule.betas,
            eps=rule.eps,
            weight_decay=rule.weight_decay,
            fused=True,
        )
        return optimizer

    return make


OPTIMIZERS: "dict[str, Callable[[OptimizerRule, list[Tensor]], Optimizer]]" = {
    "sgd": _sgd,
    "adamw": _of_adam_family("AdamW"),
    "adam": _of_adam_family("Adam"),
}
"""Every optimiser by name: its settings and the parameters it moves give one of torch."""
