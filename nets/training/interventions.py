"""Interventions on phases between two updates, magnitudes untouched and so the weights' norm.

Every factory here returns a function (step, weights) for `grokode.nets.train`. The question each
puts to a network: do the phases, and their alignment, cause what they go along with?
"""

import torch
from torch import Tensor

from grokode.nets.records import check_whole
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.ensemble import Intervention, Weights

__all__ = ["align_phases", "freeze_phases", "redraw_phases"]


def freeze_phases(config: TrainingConfig) -> Intervention:
    """Put every ticket's phases back to where they started, after every update.

    Parameters
    ----------
    config : TrainingConfig
        That of the training, whose recipe says where each seed's phases start.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(config, f"{folder}/run", intervention=freeze_phases(config))
    >>> run.attrs["intervention"]
    'frozen_phases'
    """
    if not isinstance(config, TrainingConfig):
        raise TypeError(f"config must be the TrainingConfig of the training, got {config!r}")
    starts: dict[int, tuple[Tensor, ...]] = {}

    def frozen_phases(step: int, weights: Weights) -> None:
        for seed in set(weights.seeds) - set(starts):
            first = config.network.draw(config.data, seed)
            starts[seed] = tuple(
                _phasors(torch.tensor(first[name].astype(config.dtype)).to(weights.theta))
                for name in ("theta", "xi")
            )
        for layer, values in enumerate((weights.theta, weights.xi)):
            phasors = torch.stack([starts[seed][layer] for seed in weights.seeds])
            _turn(values, phasors)

    return _on_phases(frozen_phases)


def redraw_phases(at_step: int) -> Intervention:
    """Draw every ticket's phases anew at one step, uniformly, seeded by the network's own seed.

    Parameters
    ----------
    at_step : int
        Updates done when the phases are drawn.
    """
    check_whole("at_step", at_step)

    def redrawn_phases(step: int, weights: Weights) -> None:
        if step != at_step:
            return
        for index, seed in enumerate(weights.seeds):
            generator = torch.Generator().manual_seed((seed << 32) + at_step)
            for values in (weights.theta[index], weights.xi[index]):
                shape = (*values.shape[:-1], (values.shape[-1] - 1) // 2)
                angles = 2 * torch.pi * torch.rand(shape, generator=generator, dtype=values.dtype)
                _turn(values, torch.polar(torch.ones_like(angles), angles).to(values.device))

    return _on_phases(redrawn_phases)


def align_phases(from_step: int) -> Intervention:
    """Turn every output wave to twice its input phase, after every update from a step on.

    Parameters
    ----------
    from_step : int
        First step at which the waves are turned.
    """
    check_whole("from_step", from_step)

    def aligned_phases(step: int, weights: Weights) -> None:
        if step >= from_step:
            _turn(weights.xi, _phasors(weights.theta) ** 2)

    return _on_phases(aligned_phases)


def _on_phases(intervention: Intervention) -> Intervention:
    """Say what parameters it acts on, so that a network without them is refused beforehand."""
    intervention.parameters = ("theta", "xi")  # type: ignore[attr-defined]
    return intervention


def _characters(values: Tensor) -> Tensor:
    """e^{-i w_k x}, shape (p, K), as precise as the values and where they are."""
    p = values.shape[-1]
    turns = torch.outer(torch.arange(p), torch.arange(1, (p - 1) // 2 + 1)).double() / p
    exact = torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)
    return exact.to(
        values.device, torch.complex64 if values.dtype == torch.float32 else exact.dtype
    )


def _waves(values: Tensor) -> Tensor:
    """Complex coefficients alpha e^{i phi} of weights (..., p), shape (..., K)."""
    characters = _characters(values)
    return (2 / values.shape[-1]) * (values.to(characters.dtype) @ characters)


def _phasors(values: Tensor) -> Tensor:
    waves = _waves(values)
    return waves / waves.abs().clamp(min=torch.finfo(values.dtype).tiny)


def _turn(values: Tensor, phasors: Tensor) -> None:
    """Give the waves of weights (..., p) other phases, in place; means and magnitudes stay."""
    waves = _waves(values)
    turned = waves.abs() * phasors - waves
    values += (turned @ _characters(values).mH).real
