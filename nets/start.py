"""The weights a training starts from, as its configuration says."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.nets.config import TrainingConfig
from grokode.nets.initial import INITIALISATIONS
from grokode.theory import fourier

__all__ = ["initial_weights"]


def initial_weights(
    config: TrainingConfig, seed: int, initial: xr.Dataset | None = None
) -> NDArray[Any]:
    """Weights (layer, neuron, p) of one seed, from a given spectrum or the configured recipe."""
    if initial is None:
        if config.initial not in INITIALISATIONS:
            raise ValueError(
                f"initial {config.initial!r} names no recipe; pass the spectrum to start from, or "
                f"choose one of {', '.join(INITIALISATIONS)}"
            )
        draw = INITIALISATIONS[config.initial]
        initial = draw(config.p, config.neurons, config.scale, seed)
    elif config.embedding is not None:
        raise ValueError("initial gives theta, which an embedding draws itself; leave one out")
    weights = fourier.weights(initial)
    shape = (config.neurons, config.p)
    if weights.theta.shape != shape:
        raise ValueError(
            f"initial has weights of shape {weights.theta.shape}, the configuration asks for "
            f"(neurons, p) = {shape}; change one of them"
        )
    layers = [weights.theta.values, weights.xi.values]
    if not np.isfinite(layers).all():
        raise ValueError("initial has weights that are NaN or infinite; start from finite ones")
    if config.separate_inputs:
        layers.insert(1, _theta_of_y(config, seed, weights))
    return np.stack(layers).astype(config.dtype)


def _theta_of_y(config: TrainingConfig, seed: int, weights: xr.Dataset) -> NDArray[Any]:
    """As large as theta and drawn apart from it; theta itself where the start was given."""
    if config.initial not in INITIALISATIONS:
        return weights.theta.values
    draw = INITIALISATIONS[config.initial]
    other: NDArray[Any] = fourier.weights(
        draw(config.p, config.neurons, config.scale, seed + 2**32)
    ).theta.values
    return other
