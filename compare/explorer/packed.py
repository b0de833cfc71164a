"""Frames: the columns of a source for every place of its controls, packed for a page.

A page from disk has nobody to ask for numbers, so that every frame that a control can choose lies
in it, quantised; a few lines of JavaScript unpack the one chosen. What is drawn is off by at most
half a unit of the code: one part in 500 of the range with 8 bits, in 130,000 with 16.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS
from numpy.typing import ArrayLike, NDArray

__all__ = ["FRAME", "follow", "pack", "unpack"]

Array = NDArray[Any]

FRAME = """
let at = 0, first = 0
for (let i = 0; i < controls.length; i++) {
  const place = places[i][controls[i].value]
  if (place === undefined) return
  if (i == 0) first = place
  at = at * sizes[i] + place
}
"""
"""JavaScript that finds the frame, ``at``, and the place of the first control."""

_UNPACK = (
    FRAME
    + """
const data = {...source.data}
for (const [name, one] of Object.entries(columns)) {
  // An array of Bokeh's own kind cannot be cut; a plain view of it can.
  const Plain = one.missing > 255 ? Uint16Array : Uint8Array
  const codes = new Plain(one.codes.buffer, one.codes.byteOffset, one.codes.length)
  const n = codes.length / count
  const low = one.low[first], unit = one.unit[first]
  const flat = Float64Array.from(codes.subarray(at * n, (at + 1) * n),
                                 code => code === one.missing ? NaN : low + unit * code)
  const old = source.data[name], rows = one.rows
  if (one.dimensions === 1) data[name] = flat
  else if (one.dimensions === 3) data[name] = [new old[0].constructor(flat, old[0].shape)]
  else data[name] = Array.from({length: rows},
                               (_, r) => flat.subarray(r * n / rows, (r + 1) * n / rows))
}
source.data = data
"""
)


def pack(values: ArrayLike, bits: int) -> tuple[Array, Array, Array]:
    """Codes of values, with a range of its own for each first index.

    Parameters
    ----------
    values : array (first, ...)
        What is not finite comes back as NaN.
    bits : int
        8 or 16.

    Returns
    -------
    codes : unsigned integers, as ``values``
        The largest one stands for NaN.
    low, unit : float32 arrays (first,)
        A value is ``low + unit * code``.

    Examples
    --------
    >>> codes, low, unit = pack([[0.0, 1.0, np.nan]], 8)
    >>> codes.tolist(), low.tolist()
    ([[0, 254, 255]], [0.0])
    """
    given = np.asarray(values, dtype=np.float64)
    flat = given.reshape(len(given), -1)
    known = np.isfinite(flat)
    low = np.where(known, flat, np.inf).min(1)
    high = np.where(known, flat, -np.inf).max(1)
    some = known.any(1)
    low, high = np.where(some, low, 0.0).astype(np.float32), np.where(some, high, 0.0)
    missing = 2**bits - 1
    unit = ((high - low) / (missing - 1)).astype(np.float32)
    steps = np.where(unit > 0, unit, 1)[:, None].astype(np.float64)
    codes = np.clip(np.rint((np.where(known, flat, 0.0) - low[:, None]) / steps), 0, missing - 1)
    codes = np.where(known, codes, missing)
    return codes.astype(f"uint{bits}").reshape(given.shape), low, unit


def unpack(codes: Array, low: Array, unit: Array) -> Array:
    """The values of `pack`, as the page has them.

    Parameters
    ----------
    codes, low, unit
        From `pack`.
    """
    shape = (-1, *(1,) * (codes.ndim - 1))
    values = low.astype(float).reshape(shape) + unit.astype(float).reshape(shape) * codes
    return np.where(codes == np.iinfo(codes.dtype).max, np.nan, values)


def follow(
    source: ColumnDataSource,
    controls: Sequence[Any],
    places: Sequence[Mapping[str, int]],
    frames: Mapping[str, Array],
    bits: int,
) -> CustomJS:
    """What puts the frame that the controls have chosen into a source.

    Parameters
    ----------
    source : ColumnDataSource
    controls : sequence of widgets
    places : sequence of dict
        Of every control, place by value.
    frames : dict of arrays (*places, point), (*places, line, point) or (*places, 1, row, column)
        By column: numbers, lines, or one picture.
    bits : int
        Of a number in the page, 8 or 16.
    """
    sizes = [len(one) for one in places]
    columns = {}
    for name, values in frames.items():
        codes, low, unit = pack(values, bits)
        columns[name] = {
            "codes": codes.ravel(),
            "low": low,
            "unit": unit,
            "missing": 2**bits - 1,
            "dimensions": values.ndim - len(sizes),
            "rows": values.shape[len(sizes)],
        }
    return CustomJS(
        args={
            "source": source,
            "controls": list(controls),
            "places": [dict(one) for one in places],
            "sizes": sizes,
            "count": int(np.prod(sizes)),
            "columns": columns,
        },
        code=_UNPACK,
    )
