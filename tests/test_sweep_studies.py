"""The shipped sweep studies read what a sweep trained: small sweeps of the same axes."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from grokode import nets
from grokode.nets.sweeps import engine

STUDIES = Path(__file__).parent.parent / "examples" / "studies"
_spec = importlib.util.spec_from_file_location("sweep_studies", STUDIES / "sweeps.py")
studies = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(studies)

SMALL = {"p": 5, "neurons": 8, "steps": 40, "checkpoint_every": 40, "log_every": 10}


def trained(path, base, axes, **options):
    sweep = nets.Sweep(base, axes, seeds=[0, 1], **options)
    engine._take(path, sweep)
    for point in sweep.points():
        assert engine.train_point(str(path), point.number, sweep) is None
    return nets.open_sweep(path)


@pytest.mark.parametrize("name", studies.STUDIES)
def test_the_shipped_files_are_sweeps(name):
    sweep = nets.read_sweep(STUDIES / "sweeps" / f"{name}.toml")
    assert len(list(sweep.points())) == sweep.size


def test_winners_by_predictor_are_those_of_the_runs(tmp_path, capsys):
    tied = [{"p": 5, "learning_rate": 0.1}, {"p": 7, "learning_rate": 0.2}]
    base = {name: value for name, value in SMALL.items() if name != "p"}
    result = trained(tmp_path / "s", base, {"scale": [0.3, 0.6], "p": tied})
    figure = studies.ladder(result)
    titles = {ax.get_title() for ax in figure.axes}
    assert {"blowup time", "ticket flow", "plateau"} <= titles
    assert "p 5: " in capsys.readouterr().out


def test_phases_and_fractions_have_a_picture(tmp_path):
    fractions = [0.4, 0.8]
    phases = trained(tmp_path / "a", SMALL, {"train_fraction": fractions, "weight_decay": [0.0, 1]})
    assert len(studies.phase_diagram(phases).axes) == 2


def test_the_boundary_is_half_way_between_the_last_failure_and_the_next():
    phases = [[0, 1, 2, 3], [2, 1, 2, 2], [2, 2, 2, 2], [0, 0, 1, 1]]
    phases += [[np.nan, 2, 2, 2], [1, 1, 3, np.nan], [np.nan, 1, 2, 3], [1, np.nan, 1, 2]]
    phase = xr.DataArray(
        np.array(phases, dtype=float),
        {"seed": range(8), "train_fraction": [0.2, 0.4, 0.6, 0.8]},
        ("seed", "train_fraction"),
    )
    expected = [0.5, 0.5, np.nan, np.nan, np.nan, np.nan, 0.5, 0.7]
    np.testing.assert_allclose(studies.boundaries(phase), expected)


def test_critical_fractions_of_a_law_made_by_hand(capsys):
    """Networks that generalise from 2 p log p pairs on, to the width of the grid."""
    p, fractions = np.array([11, 17, 29, 43]), np.linspace(0.02, 0.98, 97)
    enough = fractions * p[:, None] ** 2 >= 2 * p[:, None] * np.log(p[:, None])
    phase = xr.DataArray(
        np.repeat(np.where(enough, 2.0, 1.0)[..., None], 2, axis=-1),
        {"p": p, "train_fraction": fractions, "seed": [0, 1]},
    )
    made = SimpleNamespace(dataset=lambda measure: xr.Dataset({"phase": phase}))
    assert studies.critical_fraction(made).axes
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "p log p: " in line]
    # Half a step of the grid, 0.005, of a fraction of 0.17 at the least is 3%, over a factor of 6.
    assert float(line.split(": ")[1].split()[0]) == pytest.approx(1, abs=0.04)


def test_exponents_are_those_of_a_power_law(capsys):
    x, y = np.random.default_rng(0).normal(size=(2, 60))
    logs = {"x": x, "y": y}
    for clusters in (None, np.arange(60) // 3):
        fitted = studies.exponents("made", 1 - 2 * x + 0.5 * y, logs, clusters)
        np.testing.assert_allclose(fitted, [-2, 0.5], atol=1e-12)


def test_an_unfinished_run_has_no_phase(tmp_path):
    run = nets.train(nets.TrainingConfig(**SMALL), tmp_path / "run", time_limit=0)
    with pytest.raises(ValueError, match="not trained to its end"):
        studies.events(run)
