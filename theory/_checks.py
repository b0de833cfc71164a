"""Checks of arguments that all of theory shares: errors name argument, value and what is right."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["any_array", "check_increasing", "check_integer", "check_number", "real_array"]


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """A finite float of at least `least`, above `above` and below `below`, or an error.

    Raises
    ------
    TypeError
        If the value is not one real number.
    ValueError
        If it is out of range.

    Examples
    --------
    >>> check_number("momentum", 0, least=0, below=1)
    0.0
    """
    given = np.asarray(value)
    if given.ndim or given.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a real number, got {value!r}")
    number = float(given)
    if not (least <= number and above < number < below):
        lower = {0.0: "non-negative", -math.inf: ""}.get(least, f"at least {least:g}")
        lower = lower or {0.0: "positive", -math.inf: ""}.get(above, f"above {above:g}")
        upper = "finite" if below == math.inf else f"below {below:g}"
        raise ValueError(
            f"{name} must be {' and '.join(filter(None, (lower, upper)))}, got {value}"
        )
    return number


def check_integer(name: str, value: Any, least: int) -> int:
    """An integer of at least `least`, or an error.

    Raises
    ------
    TypeError
        If the value is not an integer.
    ValueError
        If it is too small.

    Examples
    --------
    >>> check_integer("seed", np.int32(3), least=0)
    3
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value}")
    return int(value)


def real_array(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Values as float64, or an error: the one place where real input is converted.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    ValueError
        If they are not rectangular.

    Examples
    --------
    >>> real_array("times", [0, 1])
    array([0., 1.])
    """
    given = any_array(name, values)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got dtype {given.dtype}")
    return given.astype(np.float64, copy=False)


def check_increasing(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Values as float64 if they are increasing and not negative, or an error.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    ValueError
        If they are not a non-empty list, not finite, negative or not increasing.

    Examples
    --------
    >>> check_increasing("times", [0, 1])
    array([0., 1.])
    """
    asked = real_array(name, values)
    if asked.ndim != 1 or not asked.size:
        raise ValueError(f"{name} must be a non-empty list, got shape {asked.shape}")
    if not np.isfinite(asked).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    if asked[0] < 0:
        raise ValueError(f"{name} must be increasing and not negative, got {asked[0]:g}")
    falls = np.flatnonzero(np.diff(asked) <= 0)
    if falls.size:
        before, after = asked[falls[0] : falls[0] + 2]
        raise ValueError(
            f"{name} must be increasing, got {before:g} before {after:g}; sort them, drop repeats"
        )
    return asked


def any_array(name: str, values: Any) -> NDArray[Any]:
    """Values as an array, or a ValueError that names them if their rows differ in length.

    A torch tensor is taken off its graph and device; numpy lacks bfloat16, so that becomes float32.
    """
    if type(values).__module__.partition(".")[0] == "torch" and hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be rectangular, but its rows differ in length") from None
