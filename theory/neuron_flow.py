"""Each neuron alone, under its own optimiser: exact while softmax is near 1/p.

With uniform softmax the gradient of the mean loss on a neuron does not involve the others,

    grad xi[j]    = -(1/n) (S[j] - mean S),   S[j] = sum over pairs with x+y = j of sigma(z),
    grad theta[x] = -(1/n) sum over pairs holding x of sigma'(z) (xi[x+y] - mean xi),

z = theta[x] + theta[y], sums over the training pairs. The optimiser's own update is applied step by
step, so this holds for any activation, optimiser and training set, and for several frequencies in a
neuron, up to the end of the plateau. Cost: O(p^2) a neuron and step.

With a learned embedding theta is a product, and what moves are its factors. The embedding is pulled
by all neurons, so that neurons no longer move alone: on the plateau they feel one another through
it, and what is decoupled is the loss only.
"""

from functools import partial
from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory import fourier
from grokode.theory._ordered import Ordered
from grokode.theory._parallel import parallel
from grokode.theory._projections import activate, centre
from grokode.theory._trained import Layers, follow, layers_of, spectra_of
from grokode.theory._truncation import Projected, ordered_shares, shares
from grokode.theory._updates import (
    ACTIVATIONS,
    activation_code,
    optimiser_settings,
    update,
)
from grokode.theory.kept import Kept
from grokode.theory.rule import TrainingRule

__all__ = ["ACTIVATIONS", "PLATEAU_MARGIN", "neuron_flow", "neuron_seconds"]

Array = NDArray[Any]

PLATEAU_MARGIN = 2.0
"""The plateau is over when the mean margin, right answer over mean logit, is this times log p.

Were all margins equal, softmax would by then give the right answer all but about 1/p of its mass,
so the residual that uniform softmax takes for one is nearly gone.
"""

_CHECK_EVERY = 50
_PROBED = 64  # neurons that tell how long all will take


def neuron_flow(
    initial: xr.Dataset,
    rule: TrainingRule,
    steps: ArrayLike,
    *,
    past_plateau: bool = False,
    dtype: str = "float64",
    stand_for: int = 1,
) -> xr.Dataset:
    """Spectrum at steps of the optimiser, every neuron moving alone.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency). With ``embedding (residue, feature)`` and ``projection
        (neuron, feature)`` theta is their product, and these are what moves; with ``theta_y
        (neuron, y)`` y has input weights of its own, and with an embedding ``projection_y``.
    rule : TrainingRule
        Any of `ACTIVATIONS`; SGD with momentum and decay, or AdamW.
    steps : integers (step,)
        Increasing, counted from the initial state.
    past_plateau : bool
        Go on although the flow's own estimate of the loss, log p - mean margin to first order in
        the logits, says that the plateau is over (see `PLATEAU_MARGIN`).
    dtype : {"float32", "float64"}
        Number format of the weights; float32, that of most trainings, takes half the time.
    stand_for : int
        Neurons of the network that each one given stands for in that estimate.

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front. Attribute ``stopped``: the step from which on the
        state is held, because the plateau was over or a neuron diverged (both looked for every 50
        steps), or -1.

    Raises
    ------
    TypeError, ValueError
        For an unknown activation, steps that are not increasing integers, or a spectrum that is not
        finite, of another p or of several networks.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> rule = TrainingRule(p=5, activation="relu", optimizer="adamw", learning_rate=1e-3)
    >>> neuron_flow(start, rule, [0, 20]).theta_hat.shape
    (2, 8, 2)
    """
    code = activation_code(rule)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    initial, asked = rule.check_network(initial), rule.check_steps(steps)
    layers = layers_of(initial, rule.p)
    if layers.features or layers.rows > rule.p:
        end = np.inf if past_plateau else PLATEAU_MARGIN * np.log(rule.p) / stand_for
        return _coupled(initial, layers, rule, asked, dtype, end)
    weights = fourier.weights(initial)
    neurons = weights.sizes["neuron"]
    lanes = _width(neurons, dtype)
    both = np.stack([weights.theta.values, weights.xi.values], axis=1).astype(dtype)
    state = _to_lanes(both, lanes)
    moments = np.zeros((2, *state.shape))
    pairs, counts = rule.unordered_pairs()
    # Indices without a sign need no test for the end they count from.
    triples = np.column_stack([pairs, pairs.sum(1) % rule.p]).astype(np.uint32)
    share = (counts / counts.sum()).astype(dtype)
    settings = optimiser_settings(rule)
    path = np.empty((len(asked), neurons, 2, rule.p))
    step, stopped = 0, -1
    _advance(state, moments, triples, share, code, settings, 0, rule.unmoved)
    for index, until in enumerate(asked):
        while step < until and stopped < 0:
            stretch = min(until, step - step % _CHECK_EVERY + _CHECK_EVERY) - step
            before = state.copy()
            done = step + rule.unmoved
            _advance(state, moments, triples, share, code, settings, done, stretch)
            margin = _mean_margins(state, triples, share, code).ravel()[:neurons].sum() * stand_for
            if not np.isfinite(state).all():
                state, stopped = before, step
            step += stretch
            if not past_plateau and margin > PLATEAU_MARGIN * np.log(rule.p):
                stopped = step
        path[index] = _from_lanes(state)[:neurons]
    dims = ("step", *(str(name) for name in initial.theta_mean.dims))
    at_steps = {"step": asked}
    result = fourier.spectrum(
        xr.DataArray(path[:, :, 0], at_steps, (*dims, "x")),
        xr.DataArray(path[:, :, 1], at_steps, (*dims, "output")),
    )
    return result.assign_coords(neuron=weights.neuron).assign_attrs(stopped=int(stopped))


class PlateauLoss:
    """The loss to first order in the logits, log p less the mean margin, and its gradient.

    Parameters
    ----------
    rule : TrainingRule
    separate : bool
        Whether theta has the input weights of x above those of y, (2 p, neuron).
    dtype : {"float32", "float64"}
    """

    def __init__(self, rule: TrainingRule, separate: bool = False, dtype: str = "float64") -> None:
        p, code = rule.p, activation_code(rule)
        share = (ordered_shares(rule) if separate else shares(rule)).astype(dtype)
        rows = np.flatnonzero(share)
        self._share, self._start = share[rows], np.log(p)
        self._residual = np.zeros((len(rows), p), dtype)
        cut = Ordered if separate else Projected
        self._cut = cut(Kept(), p, code, rows, dtype)

    def __call__(self, theta: Array, xi: Array) -> tuple[float, Array]:
        """As `grokode.theory.harmonic_flow.KeptLoss`."""
        _, margins = self._cut.forth(theta, xi)
        assert margins is not None
        gradient = self._cut.back(theta, xi, self._residual, -self._share)
        return float(self._start - self._share @ margins), gradient


def _coupled(
    initial: xr.Dataset,
    layers: Layers,
    rule: TrainingRule,
    asked: NDArray[np.int64],
    dtype: str,
    end: float,
) -> xr.Dataset:
    """The flow in the parameters that are trained, where these are not theta and xi.

    It is held from where the mean margin is above `end`.
    """
    least = np.log(rule.p) - end
    loss_of = PlateauLoss(rule, layers.rows > rule.p, dtype)
    state = layers.state(initial, dtype)
    followed = follow(layers, state, loss_of, rule, asked, over=lambda loss: loss < least)
    path = spectra_of(initial, followed, asked).drop_vars("loss")
    # A loss to first order does not halve when the network's does.
    del path.attrs["half_loss"]
    return path


def neuron_seconds(initial: xr.Dataset, rule: TrainingRule) -> float:
    """About how long a core takes to follow a training to the end of its plateau in float32.

    Neurons move alone, so a few of them tell beforehand where the plateau ends. Where they do not,
    with a learned embedding or separate inputs, the plateau is taken to last to the training's end.
    Measured to hold within a factor of two: 1.1e9 pairs of a neuron a second at p = 97, 2e8 with an
    embedding at p = 23 and 97; with separate inputs it is as long as a harmonic flow.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 512, 5)) / 10)
    >>> 0 < neuron_seconds(start, TrainingRule(p=5, learning_rate=0.01, steps=10**6)) < 1
    True
    """
    initial = rule.check_network(initial)
    neurons, pairs = initial.sizes["neuron"], len(rule.unordered_pairs()[0])
    layers = layers_of(initial, rule.p)
    if layers.rows > rule.p:
        operations = 6 * (rule.p**3 + layers.features * layers.rows)
        return (rule.steps or 0) * neurons * operations / 12e9
    if layers.features:
        return (rule.steps or 0) * neurons * rule.p * (rule.p + 1) / 2 / 2e8
    every = -(-neurons // _PROBED)
    few = initial.isel(neuron=slice(None, None, every))
    # A second of a core; a plateau that is longer yet is long enough to say so.
    reach = min(rule.steps or 0, int(1e9 / pairs / _PROBED))
    path = neuron_flow(few, rule, [reach], dtype="float32", stand_for=every)
    stopped = path.attrs["stopped"]
    return (stopped if stopped >= 0 else rule.steps or 0) * neurons * pairs / 1.1e9


@partial(parallel, fastmath={"reassoc", "contract"})
def _advance(
    state: Array,
    moments: Array,
    triples: Array,
    share: Array,
    code: int,
    settings: Array,
    first: int,
    count: int,
) -> None:
    """Take `count` steps of every neuron; `moments` carries what the optimiser remembers."""
    for block in nb.prange(len(state)):
        gradient = np.empty_like(state[block])
        weights, slopes = state[block].reshape(-1), gradient.reshape(-1)
        first_moments, second_moments = moments[0, block].reshape(-1), moments[1, block].reshape(-1)
        for step in range(first + 1, first + count + 1):
            _gradient(state[block], triples, share, code, gradient)
            update(weights, first_moments, second_moments, slopes, step, settings)


@nb.njit(cache=True, fastmath={"reassoc", "contract"})
def _gradient(weights: Array, triples: Array, share: Array, code: int, gradient: Array) -> None:
    """Gradient (layer, p, lane); triples (u, 3) are x, y and the right answer."""
    theta, by_theta, by_xi = weights[0], gradient[0], gradient[1]
    outputs = weights[1].copy()
    centre(outputs)
    values, slopes = np.empty_like(theta[0]), np.empty_like(theta[0])
    gradient[:] = 0
    for u in range(len(triples)):
        x, y, answer = triples[u, 0], triples[u, 1], triples[u, 2]
        activate(code, theta[x], theta[y], values, slopes)
        # Loops of one array written, to a length known when they run: others are not vectorised.
        out, by_out, by_one, by_two = outputs[answer], by_xi[answer], by_theta[x], by_theta[y]
        for lane in range(len(by_out)):
            by_out[lane] -= share[u] * values[lane]
        for lane in range(len(slopes)):
            slopes[lane] *= share[u] * out[lane]
        for lane in range(len(by_one)):
            by_one[lane] -= slopes[lane]
        for lane in range(len(by_two)):
            by_two[lane] -= slopes[lane]
    centre(by_xi)


@parallel
def _mean_margins(state: Array, triples: Array, share: Array, code: int) -> Array:
    """Mean over pairs of the right answer's logit above the mean logit, of every neuron."""
    margins = np.zeros((len(state), state.shape[3]))
    for block in nb.prange(len(state)):
        theta, outputs = state[block, 0], state[block, 1].copy()
        centre(outputs)
        values, slopes = np.empty_like(theta[0]), np.empty_like(theta[0])
        for u in range(len(triples)):
            activate(code, theta[triples[u, 0]], theta[triples[u, 1]], values, slopes)
            out = outputs[triples[u, 2]]
            for lane in range(len(out)):
                margins[block, lane] += share[u] * values[lane] * out[lane]
    return margins


def _width(neurons: int, dtype: str) -> int:
    """How many neurons are worked on at once, in vector registers."""
    return min(64 if dtype == "float32" else 32, -(-neurons // 8) * 8)


def _to_lanes(state: Array, lanes: int) -> Array:
    """From (neuron, layer, p) to (block, layer, p, lane), the last neuron repeated to the end."""
    missing = -len(state) % lanes
    filled = np.concatenate([state, np.repeat(state[-1:], missing, axis=0)])
    return np.ascontiguousarray(filled.reshape(-1, lanes, *state.shape[1:]).transpose(0, 2, 3, 1))


def _from_lanes(state: Array) -> Array:
    """From (block, layer, p, lane) to (neuron, layer, p), the repeated ones included."""
    return state.transpose(0, 3, 1, 2).reshape(-1, *state.shape[1:3])
