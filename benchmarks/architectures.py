"""Steps of transformers and epochs of recurrent networks, beside the obvious code.

As in `training`: the same start and steps, one thread, processor time; errors are the largest
relative difference of a parameter at the end.
"""

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from grokode import nets
from grokode.nets.networks.recurrent_model import Batches
from grokode.nets.tasks.sequences import codes_of

from .record import row
from .training import SILENT, descend

REPEATS = 3
Parameters = dict[str, Tensor]
Trained = tuple[float, Parameters]


def rows(steps: int = 10, epochs: int = 20, **smaller: Any) -> list[dict[str, Any]]:
    """Milliseconds of a transformer's step, and of an epoch of the recurrent network.

    Parameters
    ----------
    steps, epochs : int
        How many are timed.
    **smaller
        Settings of the transformer in place of the published ones.
    """
    transformer = nets.preset("nanda2023/mainline").replace(**SILENT, **smaller)
    recurrent = nets.preset("vanrossem2025/parity").replace(**SILENT)
    task: Any = recurrent.data
    epoch = sum(-(-(2**n) // task.batch) for n in range(1, task.length + 1))
    name = f"transformer step, p = {transformer.p}, width {transformer.width}"
    peer = "three positions with a mask, autograd, one thread"
    return [
        _beside(name, transformer, plain_transformer, steps, 1, "ms/step", peer),
        _beside(
            "recurrent epoch, parity of up to 10 symbols, 100 neurons",
            recurrent,
            plain_recurrent,
            epochs * epoch,
            epoch,
            "ms/epoch",
            "a loop over positions, autograd, one thread",
        ),
    ]


def _beside(
    name: str,
    config: nets.TrainingConfig,
    peer: Callable[[nets.TrainingConfig, int], Trained],
    steps: int,
    unit_steps: int,
    unit: str,
    peer_name: str,
) -> dict[str, Any]:
    times = np.empty((2, 2, REPEATS))
    for repeat in range(REPEATS):
        for side, train in enumerate((ours, peer)):
            for part, count in enumerate((1, 1 + steps)):
                times[side, part, repeat] = train(config, count)[0]
    short, long = times.min(-1).T
    mine, theirs = ((long - short) / steps * unit_steps * 1e3).tolist()
    one, other = ours(config, steps)[1], peer(config, steps)[1]
    error = max(float((one[key] - value).norm() / value.norm()) for key, value in other.items())
    return row(name, mine, unit, error=error, peer=peer_name, theirs=theirs)


def ours(config: nets.TrainingConfig, steps: int) -> Trained:
    """Our training."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = nets.train(config.replace(steps=steps), Path(folder) / "run")
        seconds = time.process_time() - began
        return seconds, _parameters(run, -1)


def plain_transformer(config: nets.TrainingConfig, steps: int) -> Trained:
    """A transformer of one layer as one writes it down: every position, autograd."""
    w, pairs = _start(config)
    answers = pairs.sum(1) % config.p
    tokens = functional.pad(pairs, (0, 1), value=config.p)
    mask = torch.full((3, 3), -math.inf).triu(1)

    def loss() -> Tensor:
        stream = w["W_E"].T[tokens] + w["W_pos"]
        q, k, v = (torch.einsum("npd,hed->nhpe", stream, w[f"W_{name}"][0]) for name in "QKV")
        attention = (q @ k.mT / math.sqrt(q.shape[-1]) + mask).softmax(-1)
        stream = stream + (attention @ v).transpose(1, 2).flatten(2) @ w["W_O"][0].T
        hidden = torch.relu(stream @ w["W_in"][0].T + w["b_in"][0])
        stream = stream + hidden @ w["W_out"][0].T + w["b_out"][0]
        return functional.cross_entropy((stream[:, -1] @ w["W_U"]).double(), answers)

    seconds = descend(list(w.values()), loss, config, steps)
    return seconds, _detached(w)


def plain_recurrent(config: nets.TrainingConfig, steps: int) -> Trained:
    """Elman's network as one writes it down: sequence by sequence of a batch, autograd."""
    w, _ = _start(config)
    task: Any = config.data
    data = []
    codes = [np.sort(codes) for _, codes in codes_of(task.inputs)[: task.length]]
    batches = Batches(codes, task.batch, config.seed)
    for step in range(steps):
        batch, length = batches(step)
        bits = torch.tensor(batch[:, None] >> np.arange(length - 1, -1, -1) & 1)
        data.append((bits, functional.one_hot(bits.sum(1) % 2, 2).float()))
    taken = iter(data)

    def loss() -> Tensor:
        bits, targets = next(taken)
        state = torch.ones(len(bits), config.neurons)
        for symbol in functional.one_hot(bits, 2).float().unbind(1):
            driven = symbol @ w["input"].T + w["input_bias"]
            state = torch.relu(driven + state @ w["recurrent"].T + w["recurrent_bias"])
        values = state @ w["readout"].T + w["readout_bias"]
        return functional.mse_loss(values, targets)

    seconds = descend(list(w.values()), loss, config, steps)
    return seconds, _detached(w)


def _start(config: nets.TrainingConfig) -> tuple[Parameters, Tensor]:
    """Parameters as our training starts, and the inputs that it trains on."""
    with tempfile.TemporaryDirectory() as folder:
        run = nets.train(config.replace(steps=1), Path(folder) / "run")
        parameters = _parameters(run, 0)
        train, _ = config.data.split(config.seed)
    inputs = torch.tensor(config.data.inputs[train])
    return {name: value.requires_grad_() for name, value in parameters.items()}, inputs


def _parameters(run: nets.Run, step: int) -> Parameters:
    of_step = run.parameters.isel(step=step)
    return {str(name): torch.tensor(values.values) for name, values in of_step.items()}


def _detached(parameters: Parameters) -> Parameters:
    return {name: value.detach() for name, value in parameters.items()}
