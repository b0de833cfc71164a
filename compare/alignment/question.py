"""Alignment as a question: whether the scores go along with test accuracy."""

from typing import Any

from matplotlib.figure import Figure

from grokode.compare.alignment.claims import judge_scores
from grokode.compare.alignment.figures import lead_lag_profile, score_against_accuracy, score_curves
from grokode.compare.alignment.scores import scores
from grokode.compare.alignment.statistics import score_statistics
from grokode.compare.alignment.tables import statistics_json, statistics_table
from grokode.compare.common.claims import Verdict
from grokode.compare.common.observe import checkpoint_accuracy
from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.common.style import say
from grokode.compare.question import Datasets, Question, Table, two_layers
from grokode.nets.runs import Run

__all__ = ["QUESTION", "measure"]

TITLE = "scores and test accuracy"


def needs(run: Run) -> str | None:
    """Two layers, and pairs held out."""
    reason = two_layers(run)
    if reason is None and not run.knows_split:
        return f"{run.path} does not say which pairs it was trained on"
    if reason is None and not len(run.test_pairs):
        return "the run has no test pairs, so there is no test accuracy to go along with"
    return reason


def measure(run: Run, /, score: str = "ell_neuron_norm") -> Datasets:
    """Scores over the checkpoints, and their statistics against test accuracy.

    Parameters
    ----------
    run : Run
    score : str
        The score that is regressed, led and lagged.

    Returns
    -------
    dict of Datasets
        ``scores``; ``accuracy`` of the checkpoints; and what `grokode.compare.score_statistics`
        gives.
    """
    statistics = score_statistics(run, score)
    return {"scores": scores(run), "accuracy": checkpoint_accuracy(run)} | statistics


def tables(measured: Datasets) -> list[Table]:
    """Correlations of every score."""
    numbers = measured["correlations"]
    step = statistics_json(measured)["t_grok"]
    text = f"Grokking step: {step}. Correlations with test accuracy are {numbers.attrs['kind']}."
    return [Table(TITLE, statistics_table(numbers), text)]


def sheets(measured: Datasets) -> list[Sheet]:
    """Scores over the steps, against accuracy, and who moves first."""
    score = measured["correlations"].attrs["chosen"]
    return [
        Sheet(
            "scores",
            "Alignment scores and test accuracy over the steps.",
            lambda: _curves(measured),
            TITLE,
        ),
        Sheet(
            "score_and_accuracy",
            f"{score} against test accuracy, and which of their changes comes first.",
            lambda: _one_score(measured, score),
            TITLE,
        ),
    ]


def judge(measured: Datasets) -> list[Verdict]:
    """Whether scores go along with test accuracy, or against it."""
    return judge_scores(measured["correlations"])


def plain(measured: Datasets) -> dict[str, Any]:
    """All statistics."""
    return statistics_json(measured)


def _curves(measured: Datasets) -> Figure:
    figure, ax = blank_sheet((8, 4.4))
    t_grok = float(measured["correlations"].t_grok)
    score_curves(measured["scores"], measured["accuracy"], ax, t_grok=t_grok)
    return figure


def _one_score(measured: Datasets, score: str) -> Figure:
    figure, axes = blank_sheet((11, 4.2), columns=2)
    score_against_accuracy(measured["scores"], measured["accuracy"], score, axes[0])
    profile = measured["lead_lag"]
    if "reason" in profile.attrs:
        say(profile.attrs["reason"], axes[1])
    else:
        lead_lag_profile(profile, score, axes[1])
    return figure


QUESTION = Question(
    "alignment",
    "Do alignment scores go along with test accuracy?",
    needs,
    measure,
    tables,
    sheets,
    judge,
    plain,
)
