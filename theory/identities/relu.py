"""ReLU: its growth constant, its kernel, and how much its gradients leak into harmonics.

For theta = alpha cos u and xi = beta cos(s + psi) the neuron is active where cos u + cos v > 0,
that is |u| + |v| < pi, because cos u + cos v = 2 cos((u+v)/2) cos((u-v)/2). Sums over Z_p become
integrals as p grows; those are exact here, with symbolic harmonics.
"""

import sympy as sp
from sympy.simplify.fu import TR8

from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes
from grokode.theory.identities.cyclotomic import RootsOfUnity, character_mean

__all__ = [
    "IDENTITIES",
    "constant",
    "constant_at",
    "input_harmonic",
    "input_leakage",
    "integral",
    "kernel",
    "output_harmonic",
    "output_leakage",
]

u, v, psi, J, S = sp.symbols("u v psi J S", real=True)
n = sp.Symbol("n", integer=True, positive=True)
p = sp.Symbol("p", positive=True)


def integral(integrand: sp.Expr, lower: sp.Expr, upper: sp.Expr) -> sp.Expr:
    """Integral over u of products of sines and cosines, term by term after product to sum.

    Examples
    --------
    >>> integral(sp.cos(u) ** 2, 0, sp.pi)
    pi/2
    """
    total = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(TR8(sp.expand(integrand)))):
        primitive = sp.integrate(term, u)
        total += primitive.subs(u, upper) - primitive.subs(u, lower)
    return sp.factor(sp.simplify(sp.expand_trig(sp.expand(total))))


def input_harmonic(r: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Cosine and sine part of harmonic r of the input gradient, in units of its scale.

    The gradient at u is the integral of xi(u + v) over the active |v| < pi - |u|.

    Examples
    --------
    >>> input_harmonic(sp.Integer(1))
    (8*cos(psi)/(3*pi), -16*sin(psi)/(3*pi))
    """
    primitive = sp.integrate(sp.cos(u + v + psi), v)
    right = primitive.subs(v, sp.pi - u) - primitive.subs(v, u - sp.pi)
    mirrored = primitive.subs(u, -u)
    left = mirrored.subs(v, sp.pi - u) - mirrored.subs(v, u - sp.pi)
    right, left = sp.expand_trig(right), sp.expand_trig(left)
    cosine = integral((right + left) * sp.cos(r * u), sp.Integer(0), sp.pi)
    sine = integral((right - left) * sp.sin(r * u), sp.Integer(0), sp.pi)
    return cosine / sp.pi, sine / sp.pi


def output_harmonic(r: sp.Expr) -> sp.Expr:
    """Harmonic r of the output gradient, |cos(s/2)| in units of its scale.

    Examples
    --------
    >>> output_harmonic(sp.Integer(1))
    4/(3*pi)
    """
    return integral(sp.cos(u / 2) * sp.cos(r * u), -sp.pi, sp.pi) / sp.pi


def input_leakage(ratio: sp.Expr, harmonics: tuple[int, ...] = (3, 5, 7)) -> Verdict:
    """Whether |harmonic r| / |harmonic 1| of the input gradient is `ratio`, for D = 0.

    Parameters
    ----------
    ratio : expression in the symbol r
    harmonics : odd integers above 1

    Examples
    --------
    >>> r = sp.Symbol("r")
    >>> input_leakage(3 / (r**2 - 4)).holds, input_leakage(1 / r).holds
    (True, False)
    """
    first = input_harmonic(sp.Integer(1))[0].subs(psi, 0)

    def case(r: int) -> Verdict:
        true = abs(input_harmonic(sp.Integer(r))[0].subs(psi, 0) / first)
        claimed = ratio.subs(sp.Symbol("r"), r)
        return holds_if(sp.simplify(true - claimed) == 0, f"the ratio is {true}, not {claimed}")

    return all_hold((f"r = {r}", case(r)) for r in harmonics)


def output_leakage(ratio: sp.Expr) -> Verdict:
    """Whether |harmonic r| / |harmonic 1| of the output gradient is `ratio`, for symbolic r.

    Examples
    --------
    >>> r = sp.Symbol("r")
    >>> output_leakage(3 / (4 * r**2 - 1)).holds, output_leakage(1 / r**2).holds
    (True, False)
    """
    true = output_harmonic(n) / output_harmonic(sp.Integer(1)) * (-1) ** (n + 1)
    return vanishes(sp.simplify(true) - ratio.subs(sp.Symbol("r"), n))


def constant_at(p: int) -> Verdict:
    """Energy of cos u, cos s under ReLU at one p, pair by pair over the active set, exactly.

    E = csc(h) [csc(h) - csc(3h)] / 2 with h = pi / (2p).

    Examples
    --------
    >>> constant_at(7).holds
    True
    """
    roots = RootsOfUnity(4 * p)
    half = range(-(p - 1) // 2, (p + 1) // 2)
    # Residues x, y in -K..K: active where |x| + |y| < p/2, never equal because p is odd.
    energy = sum(
        roots.cos(4 * (x + y)) * (roots.cos(4 * x) + roots.cos(4 * y))
        for x in half
        for y in half
        if 2 * (abs(x) + abs(y)) < p
    )
    # sin(a) = cos(pi/2 - a), and pi/2 is p in units of 2 pi / (4p).
    sin_h, sin_3h = roots.cos(p - 1), roots.cos(p - 3)
    claimed = (sin_3h - sin_h) * sp.QQ(1, 2)
    return roots.vanishes(roots.normal(energy) * roots.normal(sin_h**2 * sin_3h) - claimed)


def constant(claimed: sp.Expr) -> Verdict:
    """Whether E / (p^2 alpha beta cos D) tends to `claimed` under ReLU, one frequency.

    Examples
    --------
    >>> constant(4 / (3 * sp.pi**2)).holds, constant(sp.Rational(2, 15)).holds
    (True, False)
    """
    # The mean over x-y of |cos| is 2/pi; the first harmonic of |cos(s/2)| meets cos(s + psi). With
    # |z|/2 acting, z = 2 alpha cos cos: E / p^2 = alpha beta (2/pi) (harmonic / 2) cos D.
    spread = 2 * integral(sp.cos(u), sp.Integer(0), sp.pi / 2) / sp.pi
    limit = spread * output_harmonic(sp.Integer(1)) / 2
    # The same as limit of the exact sum at phases 0 and symbolic p.
    h = sp.pi / (2 * p)
    at_p = (sp.csc(h) ** 2 - sp.csc(h) * sp.csc(3 * h)) / (2 * p**2)
    # Both sums over Z_p telescope: 2 sin(a) cos(2ma) = sin((2m+1)a) - sin((2m-1)a).
    a, m = sp.symbols("a m", real=True)
    step = sp.sin(2 * m * a + a) - sp.sin(2 * m * a - a)
    return all_hold(
        [
            ("integrals", vanishes(limit - claimed)),
            ("limit of the sum", vanishes(sp.limit(at_p, p, sp.oo) - claimed)),
            ("telescoping", vanishes(sp.expand_trig(2 * sp.sin(a) * sp.cos(2 * m * a) - step))),
            *((f"p = {q}", constant_at(q)) for q in (3, 5, 7, 9, 11, 15)),
        ]
    )


def kernel(scale: sp.Expr) -> Verdict:
    """Mean logit over uniform phases: scale |cos(w(x-y)/2)| cos(w(x+y-j)), alpha = beta = 1.

    Examples
    --------
    >>> kernel(2 / (3 * sp.pi)).holds, kernel(1 / sp.pi).holds
    (True, False)
    """
    # |z|/2 = |cos(w(x-y)/2)| |cos(S + phi)| with S = w(x+y)/2; u = S + phi runs over a period pi.
    mean = integral(sp.cos(u) * sp.cos(2 * u + J - 2 * S), -sp.pi / 2, sp.pi / 2) / sp.pi
    return vanishes(mean - scale * sp.cos(2 * S - J))


def _linear_part() -> Verdict:
    A, Ac, B, Bc, x, y = sp.symbols("A Ac B Bc x y")
    theta = (A * x + Ac / x) / 2 + (A * y + Ac / y) / 2
    xi = (B * x * y + Bc / (x * y)) / 2
    return vanishes(character_mean(xi * theta, x, y))


def _input_leakage() -> Verdict:
    odd = input_harmonic(2 * n + 1)
    even = input_harmonic(2 * n + 2)
    first = input_harmonic(sp.Integer(1))
    r = 2 * n + 1
    size = 8 / (sp.pi * (4 - r**2))
    return all_hold(
        [
            ("odd, cosine", vanishes(odd[0] - size * sp.cos(psi))),
            ("odd, sine", vanishes(odd[1] + 2 / r * size * sp.sin(psi))),
            ("first, cosine", vanishes(first[0] - 8 / (3 * sp.pi) * sp.cos(psi))),
            ("first, sine", vanishes(first[1] + 16 / (3 * sp.pi) * sp.sin(psi))),
            ("second", vanishes(*input_harmonic(sp.Integer(2)))),
            ("even", vanishes(*even)),
            ("ratio at D = 0", input_leakage(3 / (sp.Symbol("r") ** 2 - 4))),
        ]
    )


def _published_leakage() -> Verdict:
    verdict = input_leakage(1 / sp.Symbol("r") ** 2)
    # No misalignment saves it: with sin^2 D = 1/(1 + s), s >= 0, the squared ratio less 1/81 has no
    # negative coefficient.
    s = sp.Symbol("s", nonnegative=True)
    sine, cosine = 1 / (1 + s), s / (1 + s)
    third, first = input_harmonic(sp.Integer(3)), input_harmonic(sp.Integer(1))
    sizes = [
        a.subs(psi, 0) ** 2 * cosine + b.subs(psi, sp.pi / 2) ** 2 * sine for a, b in (third, first)
    ]
    excess = sp.fraction(sp.cancel(sizes[0] / sizes[1] - sp.Rational(1, 81)))
    if not verdict.holds and all(c > 0 for part in excess for c in sp.Poly(part, s).coeffs()):
        return Verdict(False, f"{verdict.counterexample}; it exceeds 1/9 at every other D, too")
    return verdict


def _output_leakage() -> Verdict:
    return output_leakage(3 / (4 * sp.Symbol("r") ** 2 - 1))


IDENTITIES = (
    Identity(
        "relu_even_part",
        r"\textstyle\sum_j \xi[j] = 0 \implies \sum_{x,y}\xi[x+y](\theta[x]+\theta[y]) = 0:"
        r"\text{ of } \operatorname{relu}(z) = (z+|z|)/2 \text{ only } |z|/2 \text{ acts}",
        "He et al. page, section 3.1 (activation robustness)",
        True,
        _linear_part,
    ),
    Identity(
        "relu_constant",
        r"\sum_{x,y}\xi[x+y]\operatorname{relu}(\theta[x]+\theta[y]) ="
        r"\kappa p^2\alpha\beta\cos D,\quad \kappa \to \tfrac{4}{3\pi^2} \text{ as } p\to\infty;"
        r"\ \kappa = \tfrac{1}{2p^2}\csc h\,(\csc h - \csc 3h),\ h = \tfrac{\pi}{2p}"
        r"\text{ at phases } 0",
        "derived",
        True,
        lambda: constant(4 / (3 * sp.pi**2)),
    ),
    Identity(
        "relu_kernel",
        r"\langle \xi[j]\operatorname{relu}(\theta[x]+\theta[y])\rangle_\phi ="
        r"\tfrac{2}{3\pi}\alpha\beta\,|\cos\tfrac{\omega(x-y)}2|\cos(\omega(x+y-j)),\quad D = 0",
        "derived",
        True,
        lambda: kernel(2 / (3 * sp.pi)),
    ),
    Identity(
        "relu_input_leakage",
        r"|\nabla_\theta E|_{rk}/|\nabla_\theta E|_k = \tfrac{3}{r^2-4}\sqrt{\tfrac{\cos^2 D +"
        r"4\sin^2 D/r^2}{\cos^2 D + 4\sin^2 D}} \text{ for odd } r \ge 3,\ 0 \text{ for even } r;"
        r"\ D = 0:\ \tfrac35, \tfrac17;\ p\to\infty",
        "He et al. page, section 4.6, corrected",
        True,
        _input_leakage,
    ),
    Identity(
        "relu_output_leakage",
        r"|\nabla_\xi E|_{rk}/|\nabla_\xi E|_k = \tfrac{3}{4r^2-1}:\ \tfrac15, \tfrac3{35}, "
        r"\tfrac1{21}, \dots;\quad p\to\infty",
        "He et al. page, section 4.6, corrected",
        True,
        _output_leakage,
    ),
    Identity(
        "relu_input_leakage_published",
        r"|\nabla_\theta E|_{rk}/|\nabla_\theta E|_k = \tfrac{1}{r^2}:\ \tfrac19, \tfrac1{25},"
        r"\dots;\quad D = 0,\ p\to\infty",
        "He et al. page, section 4.6",
        False,
        _published_leakage,
    ),
)
