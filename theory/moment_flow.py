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

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory._parallel import parallel
from grokode.theory.rule import TrainingRule

__all__ = ["Waves", "clock_flow", "moment_flow"]

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


@parallel
def _step(
    state: Array, forces: Array, rate: float, keep: float, moved: Array, moments: Array
) -> None:
    """One Euler step into moved, and what it leaves of the moments in each block of neurons.

    States (4, neuron, frequency) hold real and imaginary part of A, then of B; forces (6,
    frequency) and moments (block, 6, frequency) those of F0, F+, F- and of mu0, mu+, mu-.
    """
    for block in nb.prange(len(moments)):
        sums = np.zeros(moments.shape[1:])
        for m in range(block * _BLOCK, min((block + 1) * _BLOCK, state.shape[1])):
            for k in range(state.shape[2]):
                a, b, c, d = state[0, m, k], state[1, m, k], state[2, m, k], state[3, m, k]
                r0, i0, r1, i1 = forces[0, k], forces[1, k], forces[2, k], forces[3, k]
                r2, i2 = forces[4, k], forces[5, k]
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
                moved[0, m, k], moved[1, m, k], moved[2, m, k], moved[3, m, k] = A0, A1, B0, B1
                size, re, im = A0 * A0 + A1 * A1, A0 * A0 - A1 * A1, 2 * A0 * A1
                sums[0, k] += size * B0
                sums[1, k] += size * B1
                sums[2, k] += re * B0 - im * B1
                sums[3, k] += re * B1 + im * B0
                sums[4, k] += re * B0 + im * B1
                sums[5, k] += im * B0 - re * B1
        moments[block] = sums


def _follow(
    initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike, *, clocks: bool
) -> xr.Dataset:
    rule.require(activation="quadratic", optimizer="sgd", momentum=0.0)
    initial, asked = rule.check_network(initial), rule.check_steps(steps)
    waves = Waves.of(rule, by_difference=clocks)
    A, B = initial.theta_hat.values, initial.xi_hat.values
    state = np.stack([A.real, A.imag, B.real, B.imag])
    moved = np.empty_like(state)
    moments = np.empty((-(-len(A) // _BLOCK), 6, A.shape[1]))

    def advance(forces: Array, rate: float) -> tuple[float, Array]:
        """Step into ``moved``; loss and parts of the forces (6, frequency) there."""
        _step(state, forces, 2 / rule.p * rate, 1 - rate * rule.weight_decay, moved, moments)
        sums = moments.sum(0)
        mu = sums[::2] + 1j * sums[1::2]
        if clocks:
            mu = np.stack([0 * mu[0], 0 * mu[0], mu[2].real])
        loss, *felt = waves.forces(waves.logits(*mu))
        if clocks:
            felt = [0 * felt[0], 0 * felt[1], felt[2].real]
        return loss, np.stack([part for F in felt for part in (F.real, F.imag)])

    path = np.empty((2, asked.size, *A.shape), dtype=complex)
    losses = np.empty(asked.size)
    step, stopped = 0, -1
    loss, forces = advance(np.zeros(moments.shape[1:]), 0.0)
    for index, until in enumerate(asked):
        while step < until and stopped < 0:
            rate = rule.learning_rate * float(rule.risen(step))
            with np.errstate(over="ignore", invalid="ignore"):
                following = advance(forces, rate)
            # NaN, too, anywhere in the state makes the loss NaN.
            if not np.isfinite(following[0]):
                stopped = step
                break
            state, moved, (loss, forces) = moved, state, following
            step += 1
        path[:, index] = state[0] + 1j * state[1], state[2] + 1j * state[3]
        losses[index] = loss
    dims = ("step", *initial.theta_hat.dims)
    return (
        initial.assign(theta_hat=(dims, path[0]), xi_hat=(dims, path[1]), loss=("step", losses))
        .assign_coords(step=("step", asked))
        .assign_attrs(stopped=stopped)
    )
