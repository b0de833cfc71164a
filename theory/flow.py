"""The four-variable flow: how one ticket moves while the loss is on its plateau.

For the quadratic activation at small initialisation softmax is about 1/p, and gradient flow of the
summed loss moves each (neuron, frequency) pair alone. With A = theta_hat and B = xi_hat,

    dA/dt = 2 p conj(A) B,    dB/dt = p A^2,

the degenerate three-wave interaction. Time t is gradient-flow time of the *summed* loss: SGD with
learning rate eta on the mean loss over n pairs advances it by eta / n a step.

Sources: arXiv:2602.16849, section 4 (with dD/dt corrected: -p (4 beta + alpha^2/beta) sin D).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokode.theory._checks import real_array
from grokode.theory._labels import as_arrays
from grokode.theory.fourier import check_modulus

Array = NDArray[Any]

__all__ = ["energy", "invariants", "velocity", "velocity_polar"]


def velocity(theta_hat: ArrayLike, xi_hat: ArrayLike, p: int) -> tuple[Array, Array]:
    """Right-hand side of the flow in complex form, without singularity.

    Parameters
    ----------
    theta_hat, xi_hat : complex arrays of one broadcastable shape
    p : int
        Odd modulus.

    Returns
    -------
    d theta_hat/dt, d xi_hat/dt : complex arrays
        Per unit of gradient-flow time of the summed loss.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3.

    Examples
    --------
    >>> velocity(1.0, 1j, 3)
    (np.complex128(6j), np.complex128(3+0j))
    """
    p = check_modulus(p)
    A, B = _tickets(theta_hat, xi_hat)
    return 2 * p * np.conj(A) * B, p * A**2


def velocity_polar(
    alpha: ArrayLike, beta: ArrayLike, misalignment: ArrayLike, p: int
) -> tuple[Array, Array, Array, Array, Array]:
    """The same right-hand side in polar variables, for reading; singular at alpha or beta = 0.

    Parameters
    ----------
    alpha, beta : positive arrays
    misalignment : array, radians
    p : int

    Returns
    -------
    d alpha/dt, d beta/dt, d misalignment/dt, d phi/dt, d psi/dt : arrays
        Per unit of gradient-flow time of the summed loss.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3, or a magnitude is not positive.

    Examples
    --------
    >>> [float(rate) for rate in velocity_polar(1.0, 1.0, 0.0, 3)]
    [6.0, 3.0, -0.0, -0.0, 0.0]
    """
    p = check_modulus(p)
    given = as_arrays(alpha=alpha, beta=beta, misalignment=misalignment)
    names = ("alpha", "beta", "misalignment")
    a, b, D = (real_array(name, v) for name, v in zip(names, given, strict=True))
    for name, size in (("alpha", a), ("beta", b)):
        if not (size > 0).all():
            raise ValueError(f"{name} must be positive, got {size.min()}; see velocity for 0")
    return (
        2 * p * a * b * np.cos(D),
        p * a**2 * np.cos(D),
        -p * (4 * b + a**2 / b) * np.sin(D),
        -2 * p * b * np.sin(D),
        p * a**2 / b * np.sin(D),
    )


def invariants(theta_hat: ArrayLike, xi_hat: ArrayLike) -> tuple[Array, Array]:
    """The two conserved quantities C1 = alpha^2 - 2 beta^2 and C2 = alpha^2 beta sin D.

    Examples
    --------
    >>> [float(c) for c in invariants(1.0, -1j)]
    [-1.0, 1.0]
    """
    A, B = _tickets(theta_hat, xi_hat)
    return np.abs(A) ** 2 - 2 * np.abs(B) ** 2, (A**2 * np.conj(B)).imag


def energy(theta_hat: ArrayLike, xi_hat: ArrayLike, p: int) -> Array:
    """Energy (p^2/2) alpha^2 beta cos D of each ticket, conserved by nothing: the flow climbs it.

    To first order in the output, the summed cross-entropy over all p^2 pairs is
    p^2 log p minus the sum of these energies over all tickets.

    Raises
    ------
    TypeError, ValueError
        If p is not an odd integer of at least 3.

    Examples
    --------
    >>> float(energy(1.0, 2.0, 3))
    9.0
    """
    p = check_modulus(p)
    A, B = _tickets(theta_hat, xi_hat)
    return p**2 / 2 * (A**2 * np.conj(B)).real


def _tickets(theta_hat: ArrayLike, xi_hat: ArrayLike) -> tuple[Array, Array]:
    A, B = (v.astype(np.complex128) for v in as_arrays(theta_hat=theta_hat, xi_hat=xi_hat))
    return A[()], B[()]
