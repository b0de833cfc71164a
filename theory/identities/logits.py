"""What trained neurons compute: single-neuron logits, cancellation, Proposition 1, its margin.

Networks at listed p are evaluated from their definition, neuron by neuron, with phases and waves as
exact roots of unity of order p N.
"""

import sympy as sp
from sympy.polys.rings import PolyElement

from grokode.theory.identities.base import Identity, Verdict, all_hold, holds_if, vanishes
from grokode.theory.identities.characters import geometric_series, root_of_unity_power
from grokode.theory.identities.cyclotomic import RootsOfUnity, character_mean

__all__ = [
    "IDENTITIES",
    "cancellation",
    "margin",
    "network_logits",
    "neuron_scale",
    "proposition_1",
    "proposition_1_at",
    "single_neuron",
    "softmax_bound",
    "worked_example",
]

QUARTER = sp.Rational(1, 4)
alpha, beta, p = sp.symbols("alpha beta p", positive=True)
# Half angles: w x = 2 X, w y = 2 Y. J = w j.
X, Y, J, phi, psi = sp.symbols("X Y J phi psi", real=True)


def single_neuron(output_phase: sp.Expr, two_phase_weight: sp.Expr, scale: sp.Expr) -> Verdict:
    """Logit of one neuron as product formula, for the output phase psi.

    xi[j] (theta[x] + theta[y])^2 = scale cos^2(w(x-y)/2) [ cos(w(x+y-j) + 2 phi - psi)
    + two_phase_weight cos(wj + psi) + cos(w(x+y+j) + 2 phi + psi) ].

    Examples
    --------
    >>> single_neuron(psi, sp.Integer(2), alpha**2 * beta).holds
    True
    >>> single_neuron(2 * phi, sp.Integer(1), alpha**2 * beta).holds
    False
    """
    theta = alpha * (sp.cos(2 * X + phi) + sp.cos(2 * Y + phi))
    logit = beta * sp.cos(J + output_phase) * theta**2
    signal = sp.cos(2 * X + 2 * Y - J + 2 * phi - output_phase)
    two_phase = two_phase_weight * sp.cos(J + output_phase)
    four_phase = sp.cos(2 * X + 2 * Y + J + 2 * phi + output_phase)
    return vanishes(logit - scale * sp.cos(X - Y) ** 2 * (signal + two_phase + four_phase))


def neuron_scale(claimed: sp.Expr) -> Verdict:
    """Whether an aligned neuron's logit at x = y, j = 2x, averaged over its phase, is `claimed`.

    That average keeps the signal alone, whose cosines are 1 there: it is a.

    Examples
    --------
    >>> neuron_scale(alpha**2 * beta).holds
    True
    """
    r = sp.Symbol("r")
    theta, xi = alpha * (r + 1 / r) / 2, beta * (r**2 + 1 / r**2) / 2
    return vanishes(character_mean(xi * (2 * theta) ** 2, r) - claimed)


def cancellation(order: int, neurons: int) -> Verdict:
    """sum_n e^{i order phi_n} = 0 for phi_n = phi_0 + 2 pi n / neurons.

    Examples
    --------
    >>> cancellation(4, 3).holds, cancellation(4, 4).holds
    (True, False)
    """
    roots = RootsOfUnity(neurons)
    return roots.vanishes(sum(roots.z(order * n) for n in range(neurons)))


def network_logits(p: int, neurons: int, x: int, y: int) -> list[PolyElement]:
    """Logits over j of an aligned network, `neurons` uniform phases a frequency, alpha = beta = 1.

    Elements of the roots of unity of order p * neurons, evaluated from the network's definition.

    Examples
    --------
    >>> roots = RootsOfUnity(9)
    >>> [roots.normal(f) for f in network_logits(3, 3, 0, 1)]
    [-3/8, 3/4, -3/8]
    """
    order = p * neurons
    roots = RootsOfUnity(order)
    logits = [roots.number(0) for _ in range(p)]
    for k in range(1, (p + 1) // 2):
        for n in range(neurons):
            # w_k x + phi_n in units of 2 pi / order.
            phase = p * n
            theta = sum(roots.cos(neurons * k * t + phase) for t in (x, y))
            squared = roots.normal(theta**2)
            for j in range(p):
                logits[j] += squared * roots.cos(neurons * k * j + 2 * phase)
    return logits


def proposition_1(p: int, x: int, y: int, j: int, spurious: sp.Rational) -> sp.Rational:
    """Proposition 1 in units of aN/2, with the height of its spurious peaks.

    Examples
    --------
    >>> proposition_1(23, 3, 7, 10, sp.Rational(23, 4))
    21/2
    """
    right = sp.Rational(p, 2) if (x + y - j) % p == 0 else sp.Integer(0)
    peaks = ((2 * x - j) % p == 0) + ((2 * y - j) % p == 0)
    return -1 + right + spurious * int(peaks)


def proposition_1_at(p: int, neurons: int = 3, spurious: sp.Rational | None = None) -> Verdict:
    """Proposition 1 for every x, y and j at one p, from the network's definition.

    Examples
    --------
    >>> proposition_1_at(5).holds, proposition_1_at(5, spurious=sp.Rational(5, 2)).holds
    (True, False)
    """
    return all_hold(
        (f"p = {p}, x = {x}, y = {y}", _compare(p, neurons, x, y, spurious))
        for x in range(p)
        for y in range(x, p)
    )


def _compare(p: int, neurons: int, x: int, y: int, spurious: sp.Rational | None) -> Verdict:
    roots = RootsOfUnity(p * neurons)
    height = sp.Rational(p, 4) if spurious is None else spurious
    return all_hold(
        (
            f"j = {j}",
            roots.vanishes(
                logit - roots.number(sp.Rational(neurons, 2) * proposition_1(p, x, y, j, height))
            ),
        )
        for j, logit in enumerate(network_logits(p, neurons, x, y))
    )


def _cancellation() -> Verdict:
    # Symbolic N: the geometric series in r = e^{2 pi i order / N}, r^N = 1 and r != 1.
    N = sp.Symbol("N", integer=True, positive=True)
    r = sp.Symbol("r")
    return all_hold(
        [
            *((f"r^N = 1, order = {order}", root_of_unity_power(order, N)) for order in (2, 4)),
            ("series", vanishes(geometric_series(r, 0, N - 1)[1].subs(r**N, 1))),
            # r = 1 exactly where N divides the order: N = 1, 2 for both, N = 4 for the second.
            *(
                (f"N = {m}, order = {order}", cancellation(order, m))
                for m in (3, 5, 6, 7, 8, 12)
                for order in (2, 4)
            ),
        ]
    )


def _proposition_1() -> Verdict:
    # Symbolic p: the signal of a frequency is a sum of three waves; the folded Fourier sum turns
    # each into an indicator times p/2, less 1/2. S, P, Q are the three indicators.
    wave_sum = sp.cos(2 * X + 2 * Y - J) / 2 + sp.cos(4 * X - J) / 4 + sp.cos(4 * Y - J) / 4
    signal = sp.cos(X - Y) ** 2 * sp.cos(2 * X + 2 * Y - J)
    S, P, Q, a, N = sp.symbols("S P Q a N")

    def folded(indicator: sp.Expr) -> sp.Expr:
        return p / 2 * indicator - sp.Rational(1, 2)

    summed = a * N * (folded(S) / 2 + folded(P) / 4 + folded(Q) / 4)
    claimed = a * N / 2 * (-1 + p / 2 * S + p / 4 * (P + Q))
    return all_hold(
        [
            ("three waves", vanishes(signal - wave_sum)),
            ("symbolic p", vanishes(summed - claimed)),
            *((f"N = {n}", proposition_1_at(m, n)) for m, n in ((3, 3), (5, 3), (7, 3), (9, 3))),
            ("N = 5", proposition_1_at(7, 5)),
            ("N = 3", _compare(11, 3, 2, 5, None)),
        ]
    )


def worked_example(answer: sp.Rational, peak: sp.Rational) -> Verdict:
    """Logits of p = 23, x = 3, y = 7 in units of aN/2, from the network's definition.

    Examples
    --------
    >>> worked_example(sp.Rational(21, 2), sp.Rational(21, 4)).holds
    False
    """
    neurons = 3
    roots = RootsOfUnity(23 * neurons)
    claimed = {10: answer, 6: peak, 14: peak}
    return all_hold(
        (
            f"j = {j}",
            roots.vanishes(
                logit - roots.number(claimed.get(j, sp.Integer(-1)) * sp.Rational(neurons, 2))
            ),
        )
        for j, logit in enumerate(network_logits(23, neurons, 3, 7))
    )


def margin(share: sp.Rational = QUARTER) -> Verdict:
    """Whether the margin of Proposition 1 is share p (aN/2) for x != y, and p (aN/2) for x = y.

    Examples
    --------
    >>> margin().holds, margin(sp.Rational(1, 2)).holds
    (True, False)
    """
    # In units of aN/2. Two of x+y, 2x, 2y agree mod p only if x = y (p odd), so for x != y the
    # values are those of one indicator each.
    height = p / 4
    right, peak, background = p / 2 - 1, height - 1, sp.Integer(-1)
    a, N = sp.symbols("a N", positive=True)

    def at(m: int) -> Verdict:
        for x in range(m):
            for y in range(m):
                values = [proposition_1(m, x, y, j, sp.Rational(m, 4)) for j in range(m)]
                answer = values.pop((x + y) % m)
                claimed = share * m if x != y else sp.Integer(m)
                if answer - max(values) != claimed:
                    return Verdict(False, f"x = {x}, y = {y}: {answer - max(values)}")
        return Verdict(True)

    return all_hold(
        [
            ("over the peaks", vanishes(a * N / 2 * (right - peak - share * p))),
            ("peaks over background", holds_if((peak - background).is_positive, "p/4")),
            ("x = y", vanishes(right + 2 * height - background - p)),
            *((f"p = {m}", at(m)) for m in (3, 5, 7, 9, 15, 23)),
        ]
    )


def softmax_bound(rate: int = 1) -> Verdict:
    """Softmax mass of the right answer >= 1 - (p-1) e^{-rate margin}, for every p >= 3 and a N > 0.

    With t = e^{-margin} in (0, 1): two peaks lie one margin below, p - 3 outputs two, and for
    x = y all p - 1 others four. Mass minus bound, in p = 3 + n and t = 1/(1 + s) with n, s >= 0,
    has no negative coefficient, which proves it; a negative one is reported.

    Examples
    --------
    >>> softmax_bound().holds, softmax_bound(rate=2).holds
    (True, False)
    """
    n, s = sp.symbols("n s", nonnegative=True)
    t = 1 / (1 + s)
    wrong = {"x != y": 2 * t + n * t**2, "x = y": (n + 2) * t**4}

    def case(total: sp.Expr) -> Verdict:
        excess = sp.cancel(sp.together(1 / (1 + total) - 1 + (n + 2) * t**rate))
        numerator, denominator = sp.fraction(excess)
        signs = [sp.Poly(part, n, s).coeffs() for part in (numerator, denominator)]
        positive = all(c >= 0 for c in signs[0]) and all(c >= 0 for c in signs[1])
        return holds_if(positive, f"mass - bound = {sp.factor(excess)}, p = 3 + n, e^-margin = {t}")

    return all_hold((label, case(total)) for label, total in wrong.items())


IDENTITIES = (
    Identity(
        "single_neuron_logits",
        r"\xi[j](\theta[x]+\theta[y])^2 = \alpha^2\beta\cos^2\tfrac{\omega(x-y)}2\,\big["
        r"\cos(\omega(x+y-j)) + 2\cos(\omega j+2\phi) + \cos(\omega(x+y+j)+4\phi)\big],\ D = 0",
        "He et al. page, section 3.2",
        True,
        lambda: single_neuron(2 * phi, sp.Integer(2), alpha**2 * beta),
    ),
    Identity(
        "single_neuron_logits_misaligned",
        r"\xi[j](\theta[x]+\theta[y])^2 = \alpha^2\beta\cos^2\tfrac{\omega(x-y)}2\,\big["
        r"\cos(\omega(x+y-j)+D) + 2\cos(\omega j+\psi) + \cos(\omega(x+y+j)+2\phi+\psi)\big]",
        "derived",
        True,
        lambda: single_neuron(psi, sp.Integer(2), alpha**2 * beta),
    ),
    Identity(
        "phase_cancellation",
        r"\sum_{n<N} e^{i\iota\phi_n} = 0,\quad \phi_n = \phi_0 + 2\pi n/N,\ \iota = 2, 4,\ "
        r"N \ge 3,\ N \ne 4",
        "He et al. page, section 3.2 (noise cancellation)",
        True,
        _cancellation,
    ),
    Identity(
        "proposition_1",
        r"f(x,y)[j] = \tfrac{aN}{2}\big[-1 + \tfrac p2\mathbf 1(x+y=j) + \tfrac p4("
        r"\mathbf 1(2x=j) + \mathbf 1(2y=j))\big] \pmod p,\quad a = \alpha^2\beta",
        "He et al. page, Proposition 1",
        True,
        _proposition_1,
    ),
    Identity(
        "worked_example",
        r"p=23,\ x=3,\ y=7:\ f[10] = 10.5,\ f[6] = f[14] = 4.75,\ f[j] = -1"
        r"\text{ elsewhere, in units of } aN/2",
        "He et al. page, section 3.2 (worked example)",
        True,
        lambda: worked_example(sp.Rational(21, 2), sp.Rational(19, 4)),
    ),
    Identity(
        "margin",
        r"f(x,y)[x+y] - \max_{j \ne x+y} f(x,y)[j] = aNp/8 \text{ for } x \ne y,\ aNp/2"
        r"\text{ for } x = y",
        "He et al. page, section 3.2",
        True,
        margin,
    ),
    Identity(
        "softmax_bound",
        r"\operatorname{softmax} f(x,y)[x+y] \ge 1 - (p-1)e^{-aNp/8}",
        "He et al. page, section 3.2",
        True,
        softmax_bound,
    ),
)
