"""The gradient of a one-layer transformer by tables over tokens, with almost no autograd.

Only the last position's query is needed, and what a token contributes at a position does not depend
on the other tokens: scores, values and the unembedded residual stream are tables over residues.
Everything linear between two nonlinearities is multiplied out once, over weights, not over pairs:
heads to neurons W_in W_O, neurons to logits W_U^T W_out, heads to logits W_U^T W_O. What remains for
a pair is a softmax over positions and one hidden layer, whose gradient is written out here; autograd
takes it from the tables to the parameters, which costs as much as a few hundred pairs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grokode.nets.networks.transformer import Transformer

__all__ = ["TableGradient"]

_BLOCK_BYTES = 1 << 20
"""One block of hidden values; a core's second-level cache is about this large."""


@dataclass
class _Tables:
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
    into: Tensor | None  # (s, neuron, head_output)
    base: Tensor | None  # (s, 1 or p, neuron)
    out: Tensor | None  # (s, class, neuron)
    skip: Tensor  # (s, class, head_output)
    bias: Tensor  # (s, 1 or p, class)

    def given(self) -> list[Tensor]:
        """Those there are."""
        return [value for value in vars(self).values() if value is not None]


def _tables(network: Transformer, parameters: Mapping[str, Tensor]) -> _Tables:
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
    into = base = out = None
    bias = last
    if network.neurons:
        W_in, b_in, W_out, b_out = (
            parameters[name][:, 0] for name in ("W_in", "b_in", "W_out", "b_out")
        )
        into, out = W_in @ W_O, unembed @ W_out
        base = last @ W_in.mT + b_in[:, None]
        bias = last + b_out[:, None]
    return _Tables(
        scores_x,
        scores_y,
        None if sign is None else torch.einsum("shd,std->sth", asked[:, 0], sign),
        of_x @ flat_V,
        of_y @ flat_V,
        None if sign is None else sign @ flat_V,
        into,
        base,
        out,
        unembed @ W_O,
        bias @ unembed.mT,
    )


class TableGradient:
    """Cross-entropy of one-layer transformers, one to a seed, and its gradient.

    Parameters
    ----------
    network : Transformer
        Of one layer.
    parameters, gradients : mappings of name to Tensor (seed, *shape)
        Parameters are read, gradients written, in place at every call.
    inputs : integers (seed, example, 2)
        Every seed's training pairs.
    answers : integers (seed, example)
    loss_dtype : torch.dtype
        Format of softmax and loss.
    summed : bool
        Take the gradient of the sum over pairs rather than of the mean.
    """

    def __init__(
        self,
        network: Transformer,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        inputs: Tensor,
        answers: Tensor,
        *,
        loss_dtype: torch.dtype = torch.float64,
        summed: bool = False,
    ) -> None:
        if network.layers != 1:
            raise ValueError(f"network must have one layer, got {network.layers}; use outputs")
        self._network = network
        self._loss_dtype = loss_dtype
        seeds, examples = answers.shape
        # A processor does better seed by seed in blocks that fit its cache, a GPU all at once.
        on_cpu = answers.device.type == "cpu"
        groups = [slice(s, s + 1) for s in range(seeds)] if on_cpu else [slice(None)]
        width = max(network.neurons, network.width) * parameters["W_E"].itemsize
        rows = max(1, _BLOCK_BYTES // width) if on_cpu else examples
        blocks = [slice(first, first + rows) for first in range(0, examples, rows)]
        p = parameters["W_E"].shape[2] - network.equals
        self._groups = [
            (
                {
                    name: value[group].detach().requires_grad_()
                    for name, value in parameters.items()
                },
                {name: value[group] for name, value in gradients.items()},
                [
                    (group, block, _Block(network, p, inputs[group, block], answers[group, block]))
                    for block in blocks
                ],
            )
            for group in groups
        ]
        self._examples = examples
        self._weight = 1.0 if summed else 1 / examples

    def __call__(self, kept: Tensor | None = None) -> Tensor:
        """Mean loss (seed,); the gradients are filled.

        Parameters
        ----------
        kept : Tensor (seed, example, neuron), optional
            Factors of dropout.
        """
        losses = []
        for parameters, gradients, blocks in self._groups:
            with torch.enable_grad():
                tables = _tables(self._network, parameters)
            given = tables.given()
            with torch.no_grad():
                plain = _Tables(*(v if v is None else v.detach() for v in vars(tables).values()))
                pulled = _Tables(
                    *(v if v is None else torch.zeros_like(v) for v in vars(tables).values())
                )
                loss: Tensor | float = 0.0
                for group, block, pairs in blocks:
                    factors = None if kept is None else kept[group, block]
                    loss = loss + pairs.pull(plain, pulled, self._loss_dtype, self._weight, factors)
                losses.append(loss / self._examples)
            found = torch.autograd.grad(given, list(parameters.values()), pulled.given())
            for name, gradient in zip(parameters, found, strict=True):
                gradients[name].copy_(gradient)
        return torch.cat(losses)


class _Block:
    """Some pairs of some seeds."""

    def __init__(self, network: Transformer, p: int, inputs: Tensor, answers: Tensor) -> None:
        self._rate = network.attention_rate
        self._heads = network.heads
        self._dropout_on_heads = not network.neurons
        self._answers = answers[..., None]
        x, y = inputs.unbind(-1)
        own = torch.arange(len(inputs), device=inputs.device)[:, None]
        # Rows of tables whose leading dimension, the seed, is flattened.
        self._x, self._y = ((own * p + v).flatten() for v in (x, y))
        self._asks_x = self._x if network.equals else ((own * p + x) * p + y).flatten()

    def pull(
        self,
        tables: _Tables,
        pulled: _Tables,
        dtype: torch.dtype,
        weight: float,
        kept: Tensor | None,
    ) -> Tensor:
        """Sum of the losses (s,) of these pairs; adds their part to the tables' gradient."""
        seeds, examples, _ = self._answers.shape
        heads, attention = self._attend(tables)
        of_heads = kept if self._dropout_on_heads else None
        z = heads.view(seeds, examples, -1)
        z = z if of_heads is None else z * of_heads
        logits = z @ tables.skip.mT
        logits += self._of_last(tables.bias)
        active = None
        if tables.into is not None and tables.base is not None and tables.out is not None:
            active = z @ tables.into.mT
            active += self._of_last(tables.base)
            active.relu_()
            dropped = active if kept is None else active * kept
            logits.baddbmm_(dropped, tables.out.mT)
        loss, residual = self._loss(logits, dtype, weight)
        back = residual @ tables.skip
        pulled.skip.baddbmm_(residual.mT, z)
        self._to_last(pulled.bias, residual)
        if active is not None:
            pulled.out.baddbmm_(residual.mT, dropped)  # type: ignore[union-attr]
            slope = residual @ tables.out  # type: ignore[operator]
            slope = slope if kept is None else slope * kept
            torch.ops.aten.threshold_backward.grad_input(slope, active, 0, grad_input=slope)
            pulled.into.baddbmm_(slope.mT, z)  # type: ignore[union-attr]
            self._to_last(pulled.base, slope)  # type: ignore[arg-type]
            back.baddbmm_(slope, tables.into)  # type: ignore[arg-type]
        if of_heads is not None:
            back *= of_heads
        self._attend_back(tables, pulled, back.view_as(heads), attention)
        return loss

    def _attend(self, tables: _Tables) -> tuple[Tensor, list[Tensor]]:
        """Output of the heads (s u, head, head_width) and the softmax, (s u, head, position)."""
        scores = [
            tables.scores_x.flatten(0, 1).index_select(0, self._asks_x),
            tables.scores_y.flatten(0, 1).index_select(0, self._y),
        ]
        if tables.scores_sign is not None:
            scores.append(self._all(tables.scores_sign))
        softmax = torch.stack(scores, -1).softmax(-1)
        taken = self._rate * softmax + (1 - self._rate)
        values = self._values(tables)
        heads = taken[..., :1] * values[0]
        for position, value in enumerate(values[1:], 1):
            heads.addcmul_(taken[..., position : position + 1], value)
        return heads, [softmax, taken, *values]

    def _attend_back(
        self, tables: _Tables, pulled: _Tables, back: Tensor, attention: list[Tensor]
    ) -> None:
        softmax, taken, *values = attention
        to_taken = torch.stack([(back * value).sum(-1) for value in values], -1)
        to_scores = to_taken - (softmax * to_taken).sum(-1, keepdim=True)
        to_scores *= softmax
        to_scores *= self._rate
        to_values = [(taken[..., i : i + 1] * back).flatten(1) for i in range(len(values))]
        pulled.scores_x.flatten(0, 1).index_add_(0, self._asks_x, to_scores[..., 0])
        pulled.scores_y.flatten(0, 1).index_add_(0, self._y, to_scores[..., 1])
        pulled.values_x.flatten(0, 1).index_add_(0, self._x, to_values[0])
        pulled.values_y.flatten(0, 1).index_add_(0, self._y, to_values[1])
        if pulled.scores_sign is not None and pulled.values_sign is not None:
            self._to_sign(pulled.scores_sign, to_scores[..., 2])
            self._to_sign(pulled.values_sign, to_values[2])

    def _values(self, tables: _Tables) -> list[Tensor]:
        rows = [
            tables.values_x.flatten(0, 1).index_select(0, self._x),
            tables.values_y.flatten(0, 1).index_select(0, self._y),
        ]
        if tables.values_sign is not None:
            rows.append(self._all(tables.values_sign))
        return [row.unflatten(-1, (self._heads, -1)) for row in rows]

    def _all(self, table: Tensor) -> Tensor:
        """The one row (s, 1, n) of "=", for every pair (s u, n)."""
        return table.expand(-1, self._answers.shape[1], -1).reshape(-1, table.shape[-1])

    def _to_sign(self, pulled: Tensor, values: Tensor) -> None:
        pulled += values.view(len(pulled), -1, pulled.shape[-1]).sum(1, keepdim=True)

    def _of_last(self, table: Tensor) -> Tensor:
        """The last position's row of a table (s, 1 or p, n) for every pair."""
        if table.shape[1] == 1:
            return table
        rows = table.flatten(0, 1).index_select(0, self._y)
        return rows.view(len(table), -1, table.shape[-1])

    def _to_last(self, pulled: Tensor, values: Tensor) -> None:
        if pulled.shape[1] == 1:
            pulled += values.sum(1, keepdim=True)
        else:
            pulled.flatten(0, 1).index_add_(0, self._y, values.flatten(0, 1))

    def _loss(self, logits: Tensor, dtype: torch.dtype, weight: float) -> tuple[Tensor, Tensor]:
        """Sum of the losses (s,), and the weighted residual softmax - answer (s, u, class)."""
        shifted = logits.to(dtype)
        shifted = shifted - shifted.amax(-1, keepdim=True)
        right = shifted.gather(-1, self._answers)
        residual = shifted.exp_()
        total = residual.sum(-1, keepdim=True)
        loss = (total.log() - right).sum((1, 2))
        residual *= weight / total
        residual.scatter_add_(-1, self._answers, residual.new_tensor(-weight).expand_as(right))
        return loss, residual.to(logits.dtype)
