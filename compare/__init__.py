"""Where theory and networks meet: predicted winners, trajectories and logits over observed ones."""

from grokode.compare.alignment.scores import scores
from grokode.compare.alignment.statistics import score_statistics
from grokode.compare.cache import ask
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import checkpoint, observed_winners, training_rule
from grokode.compare.logits.budget import budget_over_steps, logit_budget
from grokode.compare.logits.fits import logits
from grokode.compare.logits.tables import logits_table
from grokode.compare.lottery.claims import PLATEAU_CLAIM
from grokode.compare.lottery.ladder import ladder
from grokode.compare.lottery.tables import errors_table, winners_table
from grokode.compare.lottery.trajectories import (
    parting_step,
    partings,
    predictor_errors,
    trajectories,
    trajectory_errors,
)
from grokode.compare.lottery.winners import winners
from grokode.compare.page.comparison import Comparison, compare_run, write_report
from grokode.compare.page.report import report
from grokode.compare.question import Question
from grokode.compare.registry import QUESTIONS

rung_errors = predictor_errors  # its name in 0.1

__all__ = [
    "PLATEAU_CLAIM",
    "QUESTIONS",
    "Comparison",
    "NotMeasured",
    "Question",
    "ask",
    "budget_over_steps",
    "checkpoint",
    "compare_run",
    "errors_table",
    "ladder",
    "logit_budget",
    "logits",
    "logits_table",
    "observed_winners",
    "parting_step",
    "partings",
    "predictor_errors",
    "report",
    "rung_errors",
    "score_statistics",
    "scores",
    "training_rule",
    "trajectories",
    "trajectory_errors",
    "winners",
    "winners_table",
    "write_report",
]
