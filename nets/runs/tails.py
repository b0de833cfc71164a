"""Logged steps that do not fill a chunk yet."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokode.nets.runs.layout import Plan
from grokode.nets.runs.output import Output

__all__ = ["Tails"]


class Tails:
    """The last rows of every logged array, in memory until they fill a chunk.

    Parameters
    ----------
    output : Output
        Where full chunks go.
    plans : mapping of name to Plan
        The logged arrays.
    """

    def __init__(self, output: Output, plans: Mapping[str, Plan]) -> None:
        self._output = output
        self._plans = plans
        self.rows: dict[str, list[NDArray[Any]]] = {name: [] for name in plans}

    def add(self, name: str, row: NDArray[Any], before: int) -> str:
        """Add a row to an array of so many; the digest of the chunk that it fills, or ``""``."""
        plan, tail = self._plans[name], self.rows[name]
        tail.append(row)
        if len(tail) < plan.rows:
            return ""
        block = before // plan.rows
        self._output.make_room(plan, (block + 1) * plan.rows)
        digest = self._output.chunk(plan, (block, 0), np.stack(tail))
        tail.clear()
        return digest

    def content(self) -> bytes:
        """All rows, array after array."""
        return b"".join(
            np.ascontiguousarray(row, np.dtype(plan.dtype).newbyteorder("<")).tobytes()
            for name, plan in self._plans.items()
            for row in self.rows[name]
        )

    def write_out(self, count: int) -> None:
        """Write them, of arrays with so many rows in all, as chunks that are not full."""
        for name, plan in self._plans.items():
            if self.rows[name]:
                part = np.zeros(plan.chunks, plan.dtype)
                if part.dtype.kind == "f":
                    part[:] = np.nan
                part[: len(self.rows[name])] = self.rows[name]
                self._output.chunk(plan, (count // plan.rows, 0), part)
