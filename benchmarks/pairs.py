"""Pairs of hidden states followed at the speed of tickets: the same solver, another `System`.

Half of the pairs agree; their distances at the end are compared with the closed form. Processor
time, the least of three, as a million pairs take long enough for other processes to come between.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from grokode.theory.mergers import PairFlow, agreeing_distance
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow

from .ensemble import END, P, tickets
from .record import row

HIDDEN_TIME, OUTPUT_TIME = 1.0, 20.0
LAST = 30.0


def rows(n: int = 1_000_000) -> list[dict[str, Any]]:
    """Seconds for n pairs beside as many tickets, and nanoseconds a step of either, on one core."""
    rng = np.random.default_rng(0)
    delta, U = rng.uniform(0.2, 1, (2, n))
    c, Y = np.zeros(n), np.zeros(n)
    Y[n // 2 :] = rng.uniform(0.5, 2, n - n // 2)
    c[n // 2 :] = rng.uniform(-1, 1, n - n // 2) * np.sqrt(U * Y)[n // 2 :]
    flow = PairFlow(HIDDEN_TIME, OUTPUT_TIME)
    start = delta, U, c, Y
    seconds, path = _least(lambda: simulate(flow, start, [LAST]))
    agree = slice(n // 2)
    A = delta**2 - OUTPUT_TIME / HIDDEN_TIME * U
    truth = agreeing_distance(delta[agree] ** 2, A[agree], [LAST], OUTPUT_TIME)[0]
    wrong = np.abs(path.delta.values[0, agree] ** 2 - truth) / delta[agree] ** 2
    beside = tickets(n)
    theirs, other = _least(lambda: simulate(TicketFlow(P), beside, [END]))
    steps, their_steps = (int((p.accepted + p.rejected).sum()) for p in (path, other))
    return [
        row(
            f"{n:,} pairs of hidden states",
            seconds,
            "s",
            error=float(wrong.max()),
            peer="as many tickets, ours",
            theirs=theirs,
        ),
        row(
            "one step of a pair",
            seconds / steps * 1e9,
            "ns",
            peer="one step of a ticket, ours",
            theirs=theirs / their_steps * 1e9,
        ),
    ]


def _least(function: Callable[[], Any]) -> tuple[float, Any]:
    function()  # compiles
    times, result = [], None
    for _ in range(3):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result
