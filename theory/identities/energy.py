"""From the network to the flow: the energy of one neuron, its decoupling and its gradient.

A real wave is (A u + A' / u) / 2 with u = e^{iwx} and A' the conjugate of A. For symbolic p the
sums over Z_p keep constant terms (``character_mean``); for listed p they are done pair by pair in
exact cyclotomic arithmetic, which does not use that step.
"""

from collections.abc import Iterator
from functools import partial

import sympy as sp
from sympy.polys.rings import PolyElement

from grokode.theory.identities import flow
from grokode.theory.identities.base import Identity, Verdict, all_hold, vanishes
from grokode.theory.identities.cyclotomic import RootsOfUnity, character_mean

__all__ = [
    "IDENTITIES",
    "Neuron",
    "complex_flow_at",
    "even_constant",
    "even_energy",
    "even_energy_at",
    "neuron_energy_at",
    "single_frequency_at",
    "wave",
]

HALF = sp.Rational(1, 2)
MODULI = (3, 5, 7, 9, 11)

A, Ac, B, Bc = sp.symbols("A Ac B Bc")
u, v = sp.symbols("u v")
p = sp.Symbol("p", positive=True)


def wave(coefficient: sp.Expr, conjugate: sp.Expr, character: sp.Expr) -> sp.Expr:
    """Real wave of a complex coefficient at a character e^{iwx}."""
    return (coefficient * character + conjugate / character) / 2


class Neuron:
    """One neuron at a given p, its weights as exact waves over every frequency.

    Parameters
    ----------
    p : int
        Odd modulus.
    frequencies : tuple of int or None
        Frequencies with weight; None for all.
    with_mean : bool
        Whether the input weights have a mean, too.

    Examples
    --------
    >>> Neuron(3).theta[0]
    mean + 1/2*A1 + 1/2*A1'
    """

    def __init__(
        self, p: int, frequencies: tuple[int, ...] | None = None, with_mean: bool = True
    ) -> None:
        self.p = p
        self.frequencies = frequencies or tuple(range(1, (p + 1) // 2))
        names = [f"{c}{k}{dash}" for k in self.frequencies for c in "AB" for dash in ("", "'")]
        self.roots = RootsOfUnity(p, ["mean", *names])
        waves = self.roots.wave
        mean = self.roots.symbols["mean"] if with_mean else self.roots.number(0)
        self.theta = [mean + sum(waves(f"A{k}", k * x) for k in self.frequencies) for x in range(p)]
        self.xi = [sum(waves(f"B{k}", k * x) for k in self.frequencies) for x in range(p)]

    def energy(self, degree: int = 2) -> PolyElement:
        """Sum over x, y of xi[x+y] (theta[x] + theta[y])^degree."""
        p, xi, normal = self.p, self.xi, self.roots.normal
        total = self.roots.number(0)
        for j in range(p):
            response = sum((self.theta[x] + self.theta[j - x]) ** degree for x in range(p))
            total += normal(normal(response) * xi[j])
        return normal(total)

    def signal(self, k: int) -> PolyElement:
        """2 alpha_k^2 beta_k cos D_k = A_k^2 conj(B_k) + its conjugate."""
        s = self.roots.symbols
        return s[f"A{k}"] ** 2 * s[f"B{k}'"] + s[f"A{k}'"] ** 2 * s[f"B{k}"]

    def gradient(self) -> tuple[list[PolyElement], list[PolyElement]]:
        """dE/dtheta[x] and dE/dxi[j] of the quadratic energy, xi centred after."""
        p, theta, xi, normal = self.p, self.theta, self.xi, self.roots.normal
        # theta[x] enters the pairs (x, y) and (y, x), and each square gives a factor 2.
        by_theta = [
            normal(4 * sum(xi[(x + y) % p] * (theta[x] + theta[y]) for y in range(p)))
            for x in range(p)
        ]
        response = [sum((theta[x] + theta[j - x]) ** 2 for x in range(p)) for j in range(p)]
        mean = sum(response) * sp.QQ(1, p)
        return by_theta, [normal(r - mean) for r in response]

    def coefficient(self, weights: list[PolyElement], k: int) -> PolyElement:
        """Complex wave (2/p) sum_x weights[x] z^{-kx}."""
        total = sum(weight * self.roots.z(-k * x) for x, weight in enumerate(weights))
        return self.roots.normal(total * sp.QQ(2, self.p))


def neuron_energy_at(p: int, scale: sp.Rational = HALF) -> Verdict:
    """E = scale p^2 sum_k alpha_k^2 beta_k cos D_k, all frequencies and the input mean present.

    Examples
    --------
    >>> neuron_energy_at(5).holds, neuron_energy_at(5, sp.Integer(1)).holds
    (True, False)
    """
    neuron = Neuron(p)
    total = sum(neuron.signal(k) for k in neuron.frequencies)
    claimed = neuron.roots.number(scale * p**2 / 2) * total
    return neuron.roots.vanishes(neuron.energy() - claimed)


def single_frequency_at(p: int) -> Verdict:
    """A neuron on one frequency has gradients dA/dt, dB/dt as claimed there and 0 elsewhere.

    Examples
    --------
    >>> single_frequency_at(7).holds
    True
    """
    frequencies = range(1, (p + 1) // 2)

    def cases(k: int) -> Iterator[tuple[str, Verdict]]:
        neuron = Neuron(p, (k,))
        s, vanishes = neuron.roots.symbols, neuron.roots.vanishes
        by_theta, by_xi = neuron.gradient()
        yield "mean", vanishes(sum(by_theta))
        for m in frequencies:
            dA, dB = neuron.coefficient(by_theta, m), neuron.coefficient(by_xi, m)
            yield f"input, l = {m}", vanishes(dA - (m == k) * 2 * p * s[f"A{k}'"] * s[f"B{k}"])
            yield f"output, l = {m}", vanishes(dB - (m == k) * p * s[f"A{k}"] ** 2)

    return all_hold((f"p = {p}, k = {k}", all_hold(cases(k))) for k in frequencies)


def complex_flow_at(p: int, input_rate: int = 2) -> Verdict:
    """dA_k/dt = input_rate p conj(A_k) B_k and dB_k/dt = p A_k^2, a neuron on all frequencies.

    Examples
    --------
    >>> complex_flow_at(5).holds, complex_flow_at(5, input_rate=1).holds
    (True, False)
    """
    neuron = Neuron(p)
    s, vanishes = neuron.roots.symbols, neuron.roots.vanishes
    by_theta, by_xi = neuron.gradient()

    def cases() -> Iterator[tuple[str, Verdict]]:
        for k in neuron.frequencies:
            A, conjugate, B = s[f"A{k}"], s[f"A{k}'"], s[f"B{k}"]
            dA, dB = neuron.coefficient(by_theta, k), neuron.coefficient(by_xi, k)
            yield f"input, k = {k}", vanishes(dA - input_rate * p * conjugate * B)
            yield f"output, k = {k}", vanishes(dB - p * A**2)

    return all_hold((f"p = {p}, {label}", verdict) for label, verdict in cases())


def even_constant(q: int) -> sp.Rational:
    """Kappa of the activation z^q: C(q, q/2) C(q, q/2 - 1) / 2^q.

    Examples
    --------
    >>> even_constant(2), even_constant(4), even_constant(6)
    (1/2, 3/2, 75/16)
    """
    return sp.binomial(q, q // 2) * sp.binomial(q, q // 2 - 1) / sp.Integer(2) ** q


def even_energy(q: int, constant: sp.Rational) -> Verdict:
    """E = constant p^2 alpha^q beta cos D under z^q, one frequency, for every p > q + 1.

    Examples
    --------
    >>> even_energy(4, even_constant(4)).holds, even_energy(4, sp.Integer(1)).holds
    (True, False)
    """
    theta = wave(A, Ac, u) + wave(A, Ac, v)
    mean = character_mean(wave(B, Bc, u * v) * theta**q, u, v)
    # alpha^q beta cos D = |A|^{q-2} Re A^2 conj(B).
    signal = (A * Ac) ** (q // 2 - 1) * (A**2 * Bc + Ac**2 * B) / 2
    return vanishes(mean - constant * signal)


def even_energy_at(p: int, q: int, constant: sp.Rational) -> Verdict:
    """As `even_energy`, pair by pair at one p.

    Examples
    --------
    >>> even_energy_at(5, 4, even_constant(4)).holds
    True
    """
    neuron = Neuron(p, (1,), with_mean=False)
    s = neuron.roots.symbols
    modulus = (s["A1"] * s["A1'"]) ** (q // 2 - 1)
    claimed = neuron.roots.number(constant * p**2 / 2) * modulus * neuron.signal(1)
    return neuron.roots.vanishes(neuron.energy(q) - claimed)


def _neuron_energy() -> Verdict:
    # E is cubic in the waves, so three generic frequencies show every kind of term. Their
    # characters may be taken as independent: every monomial has one character of x or of y, or two
    # of each, and the sum of a pair is orthogonality for any k, l in 1..K. h is the input mean.
    theta: sp.Expr = 2 * sp.Symbol("h")
    xi = signals = sp.Integer(0)
    characters: list[sp.Symbol] = []
    for k in range(3):
        a, ac, b, bc, x, y = sp.symbols(f"A{k} Ac{k} B{k} Bc{k} u{k} v{k}")
        theta += wave(a, ac, x) + wave(a, ac, y)
        xi += wave(b, bc, x * y)
        signals += (a**2 * bc + ac**2 * b) / 2
        characters += [x, y]
    mean = character_mean(xi * theta**2, *characters)
    return all_hold(
        [
            ("symbolic p", vanishes(mean - signals / 2)),
            *((f"p = {m}", neuron_energy_at(m)) for m in MODULI),
        ]
    )


def _plateau_loss() -> Verdict:
    # The cross-entropy of one pair at logits eps f, to first order in eps; answer 0.
    eps, size = sp.Symbol("eps"), sp.Symbol("p", integer=True, positive=True)
    j, logit = sp.Symbol("j", integer=True), sp.IndexedBase("f")
    partition = sp.log(sp.Sum(sp.exp(eps * logit[j]), (j, 0, size - 1)))
    mean = sp.Sum(logit[j], (j, 0, size - 1)) / size
    first = sp.diff(partition - eps * logit[0], eps).subs(eps, 0).doit()

    def at(p: int) -> Verdict:
        f = sp.symbols(f"f0:{p}")
        loss = sp.log(sum(sp.exp(eps * value) for value in f)) - eps * f[0]
        first = sp.diff(loss, eps).subs(eps, 0)
        return vanishes(loss.subs(eps, 0) - sp.log(p), first + f[0] - sum(f) / sp.Integer(p))

    return all_hold(
        [
            ("at zero", vanishes(partition.subs(eps, 0).doit() - sp.log(size))),
            ("symbolic p", vanishes(first + logit[0] - mean)),
            *((f"p = {m}", at(m)) for m in MODULI),
        ]
    )


def _complex_flow() -> Verdict:
    # dE/dtheta[x] = 4 sum_y xi[x+y] (theta[x] + theta[y]), and the wave of a vector is
    # (2/p) sum_x vector[x] / u. Written with means over Z_p, p stays a symbol.
    theta_x, theta_y, xi = wave(A, Ac, u), wave(A, Ac, v), wave(B, Bc, u * v)
    dA = 2 * p * character_mean(4 * xi * (theta_x + theta_y) / u, u, v)
    # With x = j - y the response S[j] has characters w = e^{iwj} and v.
    w = sp.Symbol("w")
    dB = 2 * p * character_mean((wave(A, Ac, w / v) + theta_y) ** 2 / w, w, v)
    return all_hold(
        [
            ("dA/dt", vanishes(dA - 2 * p * Ac * B)),
            ("dB/dt", vanishes(dB - p * A**2)),
            *((f"p = {m}", complex_flow_at(m)) for m in MODULI),
        ]
    )


def _polar_flow() -> Verdict:
    # alpha' = Re(conj(A) A') / alpha and phi' = Im(conj(A) A') / alpha^2, likewise for B, must be
    # both the complex flow in polar form and the gradient of the energy in the waves' metric.
    alpha, beta, phi, psi, D = flow.alpha, flow.beta, flow.phi, flow.psi, flow.D
    angle = 2 * phi - psi
    # conj(A) dA/dt = 2p conj(A^2 conj(B)) and conj(B) dB/dt = p A^2 conj(B).
    real, imaginary = alpha**2 * beta * sp.cos(angle), alpha**2 * beta * sp.sin(angle)
    polar = {
        alpha: 2 * flow.p * real / alpha,
        phi: -2 * flow.p * imaginary / alpha**2,
        beta: flow.p * real / beta,
        psi: flow.p * imaginary / beta**2,
    }
    claimed = {
        alpha: 2 * flow.p * alpha * beta * sp.cos(D),
        phi: -2 * flow.p * beta * sp.sin(D),
        beta: flow.p * alpha**2 * sp.cos(D),
        psi: flow.p * alpha**2 / beta * sp.sin(D),
    }
    norm = character_mean(wave(A, Ac, u) ** 2, u)
    return all_hold(
        [
            ("squared norm of a wave", vanishes(norm - A * Ac / 2)),
            *((f"gradient, {x}", vanishes(flow.FLOW[x] - polar[x])) for x in claimed),
            *((f"d{x}/dt", vanishes(polar[x] - claimed[x].subs(D, angle))) for x in claimed),
        ]
    )


def _single_frequency() -> Verdict:
    # Symbolic p: the gradients are Laurent polynomials in one character; after the sum over y only
    # its first powers are left, and the constant in xi that the softmax removes.
    w = sp.Symbol("w")
    xi = wave(B, Bc, u * v)
    by_theta = character_mean(4 * xi * (wave(A, Ac, u) + wave(A, Ac, v)), v)
    response = character_mean((wave(A, Ac, w / v) + wave(A, Ac, v)) ** 2, v)
    return all_hold(
        [
            ("input", vanishes(by_theta - wave(2 * Ac * B, 2 * A * Bc, u))),
            ("output", vanishes(response - A * Ac - wave(A**2, Ac**2, w))),
            *((f"p = {m}", single_frequency_at(m)) for m in (*MODULI, 15)),
        ]
    )


def _even_energy(q: int) -> Verdict:
    kappa = even_constant(q)
    # Exponents reach q+1, so the symbolic proof is for p > q+1; the smaller p are done explicitly.
    moduli = [m for m in (3, 5, 7, 9) if 2 * m - 2 > q]
    return all_hold(
        [
            ("symbolic p", even_energy(q, kappa)),
            *((f"p = {m}", even_energy_at(m, q, kappa)) for m in moduli),
        ]
    )


IDENTITIES = (
    Identity(
        "plateau_loss",
        r"\sum_{x,y} \ell(\varepsilon f) = p^2\log p - \varepsilon\sum_{x,y}"
        r"\big(f[x+y] - \tfrac1p\textstyle\sum_j f[j]\big) + O(\varepsilon^2)",
        "He et al. page, section 4.2 (neuron decoupling)",
        True,
        _plateau_loss,
    ),
    Identity(
        "neuron_energy",
        r"\sum_{x,y}\xi[x+y](\theta[x]+\theta[y])^2 ="
        r"\tfrac{p^2}{2}\sum_k \alpha_k^2\beta_k\cos D_k,\quad p \text{ odd}",
        "derived from He et al. page, section 4.2 (frequency decoupling)",
        True,
        _neuron_energy,
    ),
    Identity(
        "complex_flow",
        r"\dot A_k = 2p\,\bar A_k B_k,\quad \dot B_k = p A_k^2",
        "derived from He et al. page, section 4.3",
        True,
        _complex_flow,
    ),
    Identity(
        "polar_flow",
        r"\dot\alpha = 2p\alpha\beta\cos D,\ \dot\phi = -2p\beta\sin D,\ "
        r"\dot\beta = p\alpha^2\cos D,\ \dot\psi = p(\alpha^2/\beta)\sin D",
        "He et al. page, section 4.3",
        True,
        _polar_flow,
    ),
    Identity(
        "single_frequency_preservation",
        r"A_l = B_l = 0 \text{ for } l \ne k \implies"
        r"\dot A_l = \dot B_l = 0 \text{ for } l \ne k",
        "He et al. page, section 4.5 (single-frequency preservation)",
        True,
        _single_frequency,
    ),
    *(
        Identity(
            f"even_activation_energy_{q}",
            rf"\sum_{{x,y}}\xi[x+y](\theta[x]+\theta[y])^{q} ="
            rf"{sp.latex(even_constant(q))}\,p^2\alpha^{q}\beta\cos D,\quad"
            rf"\kappa = \binom{{q}}{{q/2}}\binom{{q}}{{q/2-1}}2^{{-q}},\ 2p > {q + 2},"
            r"\ \gcd(k, p) = 1",
            "derived",
            True,
            partial(_even_energy, q),
        )
        for q in (2, 4, 6)
    ),
)
