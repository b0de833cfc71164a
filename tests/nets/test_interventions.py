"""Interventions on phases: what they change, and that they change nothing else."""

import dataclasses

import numpy as np
import pytest
import torch

from grokode import nets
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.ensemble import Weights
from grokode.theory import fourier
from tests.kinds import ATTENTION, PAIRS, SCHEDULE, SEQUENCES

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


OTHERS = {
    "transformer": {"p": 5, **ATTENTION, "optimizer": "adamw"},
    "attention only": {"p": 5, **ATTENTION | {"neurons": 0}},
    "summed embeddings": {"p": 5, "network": "summed_embeddings", "width": 4},
    "recurrent": {"network": "recurrent", **SEQUENCES},
    "learned embedding": {**PAIRS, "embedding": 3},
    "separate inputs": {**PAIRS, "separate_inputs": True},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_parameter_of_every_network_can_be_acted_on_by_its_name(kind, tmp_path):
    """Each in turn is held at a value of its own, also from one half of a training to the next."""
    config = TrainingConfig(**OTHERS[kind] | SCHEDULE)
    names = list(config.network.layout(config.data))

    def hold(step, weights):
        name = names[step % len(names)]
        getattr(weights, name).fill_(step - 1)
        weights.parameters[name][:] += 1

    steps = len(names) + 1
    config = config.replace(steps=steps, checkpoint_every=1)
    half = config.replace(steps=steps // 2)
    nets.train(half, tmp_path / "run", seeds=[0, 3], intervention=hold)
    resumed = nets.train(config, tmp_path / "run", seeds=[0, 3], intervention=hold, resume=True)
    whole = nets.train(config, tmp_path / "whole", seeds=[0, 3], intervention=hold)
    for step in range(1, steps + 1):
        assert (whole.parameters[names[step % len(names)]].sel(step=step) == step).all()
    assert resumed.parameters.drop_attrs().equals(whole.parameters.drop_attrs())
    with pytest.raises(ValueError, match=r"^intervention acts on networks with .* this one has"):
        nets.train(config, tmp_path / "no", intervention=nets.align_phases(1))
    assert not (tmp_path / "no").exists()


def test_a_parameter_that_is_replaced_or_unknown_is_refused(tmp_path):
    """Bound to other values, a name would leave the network as it is, without a word."""

    def replaced(step, weights):
        weights.theta = 0 * weights.theta

    def scaled(step, weights):
        weights.theta *= 0

    def put(step, weights):
        weights.parameters["theta"] = 0 * weights.theta

    def unknown(step, weights):
        weights.embed.zero_()

    run = nets.train(SMALL, tmp_path / "scaled", intervention=scaled)
    assert not run.weights.theta.isel(step=-1).any()
    for act, error, match in (
        (replaced, AttributeError, r"theta cannot be replaced, only changed in place"),
        (put, TypeError, "does not support item assignment"),
        (unknown, AttributeError, "no parameter 'embed', only theta, xi"),
    ):
        with pytest.raises(error, match=match):
            nets.train(SMALL, tmp_path / act.__name__, intervention=act)
