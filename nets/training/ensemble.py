"""Several networks trained as one: their parameters, gradients and optimiser on one device."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.networks.base import Layout
from grokode.nets.tasks.examples import Examples
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.graphs import capturing, replayed
from grokode.nets.training.optimizers import OPTIMIZERS
from grokode.nets.workers import Workers

__all__ = ["Ensemble", "Intervention", "Weights"]

_SMALL = 50_000
"""Numbers in the largest array of a step above which a processor takes each seed by itself.

A seed's arrays then fit the caches, and are no thread's but its own: the same bits whatever the
threads and the other seeds. Below, most of the time goes into calls, so that all seeds share them.
"""


class Weights:
    """The parameters of an ensemble, to be read or changed in place between two updates.

    Parameters
    ----------
    seeds : tuple of int
    **parameters : Tensor (seed, *shape)
        Those of the network, each also an attribute; a two-layer network has ``theta`` and ``xi``,
        (seed, neuron, residue).
    """

    seeds: tuple[int, ...]
    parameters: Mapping[str, Tensor]

    def __init__(self, seeds: tuple[int, ...], **parameters: Tensor) -> None:
        # Of both nothing else can be put in the place: that would change no network.
        self.__dict__.update(seeds=seeds, parameters=MappingProxyType(parameters))

    def __setattr__(self, name: str, value: object) -> None:
        """Refused: a name bound to other values leaves the network as it is."""
        if value is self.parameters.get(name):  # as in weights.theta *= 2
            return
        raise AttributeError(
            f"{name} cannot be replaced, only changed in place: weights.{name}[:] = values"
        )

    def __getattr__(self, name: str) -> Tensor:
        """A parameter by its name."""
        try:
            return self.__dict__["parameters"][name]
        except KeyError:
            known = ", ".join(self.__dict__.get("parameters", ()))
            raise AttributeError(f"this network has no parameter {name!r}, only {known}") from None


Intervention = Callable[[int, Weights], None]


class Ensemble:
    """Networks of one configuration, one to a seed, trained side by side.

    Parameters
    ----------
    config : TrainingConfig
    seeds : sequence of int
    parameters : dict of array (seed, *shape)
        Where they start.
    examples : Examples
        What they are trained on.
    device : str
    workers : Workers, optional
        Threads that share the seeds on a processor.
    """

    def __init__(
        self,
        config: TrainingConfig,
        seeds: Sequence[int],
        parameters: Mapping[str, NDArray[Any]],
        examples: Examples,
        device: str,
        workers: Workers | None = None,
    ) -> None:
        self.seeds = tuple(seeds)
        self._config = config
        self._workers = workers or Workers()
        self._layouts = config.network.layout(config.data)
        size = sum(math.prod(layout.shape) for layout in self._layouts.values())
        # One buffer for all: the optimiser moves it in one sweep.
        self._buffer = torch.empty(
            len(self.seeds), size, dtype=getattr(torch, config.dtype), device=device
        )
        for name, view in _views(self._buffer, self._layouts).items():
            view.copy_(torch.tensor(parameters[name]))
        self._now = torch.zeros((), dtype=torch.long, device=device)
        self.diverged_at = torch.full((len(self.seeds),), -1, device=device)
        """First step (seed,) at which a loss was not finite, -1 if none: a GPU marks it itself."""
        self._prepare(examples)

    def _prepare(self, examples: Examples) -> None:
        config = self._config
        self._gradient = self._buffer.grad = torch.zeros_like(self._buffer)
        self._parameters = _views(self._buffer, self._layouts)
        gradients = _views(self._gradient, self._layouts)
        rows = range(len(self.seeds))
        work = config.network.work(config.data)
        apart = self._buffer.device.type == "cpu" and work > _SMALL
        parts = [[row] for row in rows] if apart else [[*rows]]
        self._objectives = [
            config.network.objective(
                config.data,
                examples.select(part),
                {name: view[part[0] : part[-1] + 1] for name, view in self._parameters.items()},
                {name: view[part[0] : part[-1] + 1] for name, view in gradients.items()},
                [self.seeds[row] for row in part],
            )
            for part in parts
        ]
        self._optimizer = OPTIMIZERS[config.optimizer](config.rule, [self._buffer])
        rule, device = config.rule, self._buffer.device
        self._loss: Callable[[int], Tensor] = self._marked_loss
        if getattr(config.network, "steady", False):
            self._loss = replayed(self._marked_loss, device, key=lambda step: None)
        self._update = replayed(
            self._plain_update,
            device,
            key=lambda step: (rule.rate(step), step < (rule.decay_until or math.inf)),
        )

    def loss(self, step: int) -> Tensor:
        """Mean loss (seed,) on the training examples, and the gradient there for `update`."""
        self._now.fill_(step)
        return self._loss(step)

    def _marked_loss(self, step: int) -> Tensor:
        calls = [partial(objective, step) for objective in self._objectives]
        losses = self._workers.run(calls)
        loss = losses[0] if len(losses) == 1 else torch.cat(losses)
        # Less itself, a number that is finite is 0: two small operations where isfinite is five.
        fresh = (self.diverged_at < 0) & (loss - loss != 0)
        self.diverged_at.copy_(torch.where(fresh, self._now, self.diverged_at))
        return loss

    def update(self, step: int) -> None:
        """One update, the one after `step` others."""
        self._update(step)

    def _plain_update(self, step: int) -> None:
        rule = self._config.rule
        for group in self._optimizer.param_groups:
            group["lr"] = rule.rate(step)
            if step == rule.decay_until:
                group["weight_decay"] = 0.0
            if "capturable" in group:  # what Adam asks for before it lets itself be captured
                group["capturable"] = capturing(self._buffer.device)
        self._optimizer.step()

    def outputs(self, examples: Examples) -> Tensor:
        """Outputs (seed, example, class)."""
        return self._config.network.outputs(self._parameters, examples.inputs)

    def measure(self, *parts: Examples) -> Tensor:
        """Losses and accuracies over sets of examples, norms of gradient and parameters.

        Returns
        -------
        Tensor (seed, quantity)
            In the order of `grokode.nets.runs.METRICS` for training and test set; NaN for a set
            that is empty. The gradient is that of the last call of `loss`.
        """
        evaluate = self._config.data.evaluate
        losses, accuracies = zip(
            *(evaluate(self.outputs(examples), examples) for examples in parts), strict=True
        )
        norms = (
            values.double().square().sum(1).sqrt() for values in (self._gradient, self._buffer)
        )
        return torch.stack([value.double() for value in (*losses, *accuracies, *norms)], dim=1)

    def views(self) -> Weights:
        """The parameters for an intervention."""
        return Weights(self.seeds, **self._parameters)

    def weights(self) -> dict[str, NDArray[Any]]:
        """A copy of the parameters, each (seed, *shape)."""
        return {name: _copied(value).numpy() for name, value in self._parameters.items()}

    def keep(self, indices: Sequence[int], examples: Examples) -> None:
        """Go on with some of the seeds only, on their own examples; from a new `loss` on."""
        state = self.state()
        self.seeds = tuple(self.seeds[i] for i in indices)
        if not self.seeds:
            return
        chosen = [*indices]
        self._buffer, self.diverged_at = self._buffer[chosen], self.diverged_at[chosen]
        self._prepare(examples)
        for memory in state["optimizer"]["state"].values():
            for name, value in memory.items():
                if isinstance(value, Tensor) and value.ndim == self._buffer.ndim:
                    memory[name] = value[chosen]
        self._optimizer.load_state_dict(state["optimizer"])

    def state(self) -> dict[str, Any]:
        """A copy of what a resumed training needs beyond the parameters."""
        optimizer = self._optimizer.state_dict()
        memories = {
            index: {name: _copied(value) for name, value in memory.items()}
            for index, memory in optimizer["state"].items()
        }
        return {"optimizer": optimizer | {"state": memories}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up a `state`."""
        self._optimizer.load_state_dict(state["optimizer"])


def _copied(value: Any) -> Any:
    """A copy of a tensor in the host's memory; what is none, as it is."""
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value


def _views(buffer: Tensor, layouts: Mapping[str, Layout]) -> dict[str, Tensor]:
    """The parameters in a buffer (seed, n), each (seed, *shape)."""
    views, first = {}, 0
    for name, layout in layouts.items():
        flat = buffer[:, first : first + math.prod(layout.shape)]
        first += flat.shape[1]
        if layout.transposed:
            *rest, rows, columns = layout.shape
            views[name] = flat.view(-1, *rest, columns, rows).mT
        else:
            views[name] = flat.view(-1, *layout.shape)
    return views
