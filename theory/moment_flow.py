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

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

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
    return _follow(initial, rule, steps, _all_moments)


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
    return _follow(initial, rule, steps, _clocks)


@dataclass(frozen=True)
class Waves:
    """The waves of all training pairs, unordered, as matrices over (pair, frequency).

    Parameters
    ----------
    squares : complex array (pair, frequency), s^2
    sizes : array (pair, frequency), |s|^2
    outputs : complex array (frequency, p), e^{iwj}
    answers : integers (pair)
    share : array (pair), part of the training set that each unordered pair is
    """

    squares: Array
    sizes: Array
    outputs: Array
    answers: Array
    share: Array

    @classmethod
    def of(cls, rule: TrainingRule) -> "Waves":
        """The waves of a rule's training pairs."""
        pairs, counts = rule.unordered_pairs()
        w = 2j * np.pi / rule.p * np.arange(1, (rule.p + 1) // 2)
        s = np.exp(w * pairs[:, :1]) + np.exp(w * pairs[:, 1:])
        return cls(
            squares=s**2,
            sizes=np.abs(s) ** 2,
            outputs=np.exp(w[:, None] * np.arange(rule.p)),
            answers=pairs.sum(-1) % rule.p,
            share=counts / counts.sum(),
        )

    def logits(self, mu0: Array, mu_plus: Array, mu_minus: Array) -> Array:
        """Logits (pair, p) of the three moments (frequency)."""
        waves = (
            self.sizes * mu0 / 2 + self.squares * mu_plus / 4 + np.conj(self.squares * mu_minus) / 4
        )
        return waves.real @ self.outputs.real - waves.imag @ self.outputs.imag

    def forces(self, logits: Array) -> tuple[float, Array, Array, Array]:
        """Loss, and the forces F0, F+, F- (frequency) of the logits' residual."""
        top = logits.max(-1, keepdims=True)
        exponentials = np.exp(logits - top)
        total = exponentials.sum(-1, keepdims=True)
        rows = np.arange(len(logits))
        loss = self.share @ (np.log(total) + top)[:, 0] - self.share @ logits[rows, self.answers]
        residual = -exponentials / total
        residual[rows, self.answers] += 1
        residual *= self.share[:, None]
        waves = residual @ self.outputs.real.T + 1j * (residual @ self.outputs.imag.T)
        return (
            float(loss),
            (self.sizes * waves).sum(0) / 2,
            (self.squares * waves).sum(0) / 4,
            (self.squares * waves.conj()).sum(0) / 4,
        )


def _all_moments(waves: Waves, A: Array, B: Array) -> tuple[float, Array, Array]:
    """Loss, dA/dt and dB/dt of the moment flow."""
    squares, sizes, conj_B = A * A, np.abs(A) ** 2, B.conj()
    moments = ((sizes * B).sum(0), (squares * B).sum(0), (squares * conj_B).sum(0))
    loss, F0, F_plus, F_minus = waves.forces(waves.logits(*moments))
    dA = A * 2 * (F0 * B).real + 2 * A.conj() * (F_plus * B + F_minus * conj_B).conj()
    dB = F_minus * squares + F0.conj() * sizes + (F_plus * squares).conj()
    return loss, dA, dB


def _clocks(waves: Waves, A: Array, B: Array) -> tuple[float, Array, Array]:
    """Loss, dA/dt and dB/dt with c = Re mu- alone."""
    squares = A * A
    none = np.zeros(A.shape[-1])
    signal = (squares * B.conj()).real.sum(0)
    loss, _, _, F_minus = waves.forces(waves.logits(none, none, signal))
    return loss, 2 * F_minus.real * A.conj() * B, F_minus.real * squares


def _follow(initial: xr.Dataset, rule: TrainingRule, steps: ArrayLike, rates: Any) -> xr.Dataset:
    rule.require(activation="quadratic", optimizer="sgd", momentum=0.0)
    initial, asked = rule.check_network(initial), rule.check_steps(steps)
    waves = Waves.of(rule)
    A, B = initial.theta_hat.values, initial.xi_hat.values
    path = np.empty((2, asked.size, *A.shape), dtype=complex)
    losses = np.empty(asked.size)
    step, stopped = 0, -1
    loss, dA, dB = rates(waves, A, B)
    for index, until in enumerate(asked):
        while step < until and stopped < 0:
            rate = rule.learning_rate * float(rule.risen(step))
            advance, keep = 2 / rule.p * rate, 1 - rate * rule.weight_decay
            moved = keep * A + advance * dA, keep * B + advance * dB
            with np.errstate(over="ignore", invalid="ignore"):
                following = rates(waves, *moved)
            # NaN, too, anywhere in the state makes the loss NaN.
            if not np.isfinite(following[0]):
                stopped = step
                break
            (A, B), (loss, dA, dB) = moved, following
            step += 1
        path[:, index] = A, B
        losses[index] = loss
    dims = ("step", *initial.theta_hat.dims)
    return (
        initial.assign(theta_hat=(dims, path[0]), xi_hat=(dims, path[1]), loss=("step", losses))
        .assign_coords(step=("step", asked))
        .assign_attrs(stopped=stopped)
    )
