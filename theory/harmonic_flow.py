"""The whole training of a network that feels some Fourier modes of its logits only.

Of the logits f(x, y)[j] a projection P keeps some modes (see `grokode.theory.kept`), and Q the part
along the right answer of every pair, its margin. The kept logits are T f = P f + Q (1 - P) f, and
the flow is the gradient flow of the loss of T f by the network's own optimiser: neurons see
T* R = P R + Q R - P Q R, R the residual of softmax T f on the training pairs. Any activation,
optimiser, decay and training set.

On the plateau R lies in the range of Q, so T* R = R and neurons move as in the neuron flow, exactly;
with all modes kept it is the network.

A step costs 36 D p^2 + 3 p^2 / 2 or so operations a neuron, D the number of directions (i, l) that
hold the modes (see `grokode.theory._truncation`; 1 for rows, 9 for order 3), where the network's
costs 3 p^3; the symmetric part takes 2 p^3.
"""

from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory import fourier
from grokode.theory._projections import (
    all_pairs,
    block_width,
    hidden_values,
    project,
    pull_back,
)
from grokode.theory._truncation import Lines, Planes, Symmetric, directions_of
from grokode.theory.kept import DEFAULT, Kept, parse_kept
from grokode.theory._updates import activation_code, optimiser_settings, update
from grokode.theory.rule import TrainingRule

__all__ = ["KeptLoss", "harmonic_flow"]

Array = NDArray[Any]


def harmonic_flow(
    initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike, *, keep: str = DEFAULT
) -> xr.Dataset:
    """Spectrum at steps of the optimiser, the network feeling the kept modes of its logits only.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency).
    rule : TrainingRule
        Any of `grokode.theory._updates.ACTIVATIONS`; SGD with momentum and decay, or AdamW.
    steps : integers (step,)
        Increasing, counted from the initial state.
    keep : str
        What is kept, see `grokode.theory.kept.parse_kept`.

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front. ``loss (step)`` is the mean cross-entropy of the
        kept logits on the training pairs. Attributes ``half_loss``: the first step at which it is
        at most half of what it was, or -1; ``stopped``: the step from which on the state is held,
        because the flow diverged, or -1.

    Raises
    ------
    TypeError, ValueError
        For an unknown activation or set of modes, steps that are not increasing integers, or a
        spectrum that is not finite, of another p or of several networks.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> rule = TrainingRule(p=5, activation="relu", optimizer="adamw", learning_rate=1e-2)
    >>> path = harmonic_flow(start, rule, [0, 200], keep="rows+1")
    >>> bool(path.loss[1] < path.loss[0])
    True
    """
    kept = parse_kept(keep)
    initial, asked = rule.check_network(initial), rule.check_steps(steps)
    weights = fourier.weights(initial)
    loss_of = KeptLoss(rule, kept)
    neurons = weights.sizes["neuron"]
    state = np.zeros((2, rule.p, neurons + -neurons % block_width(neurons)))
    state[0, :, :neurons], state[1, :, :neurons] = weights.theta.T, weights.xi.T
    moments, settings = np.zeros((2, *state.shape)), optimiser_settings(rule)
    path, losses = np.empty((len(asked), 2, rule.p, neurons)), np.empty(len(asked))
    step, stopped, half_loss = 0, -1, -1
    with np.errstate(all="ignore"):
        loss, gradient = loss_of(*state)
        first = loss
        for index, until in enumerate(asked):
            while step < until and stopped < 0:
                before = state.copy()
                _update(state, moments, gradient, step + 1, settings)
                loss, gradient = loss_of(*state)
                if not np.isfinite(loss):
                    state, stopped = before, step
                    break
                step += 1
                if half_loss < 0 and loss <= first / 2:
                    half_loss = step
            path[index], losses[index] = state[:, :, :neurons], loss
    dims = ("step", *(str(name) for name in initial.theta_mean.dims))
    at_steps = {"step": asked}
    result = fourier.spectrum(
        xr.DataArray(path[:, 0].swapaxes(1, 2), at_steps, (*dims, "x")),
        xr.DataArray(path[:, 1].swapaxes(1, 2), at_steps, (*dims, "output")),
    )
    return (
        result.assign(loss=("step", losses))
        .assign_coords(neuron=weights.neuron)
        .assign_attrs(stopped=stopped, half_loss=half_loss)
    )


class KeptLoss:
    """Mean cross-entropy of the kept logits, and its gradient, written out.

    Parameters
    ----------
    rule : TrainingRule
    kept : Kept
    """

    def __init__(self, rule: TrainingRule, kept: Kept) -> None:
        p = self._p = rule.p
        self._code = activation_code(rule)
        self._pairs = all_pairs(p)
        share = _shares(rule, p)
        self._rows = np.flatnonzero(share)
        self._share = share[self._rows]
        self._answers = self._rows % p
        self._index = np.arange(len(self._rows))
        trained = self._pairs[self._rows]
        directions, places = directions_of(kept, p)
        forth = self._pairs @ np.array(directions, dtype=np.int64).reshape(-1, 2).T % p
        back = self._pairs[:, ::-1] @ np.array(directions, dtype=np.int64).reshape(-1, 2).T % p
        self._targets = np.stack([forth, back], axis=2).astype(np.uint32)
        self._unsigned = self._pairs.astype(np.uint32)
        self._halves = np.where(self._pairs[:, 0] == self._pairs[:, 1], 0.5, 1.0)
        self._room: dict[str, Array] = {}
        count = len(directions)
        self._planes = Planes(kept, places, count, trained, p) if kept.planes else None
        self._lines = Lines(kept, places, count, trained, p) if kept.reach >= 0 else None
        self._symmetric = Symmetric(kept, trained, p) if "symmetric" in kept.sets else None
        self._margins = kept.margins
        angles = 2 * np.pi / p * np.outer(np.arange(1, (p + 1) // 2), np.arange(p))
        self._waves = np.concatenate([np.cos(angles), -np.sin(angles)])

    def __call__(self, theta: Array, xi: Array) -> tuple[float, Array]:
        """Loss, and gradient (2, p, neuron) by theta and xi, each (p, neuron).

        The gradient's place is written to again by the next call.
        The number of neurons must be a multiple of its `block_width`.
        """
        directions, (p, neurons) = self._targets.shape[1], theta.shape
        width = block_width(neurons)
        kernel = (theta, xi, self._unsigned, self._targets, self._halves, self._code, width)
        projections = self._space("projections", directions, p, neurons)
        margins = self._space("margins", neurons // width, len(self._pairs) * self._margins)
        project(*kernel, projections, margins)
        flat = projections.reshape(-1, neurons)
        W = (flat @ xi.T).reshape(directions, p, p)
        moments = None
        if self._symmetric is not None:
            hidden = self._space("hidden", len(self._pairs), neurons)
            hidden_values(theta, self._unsigned, self._code, width, hidden)
            moments, waves = self._symmetric.moments(hidden, xi)
        loss, residual = self._residual(self._logits(W, moments, margins.sum(0)))
        by_W, by_margins, by_moments = self._back(residual)
        gradient = self._space("gradient", 2, p, neurons)
        np.matmul(by_W.reshape(-1, p).T, flat, out=gradient[1])
        by_hidden = np.empty((0, neurons))
        if self._symmetric is not None:
            by_hidden, by_xi = self._symmetric.pull_back(by_moments, waves)
            gradient[1] += by_xi
        # The projections are used up; their place is taken.
        np.matmul(by_W.reshape(-1, p), xi, out=flat)
        pull_back(*kernel, projections, by_margins, by_hidden, gradient)
        return loss, gradient

    def _space(self, name: str, *shape: int) -> Array:
        """Room for an array, the same at every call: fresh pages cost as much as filling them."""
        if name not in self._room or self._room[name].shape != shape:
            self._room[name] = np.empty(shape)
        return self._room[name]

    def _logits(self, W: Array, moments: Array | None, margins: Array) -> Array:
        """Kept logits of the training pairs, (u, p)."""
        logits = np.zeros((len(self._rows), self._p))
        if self._planes is not None:
            logits += self._planes.logits(W)
        spectrum = None
        if self._lines is not None:
            spectrum = self._lines.spectrum(W)
        if self._symmetric is not None:
            symmetric = self._symmetric.spectrum(moments)
            spectrum = symmetric if spectrum is None else spectrum + symmetric
        if spectrum is not None:
            logits += np.concatenate([spectrum.real, spectrum.imag]).T @ self._waves
        if self._margins:
            own = logits[self._index, self._answers] - logits.mean(1)
            logits[self._index, self._answers] += (margins[self._rows] - own) / (1 - 1 / self._p)
        return logits

    def _residual(self, logits: Array) -> tuple[float, Array]:
        """Loss, and its derivative by the logits."""
        logits -= logits.max(1, keepdims=True)
        at_answers = logits[self._index, self._answers]
        residual = np.exp(logits, out=logits)
        total = residual.sum(1)
        loss = float(self._share @ (np.log(total) - at_answers))
        residual *= (self._share / total)[:, None]
        residual[self._index, self._answers] -= self._share
        return loss, residual

    def _back(self, residual: Array) -> tuple[Array, Array, Array | None]:
        """Derivatives by W, by the margins of all pairs, and by the symmetric part's moments."""
        p = self._p
        by_margins = np.empty(0)
        if self._margins:
            by_margins = np.zeros(len(self._pairs))
            force = residual[self._index, self._answers] / (1 - 1 / p)
            by_margins[self._rows] = force
            residual += force[:, None] / p
            residual[self._index, self._answers] -= force
        by_W = np.zeros((self._targets.shape[1], p, p))
        if self._planes is not None:
            self._planes.back(residual, by_W)
        by_moments = None
        if self._lines is not None or self._symmetric is not None:
            parts = self._waves @ residual.T
            by_spectrum = parts[: len(parts) // 2] + 1j * parts[len(parts) // 2 :]
            if self._lines is not None:
                self._lines.back(by_spectrum, by_W)
            if self._symmetric is not None:
                by_moments = self._symmetric.back(by_spectrum)
        return by_W, by_margins, by_moments


def _shares(rule: TrainingRule, p: int) -> Array:
    """Part of the training set that every unordered pair is."""
    pairs, counts = rule.unordered_pairs()
    t = pairs.sum(1) % p
    d = (p + 1) // 2 * (pairs[:, 0] - pairs[:, 1]) % p
    share = np.zeros(p * (p + 1) // 2)
    share[np.minimum(d, p - d) * p + t] = counts / counts.sum()
    return share


@nb.njit(cache=True)
def _update(state: Array, moments: Array, gradient: Array, step: int, settings: Array) -> None:
    first, second = moments[0].reshape(-1), moments[1].reshape(-1)
    update(state.reshape(-1), first, second, gradient.reshape(-1), step, settings)
