"""Steps on a CUDA device replayed as graphs: hundreds of launches become one.

A graph holds the kernels of a call, with the addresses of their arrays and every number that came
from the host. So only a function may be captured that does the same whatever the step, apart from
numbers that its key names; when those change the graph is dropped, and captured anew once they
have stayed the same for a few calls. Elsewhere than on a CUDA device nothing is captured.
"""

from collections.abc import Callable, Hashable
from typing import Any

import torch

__all__ = ["Replayed", "capturing", "replayed"]

Step = Callable[[int], Any]
Capture = Callable[[Callable[[], Any]], tuple[Callable[[], None], Any]]

_WARM = 3
"""Calls before a capture: libraries set themselves up, and optimisers their memory."""


def replayed(function: Step, device: torch.device, key: Callable[[int], Hashable]) -> Step:
    """The function, replayed as a graph where there are graphs.

    Parameters
    ----------
    function : function (step)
        Of tensors that stay where they are; returns what it makes, or nothing.
    device : torch.device
        Where these are.
    key : function (step)
        Every number of the host that the function uses.

    Returns
    -------
    function (step)
        What it returns is overwritten by the next call.

    Examples
    --------
    >>> double = replayed(lambda step: 2 * step, torch.device("cpu"), key=lambda step: None)
    >>> double(3)
    6
    """
    capture = _CAPTURES.get(device.type)
    return function if capture is None else Replayed(function, key, capture)


class Replayed:
    """A function of a step that is called a few times, captured, and replayed from then on.

    What cannot be captured is called on and on: slower, and otherwise the same.

    Parameters
    ----------
    function, key
        As for `replayed`.
    capture : function
        Of a function without arguments: what replays it, and what that will have returned.

    Examples
    --------
    >>> once = Replayed(lambda step: step, lambda step: None, lambda call: (lambda: None, "again"))
    >>> [once(step) for step in range(5)]
    [0, 1, 2, 'again', 'again']
    """

    def __init__(self, function: Step, key: Callable[[int], Hashable], capture: Capture) -> None:
        self._function, self._key, self._capture = function, key, capture
        self._graph: tuple[Callable[[], None], Any] | None = None
        self._known: Hashable = None
        self._calls = 0
        self.refused = ""
        """Why it cannot be captured, where it cannot."""

    def __call__(self, step: int) -> Any:
        """What the function returns at a step."""
        key = self._key(step)
        if key != self._known:
            self._known, self._calls, self._graph = key, 0, None
        self._calls += 1
        if self._graph is None and self._calls > _WARM and not self.refused:
            try:
                self._graph = self._capture(lambda: self._function(step))
            except RuntimeError as error:
                self.refused = str(error).partition("\n")[0] or "RuntimeError"
        if self._graph is None:
            return self._function(step)
        replay, result = self._graph
        replay()
        return result


def capturing(device: torch.device) -> bool:
    """Whether a graph is being captured right now."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def _cuda(call: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            result = call()
    except RuntimeError:
        torch.cuda.set_stream(stream)  # a capture that fails may leave its own behind
        raise
    return graph.replay, result


_CAPTURES: dict[str, Capture] = {"cuda": _cuda}
