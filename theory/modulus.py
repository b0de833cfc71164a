"""The modulus p, checked in one place."""

import numpy as np

__all__ = ["check_modulus"]


def check_modulus(p: int) -> int:
    """Return p as an int if it is odd and at least 3, else raise.

    Raises
    ------
    TypeError
        If p is not an integer.
    ValueError
        If p is even or below 3.

    Examples
    --------
    >>> check_modulus(23)
    23
    """
    if isinstance(p, bool) or not isinstance(p, int | np.integer):
        raise TypeError(f"p must be an odd integer >= 3, got {p!r} of type {type(p).__name__}")
    if p < 3 or p % 2 == 0:
        raise ValueError(f"p must be odd and at least 3, got {p}; the papers use primes such as 23")
    return int(p)
