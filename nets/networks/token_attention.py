"""Attention of pairs to their tokens, by tables over tokens: what heads put out, and its gradient.

On a processor it is two compiled loops: as operations on arrays it is some fifty small ones to a
block of pairs, whose calls alone take a tenth of a step. A GPU does the operations.
"""

import math
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets.networks.scratch import scratch

if TYPE_CHECKING:
    from grokode.nets.networks.token_tables import Tables

__all__ = ["ArrayAttention", "LoopAttention"]

Array = NDArray[Any]


class ArrayAttention:
    """Of some pairs of some seeds, on any device.

    Parameters
    ----------
    x, y : Tensor (seed, u)
        Residues of the pairs.
    p, heads : int
    equals : bool
        Whether "=" asks, or y.
    rate : float
        Attention is this times the softmax, plus 1 - rate.
    """

    def __init__(self, x: Tensor, y: Tensor, p: int, heads: int, equals: bool, rate: float) -> None:
        self._heads, self._rate = heads, rate
        self._shape = x.shape
        own = torch.arange(len(x), device=x.device)[:, None]
        # Rows of tables whose leading dimension, the seed, is flattened.
        self._x, self._y = ((own * p + v).flatten() for v in (x, y))
        self._asks_x = self._x if equals else ((own * p + x) * p + y).flatten()
        self._kept: tuple[Tensor, ...] = ()

    def forward(self, tables: "Tables") -> Tensor:
        """Output of the heads (seed, u, head_output)."""
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
        self._kept = softmax, taken, *values
        return heads.view(*self._shape, -1)

    def back(self, pulled: "Tables", back: Tensor) -> None:
        """Add to the tables' gradient, after `forward`, what ``back`` for its output makes."""
        softmax, taken, *values = self._kept
        back = back.view_as(values[0])
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
            _to_sign(pulled.scores_sign, to_scores[..., 2])
            _to_sign(pulled.values_sign, to_values[2])

    def _values(self, tables: "Tables") -> list[Tensor]:
        rows = [
            tables.values_x.flatten(0, 1).index_select(0, self._x),
            tables.values_y.flatten(0, 1).index_select(0, self._y),
        ]
        if tables.values_sign is not None:
            rows.append(self._all(tables.values_sign))
        return [row.unflatten(-1, (self._heads, -1)) for row in rows]

    def _all(self, table: Tensor) -> Tensor:
        """The one row (s, 1, n) of "=", for every pair (s u, n)."""
        return table.expand(-1, self._shape[1], -1).reshape(-1, table.shape[-1])


def _to_sign(pulled: Tensor, values: Tensor) -> None:
    pulled += values.view(len(pulled), -1, pulled.shape[-1]).sum(1, keepdim=True)


class LoopAttention:
    """The same of one seed, on a processor.

    Parameters
    ----------
    x, y : Tensor (1, u)
    p, heads, equals, rate
        As of `ArrayAttention`.
    """

    def __init__(self, x: Tensor, y: Tensor, p: int, heads: int, equals: bool, rate: float) -> None:
        self._heads, self._rate = heads, rate
        of_x, of_y = (v[0].numpy() for v in (x, y))
        # A row for each position: x, y, and "=", which has one row in its table.
        last = [np.zeros_like(of_x)] if equals else []
        asks_x = of_x if equals else of_x * p + of_y
        self._score_rows = np.array([asks_x, of_y, *last], dtype=np.int32)
        self._value_rows = np.array([of_x, of_y, *last], dtype=np.int32)

    def forward(self, tables: "Tables") -> Tensor:
        """Output of the heads (1, u, head_output)."""
        positions, pairs = self._value_rows.shape
        like = tables.values_x
        softmax = scratch("softmax", like, pairs, self._heads, positions)
        heads = scratch("heads", like, 1, pairs, like.shape[-1])
        self._softmax, self._values = softmax.numpy(), _arrays(tables, "values")
        _attend(
            _arrays(tables, "scores"),
            self._values,
            self._score_rows,
            self._value_rows,
            self._rate,
            self._softmax,
            heads[0].numpy(),
        )
        return heads

    def back(self, pulled: "Tables", back: Tensor) -> None:
        """Add to the tables' gradient, after `forward`, what ``back`` for its output makes."""
        _attend_back(
            self._values,
            self._score_rows,
            self._value_rows,
            self._rate,
            self._softmax,
            back[0].numpy(),
            _arrays(pulled, "scores"),
            _arrays(pulled, "values"),
        )


def _arrays(tables: "Tables", kind: str) -> tuple[Array, ...]:
    """Tables of the positions of one seed, each (row, n)."""
    named = (getattr(tables, f"{kind}_{position}") for position in ("x", "y", "sign"))
    return tuple(table[0].numpy() for table in named if table is not None)


# fastmath lets the compiler vectorise; nothing here relies on NaN or the order of a sum.
_kernel: Any = nb.njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})


@_kernel
def _attend(
    scores: tuple[Array, ...],
    values: tuple[Array, ...],
    score_rows: Array,
    value_rows: Array,
    rate: float,
    softmax: Array,
    heads: Array,
) -> None:
    """Fill the softmax (n, head, position) and the heads' output (n, head_output).

    Parameters
    ----------
    scores : tuple of arrays (row, head)
        A table for each position.
    values : tuple of arrays (row, head_output)
    score_rows, value_rows : integers (position, n)
        Which row of a position's table a pair has.
    rate : float
        Attention is this times the softmax, plus 1 - rate.
    """
    pairs, count, positions = softmax.shape
    width = heads.shape[1] // count
    for i in range(pairs):
        for head in range(count):
            top, total = -np.inf, 0.0
            for k in range(positions):
                score = scores[k][score_rows[k, i], head]
                softmax[i, head, k] = score
                top = max(top, score)
            for k in range(positions):
                softmax[i, head, k] = math.exp(softmax[i, head, k] - top)
                total += softmax[i, head, k]
            out = heads[i, head * width : (head + 1) * width]
            out[:] = 0
            for k in range(positions):
                softmax[i, head, k] /= total
                taken = heads.dtype.type(rate * softmax[i, head, k] + (1 - rate))
                row = values[k][value_rows[k, i]]
                for c in range(width):
                    out[c] += taken * row[head * width + c]


@_kernel
def _attend_back(
    values: tuple[Array, ...],
    score_rows: Array,
    value_rows: Array,
    rate: float,
    softmax: Array,
    back: Array,
    to_scores: tuple[Array, ...],
    to_values: tuple[Array, ...],
) -> None:
    """Add to the tables' gradients what ``back`` (n, head_output), that of the output, makes."""
    pairs, count, positions = softmax.shape
    width = back.shape[1] // count
    along = np.empty(positions)
    for i in range(pairs):
        for head in range(count):
            pull = back[i, head * width : (head + 1) * width]
            mean = 0.0
            for k in range(positions):
                row = values[k][value_rows[k, i]]
                total = back.dtype.type(0)
                for c in range(width):
                    total += pull[c] * row[head * width + c]
                along[k] = total
                mean += softmax[i, head, k] * total
            for k in range(positions):
                part = softmax[i, head, k]
                to_scores[k][score_rows[k, i], head] += rate * part * (along[k] - mean)
                taken = back.dtype.type(rate * part + (1 - rate))
                row = to_values[k][value_rows[k, i]]
                for c in range(width):
                    row[head * width + c] += taken * pull[c]
