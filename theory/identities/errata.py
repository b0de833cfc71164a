"""Printed statements that do not hold, each with an exact counter-example.

Where the corrected statement has a proof, the misprint goes through the same one.
"""

import sympy as sp

from grokode.theory.identities import flow
from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes
from grokode.theory.identities.logits import neuron_scale

__all__ = [
    "IDENTITIES",
    "least_misalignment_wins",
    "phase_of_coefficients",
    "phase_signs",
    "poor_alignment",
]

alpha, beta, p, phi, psi, D = flow.alpha, flow.beta, flow.p, flow.phi, flow.psi, flow.D


def phase_signs(sign: int) -> Verdict:
    """Whether dphi/dt = -sign 2p beta sin D and dpsi/dt = sign p (alpha^2/beta) sin D.

    Examples
    --------
    >>> phase_signs(1).holds, phase_signs(-1).holds
    (True, False)
    """
    angle = 2 * phi - psi
    return all_hold(
        [
            ("phi", vanishes(flow.FLOW[phi] + sign * 2 * p * beta * sp.sin(angle))),
            ("psi", vanishes(flow.FLOW[psi] - sign * p * alpha**2 / beta * sp.sin(angle))),
        ]
    )


def poor_alignment(angle: sp.Expr) -> Verdict:
    """Whether cos < 0 at an angle.

    Examples
    --------
    >>> poor_alignment(2 * sp.pi / 3).holds
    True
    """
    value = sp.cos(angle)
    return holds_if(value.is_negative, f"D = {angle}: cos D = {value}")


def least_misalignment_wins(ratio: sp.Rational) -> Verdict:
    """Whether an aligned ticket must beat one at D = pi/3 that starts `ratio` times larger.

    Both have alpha^2 = 2 beta^2 (C1 = 0, kept by the flow). Aligned: beta' = 2p beta^2 blows up at
    exactly 1/(2p beta0). At D = pi/3: cos D only grows, so beta' >= 2p cos(pi/3) beta^2, which
    blows up no later than 1/(p ratio beta0). Not beaten is decided only when ratio > 2.

    Examples
    --------
    >>> least_misalignment_wins(sp.Integer(3)).holds
    False
    """
    rate = sp.diff(sp.cos(D), D) * flow.along_flow(2 * phi - psi).subs(psi, 2 * phi - D)
    growth = flow.along_flow(beta).subs(psi, 2 * phi - D).subs(alpha, sp.sqrt(2) * beta)
    start, t = sp.symbols("beta_0 t", positive=True)

    def blowup(cosine: sp.Expr, initial: sp.Expr) -> sp.Expr:
        """Blow-up time of beta' = growth at a fixed cos D, checked as solution of that equation."""
        path = 1 / (1 / initial - 2 * p * cosine * t)
        equation = sp.diff(path, t) - growth.subs(sp.cos(D), cosine).subs(beta, path)
        if not vanishes(equation, path.subs(t, 0) - initial).holds:
            raise ArithmeticError(f"{path} does not solve the flow at cos D = {cosine}")
        return 1 / (2 * p * cosine * initial)

    # d cos D/dt is p (4 beta + alpha^2/beta) sin^2 D, never negative.
    grows = vanishes(rate - p * (4 * beta + alpha**2 / beta) * sp.sin(D) ** 2).holds
    aligned = blowup(sp.Integer(1), start)
    other = blowup(sp.cos(sp.pi / 3), ratio * start)
    beaten = grows and (aligned - other).is_positive is True
    return holds_if(
        not beaten,
        f"D = 0, alpha = sqrt(2) beta, beta = beta_0 blows up at {aligned}; D = pi/3, alpha = "
        f"sqrt(2) beta, beta = {ratio} beta_0 no later than {other}",
    )


def phase_of_coefficients(sign: int) -> Verdict:
    """Whether the angle of (cos coefficient + sign i sin coefficient) of a wave is its phase phi.

    Examples
    --------
    >>> phase_of_coefficients(-1).holds, phase_of_coefficients(1).holds
    (True, False)
    """
    wx = sp.Symbol("wx", real=True)
    wave = sp.expand(sp.expand_trig(alpha * sp.cos(wx + phi)))
    cosine, sine = wave.coeff(sp.cos(wx)), wave.coeff(sp.sin(wx))
    angle = alpha * (sp.cos(phi) + sp.I * sp.sin(phi))
    return vanishes(cosine + sign * sp.I * sine - angle)


def _conjugation() -> Verdict:
    # phi -> -phi, psi -> -psi: D changes sign, the flow keeps its form.
    mirror = {phi: -phi, psi: -psi}
    rates = flow.FLOW

    def mirrored(x: sp.Symbol) -> sp.Expr:
        return rates[x].subs(mirror, simultaneous=True)

    return all_hold(
        [
            ("D", vanishes((2 * phi - psi).subs(mirror, simultaneous=True) + 2 * phi - psi)),
            *((f"{x}", vanishes(mirrored(x) - rates[x])) for x in (alpha, beta)),
            *((f"{x}", vanishes(mirrored(x) + rates[x])) for x in (phi, psi)),
        ]
    )


IDENTITIES = (
    Identity(
        "misalignment_rate_published",
        r"\dot D = -p\,(4\beta^2 - \alpha^2/\beta)\sin D",
        "He et al. page, section 4.3; repeated in Liu, section 2.3",
        False,
        lambda: flow.misalignment_rate(4 * beta**2 - alpha**2 / beta),
    ),
    Identity(
        "scale_published",
        r"\text{the scale of a neuron's logits is } a = \alpha\beta^2",
        "He et al. page, section 3.2 and Proposition 1",
        False,
        lambda: neuron_scale(alpha * beta**2),
    ),
    Identity(
        "poor_alignment_published",
        r"D < \pi/2 \implies \cos D < 0",
        "He et al. page, section 4.3 (means |D| > pi/2)",
        False,
        lambda: all_hold((f"{a} < pi/2", poor_alignment(a)) for a in (-2 * sp.pi / 3, sp.pi / 3)),
    ),
    Identity(
        "lottery_corollary_published",
        r"|D_1| < |D_2| \text{ at } t = 0 \implies \text{ticket 1 blows up first,"
        r" whatever the magnitudes}",
        "He et al. page, section 4.5, for the Gaussian initialisation of its experiments",
        False,
        lambda: least_misalignment_wins(sp.Integer(3)),
    ),
    Identity(
        "phase_signs_published",
        r"\dot\phi = 2p\beta\sin D,\quad \dot\psi = -p(\alpha^2/\beta)\sin D",
        "He et al. demo app, tabs 7 and 8",
        False,
        lambda: phase_signs(-1),
    ),
    Identity(
        "phase_convention_published",
        r"\alpha\cos(\omega x+\phi) = a\cos\omega x + b\sin\omega x \implies \phi = \arg(a + ib)",
        "Liu, section 4",
        False,
        lambda: phase_of_coefficients(1),
    ),
    Identity(
        "phase_convention",
        r"\phi = \arg(a - ib);\ (\phi,\psi)\to(-\phi,-\psi) \text{ turns } D \text{ into } -D"
        r"\text{ and keeps the flow}",
        "Liu, section 4, corrected",
        True,
        lambda: all_hold([("phase", phase_of_coefficients(-1)), ("flow", _conjugation())]),
    ),
)
