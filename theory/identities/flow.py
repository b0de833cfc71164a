"""The four-variable flow: from the energy to misalignment, invariants, Weierstrass, stability.

Everything here is symbolic in p. The flow itself is derived from the network in ``energy``.
"""

import sympy as sp

from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes

__all__ = [
    "C1",
    "C2",
    "FLOW",
    "IDENTITIES",
    "D",
    "along_flow",
    "alpha",
    "beta",
    "even_invariants",
    "gradient_flow",
    "invariants",
    "misalignment_rate",
    "p",
    "phi",
    "psi",
    "stability",
    "weierstrass",
]

p, alpha, beta = sp.symbols("p alpha beta", positive=True)
phi, psi, D = sp.symbols("phi psi D", real=True)
q = sp.Symbol("q", positive=True)
kappa = sp.Symbol("kappa", positive=True)


#: The two invariants.
C1 = alpha**2 - 2 * beta**2
C2 = alpha**2 * beta * sp.sin(2 * phi - psi)


def gradient_flow(energy: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """Gradient ascent of an energy in alpha, phi, beta, psi.

    A wave alpha cos(w x + phi) has squared norm (p/2) alpha^2, so the metric on (alpha, phi) is
    (p/2) (d alpha^2 + alpha^2 d phi^2), and likewise for (beta, psi).

    Examples
    --------
    >>> gradient_flow(p * alpha**2)[alpha]
    4*alpha
    """
    return {
        alpha: 2 / p * sp.diff(energy, alpha),
        phi: 2 / (p * alpha**2) * sp.diff(energy, phi),
        beta: 2 / p * sp.diff(energy, beta),
        psi: 2 / (p * beta**2) * sp.diff(energy, psi),
    }


#: The flow of section 2 in polar variables; ``energy`` proves that the network has it.
FLOW = gradient_flow(p**2 / 2 * alpha**2 * beta * sp.cos(2 * phi - psi))


def along_flow(quantity: sp.Expr, flow: dict[sp.Symbol, sp.Expr] = FLOW) -> sp.Expr:
    """Time derivative of a function of alpha, phi, beta, psi along a flow.

    Examples
    --------
    >>> along_flow(beta)
    alpha**2*p*cos(2*phi - psi)
    """
    return sum((sp.diff(quantity, x) * rate for x, rate in flow.items()), start=sp.Integer(0))


def misalignment_rate(claimed: sp.Expr) -> Verdict:
    """Whether dD/dt = -p claimed sin D, for D = 2 phi - psi.

    Examples
    --------
    >>> misalignment_rate(4 * beta + alpha**2 / beta).holds
    True
    """
    rate = along_flow(2 * phi - psi).subs(psi, 2 * phi - D)
    return vanishes(rate + p * claimed * sp.sin(D))


def invariants(
    first: sp.Expr = C1,
    second: sp.Expr = C2,
) -> Verdict:
    """Whether two functions are conserved by the flow.

    Examples
    --------
    >>> invariants(first=alpha**2 - beta**2).holds
    False
    """
    return all_hold((f"{c}", vanishes(along_flow(c))) for c in (first, second))


def weierstrass(g2: sp.Expr | None = None, g3: sp.Expr | None = None) -> Verdict:
    """Whether v = beta^2 is P(2p(T - t); g2, g3) - C1/3: the same first-order equation.

    Left unset, g2 and g3 are the derived C1^2/3 and C1^3/27 + C2^2.

    Examples
    --------
    >>> weierstrass().holds
    True
    >>> weierstrass(g2=sp.Integer(1)).holds
    False
    """
    c1, c2, v = sp.symbols("C1 C2 v")
    g2 = c1**2 / 3 if g2 is None else g2
    g3 = c1**3 / 27 + c2**2 if g3 is None else g3
    values = {c1: C1, c2: C2, v: beta**2}
    speed_squared = along_flow(beta**2) ** 2
    cubic = 4 * p**2 * (v * (c1 + 2 * v) ** 2 - c2**2)
    # P'(u)^2 = 4 P^3 - g2 P - g3 and u = 2p(T - t), so (dv/dt)^2 = 4 p^2 P'^2 with P = v + C1/3.
    P = v + c1 / 3
    return all_hold(
        [
            ("first-order equation", vanishes(speed_squared - cubic.subs(values))),
            ("Weierstrass form", vanishes(cubic - 4 * p**2 * (4 * P**3 - g2 * P - g3))),
        ]
    )


def stability(rate: sp.Expr | None = None) -> Verdict:
    """Whether D = 0 attracts and D = pi repels under dD/dt = rate; None for the flow's own.

    Examples
    --------
    >>> stability().holds, stability(beta * sp.sin(D)).holds
    (True, False)
    """
    rate = along_flow(2 * phi - psi).subs(psi, 2 * phi - D) if rate is None else rate
    slope = sp.diff(rate, D)
    # With s = sin D as a positive number the sign on all of (0, pi) is decided at once.
    s = sp.Symbol("s", positive=True)
    inside = sp.factor(rate.subs(sp.sin(D), s))
    return all_hold(
        [
            ("D = 0 is fixed", vanishes(rate.subs(D, 0))),
            ("D = pi is fixed", vanishes(rate.subs(D, sp.pi))),
            ("slope at D = 0 is negative", holds_if(slope.subs(D, 0).is_negative, f"{slope}")),
            ("slope at D = pi is positive", holds_if(slope.subs(D, sp.pi).is_positive, f"{slope}")),
            ("dD/dt < 0 on (0, pi)", holds_if(inside.is_negative, f"{inside}")),
            ("odd in D", vanishes(rate + rate.subs(D, -D))),
        ]
    )


def _complex_invariants() -> Verdict:
    A, Ac, B, Bc = sp.symbols("A Ac B Bc")
    flow = {A: 2 * p * Ac * B, Ac: 2 * p * A * Bc, B: p * A**2, Bc: p * Ac**2}
    return all_hold(
        [
            ("|A|^2 - 2 |B|^2", vanishes(along_flow(A * Ac - 2 * B * Bc, flow))),
            ("Im A^2 conj(B)", vanishes(along_flow(A**2 * Bc - Ac**2 * B, flow))),
        ]
    )


def _corollary() -> Verdict:
    # v = beta^2 obeys v'' = F(v) with F free of C2, hence of D. Two tickets of equal magnitudes
    # share v(0), C1 and F; v'(0) falls with |D|. F' > 0, so their difference d obeys d'' = F' d,
    # starts at 0 with d' > 0, and stays positive: the one with less |D| blows up first.
    c1, v = sp.symbols("C1 v")
    acceleration = along_flow(along_flow(beta**2))
    F = sp.diff(v * (c1 + 2 * v) ** 2, v) * 2 * p**2
    values = {c1: C1, v: beta**2}
    slope = sp.expand(sp.diff(F, v).subs(values))
    s = sp.Symbol("s", positive=True)
    start = along_flow(beta**2).subs(psi, 2 * phi - D)
    falling = sp.diff(start, D).subs(sp.sin(D), s)
    return all_hold(
        [
            ("v'' = F(v)", vanishes(acceleration - F.subs(values))),
            ("F' = 16 p^2 (alpha^2 + beta^2)", vanishes(slope - 16 * p**2 * (alpha**2 + beta**2))),
            ("F' > 0", holds_if(slope.is_positive, f"{slope}")),
            ("v'(0) falls on (0, pi)", holds_if(falling.is_negative, f"{falling}")),
            ("v'(0) is even in D", vanishes(start - start.subs(D, -D))),
        ]
    )


def even_invariants(weight: sp.Expr = q, power: sp.Expr = 4 / q) -> Verdict:
    """Whether alpha^2 - weight beta^2 and alpha^power beta sin D are conserved, for symbolic q.

    Examples
    --------
    >>> even_invariants().holds, even_invariants(power=q).holds
    (True, False)
    """
    flow = gradient_flow(kappa * p**2 * alpha**q * beta * sp.cos(2 * phi - psi))
    second = power * sp.log(alpha) + sp.log(beta)
    turn = flow[phi] * 2 - flow[psi]
    # d log(alpha^power beta sin D) = d second + cot D dD, times sin D to stay polynomial.
    angle = 2 * phi - psi
    rate = along_flow(second, flow) * sp.sin(angle) + sp.cos(angle) * turn
    return all_hold(
        [
            ("first", vanishes(along_flow(alpha**2 - weight * beta**2, flow))),
            ("second", vanishes(sp.powsimp(sp.expand(rate / alpha**q)))),
        ]
    )


SOURCE = "derived from He et al. page, section 4.3"

IDENTITIES = (
    Identity(
        "misalignment_rate",
        r"\dot D = -p\,(4\beta + \alpha^2/\beta)\sin D",
        "He et al. page, section 4.3, corrected",
        True,
        lambda: misalignment_rate(4 * beta + alpha**2 / beta),
    ),
    Identity(
        "invariants",
        r"\tfrac{d}{dt}(\alpha^2 - 2\beta^2) = 0,\quad \tfrac{d}{dt}(\alpha^2\beta\sin D) = 0",
        SOURCE,
        True,
        invariants,
    ),
    Identity(
        "complex_invariants",
        r"\dot A = 2p\bar A B,\ \dot B = pA^2 \implies |A|^2 - 2|B|^2"
        r"\text{ and } \operatorname{Im} A^2\bar B \text{ are constant}",
        SOURCE,
        True,
        _complex_invariants,
    ),
    Identity(
        "weierstrass_reduction",
        r"\beta^2 = \wp\big(2p(T-t);\, C_1^2/3,\, C_1^3/27 + C_2^2\big) - C_1/3",
        SOURCE,
        True,
        weierstrass,
    ),
    Identity(
        "phase_stability",
        r"\partial_D \dot D|_{D=0} < 0 < \partial_D \dot D|_{D=\pi},\quad"
        r"\dot D < 0 \text{ on } (0, \pi)",
        "He et al. page, section 4.4 (phase alignment)",
        True,
        stability,
    ),
    Identity(
        "lottery_corollary",
        r"\alpha_1 = \alpha_2,\ \beta_1 = \beta_2,\ |D_1| < |D_2| \text{ at } t = 0 \implies"
        r"\beta_1(t) > \beta_2(t) \text{ until ticket 1 blows up}",
        "He et al. page, section 4.5 (lottery ticket), with its assumption",
        True,
        _corollary,
    ),
    Identity(
        "even_activation_invariants",
        r"E = \kappa p^2\alpha^q\beta\cos D \implies \alpha^2 - q\beta^2 \text{ and }"
        r"\alpha^{4/q}\beta\sin D \text{ are constant},\quad q > 0",
        "derived",
        True,
        even_invariants,
    ),
)
