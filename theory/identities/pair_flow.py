"""The gradient flow of two hidden states, and what it reduces to.

Derived from the loss with two continuations, two outputs and two hidden units, every entry a
symbol: nothing in the derivation is special to two.
"""

import sympy as sp

from grokode.theory.identities.base import Identity, Verdict, all_hold, vanishes

__all__ = ["IDENTITIES", "along_pair"]

SOURCE = "van Rossem and Saxe, arXiv:2507.09897"

tau_h, tau_y = sp.symbols("tau_h tau_y", positive=True)
delta, U, c = sp.symbols("delta U c", real=True)
Y = sp.Symbol("Y", positive=True)
N = 2
d = sp.Matrix(sp.symbols("d_1:3", real=True))
D = [sp.Matrix(2, 2, sp.symbols(f"D{i}_1:5", real=True)) for i in range(N)]
target = [sp.Matrix(sp.symbols(f"y{i}_1:3", real=True)) for i in range(N)]
error = [M * d - t for M, t in zip(D, target, strict=True)]

#: The flow of d and D_i; `_loss` proves that the loss has it.
MAP_RATE = [-e * d.T / (4 * N * tau_y) for e in error]
DISTANCE_RATE = -sum((M.T * e for M, e in zip(D, error, strict=True)), sp.zeros(2, 1)) / (
    4 * N * tau_h
)

#: The flow with D_i = u_i v^T, d = delta v; `_reduction` proves it.
PAIR = {
    delta: -(delta * U - c) / (4 * tau_h),
    U: -delta * (delta * U - c) / (2 * N * tau_y),
    c: -delta * (delta * c - Y) / (4 * N * tau_y),
}


def along_pair(quantity: sp.Expr) -> sp.Expr:
    """Time derivative of a function of delta, U and c.

    Examples
    --------
    >>> along_pair(delta)
    (-U*delta + c)/(4*tau_h)
    """
    return sp.together(sum(sp.diff(quantity, s) * rate for s, rate in PAIR.items()))


def along(quantity: sp.Expr) -> sp.Expr:
    """Time derivative of a function of d and D_i."""
    rates = dict(zip(d, DISTANCE_RATE, strict=True))
    for M, rate in zip(D, MAP_RATE, strict=True):
        rates |= dict(zip(M, rate, strict=True))
    return sum(sp.diff(quantity, s) * rate for s, rate in rates.items())


def gram() -> sp.Matrix:
    return sum((M.T * M for M in D), sp.zeros(2, 2)) / N


def _loss() -> Verdict:
    # h1, h2 and the mean outputs are the free variables; every rate is minus a partial derivative.
    first, second = (sp.Matrix(sp.symbols(f"h{a}_1:3", real=True)) for a in (1, 2))
    means = [sp.Matrix(sp.symbols(f"m{i}_1:3", real=True)) for i in range(N)]
    wanted = [sp.Matrix(sp.symbols(f"w{i}_1:3", real=True)) for i in range(N)]
    times = sp.symbols("tau_1 tau_2", positive=True)
    half = sp.Rational(1, 2)
    loss = sum(
        half
        * (m + s * half * M * (second - first) - w - s * half * t).dot(
            m + s * half * M * (second - first) - w - s * half * t
        )
        for m, M, w, t in zip(means, D, wanted, target, strict=True)
        for s in (-1, 1)
    ) / (2 * N)
    together = times[0] * times[1] / (times[0] + times[1])  # 1/tau_h = 1/tau_1 + 1/tau_2
    at = dict(zip(d, second - first, strict=True))
    change = [
        sp.diff(loss, a) / times[0] - sp.diff(loss, b) / times[1]
        for a, b in zip(first, second, strict=True)
    ]
    claimed = DISTANCE_RATE.subs(at).subs(tau_h, together)
    cases = [("d", vanishes(*(left - right for left, right in zip(change, claimed, strict=True))))]
    for i, (M, rate) in enumerate(zip(D, MAP_RATE, strict=True)):
        gaps = [
            -sp.diff(loss, entry) / tau_y - value.subs(at)
            for entry, value in zip(M, rate, strict=True)
        ]
        cases.append((f"D_{i}", vanishes(*gaps)))
    return all_hold(cases)


def _matrix_invariant() -> Verdict:
    Q = tau_h * d * d.T - N * tau_y * gram()
    return vanishes(*(along(entry) for entry in Q))


def _reduction() -> Verdict:
    v = sp.Matrix([sp.cos(sp.Symbol("a")), sp.sin(sp.Symbol("a"))])
    u = [sp.Matrix(sp.symbols(f"u{i}_1:3", real=True)) for i in range(N)]
    at = dict(zip(d, delta * v, strict=True))
    for M, column in zip(D, u, strict=True):
        at |= dict(zip(M, column * v.T, strict=True))
    u_rate = [(rate * v).subs(at) for rate in MAP_RATE]
    d_rate = DISTANCE_RATE.subs(at)
    strengths = {
        U: sum(column.dot(column) for column in u) / N,
        c: sum(column.dot(t) for column, t in zip(u, target, strict=True)) / N,
        Y: sum(t.dot(t) for t in target) / N,
    }
    moved = {
        delta: v.dot(d_rate),
        U: sum(2 * column.dot(rate) for column, rate in zip(u, u_rate, strict=True)) / N,
        c: sum(rate.dot(t) for rate, t in zip(u_rate, target, strict=True)) / N,
    }
    stays = [
        entry
        for rate, column_rate in zip(MAP_RATE, u_rate, strict=True)
        for entry in rate.subs(at) - column_rate * v.T
    ]
    return all_hold(
        [
            ("d stays along v", vanishes(*(d_rate - v.dot(d_rate) * v))),
            ("D_i stays u_i v^T", vanishes(*stays)),
            *((f"{s}", vanishes(moved[s] - PAIR[s].subs(strengths))) for s in PAIR),
        ]
    )


IDENTITIES = (
    Identity(
        "pair_flow",
        r"\dot d = -\tfrac{1}{4\tau_h}\langle D_i^T(D_id - \tilde y_i)\rangle,\quad"
        r"\dot D_i = -\tfrac{1}{4N\tau_y}(D_id - \tilde y_i)d^T",
        f"{SOURCE}, appendix A",
        True,
        _loss,
    ),
    Identity(
        "pair_matrix_invariant",
        r"\tfrac{d}{dt}\big(\tau_h dd^T - N\tau_y\langle D_i^TD_i\rangle\big) = 0",
        "derived",
        True,
        _matrix_invariant,
    ),
    Identity(
        "pair_polynomial_form",
        r"D_i = u_iv^T,\ d = \delta v \implies \dot\delta = -\tfrac{\delta U - c}{4\tau_h},\ "
        r"\dot U = -\tfrac{\delta(\delta U - c)}{2N\tau_y},\ "
        r"\dot c = -\tfrac{\delta(\delta c - Y)}{4N\tau_y}",
        "derived",
        True,
        _reduction,
    ),
)
