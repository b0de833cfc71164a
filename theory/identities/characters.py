"""Characters of Z_p: orthogonality, and the folded Fourier sum that makes Proposition 1."""

from itertools import product

import sympy as sp

from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes
from grokode.theory.identities.cyclotomic import RootsOfUnity

__all__ = [
    "IDENTITIES",
    "character_orthogonality",
    "folded_sum",
    "geometric_series",
    "root_of_unity_power",
    "wave_orthogonality",
]

HALF = sp.Rational(1, 2)
MODULI = (3, 5, 7, 9, 11, 15, 23)


def geometric_series(z: sp.Symbol, first: int, last: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """sum_{n=first}^{last} z^n for symbolic last: its value at z = 1, and elsewhere.

    Examples
    --------
    >>> z, N = sp.Symbol("z"), sp.Symbol("N", integer=True, positive=True)
    >>> geometric_series(z, 0, N - 1)
    (N, (1 - z**N)/(1 - z))
    """
    n = sp.Dummy("n", integer=True)
    series = sp.summation(z**n, (n, first, last))
    return sp.simplify(series.args[0].expr), series.args[-1].expr


def root_of_unity_power(k: sp.Expr | int, n: sp.Symbol) -> Verdict:
    """(e^{2 pi i k / n})^n = 1 for an integer k and symbolic n.

    Examples
    --------
    >>> root_of_unity_power(2, sp.Symbol("n", integer=True, positive=True)).holds
    True
    """
    power = sp.powdenest(sp.exp(2 * sp.pi * sp.I * k / n) ** n)
    return holds_if(power == 1, f"it is {power}")


def character_orthogonality() -> Verdict:
    """Sum of a character over Z_p: p or 0, by the geometric series for symbolic p.

    Examples
    --------
    >>> character_orthogonality().holds
    True
    """
    z = sp.Symbol("z")
    p = sp.Symbol("p", integer=True, positive=True)
    at_one, elsewhere = geometric_series(z, 0, p - 1)
    # z = e^{2 pi i k/p} is 1 exactly where p divides k.
    return all_hold(
        [
            ("z = 1", vanishes(at_one - p)),
            ("z^p = 1", root_of_unity_power(sp.Symbol("k", integer=True), p)),
            ("z != 1", vanishes(elsewhere.subs(z**p, 1))),
            *((f"p = {m}", _orthogonality_at(m)) for m in MODULI),
        ]
    )


def wave_orthogonality(p: int, norm: sp.Rational = HALF) -> Verdict:
    """sum_x cos(w_k x) cos(w_l x) = norm p delta_kl for all k, l in 1..K.

    Examples
    --------
    >>> wave_orthogonality(7).holds, wave_orthogonality(7, sp.Rational(1, 3)).holds
    (True, False)
    """
    roots = RootsOfUnity(p)
    frequencies = range(1, (p + 1) // 2)

    def case(k: int, m: int) -> Verdict:
        total = sum(roots.cos(k * x) * roots.cos(m * x) for x in range(p))
        return roots.vanishes(total - roots.number(norm * (p if k == m else 0)))

    return all_hold(
        (f"p = {p}, k = {k}, l = {m}", case(k, m)) for k, m in product(frequencies, repeat=2)
    )


def folded_sum(p: int, background: sp.Rational = HALF) -> Verdict:
    """sum_{k=1}^K cos(w_k z) = (p/2) 1(p | z) - background for every z.

    Examples
    --------
    >>> folded_sum(9).holds
    True
    >>> folded_sum(9, sp.Rational(1, 3)).counterexample
    'p = 9, z = 0: left - right = -1/6, z = exp(2 pi i/9)'
    """
    roots = RootsOfUnity(p)

    def case(z: int) -> Verdict:
        total = sum(roots.cos(k * z) for k in range(1, (p + 1) // 2))
        right = sp.Rational(p if z % p == 0 else 0, 2) - background
        return roots.vanishes(total - roots.number(right))

    return all_hold((f"p = {p}, z = {z}", case(z)) for z in range(p))


def _orthogonality_at(p: int) -> Verdict:
    roots = RootsOfUnity(p)
    return all_hold(
        (f"k = {k}", roots.vanishes(sum(roots.z(k * x) for x in range(p)) - p * (k % p == 0)))
        for k in range(-p, 2 * p)
    )


def _folded_sum() -> Verdict:
    # Symbolic p = 2K+1, with z = e^{2 pi i z/p} != 1 and Q = z^K: the two half sums and 1 make the
    # full character sum z^{-K} (z^p - 1)/(z - 1), which is 0 because z^p = 1.
    z, Q, p = sp.symbols("z Q p")
    K = sp.Symbol("K", integer=True, positive=True)
    at_one, half = geometric_series(z, 1, K)
    half = half.subs(z ** (K + 1), z * Q)
    other_half = half.subs({z: 1 / z, Q: 1 / Q}, simultaneous=True)
    full = (z * Q**2 - 1) / (z - 1) / Q
    # 1 + 2 sum cos = 0 where p does not divide z, so the sum is -1/2; else it is K.
    return all_hold(
        [
            ("half sums", vanishes(1 + half + other_half - full)),
            ("z^p = Q^2 z = 1", vanishes(full.subs(Q**2, 1 / z))),
            ("p | z", vanishes(at_one.subs(K, (p - 1) / 2) - (p / 2 - HALF))),
            *((f"p = {m}", folded_sum(m)) for m in MODULI),
        ]
    )


def _wave_orthogonality() -> Verdict:
    # Symbolic p: the real part of character_orthogonality makes a sum of cos(w_m x) p 1(p | m). In
    # 1..K the sum of two frequencies lies between 0 and p, so only their difference can count.
    a, b, K = sp.Symbol("a"), sp.Symbol("b"), sp.Symbol("K", positive=True)
    p = 2 * K + 1
    halves = (sp.cos(a + b) + sp.cos(a - b)) / 2
    return all_hold(
        [
            ("product to sum", vanishes(sp.cos(a) * sp.cos(b) - halves)),
            ("k + l < p", holds_if((p - 2 * K).is_positive, "2K >= p")),
            *((f"p = {m}", wave_orthogonality(m)) for m in MODULI),
        ]
    )


IDENTITIES = (
    Identity(
        "character_orthogonality",
        r"\sum_{x=0}^{p-1} e^{2\pi i k x/p} = p\,\mathbf{1}(p \mid k)",
        "He et al. page, section 3.2 (Fourier identity)",
        True,
        character_orthogonality,
    ),
    Identity(
        "wave_orthogonality",
        r"\sum_{x} \cos(\omega_k x)\cos(\omega_\tau x) = \tfrac{p}{2}\,\delta_{k\tau},"
        r"\quad 1 \le k, \tau \le (p-1)/2",
        "He et al. page, section 4.2",
        True,
        _wave_orthogonality,
    ),
    Identity(
        "folded_fourier_sum",
        r"\sum_{k=1}^{(p-1)/2} \cos(\omega_k z) = \tfrac{p}{2}\,\mathbf{1}(p \mid z) - \tfrac12,"
        r"\quad p \text{ odd}",
        "He et al. page, section 3.2 (Fourier identity)",
        True,
        _folded_sum,
    ),
)
