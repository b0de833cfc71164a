"""The lottery inside a neuron: which starts win it, how soon, and by how much.

All from the exact solution of the four-variable flow (`grokode.theory.exact`): contours over the
initial magnitude and misalignment of one ticket, and the times at which the leading ticket of a
neuron comes to dominate the others. Times are gradient-flow times of the summed loss.

Source: arXiv:2602.16849, section 4 and Figure 11.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory import exact
from grokode.theory._checks import check_integer, check_number, real_array
from grokode.theory.fourier import check_modulus, to_waves

Array = NDArray[Any]
Initialisation = Literal["gaussian", "equal"]

__all__ = ["contour", "dominance_scaling", "dominance_times"]


def contour(
    p: int,
    magnitudes: ArrayLike,
    misalignments: ArrayLike,
    *,
    ratio: float = 1.0,
    saturation: float = 10.0,
    time: float | None = None,
) -> xr.Dataset:
    """Blow-up time and final magnitude of one ticket over its initial magnitude and misalignment.

    Parameters
    ----------
    p : int
        Odd modulus.
    magnitudes : array (magnitude,), positive
        Initial alpha; the initial beta is ``ratio * alpha``, so equal by default.
    misalignments : array (misalignment,), radians
        Initial D; any range, for instance 0..2 pi.
    ratio : float
        Initial beta / alpha.
    saturation : float > 1
        The common saturation time is when the fastest ticket of the grid has grown to ``beta =
        saturation * (its initial beta)``; every other ticket is read off at that time.
    time : float, optional
        A saturation time of your own, in place of ``saturation``.

    Returns
    -------
    Dataset
        ``blowup_time``, ``final_magnitude`` (beta; infinite for a ticket that has blown up by a
        ``time`` of your own), both (magnitude, misalignment); attributes ``p``, ``ratio`` and
        ``saturation_time``.

    Raises
    ------
    TypeError
        If p is not an integer or another argument not numeric.
    ValueError
        If p is even or below 3, an axis is not 1-d and finite, a magnitude or the ratio is not
        positive, saturation is not above 1 or time is negative.

    Examples
    --------
    >>> c = contour(23, [0.01, 0.02], [0.0, 1.5, 3.0])
    >>> float(c.final_magnitude.max().round(12)), dict(c.sizes)
    (0.2, {'magnitude': 2, 'misalignment': 3})
    """
    p = check_modulus(p)
    alpha = _axis("magnitudes", magnitudes)
    if not (alpha > 0).all():
        raise ValueError(f"magnitudes must be positive, got {alpha.min()}")
    D = _axis("misalignments", misalignments)
    ratio = check_number("ratio", ratio, above=0)
    saturation = check_number("saturation", saturation, above=1)
    theta_hat = np.broadcast_to(alpha[:, None], (alpha.size, D.size))
    xi_hat = ratio * alpha[:, None] * np.exp(-1j * D)
    T = exact.blowup_time(theta_hat, xi_hat, p)
    if time is not None:
        time = check_number("time", time, least=0)
    else:
        fastest = np.unravel_index(np.argmin(T), T.shape)
        time = _time_to_grow(theta_hat[fastest], xi_hat[fastest], p, saturation)
    final = exact.output_magnitude(theta_hat, xi_hat, p, time)
    dims = ["magnitude", "misalignment"]
    return xr.Dataset(
        {
            "blowup_time": (dims, T, {"long_name": "blow-up time T"}),
            "final_magnitude": (dims, final, {"long_name": "beta at the saturation time"}),
        },
        coords={
            "magnitude": ("magnitude", alpha, {"long_name": "initial magnitude alpha"}),
            "misalignment": (
                "misalignment",
                D,
                {"long_name": "initial misalignment D", "units": "rad"},
            ),
        },
        attrs={"p": p, "ratio": ratio, "saturation_time": time},
    )


def dominance_times(
    p: int,
    kappa: float,
    neurons: int,
    seed: int,
    *,
    factor: float = 10.0,
    initialisation: Initialisation = "gaussian",
) -> xr.Dataset:
    """When the winning ticket of each of many random neurons comes to dominate its rivals.

    The winner is the ticket with the least blow-up time. It *dominates* from the time on from which
    its beta is at least ``factor`` times that of every other ticket of the neuron. That time is
    at most the winner's blow-up time.

    Parameters
    ----------
    p : int
        Odd modulus, at least 5 (p = 3 has one ticket a neuron).
    kappa : float > 0
        Initial scale.
    neurons : int
    seed : int
        One seed gives the same draw, up to scale, for every kappa.
    factor : float > 1
    initialisation : {"gaussian", "equal"}
        Independent N(0, kappa^2) weights, as in the published runs; or alpha = beta = kappa for
        every ticket with uniform phases, as in the published analysis.

    Returns
    -------
    Dataset
        ``dominance_time``, ``blowup_time`` (of the winner) and ``winner`` (its frequency), all
        (neuron); attributes ``p, kappa, seed, factor, initialisation``.

    Raises
    ------
    TypeError, ValueError
        On an argument out of the ranges above.

    Examples
    --------
    >>> d = dominance_times(23, 0.1, neurons=50, seed=0)
    >>> bool((d.dominance_time < d.blowup_time).all())
    True
    """
    p = check_modulus(p)
    if p < 5:
        raise ValueError(f"p must be at least 5 for a neuron to have rival tickets, got {p}")
    neurons = check_integer("neurons", neurons, least=1)
    seed = check_integer("seed", seed, least=0)
    kappa = check_number("kappa", kappa, above=0)
    factor = check_number("factor", factor, above=1)
    A, B = _random_tickets(p, neurons, seed, initialisation)
    A, B = kappa * A, kappa * B
    T = exact.blowup_time(A, B, p)
    winner = T.argmin(axis=-1)
    T_winner = T.min(axis=-1)

    def dominated(left: Array) -> Array:
        """Whether the winner dominates with ``left`` of its blow-up time to go."""
        beta = exact.output_magnitude(A, B, p, (T_winner - left)[:, None])
        lead = np.take_along_axis(beta, winner[:, None], axis=-1)[:, 0]
        np.put_along_axis(beta, winner[:, None], 0.0, axis=-1)
        return lead >= factor * beta.max(axis=-1)

    time = _onset(dominated, T_winner)
    return xr.Dataset(
        {
            "dominance_time": ("neuron", time, {"long_name": "time of dominance"}),
            "blowup_time": ("neuron", T_winner, {"long_name": "blow-up time of the winner"}),
            "winner": ("neuron", winner + 1, {"long_name": "winning frequency"}),
        },
        coords={"neuron": np.arange(neurons)},
        attrs={
            "p": p,
            "kappa": kappa,
            "seed": seed,
            "factor": factor,
            "initialisation": initialisation,
        },
    )


def dominance_scaling(
    moduli: Sequence[int],
    kappas: Sequence[float],
    neurons: int,
    seed: int,
    *,
    factor: float = 10.0,
    initialisation: Initialisation = "gaussian",
) -> xr.Dataset:
    """How the dominance time scales with p and kappa, beside the published O(log p / (p kappa)).

    Parameters
    ----------
    moduli : at least 3 odd integers
    kappas : at least 2 positive numbers
    neurons, seed, factor, initialisation
        As for `dominance_times`.

    Returns
    -------
    Dataset
        ``dominance_time`` (p, kappa), the median over neurons; ``published`` (p, kappa),
        log p / (p kappa); ``ratio`` of the two, constant if the law is sharp and bounded if it
        is an upper bound; ``exponent_p`` and ``exponent_kappa`` of the least-squares power law
        time ~ p^a kappa^b with standard errors ``exponent_p_error``, ``exponent_kappa_error``;
        ``exponent_p_published``, the exponent that log p / p would show over the same moduli.

    Raises
    ------
    TypeError, ValueError
        As `dominance_times`; also for too few moduli or kappas.

    Notes
    -----
    The flow has a scale symmetry, so the exponent of kappa is -1 exactly. That of p over 11..397,
    where log p / p has -0.75 (300 neurons, factor 10):

    - "equal": -1.001 +- 0.001. The time is 1 / (p kappa) without the logarithm: the published law
      holds as an upper bound and is not sharp (``ratio`` falls from 0.26 to 0.10).
    - "gaussian": -0.63 +- 0.01. The published law does not hold (``ratio`` rises from 0.39 to 0.60,
      and without end): N(0, kappa^2) weights make waves of size 2 kappa / sqrt p, so times are of
      order 1 / (kappa sqrt(p log p)).

    Examples
    --------
    >>> s = dominance_scaling([11, 23, 47], [0.01, 0.1], neurons=50, seed=0)
    >>> float(s.exponent_kappa.round(9)), dict(s.dominance_time.sizes)
    (-1.0, {'p': 3, 'kappa': 2})
    """
    if len(set(moduli)) < 3 or len(set(kappas)) < 2:
        raise ValueError(
            f"a fit needs at least 3 moduli and 2 kappas, got {list(moduli)} and {list(kappas)}"
        )
    options: dict[str, Any] = {"factor": factor, "initialisation": initialisation}
    medians = np.array(
        [
            [
                dominance_times(p, kappa, neurons, seed, **options).dominance_time.median()
                for kappa in kappas
            ]
            for p in moduli
        ]
    )
    log_p, log_kappa = np.meshgrid(np.log(moduli), np.log(kappas), indexing="ij")
    published = log_p * np.exp(-log_p - log_kappa)
    slopes, errors = _power_law(log_p, log_kappa, np.log(medians))
    published_slopes, _ = _power_law(log_p, log_kappa, np.log(published))
    dims = ["p", "kappa"]
    return xr.Dataset(
        {
            "dominance_time": (dims, medians, {"long_name": "median time of dominance"}),
            "published": (dims, published, {"long_name": "log p / (p kappa)"}),
            "ratio": (dims, medians / published, {"long_name": "measured over published"}),
            "exponent_p": slopes[0],
            "exponent_p_error": errors[0],
            "exponent_p_published": published_slopes[0],
            "exponent_kappa": slopes[1],
            "exponent_kappa_error": errors[1],
        },
        coords={"p": list(moduli), "kappa": list(kappas)},
        attrs={"neurons": neurons, "seed": seed, **options},
    )


def _axis(name: str, values: ArrayLike) -> Array:
    axis = real_array(name, values)
    if axis.ndim != 1 or axis.size == 0:
        raise ValueError(f"{name} must be a 1-d array with at least one entry, got {axis.shape}")
    if not np.isfinite(axis).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity; drop those entries")
    return axis


def _time_to_grow(theta_hat: complex, xi_hat: complex, p: int, factor: float) -> float:
    """Time at which one ticket's beta last passes ``factor`` times its start, by bisection."""
    low, high = 0.0, float(exact.blowup_time(theta_hat, xi_hat, p))
    if high == np.inf:
        raise ValueError("saturation is never reached: no ticket of the grid grows; pass time")
    level = factor * abs(xi_hat)
    for _ in range(60):
        middle = 0.5 * (low + high)
        reached = exact.output_magnitude(theta_hat, xi_hat, p, middle) >= level
        low, high = (low, middle) if reached else (middle, high)
    return low


def _onset(dominated: Callable[[Array], Array], end: Array) -> Array:
    """When something begins that holds until ``end``, given whether it does with so much left."""
    # The time left, first to a factor of two by its *last* failure, then by bisection.
    low = np.zeros_like(end)
    high = end.copy()
    settled = dominated(high)
    for halvings in range(1, 41):
        left = end * 0.5**halvings
        now = dominated(left)
        low = np.where(now & ~settled, left, np.where(now, low, 0.0))
        high = np.where(now & ~settled, 2 * left, high)
        settled = now
    started = settled & (low == 0.0)  # it dominated at every time looked at
    for _ in range(30):
        middle = 0.5 * (low + high)
        now = dominated(middle)
        low, high = np.where(now, middle, low), np.where(now, high, middle)
    return np.where(started, 0.0, np.where(settled, end - low, end))


def _random_tickets(
    p: int, neurons: int, seed: int, initialisation: Initialisation
) -> tuple[Array, Array]:
    """Random A, B (neuron, frequency) of scale 1."""
    rng = np.random.default_rng([seed, p])
    if initialisation == "gaussian":
        _, waves = to_waves(rng.normal(size=(2, neurons, p)))
    elif initialisation == "equal":
        waves = np.exp(2j * np.pi * rng.random((2, neurons, (p - 1) // 2)))
    else:
        raise ValueError(f'initialisation must be "gaussian" or "equal", got {initialisation!r}')
    return waves[0], waves[1]


def _power_law(log_p: Array, log_kappa: Array, log_time: Array) -> tuple[Array, Array]:
    """Least-squares exponents of p and kappa, and their standard errors."""
    design = np.stack([log_p.ravel(), log_kappa.ravel(), np.ones(log_p.size)], axis=1)
    solution, *_ = np.linalg.lstsq(design, log_time.ravel())
    rest = log_time.ravel() - design @ solution
    variance = rest @ rest / (rest.size - 3)
    return solution[:2], np.sqrt(np.diag(variance * np.linalg.inv(design.T @ design)))[:2]
