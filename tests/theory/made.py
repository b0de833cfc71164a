"""Spectra at random, activations of torch, and an integrator that is not ours."""

import numpy as np
import torch
from scipy.integrate import solve_ivp

from grokode.theory import exact, fourier

SIGMA = {
    "quadratic": torch.square,
    "relu": torch.relu,
    "abs": torch.abs,
    "quartic": lambda z: z**4,
    "softplus": torch.nn.functional.softplus,
    "gelu": torch.nn.functional.gelu,
}
"""The activations as torch has them, for its autograd."""


def random_spectrum(neurons=6, seed=0, p=23):
    theta, xi = np.random.default_rng(seed).normal(size=(2, neurons, p))
    return fourier.spectrum(theta, xi)


def reference(system, y0, times):
    """SciPy's DOP853 near its tightest tolerance, one ticket as real components."""
    done = solve_ivp(
        lambda t, y: np.array(type(system).rhs(t, tuple(y), system.parameters)),
        (0, times[-1]),
        y0,
        method="DOP853",
        t_eval=times,
        rtol=1e-13,
        atol=1e-15,
    )
    return done.y


def first_blowup(s):
    return float(exact.blowup_time(s.theta_hat, s.xi_hat, s.attrs["p"]).min())
