"""Checkpoint directories in the published layout, small and made here."""

import numpy as np
import torch

from grokode.theory import fourier


def write_checkpoints(folder, p=5, neurons=6, *, theta=None):
    """A directory in the published layout, with random weights."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    model = {
        "mlp.W_in": torch.tensor(rng.normal(size=(neurons, p)) if theta is None else theta),
        "mlp.W_out": torch.tensor(rng.normal(size=(p, neurons))),
        "mlp.basis": torch.tensor(fourier.fourier_basis(p) if p % 2 else np.eye(p)),
    }
    numbers = {
        "train_loss": 1.6,
        "test_loss": 1.6,
        "train_accuracy": 0.2,
        "test_accuracy": 0.2,
        "grad_norm": 0.1,
        "param_norm": 1.0,
        "epoch": 0,
    }
    torch.save({"model": model} | numbers, folder / "0.pth")
    group = {
        "lr": 0.1,
        "momentum": 0,
        "dampening": 0,
        "weight_decay": 0,
        "nesterov": False,
        "params": [0, 1],
    }
    final = {
        "model": model,
        "train_losses": [1.6] * 11,
        "test_losses": [1.6] * 11,
        "grad_norms": [0.1] * 11,
        "param_norms": [1.0] * 11,
        "epoch": 11,
        "optimizer": {"state": {}, "param_groups": [group]},
    }
    torch.save(final, folder / "final.pth")
    pairs = [(x, y) for x in range(p) for y in range(p)]
    torch.save(pairs, folder / "train_data.pth")
    torch.save(torch.tensor(pairs), folder / "test_data.pth")
    return folder
