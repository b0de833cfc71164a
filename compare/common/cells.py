"""How a number becomes a cell of a table or a value of JSON, the same for every kind of result."""

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["Rows", "or_reason", "plain", "text"]

Rows = list[list[str]]
"""A table as rows of text, header first: the same rows for the terminal and for the page."""


def text(value: Any) -> str:
    """One number with four digits, "-" for None and NaN.

    Examples
    --------
    >>> text(1 / 3), text(None), text(np.nan)
    ('0.3333', '-', '-')
    """
    return "-" if value is None or np.isnan(value) else f"{float(value):.4g}"


def or_reason(value: xr.DataArray, reason: str) -> float | str:
    """The number, or the reason where it is not finite.

    Examples
    --------
    >>> or_reason(xr.DataArray(0.5), "no pairs"), or_reason(xr.DataArray(np.nan), "no pairs")
    (0.5, 'no pairs')
    """
    return float(value) if np.isfinite(value) else reason


def plain(values: xr.DataArray) -> Any:
    """Numbers of an array as JSON has them: nested lists, None for NaN.

    Examples
    --------
    >>> plain(xr.DataArray([0.5, np.nan])), plain(xr.DataArray(2))
    ([0.5, None], 2)
    """
    return values.astype(object).where(values.notnull(), None).values.tolist()
