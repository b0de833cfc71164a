"""Small systems that `grokode.theory.solvers` integrates, one copy per ticket.

A system is a frozen dataclass with the names of its variables, its parameters, and one *scalar*
right-hand side, a plain Python function that is compiled for the CPU and for CUDA alike:

    rhs(t, y, parameters) -> dy/dt

with y and dy/dt tuples of floats (a complex variable is two of them, real part first) and
`parameters` the tuple of floats that the system gives. See ``examples/custom_system.py``.

Sources: arXiv:2602.16849, section 4, for the four-variable flow. The other activations follow from
the energy kappa p^2 alpha^q beta cos D by gradient flow, a wave having squared norm (p/2) alpha^2.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from grokode.theory._checks import check_number
from grokode.theory.fourier import check_modulus

__all__ = ["EvenFlow", "ReLUFlow", "System", "TicketFlow"]


class System:
    """What a system has to offer; derive a frozen dataclass from it.

    Attributes
    ----------
    variables : mapping of str to float or complex
        The names and kinds of the variables, in the order in which `rhs` takes them. The error of a
        complex variable is measured against its modulus, not part by part.
    rhs : function (t, y, parameters) -> tuple of floats
        Scalar right-hand side, wrapped in `staticmethod`; it may use `math` and scalar functions
        compiled with numba.
    parameters : tuple of floats
        By default the fields of the dataclass in order.
    """

    variables: ClassVar[Mapping[str, type]]
    rhs: ClassVar[Callable[..., tuple[float, ...]]]

    @property
    def parameters(self) -> tuple[float, ...]:
        """Parameters of `rhs`."""
        return tuple(float(getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]


def _ticket_flow(t: float, y: Any, parameters: Any) -> tuple[float, float, float, float]:
    ar, ai, br, bi = y
    p, decay = parameters
    return (
        2.0 * p * (ar * br + ai * bi) - decay * ar,
        2.0 * p * (ar * bi - ai * br) - decay * ai,
        p * (ar * ar - ai * ai) - decay * br,
        2.0 * p * (ar * ai) - decay * bi,
    )


def _even_flow(t: float, y: Any, parameters: Any) -> tuple[float, float, float, float]:
    # With A = alpha u the energy's gradient is a power of alpha times a form that is polynomial in
    # the unit phasor u, so that nothing is divided by beta or by a power of alpha.
    ar, ai, br, bi = y
    p, q, kappa, decay = parameters
    alpha = math.sqrt(ar * ar + ai * ai)
    inverse = 1.0 / alpha if alpha > 0.0 else 0.0
    ur, ui = ar * inverse, ai * inverse
    u2r, u2i = ur * ur - ui * ui, 2.0 * ur * ui
    aligned = (q - 2.0) * (u2r * br + u2i * bi)
    rate = 2.0 * kappa * p * (alpha ** (q - 1.0) if alpha > 0.0 else 0.0)
    return (
        rate * (2.0 * (ur * br + ui * bi) + aligned * ur) - decay * ar,
        rate * (2.0 * (ur * bi - ui * br) + aligned * ui) - decay * ai,
        rate * alpha * u2r - decay * br,
        rate * alpha * u2i - decay * bi,
    )


def _relu_flow(t: float, y: Any, parameters: Any) -> tuple[float, float, float, float]:
    # `_even_flow` at q = 1, without a power, which would keep the compiler from using vector lanes.
    ar, ai, br, bi = y
    p, kappa, decay = parameters
    alpha = math.sqrt(ar * ar + ai * ai)
    inverse = 1.0 / alpha if alpha > 0.0 else 0.0
    ur, ui = ar * inverse, ai * inverse
    u2r, u2i = ur * ur - ui * ui, 2.0 * ur * ui
    aligned = u2r * br + u2i * bi
    rate = 2.0 * kappa * p
    return (
        rate * (2.0 * (ur * br + ui * bi) - aligned * ur) - decay * ar,
        rate * (2.0 * (ur * bi - ui * br) - aligned * ui) - decay * ai,
        rate * alpha * u2r - decay * br,
        rate * alpha * u2i - decay * bi,
    )


@dataclass(frozen=True)
class _Flow(System):
    """What the flows of a ticket share: its variables and their checks."""

    variables: ClassVar[Mapping[str, type]] = {"theta_hat": complex, "xi_hat": complex}

    p: int

    def __post_init__(self) -> None:
        check_modulus(self.p)
        for field in fields(self):
            check_number(field.name, getattr(self, field.name), least=0)


@dataclass(frozen=True)
class TicketFlow(_Flow):
    """The four-variable flow dA/dt = 2 p conj(A) B - decay A, dB/dt = p A^2 - decay B.

    Quadratic activation while softmax is about 1/p; every ticket blows up at a finite time unless
    decay holds it down.

    Parameters
    ----------
    p : int
        Odd modulus.
    decay : float
        Weight decay per unit of gradient-flow time of the summed loss.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3, or decay is negative or not finite.

    Examples
    --------
    >>> TicketFlow(3).rhs(0.0, (1.0, 0.0, 0.0, 1.0), (3.0, 0.0))
    (0.0, 6.0, 3.0, 0.0)
    """

    rhs: ClassVar[Callable[..., tuple[float, ...]]] = staticmethod(_ticket_flow)

    decay: float = 0.0


@dataclass(frozen=True)
class EvenFlow(_Flow):
    """One frequency under the activation abs(z)^degree: energy kappa p^2 alpha^q beta cos D.

    Conserved without decay: alpha^2 - q beta^2 and alpha^(4/q) beta sin D. For q = 2, kappa = 1/2
    it is `TicketFlow`; for q < 2 it is exact only in neurons of a single frequency.

    Parameters
    ----------
    p : int
        Odd modulus.
    degree : float
        q, at least 1.
    kappa : float, optional
        By default its value for large p, ``2^q m^2 q / (q + 2)`` with m the mean of abs(cos)^q,
        which is exact at every p > 2 q for even integers q.
    decay : float
        Weight decay per unit of gradient-flow time of the summed loss.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3, the degree is below 1, or another value is
        negative or not finite.

    Examples
    --------
    >>> EvenFlow(23, degree=2).kappa, EvenFlow(23, degree=4).kappa
    (0.5, 1.5)
    """

    rhs: ClassVar[Callable[..., tuple[float, ...]]] = staticmethod(_even_flow)

    degree: float
    kappa: float = math.nan
    decay: float = 0.0

    def __post_init__(self) -> None:
        check_number("degree", self.degree, least=1)
        if math.isnan(self.kappa):
            object.__setattr__(self, "kappa", _kappa(self.degree))
        super().__post_init__()


@dataclass(frozen=True)
class ReLUFlow(_Flow):
    """One frequency under ReLU, of which only abs(z)/2 acts: `EvenFlow` of degree 1.

    Growth is exponential: no ticket blows up.

    Parameters
    ----------
    p : int
        Odd modulus.
    kappa : float
        4 / (3 pi^2) for large p, within 0.15% at p = 23.
    decay : float
        Weight decay per unit of gradient-flow time of the summed loss.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3, or another value is negative or not finite.

    Examples
    --------
    >>> round(ReLUFlow(23).kappa, 6)
    0.135095
    """

    rhs: ClassVar[Callable[..., tuple[float, ...]]] = staticmethod(_relu_flow)

    kappa: float = 4 / (3 * math.pi**2)
    decay: float = 0.0


def _kappa(q: float) -> float:
    if q % 2 == 0:  # the mean of cos^q is a binomial coefficient over 2^q: no rounding
        power = math.comb(int(q), int(q) // 2) ** 2 / 2**q
    else:
        power = 2**q * (math.gamma((q + 1) / 2) / math.gamma(q / 2 + 1)) ** 2 / math.pi
    return power * q / (q + 2)
