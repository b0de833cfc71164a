"""The whole training of a quadratic network, plateau and drop, through three moments a frequency.

Without the cross-frequency terms inside a neuron, the network acts through

    mu0 = sum_m |A|^2 B,    mu+ = sum_m A^2 B,    mu- = sum_m A^2 conj(B),

and with s = e^{iwx} + e^{iwy} its logits are

    f(x, y)[j] = sum_k Re[ (|s|^2 mu0 / 2 + s^2 mu+ / 4) e^{iwj} + (s^2 mu- / 4) e^{-iwj} ].

The residual R = (1(j = x+y) - softmax f) / n pulls on the tickets through three forces,

    F0 = sum R |s|^2 e^{iwj} / 2,    F+ = sum R s^2 e^{iwj} / 4,    F- = sum R s^2 e^{-iwj} / 4,
    dA/dt = (2/p) [ 2 A Re(F0 B) + 2 conj(A) conj(F+ B + F- conj(B)) ]
    dB/dt = (2/p) [ F- A^2 + conj(F0) |A|^2 + conj(F+) conj(A)^2 ],

in time of the mean loss. On the plateau F- = 1/2 and the others vanish: the four-variable flow.
Full diversification keeps the real part of mu- and of F- alone; then every frequency's tickets
follow the four-variable flow with a common clock that runs at rate 2 F- in [0, 1].

Each SGD step is one Euler step of this flow, as it is for the network.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory._parallel import one_thread_below, parallel
from grokode.theory.rule import TrainingRule

__all__ = ["Waves", "clock_flow", "flow_for", "moment_flow", "moment_seconds"]

Array = NDArray[Any]


def moment_flow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
    """Spectrum at steps of SGD, following the three moments of every frequency.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency).
    rule : TrainingRule
        SGD without momentum, quadratic activation.
    steps : integers (step,)
        Increasing, counted from the initial state.

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front; means do not move. ``loss (step)`` is the mean
        cross-entropy of the flow's own logits. Attribute ``stopped``: the step from which on the
        state is held, because the flow diverged, or -1.

    Raises
    ------
    TypeError, ValueError
        For another activation or optimiser, steps that are not increasing integers, or a spectrum
        that is not finite, of another p or of several networks.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> path = moment_flow(start, TrainingRule(p=5, learning_rate=0.5), [0, 3000])
    >>> bool(path.loss[1] < path.loss[0])
    True
    """
    return _follow(initial, rule, steps, clocks=False)


def clock_flow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike) -> xr.Dataset:
    """As `moment_flow`, with a fully diversified network: one clock a frequency.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> path = clock_flow(start, TrainingRule(p=5, learning_rate=0.5), [0, 3000])
    >>> bool(path.loss[1] < path.loss[0])
    True
    """
    return _follow(initial, rule, steps, clocks=True)


@dataclass(frozen=True)
class Waves:
    """The waves of all training pairs, unordered, as matrices over (pair, wave).

    Parameters
    ----------
    basis : array (pair, 3 K)
        |s|^2, and real and imaginary part of s^2, of every frequency.
    outputs : complex array (frequency, p), e^{iwj}
    answers : integers (pair)
    share : array (pair), part of the training set that each unordered pair is
    """

    basis: Array
    outputs: Array
    answers: Array
    share: Array

    @classmethod
    def of(cls, rule: TrainingRule, *, by_difference: bool = False) -> "Waves":
        """The waves of a rule's training pairs.

        Logits of clocks depend on x - y and x + y - j alone, so that a pair of each difference,
        with the share of all those of its difference, stands for them.
        """
        pairs, counts = rule.unordered_pairs()
        if by_difference:
            gaps = pairs[:, 1] - pairs[:, 0]
            gaps = np.minimum(gaps, rule.p - gaps)
            counts = np.bincount(gaps, counts, (rule.p + 1) // 2)
            pairs = np.stack([np.zeros(len(counts), int), np.arange(len(counts))], -1)
        w = 2j * np.pi / rule.p * np.arange(1, (rule.p + 1) // 2)
        s = np.exp(w * pairs[:, :1]) + np.exp(w * pairs[:, 1:])
        squares = s**2
        return cls(
            basis=np.concatenate([np.abs(s) ** 2, squares.real, squares.imag], axis=1),
            outputs=np.exp(w[:, None] * np.arange(rule.p)),
            answers=pairs.sum(-1) % rule.p,
            share=counts / counts.sum(),
        )

    def logits(self, mu0: Array, mu_plus: Array, mu_minus: Array) -> Array:
        """Logits (pair, p) of the three moments (frequency)."""
        still, turning, counter = (
            mu[:, None] * wave
            for mu, wave in (
                (mu0 / 2, self.outputs),
                (mu_plus / 4, self.outputs),
                (mu_minus / 4, self.outputs.conj()),
            )
        )
        both = turning + counter
        return self.basis @ np.concatenate([still.real, both.real, -both.imag])

    def forces(self, logits: Array) -> tuple[float, Array, Array, Array]:
        """Loss, and the forces F0, F+, F- (frequency) of the logits' residual; logits are lost."""
        rows = np.arange(len(logits))
        logits -= logits.max(-1, keepdims=True)
        right = logits[rows, self.answers]
        residual = np.exp(logits, out=logits)
        total = residual.sum(-1)
        loss = self.share @ (np.log(total) - right)
        residual *= (-self.share / total)[:, None]
        residual[rows, self.answers] += self.share
        still, *squares = np.split(self.basis.T @ residual, 3)
        square = squares[0] + 1j * squares[1]
        return (
            float(loss),
            (still * self.outputs).sum(1) / 2,
            (square * self.outputs).sum(1) / 4,
            (square * self.outputs.conj()).sum(1) / 4,
        )


_BLOCK = 64  # neurons a thread takes at once
_TOLERANCE = 1e-4  # error of one step, relative to the largest part of the state


@parallel
def _step(
    state: Array,
    forces: Array,
    rate: float,
    keep: float,
    base: Array,
    mix: float,
    moved: Array,
    moments: Array,
) -> None:
    """One Euler step plus mix times base into moved, and what blocks of neurons add to the moments.

    States (4, neuron, frequency) hold real and imaginary part of A, then of B; forces (6,
    frequency) and moments (block, 6, frequency) those of F0, F+, F- and of mu0, mu+, mu-.
    """
    for block in nb.prange(len(moments)):
        sums = np.zeros(moments.shape[1:])
        # Rows of their own let the compiler work on several frequencies at once.
        s0, s1, s2, s3, s4, s5 = sums
        f0, f1, f2, f3, f4, f5 = forces
        for m in range(block * _BLOCK, min((block + 1) * _BLOCK, state.shape[1])):
            q0, q1, q2, q3 = state[0, m], state[1, m], state[2, m], state[3, m]
            n0, n1, n2, n3 = moved[0, m], moved[1, m], moved[2, m], moved[3, m]
            for k in range(len(q0)):
                a, b, c, d = q0[k], q1[k], q2[k], q3[k]
                r0, i0, r1, i1, r2, i2 = f0[k], f1[k], f2[k], f3[k], f4[k], f5[k]
                size, re, im = a * a + b * b, a * a - b * b, 2 * a * b
                # A 2 Re(F0 B) + 2 conj(A) conj(F+ B + F- conj(B)), with u + iv in the brackets
                pull = r0 * c - i0 * d
                u = r1 * c - i1 * d + r2 * c + i2 * d
                v = r1 * d + i1 * c + i2 * c - r2 * d
                # F- A^2 + conj(F0) |A|^2 + conj(F+ A^2)
                x = r2 * re - i2 * im + r0 * size + r1 * re - i1 * im
                y = r2 * im + i2 * re - i0 * size - r1 * im - i1 * re
                A0 = keep * a + rate * 2 * (a * pull + a * u - b * v)
                A1 = keep * b + rate * 2 * (b * pull - a * v - b * u)
                B0, B1 = keep * c + rate * x, keep * d + rate * y
                n0[k], n1[k], n2[k], n3[k] = A0, A1, B0, B1
            if mix > 0:
                for part in range(4):
                    moved[part, m] += mix * base[part, m]
            for k in range(len(q0)):
                A0, A1, B0, B1 = n0[k], n1[k], n2[k], n3[k]
                size, re, im = A0 * A0 + A1 * A1, A0 * A0 - A1 * A1, 2 * A0 * A1
                s0[k] += size * B0
                s1[k] += size * B1
                s2[k] += re * B0 - im * B1
                s3[k] += re * B1 + im * B0
                s4[k] += re * B0 + im * B1
                s5[k] += im * B0 - re * B1
        moments[block] = sums


class _Flow:
    """The flow of a rule from a start, or that of its clocks, in Euler steps."""

    def __init__(self, initial: xr.Dataset, rule: TrainingRule, clocks: bool) -> None:
        rule.require(activation="quadratic", optimizer="sgd", momentum=0.0)
        self._waves = Waves.of(rule, by_difference=clocks)
        self._p, self._clocks = rule.p, clocks
        A, B = initial.theta_hat.values, initial.xi_hat.values
        self.start = np.stack([A.real, A.imag, B.real, B.imag])
        self._moments = np.empty((-(-len(A) // _BLOCK), 6, A.shape[1]))
        still = np.zeros(self._moments.shape[1:])
        self.loss, self.forces = self.step(self.start, still, 0.0, np.empty_like(self.start))

    def step(
        self,
        state: Array,
        forces: Array,
        rate: float,
        moved: Array,
        keep: float = 1.0,
        base: Array | None = None,
        mix: float = 0.0,
    ) -> tuple[float, Array]:
        """Step into ``moved``, see `_step`; loss and parts of the forces (6, frequency) there."""
        base = state if base is None else base
        with np.errstate(over="ignore", invalid="ignore"):
            _step(state, forces, 2 / self._p * rate, keep, base, mix, moved, self._moments)
            sums = self._moments.sum(0)
            mu = sums[::2] + 1j * sums[1::2]
            if self._clocks:
                mu = np.stack([0 * mu[0], 0 * mu[0], mu[2].real])
            loss, *felt = self._waves.forces(self._waves.logits(*mu))
        if self._clocks:
            felt = [0 * felt[0], 0 * felt[1], felt[2].real]
        return loss, np.stack([part for F in felt for part in (F.real, F.imag)])


def _follow(
    initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike, *, clocks: bool
) -> xr.Dataset:
    initial, asked = rule.check_network(initial), rule.check_steps(steps)
    flow = _Flow(initial, rule, clocks)
    state, loss, forces = flow.start, flow.loss, flow.forces
    moved = np.empty_like(state)
    path, losses = np.empty((4, asked.size, *state.shape[1:])), np.empty(asked.size)
    step, stopped = 0, -1
    with one_thread_below(state.size):
        for index, until in enumerate(asked):
            while step < until and stopped < 0:
                rate = rule.learning_rate * float(rule.risen(step))
                following = flow.step(state, forces, rate, moved, 1 - rate * rule.weight_decay)
                # NaN, too, anywhere in the state makes the loss NaN.
                if not np.isfinite(following[0]):
                    stopped = step
                    break
                state, moved, (loss, forces) = moved, state, following
                step += 1
            path[:, index], losses[index] = state, loss
    dims = ("step", *initial.theta_hat.dims)
    return (
        _with_state(initial, dims, path)
        .assign(loss=("step", losses))
        .assign_coords(step=("step", asked))
        .assign_attrs(stopped=stopped)
    )


def flow_for(initial: xr.Dataset, rule: TrainingRule, time: float, *, clocks: bool) -> xr.Dataset:
    """Spectrum after a time of the flow itself, whatever the learning rate and the steps.

    Runge-Kutta of order 3 made of three Euler steps (Shu and Osher 1988), their length chosen by
    the difference from the one of order 2 that they hold.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency).
    rule : TrainingRule
        What is asked of `moment_flow`; decay and warm-up are left out.
    time : float
        Of the mean loss, not negative.
    clocks : bool
        Whether as `clock_flow`.

    Raises
    ------
    TypeError, ValueError
        As `moment_flow`, or for a time that is negative or not finite.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> steps = moment_flow(start, TrainingRule(p=5, learning_rate=0.01), [10_000]).isel(step=0)
    >>> whole = flow_for(start, TrainingRule(p=5), 100.0, clocks=False)
    >>> bool(abs(whole.xi_hat - steps.xi_hat).max() < 1e-3 * abs(whole.xi_hat).max())
    True
    """
    if not 0 <= time < np.inf:
        raise ValueError(f"time must be at least 0 and finite, got {time}")
    initial = rule.check_network(initial)
    flow = _Flow(initial, rule, clocks)
    state, forces = flow.start, flow.forces
    one, two, three = (np.empty_like(state) for _ in range(3))
    gone, ahead = 0.0, time / 100
    with one_thread_below(state.size):
        while gone < time:
            ahead = min(ahead, time - gone)
            _, at_one = flow.step(state, forces, ahead, one)
            _, at_two = flow.step(one, at_one, ahead / 4, two, 1 / 4, state, 3 / 4)
            _, at_three = flow.step(two, at_two, 2 * ahead / 3, three, 2 / 3, state, 1 / 3)
            # 2 two - state is the step of order 2.
            size = max(np.abs(three).max(), np.finfo(float).tiny)  # of weights that are all 0
            error = np.abs(three - 2 * two + state).max() / size
            if error <= _TOLERANCE:
                state, three, forces, gone = three, state, at_three, gone + ahead
            elif gone + ahead / 5 == gone:
                raise ArithmeticError(f"the flow diverged at time {gone} of {time}")
            ahead *= min(5.0, max(0.2, 0.9 * (_TOLERANCE / max(error, 1e-9)) ** (1 / 3)))
    return _with_state(initial, initial.theta_hat.dims, state)


def moment_seconds(initial: xr.Dataset, rule: TrainingRule, *, clocks: bool) -> float:
    """About how long a core takes to follow a training by `moment_flow`, or by `clock_flow`.

    Measured at p = 97 to hold within a factor of two: 16e-9 s a ticket, 40e-9 s a logit.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> start = fourier.spectrum(*np.ones((2, 512, 23)))
    >>> 2 < moment_seconds(start, TrainingRule(p=23, steps=10_000), clocks=False) < 4
    True
    """
    initial = rule.check_network(initial)
    logits = rule.p * ((rule.p + 1) // 2 if clocks else len(rule.unordered_pairs()[0]))
    return (rule.steps or 0) * (initial.theta_hat.size * 16e-9 + logits * 40e-9)


def _with_state(initial: xr.Dataset, dims: tuple[Hashable, ...], state: Array) -> xr.Dataset:
    return initial.assign(
        theta_hat=(dims, state[0] + 1j * state[1]), xi_hat=(dims, state[2] + 1j * state[3])
    )
