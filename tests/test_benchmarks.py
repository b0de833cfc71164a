"""The benchmarks run, say what errors they achieve, and survive peers that are not there."""

import importlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from grokode import benchmarks, nets
from grokode.benchmarks import (
    architectures,
    blowup,
    ensemble,
    flows,
    pairs,
    record,
    recurrent,
    training,
)
from grokode.benchmarks import timings_figure as timings

KEYS = {"name", "ours", "peer", "theirs", "ratio", "unit", "error", "their_error"}
ROOT = Path(__file__).parent.parent


def check_row(row):
    assert set(row) == KEYS
    assert np.isfinite(row["ours"])
    assert row["unit"]
    if isinstance(row["theirs"], float):
        # Smaller is better, so the ratio is theirs over ours, to rounding.
        assert row["ratio"] == pytest.approx(row["theirs"] / row["ours"], rel=1e-15)
    else:
        assert row["ratio"] is None


@pytest.fixture
def small_blowup(monkeypatch):
    monkeypatch.setattr(blowup, "rows", partial(blowup.rows, n=50))


def test_without_a_folder_nothing_is_written(small_blowup, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in record.RESULTS.glob("*")}
    rows = benchmarks.run(["blowup"])
    for row in rows:
        check_row(row)
    # The closed form in float64, a few roundings from 30 digits.
    assert rows[0]["error"] < 1e-13
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in record.RESULTS.glob("*")} == kept


def test_a_folder_keeps_what_was_measured_and_where(small_blowup, tmp_path):
    rows = benchmarks.run(["blowup"], tmp_path / "new" / "folder")
    (kept,) = record.read(tmp_path / "new" / "folder")
    assert kept["rows"] == rows
    assert kept["machine"]["cpu"]
    assert kept["versions"]["numpy"] == np.__version__
    assert kept["date"].endswith("+00:00")


def test_all_are_run_if_none_is_named(monkeypatch):
    for name in benchmarks.NAMES:
        module = importlib.import_module(f"grokode.benchmarks.{name}")
        monkeypatch.setattr(module, "rows", lambda name=name: [name])
    assert benchmarks.run() == list(benchmarks.NAMES)


def test_an_unknown_name_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match=r"one of ensemble, blowup, .*, flows, got nope"):
        benchmarks.run(["blowup", "nope"])


def test_a_missing_peer_is_a_reason_in_place_of_a_number(monkeypatch):
    for name in ("torchdiffeq", "diffrax", "numbalsoda"):
        monkeypatch.setitem(sys.modules, name, None)  # as if not installed
    rows = ensemble.rows(n=20)
    for row in rows:
        check_row(row)
        # Tolerance 1e-8 a step, a few dozen steps, and growth of errors towards the blow-up.
        assert row["error"] < 1e-6
    beside = {row["peer"]: row for row in rows if row["peer"]}
    assert len(beside) == 4
    assert beside["numbalsoda lsoda, compiled loop"]["theirs"].startswith("numbalsoda is not")
    assert beside["torchdiffeq dopri5, batched"]["theirs"].startswith(
        "torchdiffeq is not installed"
    )
    assert beside["diffrax Tsit5, jit and vmap"]["theirs"].startswith("diffrax is not installed")
    scipy = beside["scipy.integrate.solve_ivp DOP853"]
    assert isinstance(scipy["theirs"], float)
    assert scipy["their_error"] < 1e-6


def test_a_failing_peer_is_a_reason_too():
    def prepare():
        raise RuntimeError("no such\ndevice")

    assert record.time_peer(prepare) == ("RuntimeError: no such", None)


def test_one_core_is_one_core_and_ends():
    def state():
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
        return torch.get_num_threads(), numba.get_num_threads(), cores

    before = state()
    with record.one_core():
        *threads, cores = state()
        assert threads == [1, 1]
        assert len(cores) == 1
    assert state() == before


def test_training_rows(monkeypatch):
    monkeypatch.setattr(training, "REPEATS", 1)
    rows = training.rows(moduli=(5,), neurons=8, timed=25 * 20, seeds=3, total=1000)
    assert len(rows) == 2 * 2 + 2 + 1
    for row in rows:
        check_row(row)
        # Same steps in float32: 50 steps of a few roundings of 6e-8, more where AdamW divides small
        # gradients by themselves. A wrong step would show as 1e-3 and more, see below.
        assert row["error"] < 1e-5
    assert rows[-1]["unit"] == "min"


def test_rows_of_other_architectures(monkeypatch):
    monkeypatch.setattr(architectures, "REPEATS", 1)
    rows = architectures.rows(steps=2, epochs=1, p=11, width=8, heads=2, neurons=16)
    assert [row["unit"] for row in rows] == ["ms/step", "ms/epoch"]
    for row in rows:
        check_row(row)
        # As above; AdamW's first steps divide each gradient by itself.
        assert row["error"] < 1e-5


@pytest.mark.parametrize("recipe", training.RECIPES.values(), ids=list(training.RECIPES))
def test_the_error_shows_a_step_that_differs(recipe):
    config = nets.TrainingConfig(p=5, neurons=8, **recipe, **training.SILENT)
    right = training.ours(config, 20)
    longer = training.plain(config, 21)
    assert training._difference(right, longer) > 1e-4
    assert right.seconds > 0
    assert longer.seconds > 0


def test_pairs_are_timed_beside_tickets():
    whole, step = pairs.rows(n=400)
    for row in (whole, step):
        check_row(row)
        assert row["ratio"] > 0
    # Tolerance 1e-8 a step over some dozens of steps.
    assert whole["error"] < 1e-6


def test_recurrent_training_is_that_of_torch():
    alone, together = recurrent.rows(length=4, neurons=8, timed=3, seeds=2)
    for row in (alone, together):
        check_row(row)
    # Eight steps in float32; a wrong one would show in the second digit of the biases.
    assert alone["error"] < 1e-5
    config = nets.preset("vanrossem2025/parity", length=4, neurons=8, **recurrent.SILENT)
    right, later = recurrent.ours(config, 8)[1], recurrent.plain(config, 9)[1]
    assert max(abs(right[k] - later[k]).max() / abs(later[k]).max() for k in right) > 1e-3


def test_flows_take_the_networks_steps(monkeypatch):
    monkeypatch.setattr(flows, "REPEATS", 1)
    told = flows.rows(moduli=(5,), neurons=32, timed=100)
    assert len(told) == len(flows.KEPT)
    for row in told:
        check_row(row)
        # Of five steps; one more or less would be a fifth of the way.
        assert row["error"] < 0.1


def result(ratio, name="step", **changes):
    row = {"name": name, "ours": 2.0, "peer": "loop", "theirs": None, "ratio": ratio}
    return row | {"unit": "ms", "error": 1e-7, "their_error": None} | changes


def kept(rows, name="training", date="2026-01-31T12:00:00+00:00", cpu="a CPU"):
    return {"name": name, "date": date, "machine": {"cpu": cpu}, "rows": rows}


def test_bars_end_at_the_ratios():
    ax = Figure().subplots()
    timings.draw([kept([result(40.0), result(None)]), kept([result(0.5)], name="other")], ax)
    spans = [sorted((bar.get_x(), bar.get_x() + bar.get_width())) for bar in ax.patches]
    # From as fast as the peer, to the right if faster, to the left if slower.
    np.testing.assert_allclose(spans, [[1, 40], [0.5, 1]], rtol=1e-15)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["step\nbeside loop"] * 2
    assert any(text.get_text() == "a CPU, 2026-01-31: training, other" for text in ax.texts)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no ratio to draw"):
        timings.draw([kept([result(None)])], Figure().subplots())


def test_drawn_from_the_command_line(tmp_path):
    old = kept([result(3.0, name="as it was")], date="2026-01-01T12:00:00+00:00")
    new = kept([result(7.0, name="as it is")])
    for name, content in {"a": new, "b": old}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert [r["rows"][0]["name"] for r in record.read(tmp_path)] == ["as it is"]
    command = [sys.executable, "-m", "benchmarks", "draw", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    picture = (tmp_path / "timings.svg").read_text()
    # The text of a drawing is outlines, with the words in comments.
    assert "as it is" in picture
    assert "as it was" not in picture
