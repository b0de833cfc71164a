"""The proofs reach the expected verdicts, can fail, and agree with independent arithmetic."""

import ast
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from grokode.theory import exact, identities
from grokode.theory.identities import (
    IDENTITIES,
    energy,
    errata,
    flow,
    logits,
    mergers,
    moments,
    pair_errata,
    relu,
)
from grokode.theory.identities.base import all_hold, canonical, holds_if, vanishes
from grokode.theory.identities.catalogue import prove
from grokode.theory.identities.characters import folded_sum, wave_orthogonality
from grokode.theory.identities.cyclotomic import RootsOfUnity, character_mean

FILES = sorted(Path(identities.__file__).parent.glob("*.py"))
BANNED = {"evalf", "n", "N", "nsimplify", "nsolve", "lambdify", "float", "Float", "complex"}


@pytest.fixture(scope="module")
def proofs():
    return {proof.identity.name: proof for proof in prove()}


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: identity.name)
def test_verdict_is_the_expected_one(identity, proofs):
    proof = proofs[identity.name]
    assert proof.holds is identity.expected, proof.counterexample
    assert (proof.counterexample == "") is proof.holds
    assert proof.seconds > 0


def test_names_are_unique_and_statements_are_latex():
    names = [identity.name for identity in IDENTITIES]
    assert len(set(names)) == len(names)
    for identity in IDENTITIES:
        assert identity.statement.count("{") == identity.statement.count("}")
        assert "$" not in identity.statement
        assert identity.source


def test_misprints_stand_beside_what_holds():
    names = {identity.name for identity in IDENTITIES}
    misprints = [identity.name for identity in IDENTITIES if not identity.expected]
    assert len(misprints) >= 6
    for name in ("misalignment_rate", "lottery_corollary", "phase_convention"):
        assert {name, f"{name}_published"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_floating_point_anywhere(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float | complex), f"line {node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in BANNED, f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED, f"line {node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {m.split(".")[0] for m in modules} & {"numpy", "math", "mpmath", "scipy"}


ALPHA, BETA, P = flow.alpha, flow.beta, flow.p
R = sp.Symbol("r")
PERTURBED = {
    "wave norm": lambda: wave_orthogonality(7, sp.Rational(1, 3)),
    "folded background": lambda: folded_sum(7, sp.Integer(1)),
    "energy scale": lambda: energy.neuron_energy_at(5, sp.Rational(1, 3)),
    "quartic constant": lambda: energy.even_energy(4, sp.Rational(5, 4)),
    "quartic constant, p = 5": lambda: energy.even_energy_at(5, 4, sp.Rational(5, 4)),
    "quartic at p = 3, where q aliases": lambda: energy.even_energy_at(3, 4, sp.Rational(3, 2)),
    "misalignment rate, beta": lambda: flow.misalignment_rate(3 * BETA + ALPHA**2 / BETA),
    "misalignment rate, sign": lambda: flow.misalignment_rate(4 * BETA - ALPHA**2 / BETA),
    "input rate": lambda: energy.complex_flow_at(5, input_rate=3),
    "stability, the other sign": lambda: flow.stability(BETA * sp.sin(flow.D)),
    "stability, a flow even in D": lambda: flow.stability(-BETA * sp.sin(flow.D) ** 2),
    "margin": lambda: logits.margin(sp.Rational(1, 8)),
    "clock rate": lambda: moments.clock_rate(1),
    "first invariant": lambda: flow.invariants(first=ALPHA**2 + 2 * BETA**2),
    "second invariant": lambda: flow.invariants(second=flow.C2 * BETA),
    "Weierstrass g2": lambda: flow.weierstrass(g2=sp.Symbol("C1") ** 2 / 4),
    "Weierstrass g3": lambda: flow.weierstrass(g3=sp.Symbol("C2") ** 2),
    "even invariant, weight": lambda: flow.even_invariants(weight=sp.Integer(2)),
    "even invariant, power": lambda: flow.even_invariants(power=sp.Integer(2)),
    "logits, two-phase term": lambda: logits.single_neuron(
        logits.psi, sp.Integer(3), ALPHA**2 * BETA
    ),
    "logits, alignment": lambda: logits.single_neuron(logits.phi, sp.Integer(2), ALPHA * BETA),
    "neuron scale": lambda: logits.neuron_scale(2 * ALPHA**2 * BETA),
    "four phases": lambda: logits.cancellation(4, 4),
    "two neurons": lambda: logits.proposition_1_at(5, neurons=2),
    "four neurons": lambda: logits.proposition_1_at(5, neurons=4),
    "spurious peaks": lambda: logits.proposition_1_at(5, spurious=sp.Integer(1)),
    "worked example, answer": lambda: logits.worked_example(sp.Integer(10), sp.Rational(19, 4)),
    "worked example, peak": lambda: logits.worked_example(sp.Rational(21, 2), sp.Integer(5)),
    "softmax, twice the margin": lambda: logits.softmax_bound(rate=2),
    "moment logits": lambda: moments.moment_logits(sp.Rational(1, 2)),
    "moment flow": lambda: moments.moment_flow(minus_weight=1),
    "plateau force": lambda: moments.plateau_force(sp.Rational(1, 4)),
    "ReLU constant": lambda: relu.constant(4 / (3 * sp.pi)),
    "ReLU kernel": lambda: relu.kernel(4 / (3 * sp.pi)),
    "ReLU input leakage": lambda: relu.input_leakage(3 / (R**2 - 3)),
    "ReLU output leakage": lambda: relu.output_leakage(1 / R**2),
    "phase signs": lambda: errata.phase_signs(-1),
    "pair, rate of w": lambda: mergers.three_variables(sp.Symbol("w")),
    "pair, end without rates": lambda: mergers.closed_form(low=mergers.Y),
    "pair, another invariant": lambda: mergers.closed_form(high=mergers.x + mergers.kappa),
    "pair, stability": lambda: mergers.stability(3),
    "pair, rate of d": lambda: pair_errata.distance_rate(pair_errata.delta),
    "pair, two variables": lambda: pair_errata.two_variables(
        pair_errata.tau_h / (2 * pair_errata.tau_y**2)
    ),
    "pair, rate of an output": lambda: pair_errata.output_rate(pair_errata.dy),
}


@pytest.mark.parametrize("name", PERTURBED)
def test_perturbed_statement_fails_with_a_counterexample(name):
    verdict = PERTURBED[name]()
    assert verdict.holds is False
    assert verdict.counterexample


def test_larger_ticket_is_not_refuted_when_it_need_not_win():
    # Three halves is below the factor 2 that cos(pi/3) costs: the bound decides nothing.
    assert errata.least_misalignment_wins(sp.Rational(3, 2)).holds


# Independent arithmetic, in floating point.


def test_refuted_corollary_against_the_exact_blowup_times():
    p, beta = 23, np.array([0.01, 0.03])
    D = np.array([0, np.pi / 3])
    aligned, larger = exact.blowup_time(np.sqrt(2) * beta, beta * np.exp(-1j * D), p)
    # 1e-12: both come from the same closed form in double precision.
    assert aligned == pytest.approx(1 / (2 * p * beta[0]), rel=1e-12)
    assert larger < 1 / (3 * p * beta[0]) < aligned


def relu_gradients(p, D):
    """Harmonic sizes of both gradients of a single-frequency ReLU neuron, from all pairs."""
    x = np.arange(p)
    # A phase off the grid, so that no pair sits on the kink.
    theta, xi = np.cos(2 * np.pi / p * x + 1e-3), np.cos(2 * np.pi / p * x + 2e-3 - D)
    total = theta[:, None] + theta
    output = (x[:, None] + x) % p
    by_theta = ((total > 0) * xi[output]).sum(1)
    by_xi = np.bincount(output.ravel(), np.maximum(total, 0).ravel(), p)
    sizes = [abs(np.fft.rfft(gradient))[:8] for gradient in (by_theta, by_xi)]
    return [size / size[1] for size in sizes], (xi * by_xi).sum() / p**2


@pytest.mark.parametrize("D", [0.0, 0.7, np.pi / 2, 2.5])
def test_relu_leakage_and_constant_against_a_wide_modulus(D):
    (by_theta, by_xi), energy_per_pair = relu_gradients(1001, D)
    r = np.array([3, 5, 7])
    turn = np.sqrt((np.cos(D) ** 2 + 4 * np.sin(D) ** 2 / r**2) / (1 + 3 * np.sin(D) ** 2))
    # Kinks make the sums over Z_p converge as 1/p, so 5e-3 at p = 1001.
    np.testing.assert_allclose(by_theta[r], 3 / (r**2 - 4) * turn, atol=5e-3)
    np.testing.assert_allclose(by_theta[[2, 4, 6]], 0, atol=5e-3)
    s = np.arange(2, 8)
    np.testing.assert_allclose(by_xi[s], 3 / (4 * s**2 - 1), atol=5e-3)
    assert energy_per_pair == pytest.approx(4 / (3 * np.pi**2) * np.cos(D), abs=1e-4)


@pytest.mark.parametrize(("p", "q"), [(3, 2), (5, 6), (23, 2), (23, 4), (23, 6)])
def test_even_constant_against_all_pairs(p, q):
    x = np.arange(p)
    w, alpha, beta, phi, D = 2 * np.pi / p, 0.7, 1.3, 0.4, 0.9
    theta, xi = alpha * np.cos(w * x + phi), beta * np.cos(w * x + 2 * phi - D)
    total = (xi[(x[:, None] + x) % p] * (theta[:, None] + theta) ** q).sum()
    claimed = float(energy.even_constant(q)) * p**2 * alpha**q * beta * np.cos(D)
    # Rounding of p^2 terms of order one.
    assert total == pytest.approx(claimed, rel=1e-12)


def test_network_logits_against_floating_point():
    p, neurons, x, y = 7, 3, 2, 5
    phase = 2 * np.pi * np.arange(neurons) / neurons
    w = 2 * np.pi / p * np.arange(1, 4)[:, None]
    theta = np.cos(w * x + phase) + np.cos(w * y + phase)
    expected = [(np.cos(w * j + 2 * phase) * theta**2).sum() for j in range(p)]
    roots = RootsOfUnity(p * neurons)
    logits_exact = [roots.normal(f) for f in logits.network_logits(p, neurons, x, y)]
    # They are rational, so the normal form is a number.
    np.testing.assert_allclose([float(f.as_expr()) for f in logits_exact], expected, rtol=1e-12)


# The tools of the prover.


@pytest.mark.parametrize("order", [1, 3, 8, 9, 15, 21])
def test_normal_form_keeps_the_value_and_finds_every_zero(order):
    roots = RootsOfUnity(order, ["a"])
    rng = np.random.default_rng(order)
    z, a = np.exp(2j * np.pi / order), 0.3
    for _ in range(5):
        powers = rng.integers(-order, 3 * order, size=6)
        element = sum(roots.z(int(n)) * (1 + roots.symbols["a"]) for n in powers)
        value = complex(sp.lambdify(sp.symbols("z a"), roots.normal(element).as_expr())(z, a))
        assert value == pytest.approx((z**powers).sum() * (1 + a), abs=1e-12)
    for divisor in sp.divisors(order)[1:]:
        step = order // divisor
        assert roots.vanishes(sum(roots.z(step * n) for n in range(divisor))).holds
        assert not roots.vanishes(sum(roots.z(step * n) for n in range(divisor - 1))).holds


def test_character_mean_against_a_sum_over_residues():
    u, v = sp.symbols("u v")
    expression = (2 * u + 3 / u + v) ** 2 * (1 / v + u)
    roots = np.exp(2j * np.pi / 11 * np.arange(11))
    values = sp.lambdify((u, v), expression)(roots[:, None], roots)
    # Rounding of a mean of 121 terms of order ten.
    assert values.mean() == pytest.approx(float(character_mean(expression, u, v)), abs=1e-12)


def test_verdicts():
    x, a = sp.Symbol("x"), sp.Symbol("a")
    assert vanishes(sp.cos(3 * a) - 4 * sp.cos(a) ** 3 + 3 * sp.cos(a)).holds
    assert "at x = 1 it is 2" in vanishes(sp.Integer(0), 2 * x).counterexample
    assert not vanishes(sp.Integer(3)).holds
    assert not holds_if(None, "undecided").holds
    assert not holds_if(sp.Symbol("x") > 0, "undecided").holds
    failed = all_hold([("first", vanishes(x - x)), ("second", vanishes(x))])
    assert failed.counterexample.startswith("second: ")


def test_canonical_refuses_what_it_cannot_decide():
    with pytest.raises(ValueError, match="integers"):
        canonical(sp.cos(sp.Symbol("a") / 2))


# prove()


def test_prove_keeps_the_order_and_reports():
    names = ["margin", "invariants"]
    seen = []
    result = prove(names, on_proved=seen.append)
    assert [proof.identity.name for proof in result] == names
    assert seen == result


def test_prove_nothing():
    assert prove([]) == []


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match=r"'nonsense'.*choose from .*proposition_1"):
        prove(["invariants", "nonsense"])


def test_a_single_string_is_refused():
    with pytest.raises(TypeError, match="sequence of names"):
        prove("invariants")
