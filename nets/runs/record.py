"""One publication of a run, a line of its journal."""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Record", "parse_record"]

_DIGEST = re.compile(r"[0-9a-f]{64}").fullmatch
_STEP = 2**53
_KEYS = {"checkpoints", "logged", "full", "tail", "state", "seeds", "ended", "seconds"}


@dataclass
class Record:
    """What one publication adds, and the counts up to it.

    Parameters
    ----------
    checkpoints : list of (step, path of an array -> digests of its chunks)
    logged : list of int
        Steps.
    full : path of an array -> digests of the chunks of logged steps that became full
    tail : str
        Digest of ``tail-<rows>.bin``, the logged steps that fill no chunk yet; empty without any.
    state : str
        Digest of ``state-<step>.pth``; empty if it is that of the record before.
    seeds : list of int
        Seeds that the state is of.
    ended : seed -> {"step", "why"}, or None if it is as in the record before
    seconds : float
        Spent on training up to here.
    """

    checkpoints: list[tuple[int, dict[str, list[str]]]]
    logged: list[int]
    full: dict[str, list[str]]
    tail: str
    state: str
    seeds: list[int]
    ended: dict[str, dict[str, Any]] | None
    seconds: float
    step: int = field(default=-1, init=False)
    steps: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    end: int = field(default=0, init=False)
    chain: str = field(default="", init=False)

    def text(self) -> bytes:
        """The line, without its digest."""
        values = {name: getattr(self, name) for name in sorted(_KEYS)}
        return json.dumps(values, separators=(",", ":"), allow_nan=False).encode()

    def settle(
        self, before: "Record | None", step: int, steps: int, rows: int, end: int, chain: str
    ) -> None:
        """Note the counts up to here, and what is as in the record before."""
        self.step, self.steps, self.rows, self.end, self.chain = step, steps, rows, end, chain
        if before is not None:
            if not self.state and before.step == step:
                self.state, self.seeds = before.state, before.seeds
            if self.ended is None:
                self.ended = before.ended
        if not self.state:
            raise ValueError("there is no state with its checkpoint")
        # Only counted further on; thousands of them would be kept for nothing.
        self.checkpoints, self.logged, self.full = [], [], {}


def parse_record(values: Any) -> Record:
    """Back from `Record.text`; ValueError says what is wrong."""
    if not isinstance(values, dict) or values.keys() != _KEYS:
        raise ValueError("a publication must have " + ", ".join(sorted(_KEYS)))
    checkpoints, seconds = values["checkpoints"], values["seconds"]
    if not (
        isinstance(checkpoints, list)
        and all(
            isinstance(one, list) and len(one) == 2 and _is_step(one[0]) and _are_digests(one[1])
            for one in checkpoints
        )
    ):
        raise ValueError("checkpoints must be steps with digests")
    if not (isinstance(values["logged"], list) and all(map(_is_step, values["logged"]))):
        raise ValueError("logged must be steps")
    if not _are_digests(values["full"]):
        raise ValueError("full must be digests")
    for name in ("tail", "state"):
        if type(values[name]) is not str or not (values[name] == "" or _DIGEST(values[name])):
            raise ValueError(f"{name} must be a digest")
    if not (isinstance(values["seeds"], list) and all(type(s) is int for s in values["seeds"])):
        raise ValueError("seeds must be integers")
    if not _are_ends(values["ended"]):
        raise ValueError("ended must say step and why for seeds")
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        raise ValueError("seconds must be a number")
    return Record(**(values | {"checkpoints": [tuple(one) for one in checkpoints]}))


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value < _STEP


def _are_digests(values: Any) -> bool:
    return isinstance(values, dict) and all(
        isinstance(digests, list) and all(type(one) is str and _DIGEST(one) for one in digests)
        for digests in values.values()
    )


def _are_ends(values: Any) -> bool:
    return values is None or (
        isinstance(values, dict)
        and all(
            re.fullmatch(r"0|[1-9][0-9]{0,9}", seed)
            and isinstance(end, dict)
            and end.keys() == {"step", "why"}
            and _is_step(end["step"])
            and type(end["why"]) is str
            for seed, end in values.items()
        )
    )
