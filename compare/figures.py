"""Figures: every function takes data, draws on the given Axes and returns it; none loads or trains.

Theory is always orange and dashed, the network always blue and solid (Okabe-Ito colours, safe for
colour-blind readers).
"""

from grokode.compare.common.curves import loss_curve
from grokode.compare.common.style import NETWORK, THEORY, figure_svg
from grokode.compare.logits.figures import logit_heatmap, logit_scatter
from grokode.compare.lottery.contour_figures import (
    contour,
    dominance_distribution,
    dominance_scaling,
)
from grokode.compare.lottery.trajectory_figures import error_curves, tickets
from grokode.compare.lottery.winner_figures import accuracy_by_predictor, winner_confusion

__all__ = [
    "NETWORK",
    "THEORY",
    "accuracy_by_predictor",
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
