"""After the plateau: logits through three moments, their forces, the plateau and the clocks.

Everything is an identity of Laurent polynomials in the characters u = e^{iwx}, v = e^{iwy} and
c = e^{iwj}, so p is symbolic. A dash in the text is a conjugate, ``Ac`` in the code.
"""

import sympy as sp

from grokode.theory.identities.base import Identity, Verdict, all_hold, vanishes
from grokode.theory.identities.cyclotomic import character_mean

__all__ = ["IDENTITIES", "clock_rate", "moment_flow", "moment_logits", "plateau_force"]

A, Ac, B, Bc = sp.symbols("A Ac B Bc")
u, v, c = sp.symbols("u v c")
p = sp.Symbol("p", positive=True)
HALF, QUARTER = sp.Rational(1, 2), sp.Rational(1, 4)

Triple = tuple[sp.Expr, sp.Expr, sp.Expr]

s, s_conjugate = u + v, 1 / u + 1 / v
#: What one unit of residual on output j of pair (x, y) adds to F0, F+ and F-, and to conjugates.
FORCES = (s * s_conjugate * c / 2, s**2 * c / 4, s**2 / c / 4)
CONJUGATES = (s * s_conjugate / c / 2, s_conjugate**2 / c / 4, s_conjugate**2 * c / 4)


def moment_logits(signal_weight: sp.Rational = QUARTER) -> Verdict:
    """Logit of one neuron at one frequency through |A|^2 B, A^2 B and A^2 conj(B).

    Logits and moments are both sums over neurons, so one neuron proves it for all.

    Examples
    --------
    >>> moment_logits().holds, moment_logits(HALF).holds
    (True, False)
    """
    logit = (B * c + Bc / c) / 2 * (_wave(u) + _wave(v)) ** 2
    moments = A * Ac * B, A**2 * B, A**2 * Bc
    conjugates = A * Ac * Bc, Ac**2 * Bc, Ac**2 * B
    return vanishes(logit - _logit(moments, conjugates, signal_weight))


def moment_flow(minus_weight: int = 2) -> Verdict:
    """dA/dt and dB/dt of the mean loss through the forces, for residuals on any pair and output.

    dA/dt = (2/p) [ F0 A B + F0' A B' + 2 F+' A' B' + minus_weight F-' A' B ],
    dB/dt = (2/p) [ F- A^2 + F0' |A|^2 + F+' A'^2 ].

    Examples
    --------
    >>> moment_flow().holds, moment_flow(minus_weight=1).holds
    (True, False)
    """
    logit = (B * c + Bc / c) / 2 * (_wave(u) + _wave(v)) ** 2
    # A wave has squared norm (p/2)|A|^2: the gradient of G is (4/p) dG/d conj(A).
    dA, dB = 4 / p * sp.diff(logit, Ac), 4 / p * sp.diff(logit, Bc)
    claimed_A, claimed_B = _rates(FORCES, CONJUGATES, minus_weight)
    conjugates = (_mirrored(force) for force in FORCES)
    return vanishes(
        dA - claimed_A,
        dB - claimed_B,
        *(mirrored - dashed for mirrored, dashed in zip(conjugates, CONJUGATES, strict=True)),
    )


def plateau_force(claimed: sp.Rational = HALF) -> Verdict:
    """On the plateau F- = claimed, F0 = F+ = 0, and the moment flow is the four-variable flow.

    Examples
    --------
    >>> plateau_force().holds, plateau_force(sp.Integer(1)).holds
    (True, False)
    """
    # R = (1(j = x+y) - 1/p) / p^2: the mean over pairs at j = x+y less the mean over pairs and j.
    zero, plus, minus = (
        character_mean(force.subs(c, u * v), u, v) - character_mean(force, u, v, c)
        for force in FORCES
    )
    # The forces are real, so they are their own conjugates. One unit of time of the summed loss is
    # p^2 units of that of the mean loss.
    dA, dB = _rates((zero, plus, minus), (zero, plus, minus))
    return vanishes(zero, plus, minus - claimed, p**2 * dA - 2 * p * Ac * B, p**2 * dB - p * A**2)


def _rates(forces: Triple, conjugates: Triple, minus_weight: int = 2) -> tuple[sp.Expr, sp.Expr]:
    """dA/dt and dB/dt of the moment flow, in time of the mean loss."""
    zero, _, minus = forces
    zero_c, plus_c, minus_c = conjugates
    dA = zero * A * B + zero_c * A * Bc + 2 * plus_c * Ac * Bc + minus_weight * minus_c * Ac * B
    dB = minus * A**2 + zero_c * A * Ac + plus_c * Ac**2
    return 2 / p * dA, 2 / p * dB


def _logit(moments: Triple, conjugates: Triple, signal_weight: sp.Rational = QUARTER) -> sp.Expr:
    """Logit of one pair and output through mu0, mu+, mu- and their conjugates."""
    (zero, plus, minus), (zero_c, plus_c, minus_c) = moments, conjugates
    inside = (s * s_conjugate * zero / 2 + s**2 * plus / 4) * c
    conjugate = (s * s_conjugate * zero_c / 2 + s_conjugate**2 * plus_c / 4) / c
    signal = signal_weight * (s**2 * minus / c + s_conjugate**2 * minus_c * c)
    return (inside + conjugate + signal) / 2


def _mirrored(force: sp.Expr) -> sp.Expr:
    """A force at -x, -y, -j: for real coefficients its conjugate."""
    return force.subs({u: 1 / u, v: 1 / v, c: 1 / c}, simultaneous=True)


def _wave(character: sp.Expr) -> sp.Expr:
    return (A * character + Ac / character) / 2


def _clock_logits() -> Verdict:
    # A neuron of phase shifted by delta has A e^{i delta}, and aligned likewise B e^{2 i delta}.
    # Uniform delta keeps the moments' constant terms in r = e^{i delta}; mirror neurons (A', B')
    # then leave the real part of mu-.
    r = sp.Symbol("r")
    shift = {A: A * r, Ac: Ac / r, B: B * r**2, Bc: Bc / r**2}
    zero, plus, minus = (
        character_mean(moment.subs(shift, simultaneous=True), r)
        for moment in (A * Ac * B, A**2 * B, A**2 * Bc)
    )
    mirrored = (minus + Ac**2 * B) / 2
    signal = (A**2 * Bc + Ac**2 * B) / 2
    # w x = 2 X, w y = 2 Y: s^2 e^{-iwj}/4 = cos^2(w(x-y)/2) e^{iw(x+y-j)}.
    X, Y, J = sp.symbols("X Y J", real=True)
    real = (sp.cos(4 * X - J) + 2 * sp.cos(2 * X + 2 * Y - J) + sp.cos(4 * Y - J)) / 4
    return all_hold(
        [
            ("mu0 and mu+", vanishes(zero, plus)),
            ("mu-", vanishes(minus - A**2 * Bc, mirrored - signal)),
            ("kernel", vanishes(real - sp.cos(X - Y) ** 2 * sp.cos(2 * X + 2 * Y - J))),
        ]
    )


def clock_rate(factor: int = 2) -> Verdict:
    """Whether clocks leave F- alone, and tickets follow the plateau's flow at rate factor F-.

    Examples
    --------
    >>> clock_rate().holds, clock_rate(1).holds
    (True, False)
    """
    # The clock logits depend on x-y and x+y-j alone, hence so does the residual R. Moving (x, y, j)
    # by (1, 1, 2) multiplies each force by a character g = e^{iw}; a force with a power of g that
    # is not 1 vanishes (2k and 4k are no multiples of an odd p). Reflection makes F- real. The flow
    # is then the plateau's at the rate 2 F-.
    g = sp.Symbol("g")
    move = {u: u * g, v: v * g, c: c * g**2}
    ratios = [sp.simplify(force.subs(move, simultaneous=True) / force) for force in FORCES]
    F, c_k = sp.symbols("F c_k", real=True)
    none = sp.Integer(0)
    # With mu- = c_k real and no other moment, -dL/dc_k = sum R df/dc_k, and this is Re F-.
    kernel = sp.diff(_logit((none, none, c_k), (none, none, c_k)), c_k)
    real_part = (FORCES[2] + CONJUGATES[2]) / 2
    dA, dB = _rates((none, none, F), (none, none, F))
    return all_hold(
        [
            ("F0 moves by g^2", vanishes(ratios[0] - g**2)),
            ("F+ moves by g^4", vanishes(ratios[1] - g**4)),
            ("F- stays", vanishes(ratios[2] - 1)),
            ("F- is real", vanishes(_mirrored(FORCES[2]) - CONJUGATES[2])),
            ("-dL/dc = Re F-", vanishes(kernel - real_part)),
            ("clock of A", vanishes(p**2 * dA - factor * F * 2 * p * Ac * B)),
            ("clock of B", vanishes(p**2 * dB - factor * F * p * A**2)),
        ]
    )


IDENTITIES = (
    Identity(
        "moment_logits",
        r"\textstyle\sum_m \xi_m[j](\theta_m[x]+\theta_m[y])^2 = \operatorname{Re}\big[("
        r"\tfrac{|s|^2}2\mu_0 + \tfrac{s^2}4\mu_+)e^{i\omega j} + \tfrac{s^2}4\mu_- e^{-i\omega j}"
        r"\big],\ s = e^{i\omega x} + e^{i\omega y}",
        "derived",
        True,
        moment_logits,
    ),
    Identity(
        "moment_flow",
        r"\dot A = \tfrac2p[F_0AB + \bar F_0A\bar B + 2\bar F_+\bar A\bar B + 2\bar F_-\bar AB],\ "
        r"\dot B = \tfrac2p[F_-A^2 + \bar F_0|A|^2 + \bar F_+\bar A^2]",
        "derived",
        True,
        moment_flow,
    ),
    Identity(
        "plateau_forces",
        r"\operatorname{softmax} = 1/p \implies F_- = \tfrac12,\ F_0 = F_+ = 0,\ "
        r"p^2\dot A = 2p\bar AB,\ p^2\dot B = pA^2",
        "derived",
        True,
        plateau_force,
    ),
    Identity(
        "clock_logits",
        r"\mu_0 = \mu_+ = 0,\ \mu_- = c_k \in \mathbb R \text{ under full diversification},\ "
        r"f = \textstyle\sum_k c_k\cos^2\tfrac{\omega_k(x-y)}2\cos(\omega_k(x+y-j))",
        "derived",
        True,
        _clock_logits,
    ),
    Identity(
        "clock_rate",
        r"F_0 = F_+ = 0,\ F_- = -\partial L/\partial c_k \in \mathbb R,\ "
        r"p^2\dot A = r_k\,2p\bar AB,\ p^2\dot B = r_k\,pA^2,\ r_k = -2\,\partial L/\partial c_k",
        "derived",
        True,
        clock_rate,
    ),
)
