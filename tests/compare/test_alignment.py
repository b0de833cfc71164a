"""Alignment scores on networks whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from grokode import nets
from grokode.compare.alignment.scores import (
    RELIABLE_COHERENCE,
    SCORES,
    alignment_scores,
    global_phases,
    scores,
)
from grokode.theory import fourier

P, K, NEURONS = 11, 5, 40


def network(misalignment, rng, magnitude=1.0):
    """Waves of one magnitude everywhere, uniform input phases, and this misalignment."""
    phi = rng.uniform(-np.pi, np.pi, (NEURONS, K))
    theta = fourier.from_waves(np.zeros(NEURONS), magnitude * np.exp(1j * phi))
    xi = fourier.from_waves(np.zeros(NEURONS), magnitude * np.exp(1j * (2 * phi - misalignment)))
    return theta, xi


def test_aligned_neurons_score_one_whatever_their_phases():
    rng = np.random.default_rng(0)
    alignment = alignment_scores(*network(0.0, rng, magnitude=0.3))
    assert alignment["ell_neuron_norm"] == pytest.approx(1, abs=1e-13)
    assert alignment["ell_abs_norm"] == pytest.approx(1, abs=1e-13)
    assert alignment["coherence_joint"] == pytest.approx(1, abs=1e-13)
    # In orthonormal coordinates alpha^2 is p/2 times 0.3^2, and so is beta^2.
    size = (NEURONS * P / 2 * 0.09) ** 2
    assert alignment["magnitude"] == pytest.approx(K * size)
    assert alignment["ell_neuron"] == pytest.approx(K * size)
    assert alignment["entropy_in"] == pytest.approx(np.log(K))
    assert alignment["top1_out"] == pytest.approx(1 / K)
    # Both layers: K waves of squared norm (p/2) 0.3^2 a neuron.
    assert alignment["weight_norm"] == pytest.approx(np.sqrt(2 * NEURONS * K * P / 2 * 0.09))


@pytest.mark.parametrize("angle", [0.5, 2.0, np.pi])
def test_a_common_misalignment_is_its_cosine(angle):
    alignment = alignment_scores(*network(angle, np.random.default_rng(1)))
    assert alignment["ell_neuron_norm"] == pytest.approx(np.cos(angle), abs=1e-13)
    assert alignment["ell_abs_norm"] == pytest.approx(abs(np.cos(angle)), abs=1e-13)
    assert alignment["ell_neuron_as_written"] == pytest.approx(
        NEURONS * K * (P / 2) ** 2 * np.cos(angle)
    )


def test_scores_do_not_see_a_shift_of_the_inputs():
    """x -> x + 1, y -> y + 1 turns phi by w_k and psi by 2 w_k: D stays, the phases do not."""
    theta, xi = np.random.default_rng(2).normal(size=(2, NEURONS, P))
    before = alignment_scores(theta, xi)
    after = alignment_scores(np.roll(theta, 1, -1), np.roll(xi, 2, -1))
    assert after == pytest.approx(before, rel=1e-11)


def test_global_phases_can_be_aligned_while_neurons_are_not():
    phi = np.array([0.0, np.pi / 2, np.pi, -np.pi / 2])
    psi = 2 * phi + np.pi * np.array([0, 1, 0, 1])
    theta_hat = np.exp(1j * phi)[:, None] + 0.01
    xi_hat = np.exp(1j * psi)[:, None]
    D, coherence = global_phases(theta_hat, xi_hat)
    assert abs(D[0]) < 1e-12
    neurons = np.angle(theta_hat**2 * xi_hat.conj())
    assert abs(np.cos(neurons).mean()) < 0.02
    # The input's coherence says that its global phase rests on next to nothing.
    assert coherence[0, 0] < RELIABLE_COHERENCE <= coherence[1, 0]


def test_coherence_is_the_mean_cosine_to_the_global_phase():
    """What makes 1/2 the least to rely on: neurons 60 degrees away in the mean."""
    waves = np.random.default_rng(4).normal(size=(2, NEURONS, K, 2)) @ [1, 1j]
    _, coherence = global_phases(*waves)
    for layer, coherent in zip(waves, coherence, strict=True):
        turned = np.cos(np.angle(layer) - np.angle(layer.sum(0)))
        assert coherent == pytest.approx((abs(layer) * turned).sum(0) / abs(layer).sum(0))


def test_neurons_and_frequencies_without_magnitude_count_for_nothing():
    theta, xi = np.random.default_rng(5).normal(size=(2, NEURONS, P))
    alone = alignment_scores(theta, xi)
    silent = np.zeros((3, P))
    assert alignment_scores(np.vstack([theta, silent]), np.vstack([xi, silent])) == pytest.approx(
        alone, rel=1e-12
    )
    # Raw coordinates keep zeros exact: one frequency of input and output phase 0 is all there is.
    one = np.zeros((NEURONS, P))
    one[:, 1] = 2.0
    alignment = alignment_scores(one, one, "raw")
    for name in ("ell_neuron_norm", "ell_abs_norm", "ell_global_norm", "coherence_joint"):
        assert alignment[name] == pytest.approx(1)
    assert alignment["entropy_in"] == pytest.approx(0, abs=1e-12)
    nothing = alignment_scores(0 * one, 0 * one)
    assert nothing["magnitude"] == nothing["ell_neuron"] == nothing["weight_norm"] == 0
    assert np.isnan([nothing["ell_neuron_norm"], nothing["coherence_in"], nothing["top1_in"]]).all()


def test_weights_of_another_shape_are_refused():
    theta = np.zeros((2, NEURONS, P))
    with pytest.raises(ValueError, match="theta and xi must have one shape"):
        alignment_scores(theta, theta)
    with pytest.raises(ValueError, match="theta and xi must have one shape"):
        alignment_scores(theta[0], theta[0].T)


def run_of(theta, xi, seed=0, separate_inputs=False):
    """As much of a run as `scores` reads."""
    weights = xr.Dataset(
        {"theta": (("step", "neuron", "x"), theta), "xi": (("step", "neuron", "output"), xi)},
        coords={"step": 10 * np.arange(len(theta))},
    )
    config = SimpleNamespace(p=P, separate_inputs=separate_inputs)
    return SimpleNamespace(path="run", seed=seed, seeds=(0, 1), config=config, weights=weights)


def test_global_phases_over_a_run_say_whether_they_are_reliable():
    rng = np.random.default_rng(6)
    zero = np.zeros(NEURONS)
    together = fourier.from_waves(zero, np.exp(0.3j) * np.ones((NEURONS, K)))
    answer = fourier.from_waves(zero, np.exp(0.5j) * np.ones((NEURONS, K)))
    spread = network(0.1, rng)
    broken = np.full((NEURONS, P), np.nan)
    run = run_of(np.stack([together, spread[0], broken]), np.stack([answer, spread[1], broken]))
    over_training = scores(run)
    assert over_training.global_reliable.sel(step=0).all()
    assert over_training.global_misalignment.sel(step=0).values == pytest.approx(2 * 0.3 - 0.5)
    assert over_training.global_coherence.sel(step=0).values == pytest.approx(1)
    # 40 uniform phases sum to about 1/sqrt(40) = 0.16 of their length: every neuron is aligned to
    # 0.1 and the global phase has nothing to say about it.
    assert not over_training.global_reliable.sel(step=10).any()
    assert float(over_training.ell_neuron_norm.sel(step=10)) == pytest.approx(np.cos(0.1))
    assert not over_training.global_reliable.sel(step=20).any()
    assert all(np.isnan(over_training[name].sel(step=20)) for name in SCORES)


def test_runs_that_have_no_one_score_are_refused():
    theta = np.zeros((1, NEURONS, P))
    with pytest.raises(ValueError, match=r"several seeds.*run\.select"):
        scores(run_of(theta, theta, seed=None))
    with pytest.raises(ValueError, match="separate input weights"):
        scores(run_of(theta, theta, separate_inputs=True))


def test_raw_coordinates_are_the_arrays_read_as_coefficients():
    theta, xi = np.random.default_rng(3).normal(size=(2, NEURONS, P))
    decoded = alignment_scores(fourier.from_basis(theta), fourier.from_basis(xi))
    raw = alignment_scores(theta, xi, "raw")
    for name in SCORES:
        assert raw[name] == pytest.approx(decoded[name], rel=1e-10)
    with pytest.raises(ValueError, match="coordinates must be"):
        alignment_scores(theta, xi, "cooked")


def test_scores_over_a_run_are_those_of_its_checkpoints(tmp_path):
    config = nets.TrainingConfig(p=5, neurons=8, steps=40, checkpoint_every=20, log_every=20)
    run = nets.train(config, tmp_path / "run")
    over_training = scores(run)
    last = run.weights.isel(step=-1)
    alone = alignment_scores(last.theta.values, last.xi.values)
    for name in SCORES:
        assert float(over_training[name].sel(step=40)) == alone[name]
    assert over_training.attrs["coordinates"] == "decoded"


def test_score_as_printed_has_its_epsilon():
    """Written out from its definition; the score itself on large weights, not on small ones."""
    rng = np.random.default_rng(0)
    theta, xi = rng.normal(size=(2, 40, 7))
    gaps = []
    for scale in (1.0, 1e-3):
        alignment = alignment_scores(scale * theta, scale * xi)
        A, B = (np.sqrt(3.5) * fourier.to_waves(scale * w)[1] for w in (theta, xi))
        w = abs(A) ** 2 * abs(B) ** 2
        cosines = np.cos(2 * np.angle(A) - np.angle(B))
        local = (w * cosines).sum(0) / (w.sum(0) + 1e-12)
        sizes = (abs(A) ** 2).mean(0) * (abs(B) ** 2).mean(0)
        expected = (sizes * local).sum() / (sizes.sum() + 1e-12)
        assert alignment["ell_neuron_norm_as_printed"] == pytest.approx(expected, rel=1e-12)
        gaps.append(abs(alignment["ell_neuron_norm_as_printed"] / alignment["ell_neuron_norm"] - 1))
    assert gaps[0] < 1e-9
    assert gaps[1] > 1e-3
