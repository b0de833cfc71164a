"""What an ensemble needs in memory, told before it starts.

An upper estimate from the shapes alone: parameters with gradient and optimiser, what is alive of a
training step, and what is alive when the larger of training and test set is evaluated, whose logits
are in float64. The counts of arrays were measured; a test holds the estimate between once and three
times what is allocated.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from grokode.nets.networks import Transformer, TwoLayer
from grokode.nets.networks.fused import FUSED
from grokode.nets.records import check_choice, check_whole
from grokode.nets.training.config import TrainingConfig, check_config

__all__ = ["check_memory", "memory_free", "memory_needed", "seeds_that_fit"]


def memory_needed(config: TrainingConfig, seeds: int = 1, device: str = "cuda") -> int:
    """Bytes that the tensors of a training take at most, about.

    Parameters
    ----------
    config : TrainingConfig
    seeds : int
        Networks trained side by side.
    device : {"cuda", "cpu"}
        A processor steps through blocks of a seed where that is written, a GPU through all at once.

    Examples
    --------
    >>> config = TrainingConfig(p=23, neurons=512)
    >>> memory_needed(config, seeds=200) > 100 * memory_needed(config)
    True
    """
    check_config(config)
    check_whole("seeds", seeds, least=1)
    check_choice("device", device, ("cuda", "cpu"))
    size = 8 if config.dtype == "float64" else 4
    task, network = config.data, config.network
    examples, classes = len(task.inputs), task.classes
    # Every seed goes through all examples that some seed has, of a pair and its mirror image one.
    evaluated = trained = examples * (0.5 if config.symmetric else 1.0)
    if isinstance(network, Transformer):  # trained on a seed's own examples
        trained *= getattr(task, "train_fraction", 1.0)
    training, evaluation = _VALUES.get(type(network), _of_any)(network, task)
    # Logits: shifted, exponential, residual and the like; in double when they are evaluated.
    step = trained * (training + 6 * classes) * size
    look = evaluated * (evaluation * size + classes * (size + 32))
    # Weight, gradient and two moments; in the host's memory a copy on its way to a checkpoint.
    parameters = sum(math.prod(layout.shape) for layout in network.layout(task).values())
    kept = (7 if device == "cpu" else 4) * parameters * size
    if device == "cpu" and _in_blocks(network):
        return int(step + seeds * (look + kept))
    # A graph keeps the memory of its step to itself, beside what an evaluation takes.
    alive = step + look if device == "cuda" else max(step, look)
    return int(seeds * (alive + kept))


def seeds_that_fit(config: TrainingConfig, free: int, device: str = "cuda") -> int:
    """The most seeds whose training fits into so many bytes.

    Examples
    --------
    >>> config = TrainingConfig(p=23, neurons=512)
    >>> seeds_that_fit(config, memory_needed(config, seeds=7))
    7
    """
    check_whole("free", free)
    one, two = (memory_needed(config, count, device) for count in (1, 2))
    # What is needed grows by the same with every seed, to a byte of rounding.
    return 0 if one > free else 1 + int((free - one + 1) // (two - one))


def memory_free(device: str) -> int | None:
    """Bytes free on a device, None where that cannot be told."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(kilobytes[0]) if kilobytes else None


def check_memory(config: TrainingConfig, seeds: int, device: str) -> None:
    """Raise ValueError if an ensemble will not fit, with the most seeds that will."""
    free = memory_free(device)
    needed = memory_needed(config, seeds, device)
    if free is None or needed <= free:
        return
    fit = seeds_that_fit(config, free, device)
    remedy = f"train at most {fit} at a time" if fit else "train a smaller network"
    raise ValueError(
        f"{seeds} seeds need about {needed / 1e9:.3g} GB on {device}, where {free / 1e9:.3g} GB "
        f"are free; {remedy}"
    )


def _of_two_layer(network: TwoLayer, task: Any) -> tuple[float, float]:
    """Values per example that are alive in a step, and in an evaluation."""
    dropped = 2 / (0.5 if network.symmetric else 1) if network.dropout else 0
    return (10 + dropped) * network.neurons, 2 * network.neurons


def _of_transformer(network: Transformer, task: Any) -> tuple[float, float]:
    positions = 2 + network.equals
    if network.layers == 1:
        return 14 * network.width + 3 * network.neurons, 15 * network.width + 2 * network.neurons
    # Autograd keeps what every layer computed at every position.
    one = positions * (10 * network.width + 4 * network.neurons)
    return network.layers * one, one


def _of_any(network: Any, task: Any) -> tuple[float, float]:
    each = 8 * network.work(task) / len(task.inputs)
    return each, each


_VALUES: dict[type, Callable[[Any, Any], tuple[float, float]]] = {
    TwoLayer: _of_two_layer,
    Transformer: _of_transformer,
}


def _in_blocks(network: Any) -> bool:
    """Whether a processor steps through blocks, whose memory does not grow with the seeds."""
    if isinstance(network, TwoLayer):
        return network.activation in FUSED and not network.dropout
    return isinstance(network, Transformer) and network.layers == 1
