"""Interventions on phases: what they change, and that they change nothing else."""

import dataclasses

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.ensemble import Weights
from grokode.theory import fourier

SMALL = TrainingConfig(
    p=7, neurons=6, dtype="float64", steps=60, checkpoint_every=20, log_every=10, scale=0.5
)


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    theta, xi = torch.randn(2, 2, 5, 9, generator=generator, dtype=torch.float64)
    return Weights((4, 8), theta=theta, xi=xi)


def spectrum(weights):
    return fourier.spectrum(weights.theta.numpy(), weights.xi.numpy())


def test_alignment_turns_output_phases_alone(weights):
    before = spectrum(Weights(weights.seeds, theta=weights.theta.clone(), xi=weights.xi.clone()))
    act = nets.align_phases(10)
    act(9, weights)
    np.testing.assert_array_equal(spectrum(weights).xi_hat, before.xi_hat)
    act(10, weights)
    after = spectrum(weights)
    # Rounding of a discrete Fourier transform and back.
    np.testing.assert_allclose(fourier.misalignment(after), 0, atol=1e-13)
    np.testing.assert_allclose(fourier.beta(after), fourier.beta(before), rtol=1e-12)
    np.testing.assert_array_equal(after.theta_hat, before.theta_hat)
    np.testing.assert_allclose(after.xi_mean, before.xi_mean, atol=1e-14)


def test_redrawn_phases_are_new_uniform_and_seeded(weights):
    copies = [
        Weights(weights.seeds, theta=weights.theta.clone(), xi=weights.xi.clone()) for _ in range(2)
    ]
    before = spectrum(weights)
    for copy in copies:
        nets.redraw_phases(3)(3, copy)
    first, second = (spectrum(copy) for copy in copies)
    np.testing.assert_array_equal(first.theta_hat, second.theta_hat)
    np.testing.assert_allclose(fourier.alpha(first), fourier.alpha(before), rtol=1e-12)
    turned = np.angle(first.theta_hat / before.theta_hat)
    assert np.std(turned) > 1, "phases uniform on the circle turn by 1.8 rad in the mean square"
    # A seed is turned the same way alone.
    alone = Weights((8,), theta=weights.theta[1:].clone(), xi=weights.xi[1:].clone())
    nets.redraw_phases(3)(3, alone)
    np.testing.assert_array_equal(spectrum(alone).xi_hat[0], first.xi_hat[1])


def test_frozen_phases_stay_while_magnitudes_train(tmp_path):
    config = dataclasses.replace(SMALL, optimizer="adamw", learning_rate=0.01)
    run = nets.train(
        config, tmp_path / "run", seeds=[0, 5], intervention=nets.freeze_phases(config)
    )
    for seed in run.seeds:
        spectra = run.select(seed).spectra()
        for phase, size in ((fourier.phi, fourier.alpha), (fourier.psi, fourier.beta)):
            turned = phase(spectra) - phase(spectra.isel(step=0))
            # A wave near zero has no phase to keep; the others keep theirs to rounding.
            kept = abs(np.exp(1j * turned) - 1).where(size(spectra) > 1e-6)
            assert float(kept.max()) < 1e-8
        grown = fourier.alpha(spectra).isel(step=-1) / fourier.alpha(spectra).isel(step=0)
        assert float(abs(grown - 1).max()) > 0.1


def test_decay_ends_when_it_is_told_to(tmp_path):
    config = dataclasses.replace(
        SMALL, optimizer="adamw", learning_rate=0.01, weight_decay=2.0, checkpoint_every=10
    )
    runs = {
        until: nets.train(dataclasses.replace(config, decay_until=until), tmp_path / f"{until}")
        for until in (None, 30, 60)
    }
    # Until step 30 all are the same, and a decay that ends with the training never ends.
    theta = {until: run.weights.theta for until, run in runs.items()}
    early = slice(None, 30)
    np.testing.assert_array_equal(theta[30].sel(step=early), theta[None].sel(step=early))
    np.testing.assert_array_equal(theta[60], theta[None])
    norms = {until: float((values.isel(step=-1) ** 2).sum()) for until, values in theta.items()}
    assert norms[30] > norms[None]
    # One step on, they differ by the decay of that one step and nothing else.
    step = dataclasses.replace(config, steps=31, checkpoint_every=1)
    with_decay = nets.train(step, tmp_path / "a").weights.theta
    without = nets.train(dataclasses.replace(step, decay_until=30), tmp_path / "b").weights.theta
    np.testing.assert_allclose(
        without.sel(step=31) - with_decay.sel(step=31),
        0.01 * 2.0 * with_decay.sel(step=30),
        atol=1e-14,
    )
