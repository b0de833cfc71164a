"""The gradient of a one-layer transformer by tables over tokens, with almost no autograd.

Only the last position's query is needed, and what a token contributes at a position does not depend
on the other tokens: scores, values and the unembedded residual stream are tables over residues.
Everything linear between two nonlinearities is multiplied out once, over weights and not over
pairs: heads to neurons W_in W_O, neurons to logits W_U^T W_out, heads to logits W_U^T W_O. What
remains for a pair is a softmax over positions and one hidden layer, whose gradient is written out
here; autograd takes it from the tables to the parameters, at the cost of a few hundred pairs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from grokode.nets.networks.base import Parameters
from grokode.nets.networks.own_pairs import OwnPairs, kept_factors
from grokode.nets.networks.scratch import scratch
from grokode.nets.networks.token_attention import ArrayAttention, LoopAttention
from grokode.nets.tasks.base import Task
from grokode.nets.tasks.examples import Examples

if TYPE_CHECKING:
    from grokode.nets.networks.transformer import Transformer

__all__ = ["TableGradient", "Tables"]

_BLOCK_BYTES = 2 << 20
"""One block of hidden values: products of more rows gain nothing, and of fewer lose in calls."""


@dataclass
class Tables:
    """What the pairs need of the parameters of some seeds, s of them.

    Tables of the last position have one row where it holds "=", and one for every y otherwise; so
    has what is added to scores, neurons and logits alike.
    """

    scores_x: Tensor  # (s, p or p p, head)
    scores_y: Tensor  # (s, p, head)
    scores_sign: Tensor | None  # (s, 1, head)
    values_x: Tensor  # (s, p, head_output)
    values_y: Tensor  # (s, p, head_output)
    values_sign: Tensor | None  # (s, 1, head_output)
    into: Tensor  # (s, neuron, head_output)
    base: Tensor  # (s, 1 or p, neuron)
    out: Tensor  # (s, class, neuron)
    skip: Tensor  # (s, class, head_output)
    bias: Tensor  # (s, 1 or p, class)

    def given(self) -> list[Tensor]:
        """Those there are."""
        return [value for value in vars(self).values() if value is not None]

    def made(self, make: Callable[[Tensor], Tensor]) -> "Tables":
        """The same of something made from each."""
        made: dict[str, Any] = {n: None if v is None else make(v) for n, v in vars(self).items()}
        return Tables(**made)


def _tables(network: "Transformer", parameters: Parameters) -> Tables:
    tokens = parameters["W_E"].mT
    positions = parameters["W_pos"]
    p = tokens.shape[1] - network.equals
    W_K, W_Q, W_V, W_O = (parameters[name][:, 0] for name in ("W_K", "W_Q", "W_V", "W_O"))
    of_x, of_y = tokens[:, :p] + positions[:, :1], tokens[:, :p] + positions[:, 1:2]
    sign = tokens[:, p:] + positions[:, 2:] if network.equals else None
    last = of_y if sign is None else sign
    queries = torch.einsum("shed,std->sthe", W_Q, last) / math.sqrt(W_Q.shape[2])
    # The score of x is a table over x, or over (x, y) where y asks.
    asked = torch.einsum("sthe,shed->sthd", queries, W_K)
    scores_x = torch.einsum("sthd,sxd->sxth", asked, of_x).flatten(1, 2)
    if sign is None:
        scores_y = torch.einsum("sthd,std->sth", asked, of_y)
    else:
        scores_y = torch.einsum("shd,syd->syh", asked[:, 0], of_y)
    flat_V = W_V.flatten(1, 2).mT
    unembed = parameters["W_E" if network.tied else "W_U"].mT
    skip, bias = unembed @ W_O, last
    # Attention only has no neurons; nothing below need know.
    into, base, out = W_O[:, :0], last[..., :0], skip[..., :0]
    if network.neurons:
        W_in, b_in, W_out, b_out = (
            parameters[name][:, 0] for name in ("W_in", "b_in", "W_out", "b_out")
        )
        into, out = W_in @ W_O, unembed @ W_out
        base = last @ W_in.mT + b_in[:, None]
        bias = last + b_out[:, None]
    return Tables(
        scores_x,
        scores_y,
        None if sign is None else torch.einsum("shd,std->sth", asked[:, 0], sign),
        of_x @ flat_V,
        of_y @ flat_V,
        None if sign is None else sign @ flat_V,
        into,
        base,
        out,
        skip,
        bias @ unembed.mT,
    )


class TableGradient:
    """Cross-entropy of one-layer transformers, one to a seed, and its gradient.

    Parameters
    ----------
    network : Transformer
        Of one layer.
    task, examples, parameters, gradients, seeds
        As `grokode.nets.networks.base.Network.objective` has them.

    Raises
    ------
    ValueError
        If the network has more layers.
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
        if network.layers != 1:
            raise ValueError(f"tables are of one layer, got layers = {network.layers}")
        self._network = network
        self._seeds = tuple(seeds)
        pairs = OwnPairs.of(task, examples)
        inputs = pairs.inputs
        # A processor does better seed by seed in blocks that fit its cache, a GPU all at once.
        on_cpu = inputs.device.type == "cpu"
        groups = [slice(s, s + 1) for s in range(len(inputs))] if on_cpu else [slice(None)]
        width = max(network.neurons, network.width) * parameters["W_E"].itemsize
        rows = max(1, _BLOCK_BYTES // width) if on_cpu else inputs.shape[1]
        blocks = [slice(first, first + rows) for first in range(0, inputs.shape[1], rows)]
        self._groups = [
            _Group(
                network,
                {
                    name: value[group].detach().requires_grad_()
                    for name, value in parameters.items()
                },
                {name: value[group] for name, value in gradients.items()},
                [_Block(network, task.classes, inputs, (group, block), pairs) for block in blocks],
            )
            for group in groups
        ]
        self._like = parameters["W_E"]
        self._examples = inputs.shape[1]

    def __call__(self, step: int) -> Tensor:
        """Mean loss (seed,) at the parameters; fills the gradients."""
        network, kept = self._network, None
        if network.dropout:
            shape = (self._examples, network.neurons or network.width)
            kept = kept_factors(self._seeds, step, shape, network.dropout, self._like)
        return torch.cat([group(kept) for group in self._groups])


class _Group:
    """Some seeds: their parameters, and their pairs block by block."""

    def __init__(
        self,
        network: "Transformer",
        parameters: Parameters,
        gradients: Parameters,
        blocks: "list[_Block]",
    ) -> None:
        self._network = network
        self._parameters, self._gradients = parameters, gradients
        self._blocks = blocks

    def __call__(self, kept: Tensor | None) -> Tensor:
        with torch.enable_grad():
            tables = _tables(self._network, self._parameters)
        plain = tables.made(Tensor.detach)
        pulled = tables.made(lambda table: table.new_zeros(table.shape))
        loss = torch.stack([block.pull(plain, pulled, kept) for block in self._blocks]).sum(0)
        back = torch.autograd.grad(tables.given(), list(self._parameters.values()), pulled.given())
        for name, value in zip(self._parameters, back, strict=True):
            self._gradients[name].copy_(value)
        return loss


class _Block:
    """Some pairs of some seeds."""

    def __init__(
        self,
        network: "Transformer",
        p: int,
        inputs: Tensor,
        part: tuple[slice, slice],
        pairs: OwnPairs,
    ) -> None:
        self._dropout_on_heads = not network.neurons
        self._part, self._criterion = part, pairs.criterion
        x, y = inputs[part].unbind(-1)
        self._shape = x.shape
        own = torch.arange(len(x), device=inputs.device)[:, None]
        self._y = (own * p + y).flatten()
        kind = LoopAttention if inputs.device.type == "cpu" else ArrayAttention
        self._attention: LoopAttention | ArrayAttention = kind(
            x, y, p, network.heads, network.equals, network.attention_rate
        )

    def pull(self, tables: Tables, pulled: Tables, kept: Tensor | None) -> Tensor:
        """The part (s,) of these pairs in the loss; adds theirs to the tables' gradient."""
        kept = None if kept is None else kept[self._part]
        of_heads, of_neurons = (kept, None) if self._dropout_on_heads else (None, kept)
        z = _times(self._attention.forward(tables), of_heads)
        active = _product(z, tables.into.mT, "active")
        active += self._of_last(tables.base)
        active.relu_()
        dropped = _times(active, of_neurons)
        logits = _product(z, tables.skip.mT, "logits")
        logits += self._of_last(tables.bias)
        logits.baddbmm_(dropped, tables.out.mT)
        residual, loss = self._criterion(logits, self._part)
        pulled.skip.baddbmm_(residual.mT, z)
        pulled.out.baddbmm_(residual.mT, dropped)
        self._to_last(pulled.bias, residual)
        slope = _times(_product(residual, tables.out, "slope"), of_neurons)
        torch.ops.aten.threshold_backward.grad_input(slope, active, 0, grad_input=slope)
        pulled.into.baddbmm_(slope.mT, z)
        self._to_last(pulled.base, slope)
        back = _product(residual, tables.skip, "back").baddbmm_(slope, tables.into)
        self._attention.back(pulled, _times(back, of_heads))
        return loss

    def _of_last(self, table: Tensor) -> Tensor:
        """The last position's row of a table (s, 1 or p, n) for every pair."""
        if table.shape[1] == 1:
            return table
        rows = table.flatten(0, 1).index_select(0, self._y)
        return rows.view(*self._shape, table.shape[-1])

    def _to_last(self, pulled: Tensor, values: Tensor) -> None:
        if pulled.shape[1] == 1:
            pulled += values.sum(1, keepdim=True)
        else:
            pulled.flatten(0, 1).index_add_(0, self._y, values.flatten(0, 1))


def _product(one: Tensor, other: Tensor, name: str) -> Tensor:
    return torch.bmm(one, other, out=scratch(name, one, *one.shape[:2], other.shape[2]))


def _times(values: Tensor, factors: Tensor | None) -> Tensor:
    return values if factors is None else values * factors
