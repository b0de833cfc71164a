"""Checkpoint directories in the published layout, small and made here."""

import numpy as np
import torch

from grokode.theory import fourier


def mean_loss(theta, xi, sigma=np.square):
    """Cross-entropy of a network over all pairs of addition, in a few lines of its own."""
    p = theta.shape[1]
    values = np.einsum("mxy,mj->xyj", sigma(theta[:, :, None] + theta[:, None]), xi)
    peak = values.max(-1, keepdims=True)
    losses = np.log(np.exp(values - peak).sum(-1)) + peak[..., 0]
    x, y = np.indices((p, p))
    return float((losses - values[x, y, (x + y) % p]).mean())


def write_checkpoints(folder, p=5, neurons=6, *, theta=None, sigma=np.square):
    """A directory in the published layout, with random weights and their true losses."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(neurons, p)) if theta is None else theta
    xi = rng.normal(size=(neurons, p))
    model = {
        "mlp.W_in": torch.tensor(theta),
        "mlp.W_out": torch.tensor(xi.T.copy()),
        "mlp.basis": torch.tensor(fourier.fourier_basis(p) if p % 2 else np.eye(p)),
    }
    loss = mean_loss(theta, xi, sigma) if theta.shape == xi.shape else 1.6
    numbers = {
        "train_loss": loss,
        "test_loss": loss,
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
        "train_losses": [loss] * 11,
        "test_losses": [loss] * 11,
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
