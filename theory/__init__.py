"""What the equations say: Fourier coordinates, flows, closed forms, solvers, predictors (no torch)."""

from grokode.theory import flow, fourier
from grokode.theory.exact import blowup_time
from grokode.theory.fourier import misalignment, spectrum, weights
from grokode.theory.mechanism import proposition_1
from grokode.theory.predictors import PREDICTORS, get_predictor
from grokode.theory.rule import TrainingRule
from grokode.theory.solvers import simulate

__all__ = [
    "PREDICTORS",
    "TrainingRule",
    "blowup_time",
    "flow",
    "fourier",
    "get_predictor",
    "misalignment",
    "proposition_1",
    "simulate",
    "spectrum",
    "weights",
]
