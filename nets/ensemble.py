"""Several networks trained as one: their weights, gradient and optimiser on one device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.config import TrainingConfig
from grokode.nets.fused import FUSED, FusedGradient
from grokode.nets.mlp import Examples, Gradient

__all__ = ["Ensemble", "Intervention", "Weights"]


@dataclass(frozen=True)
class Weights:
    """The weights of an ensemble, to be read or changed in place between two updates.

    Parameters
    ----------
    seeds : tuple of int
    theta, xi : Tensor (seed, neuron, residue)
    """

    seeds: tuple[int, ...]
    theta: Tensor
    xi: Tensor


Intervention = Callable[[int, Weights], None]


class Ensemble:
    """Networks of one configuration, one to a seed, trained side by side.

    Parameters
    ----------
    config : TrainingConfig
    seeds : sequence of int
    weights : array (seed, layer, neuron, p)
        Theta, theta of y if it is separate, and xi. With an embedding, theta is the input weights
        before it, (neuron, embedding) and so of another width: see ``embedded``.
    examples : Examples
        The training pairs.
    device : str
    """

    def __init__(
        self,
        config: TrainingConfig,
        seeds: Sequence[int],
        weights: NDArray[Any],
        examples: Examples,
        device: str,
    ) -> None:
        self.seeds = tuple(seeds)
        self._config = config
        self._device = device
        self._examples = examples
        # Neurons innermost, see `grokode.nets.mlp`.
        inner = np.ascontiguousarray(weights.transpose(1, 0, 3, 2), dtype=config.dtype)
        self._weights = torch.tensor(inner, device=device)
        self._parameters = [self._weights]
        if config.embedding is not None:
            self._parameters = self._factors()
        self._prepare()

    def _factors(self) -> list[Tensor]:
        """Embedding (1, seed, p, d), input weights (layer, seed, d, neuron) and xi."""
        config = self._config
        p, d = config.p, config.embedding or 0
        inputs = len(self._weights) - 1
        embeddings, maps = [], []
        for seed in self.seeds:
            rng = np.random.default_rng((seed, 3))
            embeddings.append(rng.normal(size=(p, d)) / np.sqrt(d))
            maps.append(rng.normal(size=(inputs, d, config.neurons)) * config.scale / np.sqrt(d))
        dtype = self._weights.dtype
        return [
            torch.tensor(np.stack(embeddings)[None], dtype=dtype, device=self._device),
            torch.tensor(np.stack(maps, axis=1), dtype=dtype, device=self._device),
            self._weights[-1:].clone(),
        ]

    def _prepare(self) -> None:
        config = self._config
        if config.embedding is not None:
            self._compose()
        settings = {
            "loss_dtype": getattr(torch, config.loss_dtype),
            "summed": config.loss == "sum",
        }
        fused = self._device == "cpu" and config.activation in FUSED and not config.dropout
        self._gradient: FusedGradient | Gradient
        if fused:
            self._gradient = FusedGradient(
                self._examples, config.activation, self._weights, **settings
            )
        else:
            self._gradient = Gradient(
                self._examples,
                config.activation,
                self._weights,
                dropout=config.dropout,
                **settings,
            )
        if config.embedding is None:
            self._weights.grad = self._gradient.value
        else:
            for parameter in self._parameters:
                parameter.grad = torch.empty_like(parameter)
        self._optimizer = _optimizer(config, self._parameters)

    def _compose(self) -> None:
        embedding, maps, xi = self._parameters
        self._weights[:-1] = embedding @ maps
        self._weights[-1:] = xi

    def loss(self, step: int) -> Tensor:
        """Mean loss (seed,) on the training pairs, and the gradient there for `update`."""
        if self._config.embedding is not None:
            self._compose()
        if isinstance(self._gradient, Gradient) and self._config.dropout:
            # Drawn anew from seed and step, so that a resumed training drops the same neurons.
            generators = [
                torch.Generator(self._device).manual_seed((seed << 32) + step)
                for seed in self.seeds
            ]
            loss = self._gradient(generators)
        else:
            loss = self._gradient()
        if self._config.embedding is not None:
            embedding, maps, xi = self._parameters
            to_theta = self._gradient.value[:-1]
            embedding.grad = (to_theta @ maps.mT).sum(0, keepdim=True)
            maps.grad = embedding.mT @ to_theta
            xi.grad = self._gradient.value[-1:]
        return loss

    def update(self, step: int) -> None:
        """One update, the one after `step` others."""
        config = self._config
        for group in self._optimizer.param_groups:
            group["lr"] = config.rate(step)
            if step == config.decay_until:
                group["weight_decay"] = 0.0
        self._optimizer.step()

    @property
    def inner(self) -> Tensor:
        """Weights (layer, seed, p, neuron) as `grokode.nets.mlp` takes them."""
        return self._weights

    def views(self) -> Weights:
        """The weights for an intervention."""
        return Weights(self.seeds, self._weights[0].mT, self._weights[-1].mT)

    def weights(self) -> NDArray[Any]:
        """A copy of the weights, (seed, layer, neuron, p)."""
        values: NDArray[Any] = self._weights.permute(1, 0, 3, 2).numpy(force=True).copy()
        return values

    def norms(self) -> tuple[Tensor, Tensor]:
        """Norm of gradient and weights over all layers, each (seed,)."""
        gradient, weights = self._gradient.value, self._weights
        return tuple(  # type: ignore[return-value]
            values.double().square().sum((0, 2, 3)).sqrt() for values in (gradient, weights)
        )

    def keep(self, indices: Sequence[int], examples: Examples) -> None:
        """Go on with some of the seeds only, on their own examples."""
        state = self.state()
        self.seeds = tuple(self.seeds[i] for i in indices)
        if not self.seeds:
            return
        chosen = torch.tensor(list(indices), device=self._device)
        self._examples = examples
        # The update of this step is still to come, so its gradient goes along.
        gradients = [parameter.grad for parameter in self._parameters]
        self._weights = self._weights[:, chosen].contiguous()
        self._parameters = (
            [self._weights]
            if self._config.embedding is None
            else [parameter[:, chosen].contiguous() for parameter in self._parameters]
        )
        self._prepare()
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if parameter.grad is not None and gradient is not None:
                parameter.grad.copy_(gradient[:, chosen])
        for memory in state["optimizer"]["state"].values():
            for name, value in memory.items():
                if isinstance(value, Tensor) and value.ndim == self._weights.ndim:
                    memory[name] = value[:, chosen].contiguous()
        self._optimizer.load_state_dict(state["optimizer"])

    def state(self) -> dict[str, Any]:
        """What a resumed training needs beyond the weights."""
        state: dict[str, Any] = {"optimizer": self._optimizer.state_dict()}
        if self._config.embedding is not None:
            state["factors"] = [parameter.clone() for parameter in self._parameters]
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up a `state`."""
        self._optimizer.load_state_dict(state["optimizer"])
        if self._config.embedding is not None:
            for parameter, stored in zip(self._parameters, state["factors"], strict=True):
                parameter.copy_(stored)


def _optimizer(config: TrainingConfig, parameters: list[Tensor]) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=True,
    )
