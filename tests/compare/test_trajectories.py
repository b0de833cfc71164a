"""Theory's tickets over the network's, for every predictor: errors, partings, time, pictures."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from grokode import compare, nets
from grokode.compare import figures
from grokode.compare.lottery.ladder import ladder
from grokode.compare.lottery.tables import partings_table
from grokode.compare.lottery.trajectories import (
    partings,
    partings_json,
    predictor_errors,
    trajectories,
    trajectory_errors,
)
from grokode.compare.lottery.trajectory_figures import errors_by_predictor
from grokode.theory import fourier

FLOWS = [
    *("ticket_flow", "neuron_flow", "clock_flow", "moment_flow"),
    *("symmetric_flow", "harmonic_flow"),
]


@pytest.fixture(scope="module")
def climbed(small_run):
    return ladder(small_run)


@pytest.fixture(scope="module")
def errors(small_run, climbed):
    return predictor_errors(small_run, climbed=climbed)


def training(out, **settings):
    config = nets.TrainingConfig(
        p=7, neurons=12, scale=0.1, seed=2, dtype="float64", log_every=50, **settings
    )
    return nets.train(config, out)


def test_every_flow_has_errors(small_run, climbed, errors):
    assert errors.predictor.values.tolist() == FLOWS
    for name in FLOWS:
        row = errors.sel(predictor=name)
        # The same checkpoint, through a transform and back, in float32 for three of the flows.
        single = name in ("neuron_flow", "symmetric_flow", "harmonic_flow")
        assert float(row.beta_error[0]) < (1e-6 if single else 1e-12)
        alone = trajectory_errors(trajectories(small_run, name, climbed=climbed))
        np.testing.assert_array_equal(row.beta_error, alone.beta_error)
    # By another route: norms of plain arrays.
    path, seen = climbed.predictions["moment_flow"].path, climbed.observed
    beta, network = (np.abs(spectrum.xi_hat.values) for spectrum in (path, seen))
    by_hand = np.linalg.norm(beta - network, axis=(1, 2)) / np.linalg.norm(network, axis=(1, 2))
    np.testing.assert_allclose(errors.beta_error.sel(predictor="moment_flow"), by_hand, atol=1e-14)


def test_the_moment_flow_goes_on_where_the_plateaus_theories_stop(errors):
    last = errors.isel(step=-1).beta_error
    # After the drop the four-variable flow has blown up and the neuron flow stands still.
    assert np.isnan(last.sel(predictor="ticket_flow"))
    assert last.sel(predictor="moment_flow") < last.sel(predictor="neuron_flow")


def test_partings_are_the_first_steps_beyond():
    step = [0, 10, 20, 30]
    beta = [[0.0, 0.02, 0.001, 0.3], [0.0, 0.001, np.nan, np.nan], [0.0, 0.01, 0.05, 0.01]]
    errors = xr.Dataset(
        {"beta_error": (("predictor", "step"), beta)}, {"predictor": ["a", "b", "c"], "step": step}
    )
    parted = partings(errors)
    expected = [[10, 30, 30], [20, 20, 20], [20, np.nan, np.nan]]
    np.testing.assert_array_equal(parted, expected)
    answer = json.loads(json.dumps(partings_json(parted), allow_nan=False))
    assert answer["a"] == {"0.01": 10, "0.05": 30, "0.2": 30}
    assert answer["c"] == {"0.01": 20, "0.05": None, "0.2": None}
    assert partings_table(parted)[3] == ["c", "step 20", "never", "never"]


def test_partings_agree_with_one_predictor_alone(errors):
    parted = partings(errors, [0.01, 0.05])
    one = errors.sel(predictor="ticket_flow")
    for tolerance in (0.01, 0.05):
        step = compare.parting_step(one, tolerance)
        assert float(parted.sel(predictor="ticket_flow", threshold=tolerance)) == step
    # Never, NaN, is later than any step.
    early, late = (parted.sel(threshold=t).fillna(np.inf) for t in (0.01, 0.05))
    assert (late >= early).all()


def test_adamw_has_no_flow_time(tmp_path):
    run = training(tmp_path / "run", optimizer="adamw", steps=100, checkpoint_every=50)
    errors = predictor_errors(run)
    assert errors.predictor.values.tolist() == ["neuron_flow", "symmetric_flow", "harmonic_flow"]
    with pytest.raises(ValueError, match="optimizer is adamw, not sgd; choose one of neuron_flow"):
        trajectories(run)
    with pytest.raises(ValueError, match="it ranks tickets only"):
        trajectories(training(tmp_path / "sgd", steps=2, checkpoint_every=1), "blowup_time")
    with pytest.raises(ValueError, match="predictors must have one that follows"):
        predictor_errors(run, ["ticket_flow"])


@pytest.mark.parametrize("settings", [{"momentum": 0.9}, {"loss": "sum"}])
def test_time_is_reconciled_with_the_optimiser(tmp_path, settings):
    """Momentum and a summed loss advance time faster; theory keeps up with them all the same."""
    rate = {"momentum": 0.002, "loss": 0.02 / 49}[next(iter(settings))]
    run = training(
        tmp_path / "run", learning_rate=rate, steps=3000, checkpoint_every=1000, **settings
    )
    errors = predictor_errors(run, ["ticket_flow", "moment_flow"])
    moved = fourier.beta(run.spectra()).isel(step=[0, -1])
    change = np.linalg.norm(moved[1] - moved[0]) / np.linalg.norm(moved[0])
    assert change > 0.2
    # A clock without the factor 10 or 49 would miss nearly all of the change. What is left: softmax
    # off 1/p by the logits, and momentum's lag of 9 steps behind a growth of about 1 in 1500.
    assert (errors.beta_error < 0.03 * change).all()
    assert bool(errors.outside.sel(predictor="ticket_flow").item()) == ("momentum" in settings)


def test_a_theory_outside_its_assumption_is_laid_over_and_marked(tmp_path):
    run = training(tmp_path / "run", activation="relu", steps=100, checkpoint_every=50)
    pair = trajectories(run)
    assert pair.attrs["outside"] == "activation is relu, not quadratic"
    assert np.isfinite(fourier.beta(pair)).all()


@pytest.mark.parametrize("quantity", ["phi", "psi", "misalignment"])
def test_phases_are_drawn_and_cut_where_they_wrap(small_run, climbed, quantity):
    pair = trajectories(small_run, "moment_flow", climbed=climbed)
    _, ax = plt.subplots()
    figures.tickets(pair, 0, quantity, ax)
    angle = getattr(fourier, quantity)(pair.sel(neuron=0, source="network"))
    # Three frequencies of the network come first; misalignment's zero line comes last.
    for frequency, line in zip((1, 2, 3), ax.lines, strict=False):
        drawn, true = line.get_ydata(), angle.sel(frequency=frequency).values
        kept = ~np.isnan(drawn)
        np.testing.assert_array_equal(drawn[kept], true[kept])
        assert (np.abs(np.diff(drawn)[kept[1:] & kept[:-1]]) <= np.pi).all()
    assert ax.get_ylim() == (-np.pi, np.pi)
    plt.close("all")


def test_errors_by_predictor_shows_every_one(errors):
    _, ax = plt.subplots()
    errors_by_predictor(errors, ax)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    for name in FLOWS:
        curve = drawn[f"theory, {name.replace('_', ' ')}"]
        true = errors.beta_error.sel(predictor=name).values
        np.testing.assert_array_equal(curve[1:], true[1:])
    plt.close("all")
