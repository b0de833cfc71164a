"""The optimisers, fused, over one buffer of parameters."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from grokode.theory.optimizer import OptimizerRule

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["OPTIMIZERS", "Fused"]


class Update(Protocol):
    """One of torch's updates in its functional form."""

    def __call__(
        self, parameter: "Tensor", memory: "dict[str, Tensor]", group: Mapping[str, Any]
    ) -> None:
        """Move a parameter along its gradient, and its memory with it."""
        ...


class Fused:
    """What a training needs of `torch.optim.Optimizer`, over torch's functional updates.

    The classes of torch import its compiler first: a second and 70 MB of every training. States
    are of the layout of theirs, and those that they have kept are read.

    Parameters
    ----------
    parameter : Tensor
        With its gradient in ``grad``.
    update : Update
    memory : dict of Tensor
        What the update remembers, at the start.
    group : dict
        Its settings: learning rate ``lr``, ``weight_decay`` and whatever else it reads.
    """

    def __init__(
        self,
        parameter: "Tensor",
        update: Update,
        memory: "dict[str, Tensor]",
        **group: Any,
    ) -> None:
        self._parameter, self._update, self._memory = parameter, update, memory
        self.param_groups = [group]

    def step(self) -> None:
        """One update."""
        self._update(self._parameter, self._memory, self.param_groups[0])

    def state_dict(self) -> dict[str, Any]:
        """Memory and settings."""
        return {
            "state": {0: dict(self._memory)} if self._memory else {},
            "param_groups": [self.param_groups[0] | {"params": [0]}],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a `state_dict`; refused with ValueError if it is not of these parameters."""
        stored = state["state"].get(0, {})
        lacking = [name for name in self._memory if stored and name not in stored]
        if lacking:
            raise ValueError(f"the optimiser's state has no {lacking[0]}")
        for name, value in self._memory.items():
            if stored.get(name) is not None:  # a first step of torch's may have left none
                if stored[name].shape != value.shape:
                    raise ValueError(
                        f"the optimiser's {name} must be of shape {tuple(value.shape)}, "
                        f"got {tuple(stored[name].shape)}"
                    )
                value.copy_(stored[name])
        group = state["param_groups"][0]
        self.param_groups[0] |= {name: group[name] for name in self.param_groups[0]}


def _sgd(rule: OptimizerRule, parameters: "list[Tensor]") -> Fused:
    import torch
    from torch.optim.sgd import sgd

    def update(parameter: "Tensor", memory: "dict[str, Tensor]", group: Mapping[str, Any]) -> None:
        assert parameter.grad is not None
        sgd(
            [parameter],
            [parameter.grad],
            [memory.get("momentum_buffer")],
            fused=True,
            lr=group["lr"],
            momentum=rule.momentum,
            weight_decay=group["weight_decay"],
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )

    # From zero the first step's momentum is the gradient, as that of torch's class is.
    memory = {"momentum_buffer": torch.zeros_like(parameters[0])} if rule.momentum else {}
    return Fused(
        parameters[0], update, memory, lr=rule.learning_rate, weight_decay=rule.weight_decay
    )


def _of_adam_family(name: str) -> "Callable[[OptimizerRule, list[Tensor]], Fused]":
    def make(rule: OptimizerRule, parameters: "list[Tensor]") -> Fused:
        import torch
        from torch.optim.adam import adam
        from torch.optim.adamw import adamw

        function = {"Adam": adam, "AdamW": adamw}[name]

        def update(
            parameter: "Tensor", memory: "dict[str, Tensor]", group: Mapping[str, Any]
        ) -> None:
            assert parameter.grad is not None
            function(
                [parameter],
                [parameter.grad],
                [memory["exp_avg"]],
                [memory["exp_avg_sq"]],
                [],
                [memory["step"]],
                fused=True,
                capturable=group["capturable"],
                lr=group["lr"],
                beta1=rule.betas[0],
                beta2=rule.betas[1],
                eps=rule.eps,
                weight_decay=group["weight_decay"],
                amsgrad=False,
                maximize=False,
            )

        (parameter,) = parameters
        memory = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        return Fused(
            parameter,
            update,
            memory,
            lr=rule.learning_rate,
            weight_decay=rule.weight_decay,
            capturable=False,
        )

    return make


OPTIMIZERS: "dict[str, Callable[[OptimizerRule, list[Tensor]], Optimizer | Fused]]" = {
    "sgd": _sgd,
    "adamw": _of_adam_family("AdamW"),
    "adam": _of_adam_family("Adam"),
}
"""Every optimiser by name: its settings and the parameters it moves give one of torch's kind."""
