"""The official training on streaming parity, beside torch's own recurrent network with autograd.

Both start from the same weights and see the same batches, in float32 on one thread, and log
nothing. Processor time, since a training is long enough for other processes to come between. The
error is the largest relative difference of a parameter after two epochs.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from grokode import nets
from grokode.nets.networks.recurrent_model import Batches

from .record import row

SILENT: dict[str, Any] = {"checkpoint_every": 10**9, "log_every": 10**9}
EPOCHS = 1000
Weights = dict[str, NDArray[Any]]


def rows(
    length: int = 10, neurons: int = 100, timed: int = 60, seeds: int = 4
) -> list[dict[str, Any]]:
    """Seconds for the published 1,000 epochs, from `timed` of them; alone, and seeds together."""
    config = nets.preset("vanrossem2025/parity", length=length, neurons=neurons, **SILENT)
    epoch = sum(-(-(2**n) // config.batch) for n in range(1, length + 1))
    steps = timed * epoch
    alone, theirs, together = (
        _a_step(side, steps) * EPOCHS * epoch
        for side in (
            lambda n: ours(config, n)[0],
            lambda n: plain(config, n)[0],
            lambda n: ours(config, n, range(seeds))[0] / seeds,
        )
    )
    one, other = ours(config, 2 * epoch)[1], plain(config, 2 * epoch)[1]
    error = max(float(np.abs(one[k] - other[k]).max() / np.abs(other[k]).max()) for k in one)
    name = f"vanrossem2025/parity, {EPOCHS:,} epochs of {epoch} steps extrapolated from {timed}"
    return [
        row(
            name,
            alone,
            "s",
            error=error,
            peer="torch.nn.RNN, autograd, one thread",
            theirs=theirs,
        ),
        row(
            f"the same for each of {seeds} seeds together",
            together,
            "s",
            peer="ours, one seed alone",
            theirs=alone,
        ),
    ]


def ours(
    config: nets.TrainingConfig, steps: int, seeds: Sequence[int] = (0,)
) -> tuple[float, Weights]:
    """Processor time of a training, and the weights of its last seed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = nets.train(config.replace(steps=steps), Path(folder) / "run", seeds=seeds)
        seconds = time.process_time() - began
        last = run.select(seeds[-1]).parameters.isel(step=-1)
        return seconds, {str(name): value.values for name, value in last.items()}


def plain(config: nets.TrainingConfig, steps: int) -> tuple[float, Weights]:
    """The same training as one writes it down first."""
    neurons = int(config.neurons)
    start = {k: torch.tensor(v).float() for k, v in config.network.draw(config.data, 0).items()}
    cell = torch.nn.RNN(2, neurons, nonlinearity="relu", batch_first=True)
    readout = torch.nn.Linear(neurons, 2)
    places: dict[str, Any] = {
        "input": cell.weight_ih_l0,
        "recurrent": cell.weight_hh_l0,
        "input_bias": cell.bias_ih_l0,
        "recurrent_bias": cell.bias_hh_l0,
        "readout": readout.weight,
        "readout_bias": readout.bias,
    }
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(start[name])
    optimizer = torch.optim.SGD(list(places.values()), lr=config.learning_rate)
    batches = Batches([np.arange(2**n) for n in range(1, config.length + 1)], config.batch, 0)
    began = time.process_time()
    for step in range(steps):
        codes, length = batches(step)
        bits = torch.from_numpy(codes)[:, None] >> torch.arange(length - 1, -1, -1) & 1
        wanted = functional.one_hot(bits.sum(1) % 2, 2).float()
        optimizer.zero_grad()
        hidden = torch.ones(1, len(codes), neurons)
        _, last = cell(functional.one_hot(bits, 2).float(), hidden)
        functional.mse_loss(readout(last[0]), wanted).backward()
        optimizer.step()
    seconds = time.process_time() - began
    return seconds, {name: place.detach().numpy() for name, place in places.items()}


def _a_step(side: Any, steps: int) -> float:
    """Seconds a step, without what a training of no matter how many steps needs."""
    side(1)  # compiles
    times = [(side(1), side(1 + steps)) for _ in range(3)]
    short, long = np.min(times, axis=0)
    return float(long - short) / steps
