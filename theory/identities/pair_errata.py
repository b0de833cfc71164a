"""What is printed of two merging states and does not hold, each with an exact counter-example.

Where the corrected statement has a proof, the misprint goes through the same one.
"""

import sympy as sp

from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes
from grokode.theory.identities.mergers import closed_form, three_variables
from grokode.theory.identities.pair_flow import (
    PAIR,
    SOURCE,
    N,
    U,
    Y,
    along_pair,
    c,
    delta,
    tau_h,
    tau_y,
)

__all__ = ["IDENTITIES", "distance_rate", "output_rate", "summary_rate", "two_variables"]

SUMMARY = "a public summary of arXiv:2507.09897"

kappa, x = sp.symbols("kappa x", positive=True)
A, dy, ytilde = sp.symbols("A dy ytilde", real=True)
P, w = sp.symbols("P w")


def distance_rate(scale: sp.Expr) -> Verdict:
    """Whether d' = -scale d / (4 tau_h); w is delta^2 U - delta c.

    Examples
    --------
    >>> w = delta**2 * U - delta * c
    >>> distance_rate(w / delta**2).holds, distance_rate(w).holds
    (True, False)
    """
    return vanishes(PAIR[delta] + scale * delta / (4 * tau_h))


def output_rate(rate: sp.Expr) -> Verdict:
    """Whether dy_i' = rate, for one output dy_i = u_i delta with target ytilde_i.

    Examples
    --------
    >>> mean = (delta**2 * U - delta * c) / delta**2
    >>> output_rate(-(dy - ytilde) * delta**2 / (8 * tau_y) - mean * dy / (4 * tau_h)).holds
    True
    """
    u = dy / delta
    u_rate = -(dy - ytilde) * delta / (4 * N * tau_y)
    return vanishes(u_rate * delta + u * PAIR[delta] - rate)


def _variance_of_targets() -> Verdict:
    # Equal targets have no variance, and keep the states apart.
    at = {kappa: 1, Y: 4, A: -3}
    end = (A / 2 + sp.sqrt(A**2 / 4 + kappa * Y)).subs(at)
    return holds_if(
        sp.Eq(end, 0),
        "kappa = 1, every ytilde_i = 2, so the variance is 0 and Y = 4, A_high = -3: |d|^2 ends "
        f"at {end}",
    )


def _inverse_in_the_invariant() -> Verdict:
    # Two readings of the printed inverse, of the second term and of all of it.
    whole = 1 / (x - kappa * U)
    return all_hold(
        [("of the fraction", closed_form(high=x - kappa / U)), ("of all", closed_form(high=whole))]
    )


def summary_rate() -> Verdict:
    """Whether the printed dy_i' = -w_i dy_i gives w = |dy|^2 - dy . ytilde the rate that it has.

    It gives w' = -w (w + P), whatever else is printed of w; that is compared with the pair flow.
    """
    rate = -(dy * dy - dy * ytilde) * dy
    w_of = dy * dy - dy * ytilde
    given = vanishes(sp.diff(w_of, dy) * rate + w_of * (w_of + dy * dy))
    if not given.holds:
        return given
    return three_variables(-w * (w + P))


def two_variables(first: sp.Expr = tau_h / (N * tau_y) ** 2) -> Verdict:
    """Whether w' = first x^2 (x - A)/4 - ((4x - A) w + x Y)/(4 N tau_y) - w^2/(4 tau_h x).

    That is the rate of w with P eliminated by the invariant, P = x (x - A)/kappa.

    Examples
    --------
    >>> two_variables().holds, two_variables(tau_h / (N * tau_y)).holds
    (True, False)
    """
    claimed = (
        first * x**2 * (x - A) / 4
        - ((4 * x - A) * w + x * Y) / (4 * N * tau_y)
        - w**2 / (4 * tau_h * x)
    )
    at = {x: delta**2, A: delta**2 - N * tau_y / tau_h * U, w: delta**2 * U - delta * c}
    return vanishes(along_pair(at[w]) - claimed.subs(at, simultaneous=True))


def _any_other_first_coefficient() -> Verdict:
    # A coefficient off by e leaves e x^2 (x - A)/4, which is zero nowhere but at P = 0.
    off = sp.Symbol("e", nonzero=True)
    return two_variables(tau_h / (N * tau_y) ** 2 + off)


IDENTITIES = (
    Identity(
        "pair_two_variables",
        r"\dot w = \tfrac{\tau_h}{4N^2\tau_y^2}x^2(x - A) - \tfrac{(4x - A)w + xY}{4N\tau_y}"
        r" - \tfrac{w^2}{4\tau_hx},\ x = |d|^2",
        f"derived; {SOURCE}, equation 23, corrected",
        True,
        two_variables,
    ),
    Identity(
        "pair_two_variables_published",
        r"\text{the same with another coefficient of } x^2(x - A)",
        f"{SOURCE}, equation 23: any first coefficient but that of the one before",
        False,
        _any_other_first_coefficient,
    ),
    Identity(
        "summary_rate_published",
        r"\dot w = -w(w + |dy|^2)\text{, which } \dot{dy_i} = -w_i\,dy_i \text{ implies}",
        f"{SUMMARY}, equation 3",
        False,
        summary_rate,
    ),
    Identity(
        "distance_rate_published",
        r"\dot d = -\tfrac{1}{4\tau_h}w\,d \text{ (without } 1/|d|^2)",
        f"{SUMMARY}, equation 3",
        False,
        lambda: distance_rate(delta**2 * U - delta * c),
    ),
    Identity(
        "output_rate_published",
        r"\dot{dy_i} = -w_i\,dy_i",
        f"{SUMMARY}, equation 3",
        False,
        lambda: output_rate(-(dy**2 - dy * ytilde) * dy),
    ),
    Identity(
        "merger_variance_published",
        r"|d|^2 \to 0 \iff A_{high} < 0 \text{ and the variance of } \tilde y_i"
        r"\text{ over continuations is } 0",
        f"{SUMMARY}, equation 4",
        False,
        _variance_of_targets,
    ),
    Identity(
        "merger_invariant_published",
        r"A_{high} \text{ with the inverse of } \langle|dy_i|^2\rangle/|d|^2",
        f"{SUMMARY}, equation 5",
        False,
        _inverse_in_the_invariant,
    ),
)
