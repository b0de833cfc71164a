"""Figures: every function takes data, draws on the given Axes and returns it; none loads or trains.

Theory is always orange and dashed, the network always blue and solid (Okabe-Ito colours, safe for
colour-blind readers).
"""

from grokode.compare.figures.logits import logit_heatmap, logit_scatter
from grokode.compare.figures.lottery import (
    contour,
    dominance_distribution,
    dominance_scaling,
)
from grokode.compare.figures.style import NETWORK, THEORY, figure_svg
from grokode.compare.figures.trajectories import error_curves, loss_curve, tickets
from grokode.compare.figures.winners import accuracy_by_rule, winner_confusion

__all__ = [
    "NETWORK",
    "THEORY",
    "accuracy_by_rule",
    "contour",
    "dominance_distribution",
    "dominance_scaling",
    "error_curves",
    "figure_svg",
    "logit_heatmap",
    "logit_scatter",
    "loss_curve",
    "tickets",
    "winner_confusion",
]
