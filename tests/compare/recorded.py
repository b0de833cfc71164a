"""A training of a recurrent network kept in memory, with what a run offers of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from grokode import nets
from grokode.nets.networks import Recurrent
from grokode.nets.tasks import Parity
from grokode.nets.tasks.examples import Examples
from grokode.nets.training.ensemble import Ensemble


class Recorded:
    """As `grokode.nets.Run` of one seed."""

    path = Path("in-memory")

    def __init__(self, config, parameters, metrics):
        self.config, self.parameters, self.metrics = config, parameters, metrics
        self.seeds, self.seed = (config.seed,), config.seed

    def select(self, seed):
        return self


def trained(config, epochs, every):
    """Train one seed for some epochs, with a checkpoint and metrics every few of them."""
    torch.set_num_threads(1)
    task, seed = config.data, config.seed
    parts = [Examples.of(task, [seed], [rows], dtype=torch.float32) for rows in task.split(seed)]
    start = {name: value[None] for name, value in config.network.draw(task, seed).items()}
    ensemble = Ensemble(config, [seed], start, parts[0], "cpu")
    per_epoch = task.epoch(seed)
    steps, weights, rows = [], [], []
    for step in range(epochs * per_epoch + 1):
        ensemble.loss(step)
        if step % (every * per_epoch) == 0:
            steps.append(step)
            weights.append(ensemble.weights())
            rows.append(ensemble.measure(*parts)[0].numpy())
        ensemble.update(step)
    layouts = config.network.layout(task)
    variables = {
        name: (("step", *layout.dims), np.stack([w[name][0] for w in weights]))
        for name, layout in layouts.items()
    }
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
    metrics = {name: ("step", np.array(rows)[:, i]) for i, name in enumerate(names)}
    return Recorded(
        config,
        xr.Dataset(variables, coords={"step": steps}),
        xr.Dataset(metrics, coords={"step": steps}),
    )


def small(seed=0, **changes):
    """Parity of up to six symbols, thirty neurons: generalises in seconds."""
    config = nets.TrainingConfig(
        data=Parity(length=6, test_sequences=50, test_length=30),
        network=Recurrent(neurons=30, gain=0.1),
        optimizer="sgd",
        learning_rate=0.05,
        seed=seed,
    )
    return replace(config, **changes)
