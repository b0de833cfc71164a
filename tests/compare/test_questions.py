"""Questions as records: one from outside, results kept beside the run, one answer to a claim."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from grokode import compare, nets, theory
from grokode.compare import cache
from grokode.compare.common.claims import HOLDS, Claim
from grokode.compare.common.events import GENERALISED
from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.grokking.stages import stages
from grokode.compare.lottery.claims import FLOW
from grokode.compare.page.report import answers, judge
from grokode.compare.question import Question, Table
from grokode.theory.predictors import Predictor

CONFIG = nets.TrainingConfig(
    p=7, neurons=12, dtype="float64", steps=60, checkpoint_every=20, log_every=10
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return nets.train(CONFIG, tmp_path_factory.mktemp("questions") / "run")


def size_of_weights(run, /):
    """What a question from outside measures: one number to a checkpoint."""
    norms = (run.weights.theta**2).sum(("neuron", "x")) ** 0.5
    return {"size": xr.Dataset({"norm": norms.drop_vars("step", errors="ignore")})}


def drawn(measured):
    figure, ax = blank_sheet((4, 3))
    ax.plot(measured["size"].norm)
    return figure


OUTSIDE = Question(
    "size",
    "How large are the input weights?",
    needs=lambda run: None,
    measure=size_of_weights,
    tables=lambda m: [Table("norms", [["norm"], *([f"{x:.3f}"] for x in m["size"].norm.values)])],
    sheets=lambda m: [Sheet("size", "Norm of the input weights.", lambda: drawn(m), "norms")],
    judge=lambda m: [Claim("Weights are small", "norm", 1e9, 1e10).judge(float(m["size"].norm[0]))],
    plain=lambda m: {"norm": m["size"].norm.values.tolist()},
)


@pytest.fixture
def few(monkeypatch):
    """Pages with two of the questions alone; the others have their tests."""
    for name in set(compare.QUESTIONS) - {"logits", "grokking"}:
        monkeypatch.delitem(compare.QUESTIONS, name)


@pytest.mark.usefixtures("few")
def test_a_question_from_outside_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(compare.QUESTIONS, "size", OUTSIDE)
    text = compare.report([run], tmp_path / "page.html").read_text()
    for words in ("Size: norms", "Norm of the input weights.", "Weights are small"):
        assert words in text
    # What is not in the package's source could change without a word: it is not kept.
    assert not list((run.path / cache.CACHE).glob("size-*"))


@pytest.mark.usefixtures("few")
def test_a_measure_a_figure_and_a_claim_are_added_to_a_question(run, tmp_path, monkeypatch):
    """Each in one function, and a line that puts it in place: page, verdicts and JSON have it."""
    logits = compare.QUESTIONS["logits"]
    more = dataclasses.replace(
        logits,
        measure=lambda run, /, **options: logits.measure(run, **options) | size_of_weights(run),
        sheets=lambda m: [*logits.sheets(m), *OUTSIDE.sheets(m)],
        judge=lambda m: [*logits.judge(m), *OUTSIDE.judge(m)],
        plain=lambda m: logits.plain(m) | OUTSIDE.plain(m),
    )
    monkeypatch.setitem(compare.QUESTIONS, "logits", more)
    text = compare.report([run], tmp_path / "page.html").read_text()
    assert "Norm of the input weights." in text
    assert "Weights are small" in text
    judged = {verdict.claim.text: verdict.verdict for verdict in judge(answers(run))}
    assert judged["Weights are small"] == HOLDS
    assert len(more.plain(compare.ask(more, run))["norm"]) == 4


def test_a_predictor_from_outside_climbs_the_ladder(run, monkeypatch):
    """One that says frequency 1 of every neuron is right as often as 1 won."""
    first = Predictor(
        "first",
        "The lowest frequency wins.",
        scores=lambda initial, rule: abs(initial.theta_hat) * 0 + initial.frequency,
    )
    monkeypatch.setitem(theory.PREDICTORS, "first", first)
    scored = compare.winners(run, ["chance", "first"]).sel(predictor="first")
    assert (scored.predicted == 1).all()
    assert float(scored.accuracy) == float((scored.observed == 1).mean())
    asked = compare.QUESTIONS["lottery"]
    assert "first" in asked.plain(asked.measure(run))["rules"]


def test_what_was_measured_is_read_again(run, monkeypatch):
    for name in ("lottery", "logits", "mechanism"):
        question = compare.QUESTIONS[name]
        first = compare.ask(question, run)
        forbidden = dataclasses.replace(question)
        monkeypatch.setattr(cache, "write", lambda *_: pytest.fail("measured twice"))
        again = compare.ask(forbidden, run)
        monkeypatch.undo()
        assert set(first) == set(again)
        assert all(again[key].identical(first[key]) for key in first)
        assert question.plain(first) == question.plain(again)


def test_another_option_or_another_manifest_is_measured_anew(tmp_path):
    run = nets.train(CONFIG, tmp_path / "run")
    question = compare.QUESTIONS["mechanism"]
    assert compare.ask(question, run)["about"].attrs["step"] == 60
    assert compare.ask(question, run, step=0)["about"].attrs["step"] == 0
    longer = dataclasses.replace(CONFIG, steps=80)
    run = nets.train(longer, tmp_path / "run", resume=True)
    assert compare.ask(question, run)["about"].attrs["step"] == 80


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "link"])
def test_a_file_that_is_not_ours_is_never_believed(tmp_path, damage):
    run = nets.train(CONFIG, tmp_path / "run")
    question = compare.QUESTIONS["mechanism"]
    first = question.plain(compare.ask(question, run))
    (kept,) = (run.path / cache.CACHE).iterdir()
    content = kept.read_bytes()
    if damage == "cut":
        kept.write_bytes(content[:-100])
    elif damage == "flipped":
        kept.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif damage == "foreign":
        kept.write_bytes(b"not one of ours")
    else:
        elsewhere = tmp_path / "elsewhere"
        (run.path / cache.CACHE).rename(elsewhere)
        (run.path / cache.CACHE).symlink_to(elsewhere)
        kept = elsewhere / kept.name
        kept.unlink()
    assert question.plain(compare.ask(question, run)) == first
    # A link may lead anywhere: nothing is written through it.
    assert kept.exists() == (damage != "link")


def test_a_run_that_cannot_be_written_to_is_measured_each_time(tmp_path, monkeypatch):
    run = nets.train(CONFIG, tmp_path / "run")

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(cache, "replace_file", refuse)
    measured = compare.ask(compare.QUESTIONS["logits"], run, history=False)
    assert np.isfinite(measured["fit"].r2)
    assert not list((run.path / cache.CACHE).glob("*.npz"))


def test_demo_and_report_judge_the_flow_alike(tmp_path):
    """Beta is right to 2% there and a leader is not: one claim, so one verdict."""
    config = nets.TrainingConfig(
        p=11, neurons=64, seed=2, steps=30_000, stop_loss=0.05, checkpoint_every=200
    )
    run = nets.train(config, tmp_path / "run")
    comparison = compare.compare_run(run)
    (flow,) = [verdict for verdict in judge(answers(run)) if verdict.claim is FLOW]
    assert comparison.holds_on_plateau == (flow.verdict == HOLDS)
    errors = compare.trajectory_errors(compare.trajectories(run))
    plateau = errors.sel(step=(errors.loss_drop <= 0.005).values)
    by_hand = (plateau.leader_agreement >= 0.99).all() & (plateau.beta_error <= 0.02).all()
    assert comparison.holds_on_plateau == bool(by_hand)


def test_generalisation_has_one_step(tmp_path):
    """p = 29, 80% of the pairs, seed 3: the checkpoints alone would find it later than the log."""
    config = nets.preset(
        "he2026/grokking", p=29, neurons=128, train_fraction=0.8, seed=3, learning_rate=3e-3
    )
    config = config.replace(weight_decay=0.5, steps=1200, checkpoint_every=400, log_every=20)
    run = nets.train(config, tmp_path / "run")
    high = run.metrics.test_accuracy >= GENERALISED
    sustained = high & high.shift(step=-1, fill_value=False) & high.shift(step=-2, fill_value=False)
    by_hand = int(run.metrics.step[sustained.values.argmax()])
    assert sustained.any()
    assert by_hand < int(run.metrics.step[high.values & (run.metrics.step % 400 == 0)][0])
    assert stages(run).generalised.step == by_hand
    answered = {name: compare.QUESTIONS[name] for name in ("grokking", "alignment")}
    plain = {name: one.plain(one.measure(run)) for name, one in answered.items()}
    assert plain["alignment"]["t_grok"] == by_hand
    assert str(by_hand) in json.dumps(plain["grokking"])


def test_a_ladder_answers_about_its_own_run(tmp_path, run):
    other = nets.train(dataclasses.replace(CONFIG, seed=1), tmp_path / "other")
    climbed = compare.ladder(other, ["ticket_flow"])
    for asked in (
        lambda: compare.winners(run, ["ticket_flow"], climbed=climbed),
        lambda: compare.trajectories(run, "ticket_flow", climbed=climbed),
        lambda: compare.predictor_errors(run, ["ticket_flow"], climbed=climbed),
    ):
        with pytest.raises(ValueError, match="climbed must be the ladder of"):
            asked()


@pytest.mark.usefixtures("few")
def test_a_bug_comes_out_and_a_refusal_does_not(run, tmp_path, monkeypatch):
    def broken(run, /):
        raise ValueError("a bug")

    def refused(run, /):
        raise compare.NotMeasured("no such thing here")

    bug = dataclasses.replace(OUTSIDE, measure=broken)
    monkeypatch.setitem(compare.QUESTIONS, "size", bug)
    with pytest.raises(ValueError, match="a bug"):
        compare.report([run], tmp_path / "page.html")
    monkeypatch.setitem(compare.QUESTIONS, "size", dataclasses.replace(OUTSIDE, measure=refused))
    text = compare.report([run], tmp_path / "page.html").read_text()
    assert "Not measured: no such thing here." in text
