"""Starts and splits as other people's code draws them from a seed, to follow their trainings.

Source: the code of arXiv:2602.16849 (github.com/Y-Agent/modular-addition-feature-learning), whose
trainings seed Python's, NumPy's and torch's generators and then draw the input weights, the output
weights and the permutation of the pairs, in this order, in float32 on a CPU.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["SEED_RECIPES", "draw_he2026"]

Drawn = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def draw_he2026(initial: str, p: int, neurons: int, scale: float, seed: int) -> Drawn:
    """Start and split of arXiv:2602.16849's own code.

    Generators of its own stand in for the global ones, which are left as they are.

    Parameters
    ----------
    initial : {"gaussian", "single_frequency"}
        Weights scale * N(0, 1) / sqrt(p); or one wave a neuron with the scale for its magnitude,
        every frequency about as often as any other.
    p, neurons : int
    scale : float
    seed : int

    Returns
    -------
    theta, xi : float32 arrays (neuron, p)
    order : integers (p^2)
        Permutation of the lexicographic pairs; the first of them are trained on.

    Raises
    ------
    ValueError
        For another initialisation, which that code does not have.

    Examples
    --------
    >>> theta, xi, order = draw_he2026("gaussian", 5, 8, 0.1, seed=42)
    >>> theta.shape, sorted(order.tolist()) == list(range(25))
    ((8, 5), True)
    """
    import torch

    if initial not in _WEIGHTS:
        raise ValueError(
            f"seed_recipe 'he2026' draws initial {' or '.join(_WEIGHTS)}, got {initial!r}"
        )
    generator = torch.Generator().manual_seed(seed)
    theta, xi = _WEIGHTS[initial](p, neurons, scale, seed, generator)
    return theta, xi, torch.randperm(p * p, generator=generator).numpy()


def _gaussian(p: int, neurons: int, scale: float, seed: int, generator: "torch.Generator") -> Any:
    import torch

    theta = scale * torch.randn(neurons, p, generator=generator) / np.sqrt(p)
    xi = scale * torch.randn(p, neurons, generator=generator) / np.sqrt(p)
    return theta.numpy(), xi.T.numpy()


def _single_frequency(
    p: int, neurons: int, scale: float, seed: int, generator: "torch.Generator"
) -> Any:
    import torch

    K = (p - 1) // 2
    shuffler = np.random.RandomState(seed)
    frequencies = np.tile(shuffler.choice(K, K, replace=False), neurons // K + 1)[:neurons]
    shuffler.shuffle(frequencies)
    angles = 2 * np.pi / p * np.outer(1 + frequencies, np.arange(p))

    def waves() -> NDArray[np.float32]:
        pairs = torch.stack([torch.randn(2, generator=generator) for _ in range(neurons)])
        cosine, sine = (pairs / pairs.norm(dim=1, keepdim=True)).numpy().T[:, :, None]
        return (scale * (cosine * np.cos(angles) + sine * np.sin(angles))).astype(np.float32)

    return waves(), waves()


_WEIGHTS: dict[str, Callable[..., Any]] = {
    "gaussian": _gaussian,
    "single_frequency": _single_frequency,
}

SEED_RECIPES: dict[str, Callable[[str, int, int, float, int], Drawn] | None] = {
    "grokode": None,
    "he2026": draw_he2026,
}
"""By name: (initial, p, neurons, scale, seed) -> theta, xi, order of pairs; None for our own."""
