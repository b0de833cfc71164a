"""Stages of grokking of runs that lack something: numbers or reasons, never crashes."""

import json
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from grokode.compare.grokking import figures as draw
from grokode.compare.grokking.perturbed import non_feature_decay, perturbed_lottery
from grokode.compare.grokking.split import broken_orthogonality
from grokode.compare.grokking.stages import heatmaps, stages
from grokode.compare.grokking.tables import (
    boundaries_table,
    grokking_json,
    stages_table,
    theory_table,
)
from grokode.nets.tasks import split_pairs
from tests.compare.made import SMALL_P, decaying_run, grokking_run, made_run

P, K = SMALL_P, 3


def nan_run(which):
    run = grokking_run(weight_decay=1.0)
    weights = run.weights.copy(deep=True)
    weights.theta[which, 0, 0] = np.nan
    return SimpleNamespace(**(vars(run) | {"weights": weights}))


def never_run():
    theta, xi = np.random.default_rng(0).normal(size=(2, 4, 6, P)) / 100
    metrics = {"train": [0.1, 0.2, 0.3, 0.4], "test": [0.0, 0.1, 0.1, 0.1]}
    return made_run(theta, xi, train=split_pairs(P, 0.6, 0)[0], metrics=metrics)


def one_checkpoint(run, index=0):
    weights = run.weights.isel(step=[index])
    return SimpleNamespace(**(vars(run) | {"weights": weights}))


CASES = {
    "grokking": grokking_run,
    "decaying": lambda: decaying_run(0.5),
    "all pairs": lambda: made_run(*np.ones((2, 3, 4, P)) * np.arange(P)),
    "never": never_run,
    "one checkpoint": lambda: one_checkpoint(grokking_run()),
    "one late checkpoint": lambda: one_checkpoint(grokking_run(), -1),
    "NaN at the start": lambda: nan_run(0),
    "NaN in the middle": lambda: nan_run(5),
    "NaN at the end": lambda: nan_run(-1),
    "NaN everywhere": lambda: nan_run(slice(None)),
    "zero weights": lambda: made_run(*np.zeros((2, 3, 4, P)), train=[(0, 1), (2, 2)]),
    "no prediction": lambda: never_run_of("exp"),
}


def never_run_of(activation):
    run = never_run()
    return SimpleNamespace(**(vars(run) | {"config": replace(run.config, activation=activation)}))


@pytest.mark.parametrize("case", CASES)
def test_every_run_has_numbers_or_reasons(case):
    run = CASES[case]()
    measured = stages(run)
    lottery = perturbed_lottery(run, measured)
    numbers = grokking_json(measured, lottery)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    for name in ("memorised", "generalised"):
        assert (numbers[name]["step"] is None) == bool(numbers[name]["reason"])
    for table in (
        boundaries_table(measured),
        stages_table(measured),
        theory_table(measured, lottery),
    ):
        assert {len(row) for row in table} == {len(table[0])}
        assert not any("nan" in cell for row in table for cell in row)


@pytest.mark.parametrize("case", ["grokking", "one checkpoint", "NaN everywhere", "zero weights"])
def test_every_run_can_be_drawn(case):
    run = CASES[case]()
    measured = stages(run)
    lottery = perturbed_lottery(run, measured)
    maps = heatmaps(run, measured)
    drawings = [
        lambda ax: draw.loss_curves(measured, ax),
        lambda ax: draw.accuracy_curves(measured, ax),
        lambda ax: draw.misalignment_curve(measured, ax),
        lambda ax: draw.sparsity_and_norm(measured, ax),
        lambda ax: draw.force_balance(measured, ax),
        lambda ax: draw.common_to_rare(measured, ax),
        lambda ax: draw.non_feature_decay(measured, non_feature_decay(measured), ax),
        lambda ax: draw.lottery_agreement(measured, lottery, ax),
        lambda ax: draw.coupling_map(broken_orthogonality(P, run.train_pairs), ax),
    ]
    if maps.sizes["step"]:
        first = int(maps.step[0])
        drawings.append(lambda ax: draw.accuracy_grid(measured, first, ax))
        drawings.append(lambda ax: draw.weight_heatmap(maps, "theta", first, ax))
    figure, axes = plt.subplots(1, len(drawings))
    for drawing, ax in zip(drawings, axes, strict=True):
        assert drawing(ax) is ax
    # Only a draw meets what a scale or a layout objects to.
    figure.canvas.draw()
    plt.close(figure)


def test_reasons_say_what_is_missing():
    def numbers(case):
        run = CASES[case]()
        measured = stages(run)
        return grokking_json(measured, perturbed_lottery(run, measured))

    full = numbers("all pairs")
    assert full["generalised"]["reason"] == "the run has no test pairs"
    assert full["free_accuracy"]["mirrored"] == "the run has no test pairs"
    assert full["stages"]["memorising"]["mean"]["test_loss"] == "the run has no test pairs"
    assert full["orthogonality"]["mass_max"] == 0
    never = numbers("never")
    assert never["stages"]["memorised"]["reason"] == (
        "training accuracy never reached 1 (highest 0.4)"
    )
    assert never["stages"]["memorising"]["end"]["train_loss"] > 0
    one = numbers("one checkpoint")
    assert one["lottery"]["reason"] == "1 checkpoint(s) with finite weights; it takes two"
    assert one["stages"]["memorising"]["mean"]["push_norm"] == "there is no checkpoint before"
    assert numbers("NaN in the middle")["skipped"] == [500]
    assert "activation is exp" in numbers("no prediction")["lottery"]["reason"]


def test_theory_table_has_the_numbers_of_the_json():
    run = grokking_run()
    measured = stages(run)
    lottery = perturbed_lottery(run, measured)
    cells = {row[0]: row[1:] for row in theory_table(measured, lottery)}
    numbers = grokking_json(measured, lottery)
    for variant in ("training pairs", "all pairs"):
        named = numbers["lottery"][variant]
        shown, interval = cells[f"winners named by neuron flow, {variant}"]
        # Four digits are shown.
        assert float(shown) == pytest.approx(named["winners"], abs=5e-5)
        ends = [float(end) for end in interval.split(" to ")]
        assert ends == pytest.approx(named["interval"], abs=5e-5)
    decay = numbers["non_feature_decay"]["generalised"]["theta"]
    shown = cells["input decay over lr·decay, non-features, generalised"][0]
    assert shown == (decay if isinstance(decay, str) else f"{decay['ratio']:.4f}")


def test_test_pairs_that_were_trained_on_say_nothing():
    run = grokking_run()
    run.test_pairs = run.train_pairs[:3]
    measured = stages(run)
    assert (measured.generalised.step, measured.generalised.reason) == (
        None,
        "every test pair was trained on",
    )


def test_stages_are_shaded_as_they_were_found():
    figure, ax = plt.subplots()
    draw.shade_stages(stages(grokking_run()), ax)
    assert [text.get_text() for text in ax.texts] == ["memorising", "memorised", "generalised"]
    ax.clear()
    draw.shade_stages(stages(never_run()), ax)
    assert [text.get_text() for text in ax.texts] == ["memorising"]
    ax.clear()
    # Memorised was logged, at 400, but the checkpoints begin later: nothing outside of the axis.
    measured = stages(grokking_run())
    late = replace(measured, series=measured.series.sel(step=slice(600, None)))
    draw.shade_stages(late, ax)
    assert [text.get_text() for text in ax.texts] == ["memorised", "generalised"]
    assert [text.xy[0] for text in ax.texts] == [(600 + 800) / 2, (800 + 1100) / 2]
    plt.close(figure)


def test_the_accuracy_grid_shows_kind_and_answer():
    measured = stages(grokking_run())
    figure, ax = plt.subplots()
    draw.accuracy_grid(measured, 1100, ax)
    # Codes 1, 3, 5: the three kinds, all right.
    drawn = np.asarray(ax.collections[0].get_array()).reshape(P, P)
    rows = [
        ["training", "mirrored", "unseen"].index(kind) for kind in measured.pairs.kind.values.flat
    ]
    assert (drawn.ravel() == 2 * np.array(rows) + 1).all()
    plt.close(figure)
