"""Wrong input to every public function is refused in one line that names it, never misread.

The table below is complete: a public function that is missing from it fails the first test.
"""

import numpy as np
import pytest
import torch
import xarray as xr

from grokode import compare, nets, theory
from grokode.compare.common.kernels import kernels
from grokode.theory import (
    exact,
    flow,
    fourier,
    lottery,
    mechanism,
    moment_flow,
    neuron_flow,
    predictors,
    solvers,
    streaming,
)

RNG = np.random.default_rng(0)
P, K, M = 7, 3, 4
THETA, XI = RNG.normal(size=(2, M, P))
SPECTRUM = fourier.spectrum(THETA, XI)
A, B = SPECTRUM.theta_hat.values, SPECTRUM.xi_hat.values
OTHER_P = fourier.spectrum(*RNG.normal(size=(2, M, 11)))
REAL = fourier.spectrum(THETA, XI).map(np.abs, keep_attrs=True).assign_attrs(p=P)
RULE = theory.TrainingRule(p=P, steps=10)
FLOW = theory.systems.TicketFlow(P)


def tickets(call):
    """What is no pair of tickets of modulus P, for functions of (theta_hat, xi_hat, p)."""
    return [
        lambda: call("a", B, P),
        lambda: call(A, B, 8),
        lambda: call(A, [[1, 2], [3]], P),
    ]


def closed_form(call):
    return [
        *tickets(call),
        lambda: call(A * np.nan, B, P),
        lambda: call(THETA, XI, P),
        lambda: call(OTHER_P.theta_hat, OTHER_P.xi_hat, P),
        lambda: call(SPECTRUM.theta_hat, SPECTRUM.xi_hat, 11),
        lambda: call(xr.DataArray(THETA, dims=("neuron", "x")), XI, P),
    ]


def layers(call):
    """What is no pair of weight arrays."""
    return [
        lambda: call(THETA + 1j, XI),
        lambda: call(THETA, XI[:, :5]),
        lambda: call(THETA, [["a"] * P] * M),
        lambda: call(THETA[:, :6], XI[:, :6]),
        lambda: call(xr.DataArray(THETA, dims=("unit", "place")), XI),
        lambda: call(xr.DataArray(THETA[:, 1:], {"x": range(1, P)}, ("neuron", "x")), XI[:, 1:]),
    ]


def spectrum_of(call):
    """What is no spectrum of modulus P."""
    return [
        lambda: call(THETA),
        lambda: call(xr.Dataset({"theta": (("neuron", "x"), THETA)})),
        lambda: call(OTHER_P),
        lambda: call(REAL),
        lambda: call(SPECTRUM.rename(frequency="wave")),
    ]


def any_spectrum(call):
    return [lambda: call(THETA), lambda: call(xr.Dataset({"theta": (("neuron", "x"), THETA)}))]


def vectors(call):
    return [
        lambda: call(THETA + 1j),
        lambda: call("a"),
        lambda: call(THETA[:, :6]),
        lambda: call(xr.DataArray(THETA, dims=("unit", "place"))),
    ]


def coefficients(call):
    return vectors(call)[:3]


def modulus(call):
    return [lambda: call(8), lambda: call(1), lambda: call(7.5), lambda: call("7")]


WRONG = {
    "theory.blowup_time": closed_form(exact.blowup_time),
    "theory.turning_point": closed_form(exact.turning_point),
    "theory.evolve": [
        *closed_form(lambda a, b, p: exact.evolve(a, b, p, 1e-3)),
        lambda: exact.evolve(A, B, P, -1.0),
        lambda: exact.evolve(A, B, P, 1j),
    ],
    "theory.exact.output_magnitude": closed_form(
        lambda a, b, p: exact.output_magnitude(a, b, p, 1e-3)
    ),
    "theory.flow.velocity": tickets(flow.velocity),
    "theory.flow.energy": tickets(flow.energy),
    "theory.flow.invariants": tickets(lambda a, b, p: flow.invariants(a, b))[::2],
    "theory.flow.velocity_polar": [
        lambda: flow.velocity_polar(A, 1.0, 0.0, P),
        lambda: flow.velocity_polar(-1.0, 1.0, 0.0, P),
        lambda: flow.velocity_polar(1.0, 1.0, 0.0, 8),
    ],
    "theory.spectrum": layers(fourier.spectrum),
    "theory.fourier.check_weights": layers(
        lambda a, b: fourier.to_waves(fourier.check_weights(a, b)[0])
    ),
    "theory.weights": spectrum_of(fourier.weights)[:2] + spectrum_of(fourier.weights)[3:],
    "theory.misalignment": any_spectrum(fourier.misalignment),
    "theory.fourier.alpha": any_spectrum(fourier.alpha),
    "theory.fourier.beta": any_spectrum(fourier.beta),
    "theory.fourier.phi": any_spectrum(fourier.phi),
    "theory.fourier.psi": any_spectrum(fourier.psi),
    "theory.fourier.leading_frequency": any_spectrum(fourier.leading_frequency),
    "theory.fourier.check_spectrum": spectrum_of(lambda s: fourier.check_spectrum(s, P)),
    "theory.fourier.check_modulus": modulus(fourier.check_modulus),
    "theory.fourier.fourier_basis": modulus(fourier.fourier_basis),
    "theory.fourier.to_waves": vectors(fourier.to_waves),
    "theory.fourier.to_basis": vectors(fourier.to_basis),
    "theory.fourier.from_basis": coefficients(fourier.from_basis),
    "theory.fourier.amplitude_phase": coefficients(fourier.amplitude_phase),
    "theory.fourier.from_waves": [
        lambda: fourier.from_waves(np.zeros(M) + 1j, A),
        lambda: fourier.from_waves(np.zeros(M), "a"),
        lambda: fourier.from_waves(np.zeros(M + 1), A),
    ],
    "theory.contour": [
        *modulus(lambda p: lottery.contour(p, [0.1], [0.0])),
        lambda: lottery.contour(P, [1j], [0.0]),
        lambda: lottery.contour(P, [-1.0], [0.0]),
    ],
    "theory.dominance_times": [
        lambda: lottery.dominance_times(8, 0.1, 4, 0),
        lambda: lottery.dominance_times(P, 1j, 4, 0),
        lambda: lottery.dominance_times(P, 0.1, 0, 0),
    ],
    "theory.dominance_scaling": [lambda: lottery.dominance_scaling([8], [0.1])],
    "theory.proposition_1": modulus(mechanism.proposition_1),
    "theory.mechanism.proposition_1_margin": modulus(
        lambda p: mechanism.proposition_1_margin(p, 1.0)
    ),
    "theory.mechanism.softmax_bound": modulus(lambda p: mechanism.softmax_bound(p, 1.0)),
    "theory.mechanism.frequency_scales": any_spectrum(mechanism.frequency_scales),
    "theory.get_predictor": [lambda: predictors.get_predictor("luck")],
    "theory.predictors.ticket_flow": spectrum_of(lambda s: predictors.ticket_flow(s, RULE, [0, 1])),
    "theory.predictors.saturation_time": spectrum_of(lambda s: predictors.saturation_time(s, P)),
    "theory.predictors.saturation_state": spectrum_of(lambda s: predictors.saturation_state(s, P)),
    "theory.neuron_flow.neuron_flow": spectrum_of(
        lambda s: neuron_flow.neuron_flow(s, RULE, [0, 1])
    ),
    "theory.moment_flow.moment_flow": spectrum_of(
        lambda s: moment_flow.moment_flow(s, RULE, [0, 1])
    ),
    "theory.moment_flow.clock_flow": spectrum_of(lambda s: moment_flow.clock_flow(s, RULE, [0, 1])),
    "theory.moment_flow.flow_for": [
        *spectrum_of(lambda s: moment_flow.flow_for(s, RULE, 1.0, clocks=False)),
        lambda: moment_flow.flow_for(SPECTRUM, RULE, -1.0, clocks=False),
    ],
    "theory.moment_flow.moment_seconds": spectrum_of(
        lambda s: moment_flow.moment_seconds(s, RULE, clocks=False)
    ),
    "theory.neuron_flow.neuron_seconds": spectrum_of(lambda s: neuron_flow.neuron_seconds(s, RULE)),
    "theory.simulate": [
        lambda: solvers.simulate(FLOW, OTHER_P, [0, 1e-3]),
        lambda: solvers.simulate(FLOW, THETA, [0, 1e-3]),
        lambda: solvers.simulate(FLOW, (A, "a"), [0, 1e-3]),
        lambda: solvers.simulate(FLOW, (A, B), [1e-3, 0]),
        lambda: solvers.simulate(FLOW, (SPECTRUM.theta_hat, OTHER_P.xi_hat), [0, 1e-3]),
    ],
    "theory.stream_winners": modulus(
        lambda p: streaming.stream_winners(p, 10, 0.1, 0, "/nonexistent/x")
    ),
    "nets.logits": [
        *layers(lambda a, b: nets.logits(a, b, "quadratic")),
        lambda: nets.logits(THETA, XI, "tanh"),
        lambda: nets.logits(THETA, XI, "relu", [(0, P)]),
    ],
    "compare.logits": layers(compare.logits),
    "compare.logit_budget": layers(compare.logit_budget),
}
MODULES = {
    "theory": theory,
    "theory.exact": exact,
    "theory.flow": flow,
    "theory.fourier": fourier,
    "theory.lottery": lottery,
    "theory.mechanism": mechanism,
    "theory.moment_flow": moment_flow,
    "theory.neuron_flow": neuron_flow,
    "theory.predictors": predictors,
    "theory.solvers": solvers,
    "theory.streaming": streaming,
}


def public_functions():
    """Every function that the listed modules export, once, by where it is defined."""
    known = {}
    for place, module in MODULES.items():
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, type):
                known.setdefault(value, f"{place}.{name}")
    return set(known.values())


def test_the_table_is_complete():
    assert public_functions() - set(WRONG) == set()


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_refused_in_one_line(name):
    for number, call in enumerate(WRONG[name]):
        with pytest.raises((TypeError, ValueError)) as refused:
            call()
        message = str(refused.value)
        assert message.strip(), f"{name}, case {number}"
        assert len(message.splitlines()) == 1, message


@pytest.mark.parametrize("published", ["Quad", "ReLU"])
def test_activations_as_published_are_known_everywhere(published):
    ours = {"Quad": "quadratic", "ReLU": "relu"}[published]
    assert theory.TrainingRule(p=P, activation=published).activation == ours
    for call in (
        compare.logits,
        compare.logit_budget,
        lambda *a: xr.Dataset(attrs={"r": kernels(P, a[2]).tolist()}),
    ):
        xr.testing.assert_identical(call(THETA, XI, published), call(THETA, XI, ours))
    with pytest.raises(ValueError, match="activation must be"):
        kernels(P, "tanh")


def labelled(dims=("neuron", "x"), last="x"):
    theta = xr.DataArray(THETA, {last: range(P), "neuron": range(M)}, dims)
    xi = xr.DataArray(XI, {"output": range(P), "neuron": range(M)}, ("neuron", "output"))
    return theta, xi


LAYERS = {
    "theory.spectrum": fourier.spectrum,
    "compare.logits": compare.logits,
    "compare.logit_budget": compare.logit_budget,
    "nets.logits": lambda a, b: xr.Dataset({"out": (("u", "j"), nets.logits(a, b, "quadratic"))}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_labels_decide_and_tensors_are_welcome(name):
    """Transposed, reordered and shuffled arrays are the same network as the plain ones."""
    call = LAYERS[name]
    plain = call(THETA, XI)
    theta, xi = labelled()
    order = RNG.permutation(P)
    tensors = [torch.tensor(layer, requires_grad=True) for layer in (THETA, XI)]
    for one, two in (
        (theta, xi),
        (theta.T, xi.T),
        (theta.isel(x=order), xi.isel(output=order[::-1])),
        (theta, xi.isel(neuron=[2, 0, 3, 1])),
        tensors,
    ):
        for variable, values in call(one, two).data_vars.items():
            np.testing.assert_allclose(values.values, plain[variable].values, rtol=1e-12)
    halves = [layer.detach().bfloat16() for layer in tensors]
    rounded = call(*(half.float().numpy() for half in halves))
    xr.testing.assert_identical(call(*halves), rounded)


def test_reordered_spectra_are_the_same_spectrum():
    shuffled = SPECTRUM.isel(frequency=[2, 0, 1]).transpose("frequency", "neuron")
    xr.testing.assert_allclose(fourier.weights(shuffled), fourier.weights(SPECTRUM))
    plain, other = (
        predictors.ticket_flow(s, RULE, [0, 3]).sel(frequency=[1, 2, 3])
        for s in (SPECTRUM, shuffled)
    )
    xr.testing.assert_allclose(plain, other)
    with pytest.raises(ValueError, match="same"):
        flow.energy(SPECTRUM.theta_hat, SPECTRUM.xi_hat.isel(frequency=[2, 0, 1]), P)
    np.testing.assert_array_equal(
        flow.energy(SPECTRUM.theta_hat, SPECTRUM.xi_hat.T, P), flow.energy(A, B, P)
    )


def test_an_initial_state_of_another_p_or_kind_is_no_start(tmp_path):
    config = nets.TrainingConfig(p=P, neurons=M, steps=2)
    for number, wrong in enumerate((OTHER_P, REAL, THETA)):
        with pytest.raises((TypeError, ValueError)):
            nets.train(config, tmp_path / f"{number}", initial=wrong)
