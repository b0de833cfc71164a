"""Labelled arrays read by their names: put in order, or refused; never by position.

The one place that turns what a caller calls weights or waves into arrays with known axes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.theory._checks import any_array, real_array

__all__ = ["as_arrays", "check_tickets", "check_weights", "in_order"]

Array = NDArray[Any]

# Dimensions whose coordinates count from somewhere, so that another order or a gap can be told.
_FIRST = {"x": 0, "y": 0, "output": 0, "frequency": 1}


def as_arrays(**named: Any) -> list[Array]:
    """Numbers of any kind as arrays, DataArrays among them laid out alike by their labels.

    Raises
    ------
    TypeError
        If they are no numbers.
    ValueError
        If the labels of DataArrays differ.

    Examples
    --------
    >>> one = xr.DataArray(np.eye(3)[:2], dims=("neuron", "frequency"))
    >>> [array.shape for array in as_arrays(theta_hat=one, xi_hat=one.T)]
    [(2, 3), (2, 3)]
    """
    labelled = {name: v for name, v in named.items() if isinstance(v, xr.DataArray)}
    if len(labelled) > 1:
        try:
            laid = xr.broadcast(*xr.align(*labelled.values(), join="exact", copy=False))
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{' and '.join(labelled)} must have the same labels: {reason}"
            ) from None
        named |= dict(zip(labelled, laid, strict=True))
    arrays = [any_array(name, values) for name, values in named.items()]
    for name, array in zip(named, arrays, strict=True):
        if array.dtype.kind not in "iufc":
            raise TypeError(f"{name} must be complex numbers, got dtype {array.dtype}")
    return arrays


def in_order(name: str, values: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """The values with these dimensions last, in this order, and sorted by what they count.

    Raises
    ------
    ValueError
        If a dimension is missing, or its coordinate has a gap.

    Examples
    --------
    >>> weights = xr.DataArray([[1, 2], [3, 4], [5, 6]], {"x": [1, 2, 0]}, ["x", "neuron"])
    >>> in_order("theta", weights, ("neuron", "x")).values.tolist()
    [[5, 1, 3], [6, 2, 4]]
    """
    missing = [dim for dim in dims if dim not in values.dims]
    if missing:
        raise ValueError(
            f"{name} must have dimensions {', '.join(dims)}, got {', '.join(map(str, values.dims))}"
            "; rename them, or pass .values in that order"
        )
    values = values.transpose(..., *dims)
    for dim in dims:
        if dim in _FIRST and dim in values.indexes:
            first, size = _FIRST[dim], values.sizes[dim]
            values = values.sortby(dim)
            if not np.array_equal(values[dim], np.arange(first, first + size)):
                raise ValueError(
                    f"{name} must have {dim} = {first}..{first + size - 1}, got {size} of "
                    f"{values[dim].values.min()}..{values[dim].values.max()}; take all of them"
                )
    return values


def check_weights(theta: Any, xi: Any) -> tuple[Any, Any]:
    """Both layers as float64, (..., neuron, x) and (..., neuron, output), of one network.

    DataArrays stay DataArrays, in that order, and must agree in all they share; anything else,
    torch tensors among it, becomes an array.

    Raises
    ------
    TypeError
        If a weight is not a real number.
    ValueError
        If shapes or labels differ, p is even, or a DataArray lacks the dimensions.

    Examples
    --------
    >>> theta = xr.DataArray(np.eye(5)[:2], dims=("neuron", "x"))
    >>> theta, xi = check_weights(theta.T, np.ones((2, 5)))
    >>> theta.dims, xi.shape
    (('neuron', 'x'), (2, 5))
    """
    layers: list[Any] = []
    for name, values, last in (("theta", theta, "x"), ("xi", xi, "output")):
        numbers = real_array(name, values)
        if isinstance(values, xr.DataArray):
            layers.append(in_order(name, values.copy(data=numbers), ("neuron", last)))
        else:
            layers.append(numbers)
    theta, xi = layers
    if isinstance(theta, xr.DataArray) and isinstance(xi, xr.DataArray):
        xi = _matched(theta, xi)
    if theta.shape != xi.shape:
        raise ValueError(
            f"theta and xi must have one shape (..., neuron, p), got {theta.shape} and "
            f"{xi.shape}; transpose xi if it is stored as (p, neuron)"
        )
    if theta.ndim < 2:
        raise ValueError(f"theta must have shape (..., neuron, p), got {theta.shape}")
    return theta, xi


def check_tickets(name: str, values: Any, p: int) -> None:
    """Raise unless these are finite numbers that may be tickets of modulus p.

    Raises
    ------
    TypeError
        If they are no numbers.
    ValueError
        If one is not finite, they are weights, or the waves of another p.
    """
    numbers = any_array(name, values)
    if numbers.dtype.kind not in "iufc":
        raise TypeError(f"{name} must be complex numbers, got dtype {numbers.dtype}")
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{name} must be finite, got NaN or infinity; drop or repair those tickets"
        )
    labelled = isinstance(values, xr.DataArray)
    residues = labelled and {"x", "output"} & {*values.dims}
    real = numbers.dtype.kind != "c" and numbers.ndim > 1 and numbers.shape[-1] == p
    if residues or real:
        raise ValueError(
            f"{name} must be tickets (..., neuron, frequency), got weights of shape "
            f"{numbers.shape}; take theta_hat and xi_hat of grokode.theory.spectrum"
        )
    if labelled and "frequency" in values.indexes:
        known, K = np.sort(values["frequency"].values), (p - 1) // 2
        whole = np.array_equal(known, np.arange(1, len(known) + 1))
        if known.max(initial=0) > K or (whole and len(known) not in (1, K)):
            raise ValueError(
                f"{name} must be of p = {p} with frequencies 1..{K}, got {known.min()}.."
                f"{known.max()}; give the p of the spectrum, or pass .values of a part of it"
            )


def _matched(theta: xr.DataArray, xi: xr.DataArray) -> xr.DataArray:
    """Xi with what it shares with theta in theta's order."""
    shared = [dim for dim in theta.dims if dim != "x"]
    if {*shared} != {*xi.dims} - {"output"}:
        raise ValueError(
            f"theta and xi must share their dimensions but the last, got {theta.dims} and {xi.dims}"
        )
    for dim in shared:
        if dim in theta.indexes and dim in xi.indexes:
            order = xi.indexes[dim].get_indexer(theta.indexes[dim])
            if len(order) != xi.sizes[dim] or (order < 0).any():
                raise ValueError(f"theta and xi must have the same {dim}, got others; align them")
            xi = xi.isel({dim: order})
    return xi.transpose(*shared, "output")
