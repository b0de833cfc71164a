"""Pairs of hidden states followed at the speed of tickets: the same solver, another `System`.

Half of the pairs agree; their distances at the end are compared with the closed form.
"""

from typing import Any

import numpy as np

from grokode.theory.mergers import PairFlow, agreeing_distance
from grokode.theory.solvers import simulate
from grokode.theory.systems import TicketFlow

from .ensemble import END, P, tickets
from .record import best_of, row

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
    seconds, path = best_of(lambda: simulate(flow, start, [LAST]), repeats=3)
    agree = slice(n // 2)
    A = delta**2 - OUTPUT_TIME / HIDDEN_TIME * U
    truth = agreeing_distance(delta[agree] ** 2, A[agree], [LAST], OUTPUT_TIME)[0]
    wrong = np.abs(path.delta.values[0, agree] ** 2 - truth) / delta[agree] ** 2
    theirs, other = best_of(lambda: simulate(TicketFlow(P), tickets(n), [END]), repeats=3)
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
