"""The pair flow against the full flow of d and every D_i, which knows nothing of its reductions."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from grokode import theory
from grokode.theory import mergers
from grokode.theory.mergers import PairFlow, ReducedPairFlow

HIDDEN_TIME, OUTPUT_TIME = 0.7, 3.0
RATIO = OUTPUT_TIME / HIDDEN_TIME


def full_flow(d, D, target, times, **options):
    """d (time, hidden) and D (time, N, output, hidden) by gradient flow on the loss itself."""
    n = len(D)

    def rate(_, state):
        d, D = state[: d0.size], state[d0.size :].reshape(D0.shape)
        error = D @ d - target
        force = np.einsum("noh,no->h", D, error) / n
        return np.concatenate(
            [
                -force / (4 * HIDDEN_TIME),
                (-error[..., None] * d / (4 * OUTPUT_TIME)).ravel(),
            ]
        )

    d0, D0 = d, D
    options = {"rtol": 1e-10, "atol": 1e-13, "method": "DOP853", **options}
    start = np.concatenate([d.ravel(), D.ravel()])
    states = solve_ivp(rate, (0, times[-1]), start, t_eval=times, **options).y.T
    return states[:, : d.size], states[:, d.size :].reshape(len(times), *D.shape)


def gram(D):
    return np.einsum("...noh,...nok->...hk", D, D) / D.shape[-3]


def random_pair(seed, agreeing=False, n=6, outputs=2, hidden=4):
    rng = np.random.default_rng(seed)
    d = rng.normal(size=hidden) * rng.uniform(0.3, 2)
    D = rng.normal(size=(n, outputs, hidden)) * rng.uniform(0.2, 1.6)
    target = np.zeros((n, outputs)) if agreeing else rng.normal(size=(n, outputs))
    return d, D, target


def one_direction(seed, agreeing=False):
    """A pair whose maps read the direction of d alone: there the three-variable form is exact."""
    d, D, target = random_pair(seed, agreeing)
    v = d / np.linalg.norm(d)
    return d, (D @ v)[..., None] * v, target


@pytest.mark.parametrize("agreeing", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_matrix_is_conserved_by_the_full_flow(seed, agreeing):
    d, D = full_flow(*random_pair(seed, agreeing), np.linspace(0, 60, 7))
    Q = mergers.invariant(d, gram(D), RATIO)
    # The integration's own tolerance, times a few hundred steps.
    np.testing.assert_allclose(Q, np.broadcast_to(Q[0], Q.shape), atol=1e-8)


@pytest.mark.parametrize("agreeing", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_pair_flow_is_the_full_flow_where_one_direction_is_read(seed, agreeing):
    d, D, target = one_direction(seed, agreeing)
    times = np.array([0.5, 3.0, 20.0])
    expected, maps = full_flow(d, D, target, times)
    state = mergers.pair_state(d, D, target)
    path = theory.simulate(PairFlow(HIDDEN_TIME, OUTPUT_TIME), state, times, atol=1e-12)
    v = d / np.linalg.norm(d)
    # Two integrators with tolerances of 1e-8 and 1e-10.
    np.testing.assert_allclose(path.delta, expected @ v, atol=1e-6)
    later = mergers.pair_state(expected, maps, np.broadcast_to(target, (3, *target.shape)))
    np.testing.assert_allclose(path.U, later.U, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(path.c * np.sign(path.delta), later.c, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_reduced_form_is_the_polynomial_one_while_states_stay_apart(seed):
    state = mergers.pair_state(*one_direction(seed))
    state["c"] = abs(state.c)  # pulled apart, so x stays away from its singularity
    state["w"] = state.P - state.delta * state.c
    times = np.array([1.0, 10.0])
    flows = (PairFlow(HIDDEN_TIME, OUTPUT_TIME), ReducedPairFlow(HIDDEN_TIME, OUTPUT_TIME))
    pair, reduced = (theory.simulate(flow, state, times, rtol=1e-10, atol=1e-13) for flow in flows)
    np.testing.assert_allclose(reduced.x, pair.delta**2, rtol=1e-7)
    np.testing.assert_allclose(reduced.P, pair.delta**2 * pair.U, rtol=1e-7)
    np.testing.assert_allclose(
        reduced.w, pair.delta * (pair.delta * pair.U - pair.c), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(8))
def test_states_may_pass_through_each_other(seed):
    # Targets against the present outputs: d turns round, where the reduced form divides by zero.
    d, D, _ = one_direction(seed)
    target = -(D @ d)
    times = np.array([400.0])
    [end], _ = full_flow(d, D, target, times)
    state = mergers.pair_state(d, D, target)
    path = theory.simulate(PairFlow(HIDDEN_TIME, OUTPUT_TIME), state, times, atol=1e-12)
    assert path.delta.item() == pytest.approx(d @ end / np.linalg.norm(d), abs=1e-6)
    A = float(state.x - RATIO * state.U)
    closed = mergers.final_distance(A, state.Y, RATIO)
    assert path.delta.item() ** 2 == pytest.approx(closed.item(), rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_agreeing_pairs_follow_the_exact_solution(seed):
    d, D, target = one_direction(seed, agreeing=True)
    times = np.array([0.0, 1.0, 10.0, 50.0])
    expected, _ = full_flow(d, D, target, times)
    state = mergers.pair_state(d, D, target)
    A = state.x - RATIO * state.U
    exact = mergers.agreeing_distance(state.x, A, times, OUTPUT_TIME)
    np.testing.assert_allclose(exact, (expected**2).sum(1), rtol=1e-7, atol=1e-11)
    ever = mergers.agreeing_distance(state.x, A, [1e9], OUTPUT_TIME)
    assert ever[0] == pytest.approx(mergers.final_distance(A, 0.0, RATIO), rel=1e-7, abs=1e-12)


def test_decay_is_algebraic_at_the_boundary():
    x = mergers.agreeing_distance(1.0, 0.0, [0.0, 1e3], OUTPUT_TIME)
    # x' = -x^2 / (2 N tau_y).
    assert x[1] == pytest.approx(1 / (1 + 1e3 / (2 * OUTPUT_TIME)), rel=1e-14)
    near = mergers.agreeing_distance(1.0, 1e-12, [0.0, 1e3], OUTPUT_TIME)
    # Of first order in A t.
    assert near[1] == pytest.approx(x[1], rel=1e-9)


@pytest.fixture(scope="module")
def random_cases():
    """Three hundred agreeing pairs with maps of any direction, followed to the end."""
    cases = [random_pair(seed, agreeing=True, n=4, outputs=1, hidden=3) for seed in range(300)]
    differences = np.stack([d for d, _, _ in cases])
    grams = np.stack([gram(D) for _, D, _ in cases])
    # LSODA turns implicit once what is left to decay is slow.
    last = [full_flow(*case, [3e4], method="LSODA")[0][0] for case in cases]
    return mergers.criteria(differences, grams, RATIO), (np.stack(last) ** 2).sum(1)


def test_exact_criterion_is_always_right_and_the_published_one_only_necessary(random_cases):
    criteria, last = random_cases
    merged = last < 1e-6
    assert 50 < merged.sum() < 250  # so that neither answer is right by default
    assert ((criteria.exact < 1) == merged).all()
    published = criteria.published < 1
    # Never a merger missed, often one announced that does not come.
    assert published[merged].all()
    false_mergers = int((published & ~merged).sum())
    assert 30 < false_mergers < 150
    assert (criteria.published <= criteria.exact * (1 + 1e-9)).all()


def test_final_distance_is_the_largest_eigenvalue(random_cases):
    criteria, last = random_cases
    # Pairs near the boundary are still on their way at the last time.
    np.testing.assert_allclose(criteria.final, last, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_closed_form_holds_along_the_final_direction_not_the_initial_one(seed):
    d, D, target = random_pair(seed)
    ends, maps = full_flow(d, D, target, [0.0, 2e4], method="LSODA", rtol=1e-11)
    state = mergers.pair_state(d, D, target)
    Q = mergers.invariant(d, gram(D), RATIO)
    v = ends[-1] / np.linalg.norm(ends[-1])
    closed = mergers.final_distance(v @ Q @ v, state.Y, RATIO)
    assert closed == pytest.approx(ends[-1] @ ends[-1], rel=1e-6)
    initial = mergers.final_distance(state.x - RATIO * state.U, state.Y, RATIO)
    assert abs(initial / closed - 1) > 1e-3
    np.testing.assert_allclose(maps[-1] @ ends[-1], target, atol=1e-5)


def test_no_disagreeing_pair_merges():
    # A strongly contracting pair that still disagrees: its final distance is small, not zero.
    assert mergers.final_distance(-1e8, 1e-4, 1.0) == pytest.approx(1e-12, rel=1e-6)


def test_outside_the_range_of_the_maps_nothing_contracts():
    both = mergers.criteria([1.0, 1e-3], np.diag([100.0, 0.0]), 1.0)
    assert both.published < 1
    assert both.exact == np.inf
    assert both.final > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PairFlow(0.0, 1.0), "hidden_time must be positive"),
        (lambda: mergers.pair_state([0.0, 0.0], np.ones((1, 1, 2)), [[1.0]]), "not be zero"),
        (lambda: mergers.pair_state([1.0], np.ones((1, 1, 2)), [[1.0]]), "maps must be"),
        (lambda: mergers.pair_state([np.nan], [[[1.0]]], [[1.0]]), "difference must be finite"),
        (lambda: mergers.invariant([1.0], np.eye(2), 1.0), "gram must be"),
        (lambda: mergers.final_distance(1.0, -1.0, 1.0), "disagreement must not be negative"),
        (lambda: mergers.agreeing_distance(1.0, 2.0, [0.0], 1.0), "smaller than invariant"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
