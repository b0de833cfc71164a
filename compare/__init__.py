"""Where theory and networks meet: predicted winners, trajectories and logits over observed ones."""

from grokode.compare.budget import budget_over_steps, logit_budget
from grokode.compare.logits import logits
from grokode.compare.observe import checkpoint, observed_winners, training_rule
from grokode.compare.report import PLATEAU_CLAIM, Comparison, compare_run, write_report
from grokode.compare.tables import errors_table, logits_table, winners_table
from grokode.compare.trajectories import parting_step, trajectories, trajectory_errors
from grokode.compare.winners import winners

__all__ = [
    "PLATEAU_CLAIM",
    "Comparison",
    "budget_over_steps",
    "checkpoint",
    "compare_run",
    "errors_table",
    "logit_budget",
    "logits",
    "logits_table",
    "observed_winners",
    "parting_step",
    "training_rule",
    "trajectories",
    "trajectory_errors",
    "winners",
    "winners_table",
    "write_report",
]
