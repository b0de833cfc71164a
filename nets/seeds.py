"""Starts and splits as other people's code draws them from a seed, to follow their trainings.

Source: the code of arXiv:2602.16849 (github.com/Y-Agent/modular-addition-feature-learning), whose
trainings seed Python's, NumPy's and torch's generators and then draw the input weights, the output
weights and the permutation of the pairs, in this order, in float32 on a CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from grokode.nets import tasks

__all__ = ["SEED_RECIPES", "Drawn", "draw_he2026"]


@dataclass(frozen=True)
class Drawn:
    """What a recipe draws from a seed.

    Parameters
    ----------
    theta, xi : float32 arrays (neuron, p)
    train, test : integers (n, 2)
        Pairs (x, y).
    """

    theta: NDArray[np.float32]
    xi: NDArray[np.float32]
    train: NDArray[np.int64]
    test: NDArray[np.int64]


def draw_he2026(
    initial: str, p: int, neurons: int, scale: float, fraction: float, seed: int
) -> Drawn:
    """Start and split of arXiv:2602.16849's own code.

    Generators of its own stand in for the global ones, which are left as they are.

    Parameters
    ----------
    initial : {"gaussian", "single_frequency"}
        Weights scale * N(0, 1) / sqrt(p); or one wave a neuron, as long as the scale, every
        frequency as often as any other.
    p, neurons : int
    scale : float
    fraction : float
        Part of the pairs, lexicographic and permuted, that is trained on, rounded down.
    seed : int

    Raises
    ------
    ValueError
        For another initialisation, which that code does not have.

    Examples
    --------
    >>> drawn = draw_he2026("gaussian", 5, 8, 0.1, 0.75, seed=42)
    >>> drawn.theta.shape, len(drawn.train), len(drawn.test)
    ((8, 5), 18, 7)
    """
    if initial not in _WEIGHTS:
        raise ValueError(
            f"seed_recipe 'he2026' draws initial {' or '.join(_WEIGHTS)}, got {initial!r}"
        )
    generator = torch.Generator().manual_seed(seed)
    theta, xi = _WEIGHTS[initial](p, neurons, scale, seed, generator)
    order = torch.randperm(p * p, generator=generator).numpy()
    pairs, count = tasks.all_pairs(p)[order], int(fraction * p * p)
    return Drawn(theta, xi, pairs[:count], pairs[count:])


def _gaussian(p: int, neurons: int, scale: float, seed: int, generator: torch.Generator) -> Any:
    theta = scale * torch.randn(neurons, p, generator=generator) / np.sqrt(p)
    xi = scale * torch.randn(p, neurons, generator=generator) / np.sqrt(p)
    return theta.numpy(), xi.T.numpy()


def _single_frequency(
    p: int, neurons: int, scale: float, seed: int, generator: torch.Generator
) -> Any:
    K = (p - 1) // 2
    shuffler = np.random.RandomState(seed)  # noqa: NPY002  what their global generator is
    frequencies = np.tile(shuffler.choice(K, K, replace=False), neurons // K + 1)[:neurons]
    shuffler.shuffle(frequencies)
    angles = 2 * np.pi / p * np.outer(1 + frequencies, np.arange(p))

    def waves() -> Tensor:
        pairs = torch.stack([torch.randn(2, generator=generator) for _ in range(neurons)])
        cosine, sine = (pairs / pairs.norm(dim=1, keepdim=True)).numpy().T[:, :, None]
        return scale * (cosine * np.cos(angles) + sine * np.sin(angles))

    return waves().astype(np.float32), waves().astype(np.float32)


_WEIGHTS: dict[str, Callable[..., Any]] = {
    "gaussian": _gaussian,
    "single_frequency": _single_frequency,
}

SEED_RECIPES: dict[str, Callable[[str, int, int, float, float, int], Drawn]] = {
    "he2026": draw_he2026,
}
"""By name: (initial, p, neurons, scale, fraction, seed) -> `Drawn`."""
