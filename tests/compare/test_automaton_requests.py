"""What cannot be asked of hidden states, and what is asked at the edge: one line, or a reason."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from grokode import compare, nets
from grokode.cli import main
from grokode.compare.automata import figures
from grokode.compare.common.missing import NotMeasured

QUESTION = compare.QUESTIONS["automaton"]
SMALL = nets.preset(
    "vanrossem2025/parity",
    length=4,
    neurons=8,
    learning_rate=0.1,
    test_sequences=10,
    test_length=12,
    steps=60,
    checkpoint_every=20,
    log_every=20,
)
PROMISED = {"states", "peak_states", "finite", "minimal_states", "equivalent", "merged_pairs"}
PROMISED |= {"disagreeing_merged", "drop_epoch", "accuracy", "criteria"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return nets.train(SMALL, tmp_path_factory.mktemp("small") / "run")


def told(capsys, monkeypatch, *words):
    """Exit code, and the one line on the error stream."""
    monkeypatch.setattr("sys.argv", ["grokode", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--length", 10**9), "lengths must have at most 2000000 symbols"),
        (("--length", 0), "lengths must be at least 1, got 0"),
        (("--tolerance", -1), "tolerances must be positive and increasing"),
        (("--tolerance", 1e308), "tolerances must be positive and increasing, up to 1000"),
        (("--tolerance", 0.1, "--tolerance", 0.1), "tolerances must be positive and increasing"),
    ],
)
def test_impossible_options_are_one_line(run, capsys, monkeypatch, options, words):
    code, line = told(capsys, monkeypatch, "automaton", run.path, *options)
    assert code == 2
    assert words in line
    assert "Traceback" not in line


def test_another_architecture_is_one_line(tmp_path, capsys, monkeypatch):
    other = nets.train(nets.TrainingConfig(p=5, neurons=4, steps=2), tmp_path / "run")
    code, line = told(capsys, monkeypatch, "automaton", other.path)
    assert code == 2
    assert "recurrent networks" in line
    assert "Traceback" not in line


def test_a_diverged_seed_is_a_reason_and_the_others_are_measured(tmp_path):
    """The seed's last checkpoint is finite: that it diverged, the run knows."""
    config = SMALL.replace(learning_rate=300.0)
    with pytest.raises(nets.DivergedError):
        nets.train(config, tmp_path / "run", seeds=[0, 1])
    run = nets.open_run(tmp_path / "run", 1)
    assert QUESTION.needs(run) is None
    with pytest.raises(NotMeasured, match=r"seed 1 of .* diverged at step"):
        compare.ask(QUESTION, run, lengths=[5])
    page = compare.report([run], tmp_path / "page.html").read_text()
    assert "diverged at step" in page


@pytest.mark.parametrize("tolerance", [1e-12, 1e3])
def test_a_tolerance_that_merges_nothing_or_everything_is_told_whole(run, tolerance):
    measured = QUESTION.measure(run, tolerances=[tolerance], lengths=[5], per_cell=1)
    plain = QUESTION.plain(measured)
    json.dumps(plain, allow_nan=False)
    every = 2**5 - 1
    if tolerance < 1:
        assert list(plain["states"].values()) == [every]
        assert plain["minimal_states"] is None
        assert not plain["finite"]
        assert plain["merged_pairs"] == 0
    else:
        assert list(plain["states"].values()) == [1]
        assert plain["minimal_states"] == 1
        assert plain["merged_pairs"] == (every - 1) * (every - 2) // 2
    assert not plain["equivalent"]
    assert all(verdict.verdict or verdict.reason for verdict in QUESTION.judge(measured))
    for table in QUESTION.tables(measured):
        assert len({len(row) for row in table.rows}) == 1
    for sheet in QUESTION.sheets(measured):
        sheet.draw().canvas.draw()


def test_the_shortest_task_is_measured(tmp_path):
    short = nets.train(SMALL.replace(length=1), tmp_path / "run")
    plain = QUESTION.plain(QUESTION.measure(short, lengths=[5]))
    json.dumps(plain, allow_nan=False)
    assert plain["states"].keys() == {"0.01", "0.1"}
    assert plain.keys() >= PROMISED
    assert plain["finite"] is False
    assert plain["criteria"]["exact"]["accuracy"] is None


def drawn(states):
    rng = np.random.default_rng(0)
    machine = xr.Dataset(
        {
            "transitions": (("state", "symbol"), rng.integers(states, size=(states, 2))),
            "outputs": ("state", rng.integers(2, size=states)),
        },
        attrs={"start": 0},
    )
    return figures.automaton(machine, Figure().subplots())


def test_two_thousand_states_are_not_drawn_but_told():
    assert drawn(40).patches
    many = drawn(2000)
    assert not many.patches
    assert "2000 states are too many to be drawn" in many.texts[0].get_text()
