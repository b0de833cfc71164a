"""The whole training of a network that feels some Fourier modes of its logits only.

Of the logits f(x, y)[j] a projection P keeps some modes (see `grokode.theory.kept`), and Q the part
along the right answer of every pair, its margin. The kept logits are T f = P f + Q (1 - P) f, and
the flow is the gradient flow of the loss of T f by the network's own optimiser: neurons see
T* R = P R + Q R - P Q R, R the residual of softmax T f on the training pairs. Any activation,
optimiser, decay and training set.

On the plateau R lies in the range of Q, so T* R = R and neurons move as in the neuron flow.
With all modes kept, which order K = (p - 1) / 2 does for prime p, it is the network.

A step costs about 8 D p^2 operations a neuron, where the network's costs 3 p^3. D is the number of
directions (i, l) that hold the modes (see `grokode.theory._truncation`): 1 for rows, 9 for order 3.
Slants, the symmetric part and separate inputs cost what the network does, and two Fourier
transforms of its logits. With a learned embedding the flow is that of embedding and projection:
through them the neurons are coupled, and theta alone says neither where they go nor when.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory._ordered import Ordered
from grokode.theory._trained import follow, layers_of, spectra_of
from grokode.theory._truncation import Projected, Whole, directions_of, ordered_shares, shares
from grokode.theory._updates import activation_code
from grokode.theory.kept import DEFAULT, Kept, parse_kept
from grokode.theory.rule import TrainingRule

__all__ = ["KeptLoss", "harmonic_flow", "harmonic_seconds"]

Array = NDArray[Any]


def harmonic_flow(
    initial: xr.Dataset,
    rule: TrainingRule,
    steps: ArrayLike,
    *,
    keep: str = DEFAULT,
    dtype: str = "float64",
) -> xr.Dataset:
    """Spectrum at steps of the optimiser, the network feeling the kept modes of its logits only.

    Parameters
    ----------
    initial : Dataset
        Spectrum (neuron, frequency). With ``embedding (residue, feature)`` and ``projection
        (neuron, feature)`` theta is their product, and these are what moves; with ``theta_y
        (neuron, y)`` y has input weights of its own, and with an embedding ``projection_y``.
    rule : TrainingRule
        Any of `grokode.theory._updates.ACTIVATIONS`; SGD with momentum and decay, or AdamW.
    steps : integers (step,)
        Increasing, counted from the initial state.
    keep : str
        What is kept, see `grokode.theory.kept.parse_kept`.
    dtype : {"float32", "float64"}
        Number format of the weights; trainings themselves are most often in float32, which takes
        half the time.

    Returns
    -------
    Dataset
        Spectrum with dimension ``step`` in front, and ``theta_y`` if there was one. ``loss (step)``
        is the mean cross-entropy of the kept logits on the training pairs. Attributes
        ``half_loss``: the first step at which it is at most half of what it was, or -1;
        ``stopped``: the step from which on the state is held, because the flow diverged, or -1.

    Raises
    ------
    TypeError, ValueError
        For an unknown activation or set of modes, steps that are not increasing integers, or a
        spectrum that is not finite, of another p or of several networks.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 8, 5)) / 10)
    >>> rule = TrainingRule(p=5, activation="relu", optimizer="adamw", learning_rate=1e-2)
    >>> path = harmonic_flow(start, rule, [0, 200], keep="rows+1")
    >>> bool(path.loss[1] < path.loss[0])
    True
    """
    kept = parse_kept(keep)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    initial, asked = rule.check_network(initial), rule.check_steps(steps)
    layers = layers_of(initial, rule.p)
    loss_of = KeptLoss(rule, kept, dtype, separate=layers.rows > rule.p)
    return spectra_of(
        initial, follow(layers, layers.state(initial, dtype), loss_of, rule, asked), asked
    )


def harmonic_seconds(initial: xr.Dataset, rule: TrainingRule, keep: str = DEFAULT) -> float:
    """About how long a core takes to follow a training to its end in float32.

    Measured at p = 23 and 97 to hold within a factor of two: 12e9 operations a second; with an
    embedding or separate inputs at p = 23 alone.

    Examples
    --------
    >>> from grokode.theory import fourier
    >>> rng = np.random.default_rng(0)
    >>> start = fourier.spectrum(*rng.normal(size=(2, 512, 23)))
    >>> rule = TrainingRule(p=23, steps=10_000)
    >>> 10 < harmonic_seconds(start, rule) < 30
    True
    >>> own = start.assign(theta_y=(("neuron", "y"), rng.normal(size=(512, 23))))
    >>> harmonic_seconds(own, rule) > harmonic_seconds(start, rule)
    True
    """
    kept, p = parse_kept(keep), rule.p
    layers = layers_of(rule.check_network(initial), p)
    if layers.rows > p:
        operations = 6 * p**3
    elif kept.projected:
        operations = 8 * len(directions_of(kept, p)[0]) * p**2
    else:
        operations = 3 * p**3
    operations += 6 * layers.features * layers.rows
    return (rule.steps or 0) * layers.neurons * operations / 12e9


class KeptLoss:
    """Mean cross-entropy of the kept logits, and its gradient, written out.

    Parameters
    ----------
    rule : TrainingRule
    kept : Kept
    dtype : {"float32", "float64"}
    separate : bool
        Whether theta has the input weights of x above those of y, (2 p, neuron).
    """

    def __init__(
        self, rule: TrainingRule, kept: Kept, dtype: str = "float64", separate: bool = False
    ) -> None:
        p = rule.p
        share = (ordered_shares if separate else shares)(rule).astype(dtype)
        rows = np.flatnonzero(share)
        self._share = share[rows]
        # The right answer of every training pair, as an index into its logits.
        answers = (rows // p + rows) % p if separate else rows % p
        self._right = np.arange(len(rows)), answers
        cut: type[Projected | Whole | Ordered] = Projected if kept.projected else Whole
        self._cut = (Ordered if separate else cut)(kept, p, activation_code(rule), rows, dtype)

    def __call__(self, theta: Array, xi: Array) -> tuple[float, Array]:
        """Loss, and gradient (2, p, neuron) by theta and xi, each (p, neuron).

        With separate inputs that is (3 p, neuron). The gradient's place is written to again by the
        next call. The number of neurons must be a multiple of its `block_width`.
        """
        p = len(xi)
        logits, margins = self._cut.forth(theta, xi)
        if margins is not None:
            own = logits[self._right] - logits.mean(1)
            logits[self._right] += (margins - own) / (1 - 1 / p)
        loss, residual = self._residual(logits)
        force = None
        if margins is not None:
            # The residual's part along the right answers goes past P.
            force = residual[self._right] / (1 - 1 / p)
            residual += force[:, None] / p
            residual[self._right] -= force
        return loss, self._cut.back(theta, xi, residual, force)

    def _residual(self, logits: Array) -> tuple[float, Array]:
        """Loss, and its derivative by the logits, which are overwritten."""
        logits -= logits.max(1, keepdims=True)
        at_answers = logits[self._right]
        residual = np.exp(logits, out=logits)
        total = residual.sum(1)
        loss = float(self._share @ (np.log(total) - at_answers))
        residual *= (self._share / total)[:, None]
        residual[self._right] -= self._share
        return loss, residual
