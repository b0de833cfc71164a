"""One way to say why a number is missing: it is NaN, and the reason stands beside it.

In a Dataset the reason of ``name`` is the text of ``name_reason``, else of the variable ``reason``,
else of the attribute ``reason``: the first of them that there is, over the same dimensions or
fewer.
"""

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["NotMeasured", "number_or_reason", "reason_for"]


class NotMeasured(ValueError):  # noqa: N818
    """A measure's own refusal: the run is whole, but it is none that this can be measured on."""


def reason_for(measured: xr.Dataset, name: str) -> str:
    """Why a number is missing, or ``""`` if nobody said.

    Parameters
    ----------
    measured : Dataset
        Narrowed to one number.
    name : str

    Examples
    --------
    >>> accuracy = xr.Dataset({"accuracy": np.nan}, attrs={"reason": "no pairs"})
    >>> reason_for(accuracy, "accuracy")
    'no pairs'
    """
    for beside in (f"{name}_reason", "reason"):
        if beside in measured and not measured[beside].dims:
            return str(measured[beside].item())
    return str(measured.attrs.get("reason", ""))


def number_or_reason(measured: xr.Dataset, name: str, otherwise: str = "") -> float | str:
    """A number as tables and JSON have it: its value, or the reason for which there is none.

    Parameters
    ----------
    measured : Dataset
        Narrowed to one number.
    name : str
    otherwise : str
        The reason where none is given.

    Examples
    --------
    >>> number_or_reason(xr.Dataset({"r2": 0.5}), "r2")
    0.5
    >>> number_or_reason(xr.Dataset({"r2": np.nan, "r2_reason": "constant"}), "r2")
    'constant'
    """
    value: Any = measured[name].item()
    if np.isfinite(value):
        return float(value)
    return reason_for(measured, name) or otherwise or "not finite"
