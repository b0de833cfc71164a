"""Two hidden states under gradient flow: where they end, and when they merge.

In the symbols of `grokode.theory.identities.pair_flow`.
"""

import sympy as sp

from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes
from grokode.theory.identities.pair_flow import (
    DISTANCE_RATE,
    MAP_RATE,
    PAIR,
    SOURCE,
    D,
    N,
    U,
    Y,
    along,
    along_pair,
    c,
    d,
    delta,
    error,
    gram,
    target,
    tau_h,
    tau_y,
)

__all__ = [
    "IDENTITIES",
    "along_pair",
    "closed_form",
    "published_criterion_suffices",
    "stability",
    "three_variables",
]

kappa, x = sp.symbols("kappa x", positive=True)
A = sp.Symbol("A", real=True)


def three_variables(w_rate: sp.Expr | None = None) -> Verdict:
    """Whether x = |d|^2, P = <|dy|^2> and w = <|dy|^2 - dy . ytilde> obey the published flow.

    Parameters
    ----------
    w_rate : expression in x, P, w, Y, tau_h and tau_y, with N = 2, or None for the published one.

    Examples
    --------
    >>> three_variables().holds, three_variables(-sp.Symbol("w")).holds
    (True, False)
    """
    P, w = sp.symbols("P w")
    published = -(3 * w - P + Y) * x / (4 * N * tau_y) - w * (P + w) / (4 * tau_h * x)
    at = {x: delta**2, P: delta**2 * U, w: delta**2 * U - delta * c}
    rates = {
        x: -w / (2 * tau_h),
        P: -(x / (N * tau_y) + P / (tau_h * x)) * w / 2,
        w: published if w_rate is None else w_rate,
    }
    return all_hold(
        (f"{s}", vanishes(along_pair(at[s]) - rate.subs(at, simultaneous=True)))
        for s, rate in rates.items()
    )


def closed_form(low: sp.Expr = kappa * Y, high: sp.Expr = x - kappa * U) -> Verdict:
    """Whether A = high is conserved and x = A/2 + sqrt(A^2/4 + low) where the flow rests.

    Examples
    --------
    >>> closed_form().holds, closed_form(low=Y).holds
    (True, False)
    """
    rest = {U: Y / x, c: Y / sp.sqrt(x), delta: sp.sqrt(x)}
    moving = high.subs(x, delta**2).subs(kappa, N * tau_y / tau_h)
    end = high.subs(rest)
    return all_hold(
        [
            ("rest", vanishes(*(rate.subs(rest) for rate in PAIR.values()))),
            ("conserved", vanishes(along_pair(moving))),
            # The quadratic with that root, which has one positive root.
            ("root", vanishes(x**2 - end * x - low)),
        ]
    )


def stability(speed: int = 1) -> Verdict:
    """Whether the rest point attracts at -x/(2 N tau_y) and -sqrt(A^2 + 4 kappa Y)/(4 N tau_y).

    On a surface of constant A, with (delta, c) as coordinates; `speed` multiplies both.

    Examples
    --------
    >>> stability().holds, stability(2).holds
    (True, False)
    """
    ratio = N * tau_y / tau_h
    on_surface = (delta**2 - A) / ratio
    rates = sp.Matrix([PAIR[delta], PAIR[c]]).subs(U, on_surface)
    jacobian = rates.jacobian([delta, c])
    at = {c: Y / delta, A: delta**2 - ratio * Y / delta**2}
    resting = jacobian.subs(at)
    root = x + ratio * Y / x  # sqrt(A^2 + 4 ratio Y) at rest, a square checked below
    values = [-speed * x / (2 * N * tau_y), -speed * root / (4 * N * tau_y)]
    here = {x: delta**2}
    return all_hold(
        [
            ("root", vanishes((root**2 - A**2 - 4 * ratio * Y).subs(A, x - ratio * Y / x))),
            ("trace", vanishes(resting.trace() - sum(values).subs(here))),
            ("determinant", vanishes(resting.det() - (values[0] * values[1]).subs(here))),
        ]
    )


def _agreeing_solution() -> Verdict:
    t, start = sp.symbols("t x_0", positive=True)
    decay = sp.Symbol("E", positive=True)  # exp(-A t / (2 N tau_y)), whose rate is known
    path = A / (1 + (A / start - 1) * decay)
    rate = sp.diff(path, decay) * decay * (-A / (2 * N * tau_y))
    surface = {c: 0, U: (delta**2 - A) * tau_h / (N * tau_y)}
    logistic = -x * (x - A) / (2 * N * tau_y)
    algebraic = 1 / (1 / start + t / (2 * N * tau_y))
    return all_hold(
        [
            ("x'", vanishes((2 * delta * PAIR[delta]).subs(surface) - logistic.subs(x, delta**2))),
            ("solution", vanishes(rate - logistic.subs(x, path))),
            ("start", vanishes(path.subs(decay, 1) - start)),
            ("A = 0", vanishes(sp.diff(algebraic, t) - logistic.subs(A, 0).subs(x, algebraic))),
        ]
    )


def _oja() -> Verdict:
    Q = tau_h * d * d.T - N * tau_y * gram()
    zero = {s: 0 for t in target for s in t}
    claimed = (Q / tau_h - d.dot(d) * sp.eye(2)) * d / (4 * N * tau_y)
    norm = -sum((M * d).dot(M * d) for M in D) / (2 * N * tau_h)
    return all_hold(
        [
            ("d", vanishes(*(DISTANCE_RATE.subs(zero) - claimed))),
            ("|d|^2", vanishes(along(d.dot(d)).subs(zero) - norm)),
        ]
    )


def _exact_criterion() -> Verdict:
    # In the axes of S: the determinant of kappa S - d d^T, and the bound of Cauchy and Schwarz.
    s = sp.symbols("s_1:4", positive=True)
    parts = sp.Matrix(sp.symbols("q_1:4", real=True))
    S = sp.diag(*s)
    inverse = sum(q**2 / e for q, e in zip(parts, s, strict=True))
    product = kappa**3 * s[0] * s[1] * s[2] * (1 - inverse / kappa)
    read = sum(q**2 * e for q, e in zip(parts, s, strict=True))
    pairs = [(0, 1), (0, 2), (1, 2)]
    gap = sum(parts[i] ** 2 * parts[j] ** 2 * (s[i] - s[j]) ** 2 / (s[i] * s[j]) for i, j in pairs)
    return all_hold(
        [
            ("determinant", vanishes((kappa * S - parts * parts.T).det() - product)),
            ("published <= exact", vanishes(read * inverse - parts.dot(parts) ** 2 - gap)),
            ("gap", holds_if(gap.is_nonnegative, f"{gap}")),
        ]
    )


def published_criterion_suffices(parts: sp.Matrix, strengths: sp.Matrix) -> Verdict:
    """Whether A < 0 along the initial d, for S = diag(strengths) and kappa = 1, makes a merger.

    An agreeing pair ends at the largest eigenvalue of d d^T - S, if that is positive.

    Examples
    --------
    >>> published_criterion_suffices(sp.Matrix([1, 0]), sp.Matrix([4, 1])).holds
    True
    """
    S = sp.diag(*strengths)
    length = parts.dot(parts)
    high = length - (parts.T * S * parts)[0] / length
    largest = max((parts * parts.T - S).eigenvals(), key=sp.re)
    return holds_if(
        sp.Ge(high, 0) | sp.Le(largest, 0),
        f"kappa = 1, d = {tuple(parts)}, S = diag{tuple(strengths)}: A = {high} < 0, but d d^T - S "
        f"has the eigenvalue {largest}, so |d|^2 ends at {largest}",
    )


def _final_direction() -> Verdict:
    # D_i rests only where D_i d = ytilde_i; then d^T Q d / |d|^2 is the A of the closed form.
    x_end = d.dot(d)
    Q = d * d.T - kappa * gram()
    outputs = sum((M * d).dot(M * d) for M in D) / N
    rest = [
        entry
        for rate, e in zip(MAP_RATE, error, strict=True)
        for entry in 4 * N * tau_y * rate * d + x_end * e
    ]
    return all_hold(
        [
            ("rest", vanishes(*rest)),
            ("A", vanishes((d.T * Q * d)[0] - x_end**2 + kappa * outputs)),
        ]
    )


IDENTITIES = (
    Identity(
        "pair_three_variables",
        r"\dot w = -\tfrac{(3w - P + Y)x}{4N\tau_y} - \tfrac{w(P + w)}{4\tau_hx}"
        r"\text{ with } \dot x = -\tfrac{w}{2\tau_h},\ "
        r"\dot P = -\tfrac12\big(\tfrac{x}{N\tau_y} + \tfrac{P}{\tau_hx}\big)w",
        f"{SOURCE}, equation 4",
        True,
        three_variables,
    ),
    Identity(
        "pair_final_distance",
        r"|d|^2 \to \tfrac12A + \sqrt{\tfrac14A^2 + \kappa Y},\ "
        r"A = |d|^2 - \kappa\langle|D_id|^2\rangle/|d|^2 = \text{const},\ "
        r"\kappa = N\tau_y/\tau_h,\ D_i = u_iv^T",
        f"{SOURCE}, equation 5",
        True,
        closed_form,
    ),
    Identity(
        "pair_final_direction",
        r"|d|^2 \to \tfrac12A + \sqrt{\tfrac14A^2 + \kappa Y}\text{ for any } D_i"
        r"\text{ with } A = d^TQd/(\tau_h|d|^2) \text{ along the final } d",
        "derived",
        True,
        _final_direction,
    ),
    Identity(
        "pair_initial_direction_published",
        r"\tilde y_i = 0 \implies |d|^2 \to \max(A, 0)\text{ for any } D_i"
        r"\text{ with } A \text{ along the initial } d",
        f"{SOURCE}, equation 5 without its assumption",
        False,
        lambda: published_criterion_suffices(sp.Matrix([1, 1]), sp.Matrix([4, sp.Rational(1, 4)])),
    ),
    Identity(
        "pair_stability",
        r"\text{the rest point attracts at } \tfrac{|d|^2}{2N\tau_y} \text{ and }"
        r" \tfrac{1}{4N\tau_y}\sqrt{A^2 + 4\kappa Y}",
        f"{SOURCE}, equations 26 to 32, corrected",
        True,
        stability,
    ),
    Identity(
        "pair_stability_published",
        r"\text{the rest point attracts at } \tfrac{|d|^2}{N\tau_y} \text{ and }"
        r" \tfrac{1}{2N\tau_y}\sqrt{A^2 + 4\kappa Y}",
        f"{SOURCE}, equations 26 to 32: twice too fast, against its own equation 35",
        False,
        lambda: stability(2),
    ),
    Identity(
        "agreeing_pair_solution",
        r"Y = 0 \implies |d|^2 = \frac{A}{1 + (A/|d_0|^2 - 1)e^{-At/(2N\tau_y)}},"
        r"\text{ algebraic at } A = 0",
        f"{SOURCE}, equation 35",
        True,
        _agreeing_solution,
    ),
    Identity(
        "agreeing_pair_oja",
        r"\tilde y_i = 0 \implies \dot d = \tfrac{1}{4N\tau_y}(Q/\tau_h - |d|^2)d,\ "
        r"\tfrac{d}{dt}|d|^2 = -\tfrac{1}{2\tau_h}\langle|D_id|^2\rangle \le 0",
        f"derived; {SOURCE}, equation 49, corrected",
        True,
        _oja,
    ),
    Identity(
        "merger_criterion",
        r"\tilde y_i = 0:\ d \to 0 \iff dd^T \prec \kappa S \iff d^TS^{-1}d < \kappa,\ "
        r"S = \langle D_i^TD_i\rangle;\ "
        r"|d|^4/(d^TSd) \le d^TS^{-1}d",
        "derived, but for the boundary, where the decay is algebraic",
        True,
        _exact_criterion,
    ),
    Identity(
        "merger_criterion_published",
        r"\tilde y_i = 0 \text{ and } |d|^2 < \kappa\langle|D_id|^2\rangle/|d|^2 \implies d \to 0",
        f"{SOURCE}, section 4, read as sufficient",
        False,
        lambda: published_criterion_suffices(sp.Matrix([2, 1]), sp.Matrix([9, sp.Rational(2, 3)])),
    ),
)
