"""Where theory and networks meet: predicted winners, trajectories and logits over observed ones."""

from grokode.compare.alignment import scores
from grokode.compare.budget import budget_over_steps, logit_budget
from grokode.compare.demo_report import PLATEAU_CLAIM, Comparison, compare_run, write_report
from grokode.compare.logits import logits
from grokode.compare.observe import checkpoint, observed_winners, training_rule
from grokode.compare.run_report import report
from grokode.compare.rungs import ladder
from grokode.compare.statistics import score_statistics
from grokode.compare.tables import errors_table, logits_table, winners_table
from grokode.compare.trajectories import (
    parting_step,
    partings,
    rung_errors,
    trajectories,
    trajectory_errors,
)
from grokode.compare.winners import winners

__all__ = [
    "PLATEAU_CLAIM",
    "Comparison",
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
