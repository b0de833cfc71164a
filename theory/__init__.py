"""What the equations say: coordinates, flows, closed forms, solvers, predictors; no torch."""

from grokode.theory import flow, fourier, systems
from grokode.theory.exact import blowup_time, evolve, turning_point
from grokode.theory.fourier import misalignment, spectrum, weights
from grokode.theory.lottery import contour, dominance_scaling, dominance_times
from grokode.theory.mechanism import proposition_1
from grokode.theory.predictors import PREDICTORS, get_predictor
from grokode.theory.rule import TrainingRule
from grokode.theory.solvers import simulate
from grokode.theory.streaming import stream_winners

__all__ = [
    "PREDICTORS",
    "TrainingRule",
    "blowup_time",
    "contour",
    "dominance_scaling",
    "dominance_times",
    "evolve",
    "flow",
    "fourier",
    "get_predictor",
    "misalignment",
    "proposition_1",
    "simulate",
    "spectrum",
    "stream_winners",
    "systems",
    "turning_point",
    "weights",
]
