"""The logit budget: parts against their definitions, frequency by frequency and in closed form."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy

from grokode import nets
from grokode.compare.budget import PARTS, budget_over_steps, logit_budget
from grokode.compare.figures.budget import PART_COLORS, budget_bars, budget_history
from grokode.compare.kernels import all_logits, kernels
from grokode.compare.logit_tables import budget_json, budget_table
from grokode.theory import fourier

# Sums of some hundred products of numbers near 1, relative to the largest logit.
ROUNDING = 1e-12


def network_of(A, B):
    """Weights without means that have these waves, (neuron, frequency)."""
    none = np.zeros(len(A))
    return fourier.from_waves(none, A), fourier.from_waves(none, B)


def ideal_network(p, N, alpha=0.7, beta=1.3):
    """Every frequency in N aligned neurons whose phases are spread evenly."""
    phases = np.exp(2j * np.pi * np.arange(N) / N)
    waves = np.kron(np.eye((p - 1) // 2), phases[:, None])
    return network_of(alpha * waves, beta * waves**2)


def single_wave(p, k, phi, psi, alpha=0.7, beta=1.3):
    """One neuron of one frequency."""
    A, B = np.zeros((2, 1, (p - 1) // 2), complex)
    A[0, k - 1], B[0, k - 1] = alpha * np.exp(1j * phi), beta * np.exp(1j * psi)
    return network_of(A, B)


def centred(values):
    return values - values.mean(-1, keepdims=True)


def grid(p):
    x = np.arange(p)
    return x[:, None, None], x[None, :, None], x


@pytest.mark.parametrize("activation", PARTS)
@pytest.mark.parametrize("p", [3, 5, 9, 23])
def test_parts_sum_to_the_logits_of_random_networks(p, activation):
    theta, xi = np.random.default_rng(p).normal(0.3, 1, size=(2, 40, p))
    budget = logit_budget(theta, xi, activation)
    # Logits from their definition, in numpy.
    z = theta[:, :, None] + theta[:, None, :]
    sigma = z**2 if activation == "quadratic" else np.maximum(z, 0)
    whole = centred(np.einsum("mj,mxy->xyj", xi, sigma))
    assert tuple(budget.part.values) == PARTS[activation]
    np.testing.assert_allclose(budget.parts.sum("part"), whole, atol=ROUNDING * abs(whole).max())
    assert float(budget.closure) < ROUNDING
    assert float(budget.covariance.sum()) == pytest.approx(1, abs=1e-10)
    flat = budget.parts.values.reshape(budget.sizes["part"], -1)
    by_hand = flat @ flat.T / (whole**2).sum()
    np.testing.assert_allclose(budget.covariance, by_hand, atol=ROUNDING)
    np.testing.assert_allclose(budget.share, by_hand.diagonal(), atol=ROUNDING)
    assert float(budget.variance) == pytest.approx((whole**2).mean(), rel=1e-12)
    # Every part is centred by itself.
    assert abs(budget.parts.mean("output")).max() < ROUNDING * abs(whole).max()


def test_cross_frequency_is_the_sum_over_unlike_frequencies():
    """Triple products of waves, each one written out and sorted by its frequencies."""
    p = 7
    theta, xi = np.random.default_rng(1).normal(0.3, 1, size=(2, 4, p))
    K = (p - 1) // 2
    _, A = fourier.to_waves(theta)
    _, B = fourier.to_waves(xi)
    residue = np.arange(p)
    unit = np.exp(2j * np.pi / p * np.outer(np.arange(1, K + 1), residue))
    at = (A[:, :, None] * unit).real
    out = (B[:, :, None] * unit).real
    pair = at[:, :, :, None] + at[:, :, None, :]
    cross, same = np.zeros((2, p, p, p))
    for one in range(K):
        for two in range(K):
            for third in range(K):
                term = np.einsum("mxy,mxy,mj->xyj", pair[:, one], pair[:, two], out[:, third])
                if one == two == third:
                    same += term
                else:
                    cross += term
    budget = logit_budget(theta, xi)
    size = abs(cross).max()
    np.testing.assert_allclose(
        budget.parts.sel(part="cross_frequency"), cross, atol=ROUNDING * size
    )
    kept = budget.parts.sel(part=["signal", "misalignment", "two_phase", "four_phase"])
    np.testing.assert_allclose(kept.sum("part"), same, atol=ROUNDING * size)
    mean = theta.mean(-1)[:, None, None]
    waves = pair.sum(1)
    dc = np.einsum("mxy,mj->xyj", 4 * mean * (mean + waves), out.sum(1))
    np.testing.assert_allclose(budget.parts.sel(part="dc"), dc, atol=ROUNDING * abs(dc).max())


def test_neuron_formula_is_an_identity():
    """cos(wx+phi) + cos(wy+phi), squared, times cos(wj+psi): four terms, for any phases."""
    w, x, y, j, phi, psi = sympy.symbols("w x y j phi psi", real=True)
    neuron = (sympy.cos(w * x + phi) + sympy.cos(w * y + phi)) ** 2 * sympy.cos(w * j + psi)
    D, S, d = 2 * phi - psi, x + y, x - y
    e = w * (S - j)
    signal = sympy.cos(D) * sympy.cos(e)
    misalignment = -sympy.sin(D) * sympy.sin(e)
    two_phase = 2 * sympy.cos(w * j + psi)
    four_phase = sympy.cos(w * (S + j) + 2 * phi + psi)
    terms = sympy.cos(w * d / 2) ** 2 * (signal + misalignment + two_phase + four_phase)
    assert sympy.expand((neuron - terms).rewrite(sympy.exp)).simplify() == 0
    # Aligned, psi = 2 phi, it is the neuron of the proposition's proof.
    aligned = sympy.cos(w * d / 2) ** 2 * (
        sympy.cos(e) + 2 * sympy.cos(w * j + 2 * phi) + sympy.cos(w * (S + j) + 4 * phi)
    )
    assert sympy.expand((terms.subs(psi, 2 * phi) - aligned).rewrite(sympy.exp)).simplify() == 0


@pytest.mark.parametrize(("p", "k"), [(7, 1), (11, 4), (9, 2)])
def test_one_neuron_by_hand(p, k):
    phi, psi = 0.4, 1.9
    theta, xi = single_wave(p, k, phi, psi)
    budget = logit_budget(theta, xi)
    x, y, j = grid(p)
    w, D = 2 * np.pi * k / p, 2 * phi - psi
    size = 0.7**2 * 1.3
    kernel = size * np.cos(w * (x - y) / 2) ** 2
    expected = {
        "signal": kernel * np.cos(D) * np.cos(w * (x + y - j)),
        "misalignment": -kernel * np.sin(D) * np.sin(w * (x + y - j)),
        "two_phase": kernel * 2 * np.cos(w * j + psi),
        "four_phase": kernel * np.cos(w * (x + y + j) + 2 * phi + psi),
        "cross_frequency": 0 * kernel * j,
        "dc": 0 * kernel * j,
    }
    for part, values in expected.items():
        np.testing.assert_allclose(budget.parts.sel(part=part), values, atol=ROUNDING, err_msg=part)
    # cos^4 averages 3/8; the waves of j average 1/2 and the weights squared are 1, 4, 1.
    assert float(budget.variance) == pytest.approx(size**2 * 6 * 3 / 16, rel=1e-12)
    shares = np.array([np.cos(D) ** 2, np.sin(D) ** 2, 4, 1, 0, 0]) / 6
    np.testing.assert_allclose(budget.share, shares, atol=ROUNDING)
    np.testing.assert_allclose(budget.covariance, np.diag(shares), atol=ROUNDING)


@pytest.mark.parametrize("p", [5, 11, 23])
def test_ideal_network_is_all_signal(p):
    budget = logit_budget(*ideal_network(p, 5))
    np.testing.assert_allclose(budget.share, [1, 0, 0, 0, 0, 0], atol=ROUNDING)
    # (aN)^2 3/16 from each of K frequencies, see one neuron by hand.
    a = 0.7**2 * 1.3
    assert float(budget.variance) == pytest.approx((5 * a) ** 2 * 3 / 16 * (p - 1) / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "shares"),
    [
        # 0 and pi/2: e^{2i phi} is 1 and -1 and cancels, e^{4i phi} is 1 twice and stays, as large
        # as the signal.
        (np.pi / 2, {"signal": 1 / 2, "two_phase": 0, "four_phase": 1 / 2}),
        # 0 and pi: both powers are 1 twice, so nothing cancels; as one neuron.
        (np.pi, {"signal": 1 / 6, "two_phase": 4 / 6, "four_phase": 1 / 6}),
    ],
)
def test_two_phases_leave_what_they_do_not_cancel(step, shares):
    phases = np.exp(1j * step * np.arange(2))
    waves = np.kron(np.eye(5), phases[:, None])
    share = logit_budget(*network_of(waves, waves**2)).share
    for part, value in shares.items():
        assert float(share.sel(part=part)) == pytest.approx(value, abs=ROUNDING)


def test_random_phases_cost_five_over_n():
    N, K = 100, 23
    turns = np.exp(1j * np.random.default_rng(0).uniform(-np.pi, np.pi, N * K))
    waves = np.repeat(np.eye(K), N, axis=0) * turns[:, None]
    share = logit_budget(*network_of(waves, waves**2)).share
    noise = float(share.sel(part=["two_phase", "four_phase"]).sum() / share.sel(part="signal"))
    # K exponential variables of mean 4 and K of mean 1, over 5 K: their standard deviation is
    # sqrt(17 / (25 K)) = 0.17 of the mean; three of them.
    assert noise == pytest.approx(5 / N, rel=0.52)


def test_mean_of_xi_changes_nothing_and_mean_of_theta_is_dc():
    theta, xi = np.random.default_rng(2).normal(size=(2, 12, 7))
    theta -= theta.mean(-1, keepdims=True)
    plain = logit_budget(theta, xi)
    assert float(plain.share.sel(part="dc")) < ROUNDING
    moved = logit_budget(theta, xi + np.arange(12)[:, None])
    # The mean 11 of the output weights leaves its own rounding.
    np.testing.assert_allclose(moved.parts, plain.parts, atol=1e-11)
    shifted = logit_budget(theta + 0.5, xi)
    rest = [part for part in PARTS["quadratic"] if part != "dc"]
    np.testing.assert_allclose(shifted.parts.sel(part=rest), plain.parts.sel(part=rest), atol=1e-11)
    assert float(shifted.share.sel(part="dc")) > 0.01


def test_shares_do_not_depend_on_scale_or_on_shifts():
    theta, xi = np.random.default_rng(3).normal(size=(2, 12, 7))
    plain = logit_budget(theta, xi)
    # Cubes of 1e-60 and squares of those leave the range of floats; the shares must not.
    tiny = logit_budget(1e-60 * theta, 1e-60 * xi)
    np.testing.assert_allclose(tiny.covariance, plain.covariance, atol=ROUNDING)
    # x -> x + s with j -> j + 2s relabels the pairs.
    moved = logit_budget(np.roll(theta, 3, -1), np.roll(xi, 6, -1))
    np.testing.assert_allclose(moved.covariance, plain.covariance, atol=ROUNDING)


def test_relu_neuron_by_its_harmonics():
    """One wave: |z|/2 against the Fourier series of |cos|, summed to its tail."""
    p, k, phi, psi = 11, 3, 0.4, 1.9
    theta, xi = single_wave(p, k, phi, psi)
    budget = logit_budget(theta, xi, "relu")
    x, y, j = grid(p)
    w, D = 2 * np.pi * k / p, 2 * phi - psi
    kernel = 0.7 * 1.3 * np.abs(np.cos(w * (x - y) / 2))
    S, out = x + y, np.cos(w * j + psi)
    higher = sum(
        4 / np.pi * (-1) ** (n + 1) / (4 * n**2 - 1) * np.cos(n * (w * S + 2 * phi))
        for n in range(2, 4000)
    )
    third = 2 / (3 * np.pi)
    expected = {
        "signal": kernel * third * np.cos(D) * np.cos(w * (S - j)),
        "misalignment": -kernel * third * np.sin(D) * np.sin(w * (S - j)),
        "two_phase": kernel * 2 / np.pi * out,
        "four_phase": kernel * third * np.cos(w * (S + j) + 2 * phi + psi),
        "harmonics": kernel * higher * out,
        "linear": 0.7 * 1.3 / 2 * (np.cos(w * x + phi) + np.cos(w * y + phi)) * out,
        "remainder": 0 * kernel * j,
    }
    for part, values in expected.items():
        # The series is cut at 4000 terms; the others add up to less than 1/(4000 pi) = 8e-5.
        tolerance = 1e-4 if part == "harmonics" else ROUNDING
        np.testing.assert_allclose(
            budget.parts.sel(part=part), values, atol=tolerance, err_msg=part
        )


def test_relu_ideal_network_leaves_signal_and_harmonics():
    """Even phases in +-pairs cancel z/2 and both noises; 2n phi with n a multiple of N/2 stays."""
    p, N = 11, 12
    budget = logit_budget(*ideal_network(p, N), "relu")
    for part in ("misalignment", "two_phase", "four_phase", "linear", "remainder"):
        assert float(budget.share.sel(part=part)) < ROUNDING
    signal = budget.parts.sel(part="signal").values
    x, y, j = grid(p)
    scale = 2 / (3 * np.pi) * 0.7 * 1.3 * N
    expected = sum(
        scale * kernel[(x - y) % p] * np.cos(2 * np.pi * k / p * (x + y - j))
        for k, kernel in enumerate(kernels(p, "relu"), 1)
    )
    np.testing.assert_allclose(signal, expected, atol=ROUNDING)
    # cos(2n u) cos(w j + 2 phi) keeps a phase (2n -+ 2) phi, that is a multiple of 2 pi for
    # n = 5, 7, 11, ...: the first at 3/99 of the signal's amplitude.
    share = float(budget.share.sel(part="harmonics") / budget.share.sel(part="signal"))
    assert 0.9 * (3 / 99) ** 2 < share < 2 * (3 / 99) ** 2


def test_blocks_of_pairs_are_the_same_logits(monkeypatch):
    theta, xi = np.random.default_rng(4).normal(size=(2, 6, 9))
    whole = all_logits(theta, xi, "gelu")
    monkeypatch.setattr("grokode.compare.kernels._BLOCK", 50)
    # Another order of summation inside the matrix product: rounding.
    np.testing.assert_allclose(all_logits(theta, xi, "gelu"), whole, atol=1e-13)
    np.testing.assert_allclose(whole, nets.logits(theta, xi, "gelu").reshape(9, 9, 9), atol=1e-13)


@pytest.mark.parametrize(
    ("theta", "xi", "activation", "reason"),
    [
        (np.full((3, 5), np.nan), np.ones((3, 5)), "quadratic", "not all finite"),
        (np.ones((3, 5)), np.full((3, 5), np.inf), "relu", "not all finite"),
        (np.full((3, 5), 1e200), np.ones((3, 5)), "quadratic", "overflow"),
        (np.zeros((3, 5)), np.zeros((3, 5)), "quadratic", "equal for every output"),
        # Equal but for the rounding of their own mean.
        (np.eye(7), np.outer([0.1, 0.7, -0.3, 0.2, 1.1, 0.9, 0.3], np.ones(7)), "relu", "equal"),
        (np.eye(5), np.eye(5), "gelu", "quadratic and relu"),
    ],
)
def test_no_budget_has_its_reason(theta, xi, activation, reason):
    budget = logit_budget(theta, xi, activation)
    assert reason in budget.attrs["reason"]
    assert np.isnan(budget.share).all()
    assert reason in budget_table(budget)[1][1]
    plain = budget_json(budget)
    assert set(plain["share"].values()) == {None}
    assert reason in plain["reason"]
    figure, ax = plt.subplots()
    budget_bars(budget, ax)
    assert reason in ax.texts[0].get_text()
    plt.close(figure)


@pytest.mark.parametrize(
    ("theta", "xi", "message"),
    [
        (np.ones((3, 4)), np.ones((3, 4)), "p must be odd"),
        (np.ones((3, 5)), np.ones((5, 3)), "transpose xi"),
        (np.ones(5), np.ones(5), "shape"),
    ],
)
def test_bad_shapes_are_refused(theta, xi, message):
    with pytest.raises(ValueError, match=message):
        logit_budget(theta, xi)


def test_budget_over_steps_is_that_of_each_checkpoint(small_run):
    budget = budget_over_steps(small_run)
    np.testing.assert_array_equal(budget.step, small_run.weights.step)
    weights = small_run.weights.isel(step=-1)
    last = logit_budget(weights.theta.values, weights.xi.values)
    np.testing.assert_array_equal(budget.covariance.isel(step=-1), last.covariance)
    np.testing.assert_allclose(budget.covariance.sum(["part", "other"]), 1, atol=1e-10)
    assert (budget.reason == "").all()
    signal = budget.share.sel(part="signal")
    # Learning is the growth of the signal out of noise.
    assert float(signal[-1]) > 3 * float(signal[0])
    plain = budget_json(budget)
    assert plain["share"]["signal"] == signal.values.tolist()
    pairs = plain["covariance"]
    for at in range(len(plain["step"])):
        whole = sum(s[at] for s in plain["share"].values()) + 2 * sum(c[at] for c in pairs.values())
        assert whole == pytest.approx(1, abs=1e-10)
    assert budget_table(budget.isel(step=-1))[1:-2] == budget_table(last)[1:-2]


def test_a_broken_checkpoint_is_a_gap(small_run, monkeypatch):
    broken = small_run.weights.isel(step=slice(0, 3)).load()
    broken["theta"][1, 0, 0] = np.nan
    monkeypatch.setattr(type(small_run), "weights", property(lambda run: broken))
    budget = budget_over_steps(small_run)
    assert budget.reason.values.tolist() == ["", "weights are not all finite", ""]
    assert np.isnan(budget.share).any("part").values.tolist() == [False, True, False]
    figure, ax = plt.subplots()
    budget_history(budget, ax)
    assert "no budget at 1 of 3" in ax.get_title()
    plt.close(figure)


def test_several_seeds_and_separate_inputs_are_refused(tmp_path):
    settings = {
        "p": 5,
        "neurons": 4,
        "activation": "quadratic",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "steps": 1,
        "checkpoint_every": 1,
        "log_every": 1,
    }
    run = nets.train(nets.TrainingConfig(**settings, separate_inputs=True), tmp_path / "separate")
    with pytest.raises(ValueError, match="separate input weights"):
        budget_over_steps(run)
    several = nets.train(nets.TrainingConfig(**settings), tmp_path / "several", seeds=[0, 1])
    with pytest.raises(ValueError, match="holds several seeds"):
        budget_over_steps(several)
    assert budget_over_steps(several.select(1)).sizes["step"] == 2


def test_figures_show_the_shares(small_run):
    budget = budget_over_steps(small_run)
    last = budget.isel(step=-1)
    figure, axes = plt.subplots(1, 2)
    budget_bars(last, axes[0])
    widths = [bar.get_width() for bar in axes[0].patches]
    np.testing.assert_allclose(widths[:-1], 100 * last.share)
    assert sum(widths) == pytest.approx(100, abs=1e-8)
    budget_history(budget, axes[1])
    # The stack's upper edge and the line of covariances make 100 at every step.
    top = 100 * budget.share.sum("part")
    (line, _) = axes[1].lines
    np.testing.assert_allclose(line.get_ydata() + top, 100, atol=1e-8)
    drawn = [area.get_facecolor()[0][:3] for area in axes[1].collections]
    assert len(drawn) == len(PARTS["quadratic"])
    for name in PARTS.values():
        assert len({PART_COLORS[part] for part in name}) == len(name)
    plt.close(figure)
