"""The automaton as a question to a run on disk: tables, verdicts, figures, JSON, the command."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from grokode import compare, nets
from grokode.cli import application
from grokode.compare.common.missing import NotMeasured

QUESTION = compare.QUESTIONS["automaton"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = nets.preset(
        "vanrossem2025/parity",
        length=6,
        neurons=30,
        learning_rate=0.1,
        test_sequences=50,
        test_length=30,
        steps=3600,
        checkpoint_every=120,
        log_every=60,
        seed=1,
    )
    return nets.train(config, tmp_path_factory.mktemp("parity") / "run")


# Both are what the command is asked for below, so that it finds them measured.
@pytest.fixture(scope="module")
def measured(run):
    assert QUESTION.needs(run) is None
    return compare.ask(QUESTION, run, tolerances=[0.01, 0.3], lengths=[30, 500])


def test_numbers_have_the_promised_names(measured):
    plain = QUESTION.plain(measured)
    json.dumps(plain, allow_nan=False)
    assert plain["states"].keys() == {"0.01", "0.3"}
    assert plain["minimal_states"] == 2
    assert plain["finite"] is plain["equivalent"] is True
    assert plain["disagreeing_merged"] == 0
    assert plain["accuracy"] == {"30": 1.0, "500": 1.0}
    assert 0 < plain["drop_epoch"] < 400
    assert plain["peak_states"] > plain["states"]["0.01"] / 2
    for name in ("published", "exact", "chance"):
        low, high = plain["criteria"][name]["interval"]
        assert low <= plain["criteria"][name]["accuracy"] <= high


def test_claims_are_judged(measured):
    verdicts = {verdict.claim.text: verdict for verdict in QUESTION.judge(measured)}
    assert len(verdicts) == 9
    assert verdicts["the network generalises to sequences of any length"].verdict == "holds"
    agree = verdicts["only states merge that agree on every continuation"]
    assert agree.value == 1


def test_tables_and_sheets(measured):
    for table in QUESTION.tables(measured):
        assert len({len(row) for row in table.rows}) == 1
    for sheet in QUESTION.sheets(measured):
        figure = sheet.draw()
        assert figure.axes
        figure.canvas.draw()


def test_a_run_without_a_drop_says_so(tmp_path):
    config = nets.preset(
        "vanrossem2025/parity", length=3, neurons=5, steps=9, checkpoint_every=3, log_every=3
    )
    short = nets.train(config, tmp_path / "run")
    answered = compare.ask(QUESTION, short, lengths=[5], per_cell=1)
    plain = QUESTION.plain(answered)
    json.dumps(plain, allow_nan=False)
    assert plain["drop_epoch"] is None
    assert plain["rates"]["plateau"]["hidden_time"] is None
    sudden = next(v for v in QUESTION.judge(answered) if v.claim.text == "the loss falls suddenly")
    assert "does not fall" in sudden.reason
    for sheet in QUESTION.sheets(answered):
        sheet.draw()


def test_who_cannot_be_asked(tmp_path, run):
    other = nets.train(nets.TrainingConfig(p=5, neurons=4, steps=2), tmp_path / "run")
    assert "recurrent networks" in QUESTION.needs(other)
    for name in ("lottery", "logits"):
        assert compare.QUESTIONS[name].needs(run)
    with pytest.raises(ValueError, match="tolerances must be positive and increasing"):
        compare.ask(QUESTION, run, tolerances=[0.1, 0.01])


def test_diverged_states_are_a_refusal(run, monkeypatch):
    broken = run.parameters.load().copy(deep=True)
    broken["readout"] = broken.readout * 0
    broken["recurrent"] = broken.recurrent * np.inf
    monkeypatch.setattr(type(run), "parameters", broken)
    with pytest.raises(NotMeasured, match="it diverged"):
        QUESTION.measure(run, lengths=[5])


def test_the_command(run, tmp_path):
    out = tmp_path / "states.png"
    page = tmp_path / "states.html"
    asked = ["automaton", str(run.path)]
    for name, values in (("--tolerance", (0.01, 0.3)), ("--length", (30, 500))):
        asked += [word for value in values for word in (name, str(value))]
    drawn = ["--json", "--figure", str(out), "--sheet", "states", "--animation", str(page)]
    told = CliRunner().invoke(application(), [*asked, *drawn])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["minimal_states"] == 2
    assert out.exists()
    assert page.read_text().startswith("<!doctype html>")
    shown = CliRunner().invoke(application(), asked)
    assert shown.exit_code == 0
