"""Ensembles of small systems, one copy per ticket, each with steps of its own.

`simulate` integrates any `grokode.theory.systems.System` on all CPU threads, several tickets at a
time in vector lanes, or with the same scalar stepper on a CUDA device. Step sizes are under PI
control; values at asked times between steps come from the method's own dense output.

Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, II.4 to II.6 and, for
the control, Hairer and Wanner, part II, IV.2.
"""

from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from grokode.theory import _stepper
from grokode.theory._checks import check_increasing, check_integer, check_number
from grokode.theory._labels import as_arrays
from grokode.theory.systems import System
from grokode.theory.tableaus import Tableau, get_method

__all__ = ["Status", "simulate"]

Array = NDArray[Any]


class Status(IntEnum):
    """How the integration of a ticket ended."""

    REACHED = _stepper.REACHED
    """The last asked time was reached."""
    BLEW_UP = _stepper.BLEW_UP
    """The state overflowed, or the steps shrank to rounding, before the last asked time."""
    TOO_MANY_STEPS = _stepper.TOO_MANY_STEPS
    """The limit on steps was met."""
    STOPPED = _stepper.STOPPED
    """The norm met `stop_norm`."""


def simulate(
    system: System,
    initial: xr.Dataset | Sequence[ArrayLike],
    times: ArrayLike,
    *,
    method: str = "tsit5",
    rtol: float = 1e-8,
    atol: float = 0.0,
    step_size: float | None = None,
    stop_norm: float | None = None,
    max_steps: int = 100_000,
    check: bool = True,
    device: Literal["cpu", "cuda", "auto"] = "cpu",
    dtype: Literal["float64", "float32"] = "float64",
) -> xr.Dataset:
    """Trajectory of every ticket of an ensemble.

    Parameters
    ----------
    system : System
        The equations, for instance `grokode.theory.systems.TicketFlow`.
    initial : Dataset or sequence of arrays
        State at time 0: a Dataset that holds the system's variables, such as a spectrum, with any
        dimensions; or one array for each variable in the system's order, of one broadcastable
        shape.
    times : array (n,)
        Increasing and not negative, measured from the initial state. The unit is the system's:
        gradient-flow time of the summed loss for the flows of a ticket.
    method : {"tsit5", "dopri853", "rk4"}
        Tsitouras 5(4), Dormand-Prince 8(5,3), or the classical method with fixed steps.
    rtol, atol : float
        A step's error in each variable, a complex one taken as a whole, is held below
        ``sqrt(atol^2 + rtol^2 |variable|^2)``, in the mean square over the variables. Unused by
        rk4.
    step_size : float, optional
        Step of rk4, which needs it; the adaptive methods refuse it.
    stop_norm : float, optional
        A ticket stops where the Euclidean norm of its state first meets this threshold at the end
        of a step; the crossing is located on the dense output.
    max_steps : int
        Steps per ticket at most, rejected ones included.
    check : bool
        Raise if a ticket blows up or meets `max_steps`. Otherwise its later values are NaN and its
        status says why.
    device : {"cpu", "cuda", "auto"}
        "auto" uses CUDA when there is a device.
    dtype : {"float64", "float32"}
        In which a CUDA device computes; what it returns is float64 in any case. float32 is for
        device "cuda" alone, and errors below 1e-6 are not to be had in it.

    Returns
    -------
    Dataset
        The system's variables with a dimension ``time`` in front, NaN after a ticket has stopped;
        whatever else `initial` holds is kept. Per ticket ``status`` (see `Status`), the numbers of
        ``accepted`` and ``rejected`` steps, and ``stop_time``: the last time asked or, for a
        ticket that stopped before, the time it stopped at. After a blow-up under an adaptive method
        that is the blow-up time as far as the tolerance allows. Dimensions of plain arrays are
        named ``batch_i``.

    Raises
    ------
    TypeError
        If the system is none, or a variable or a time is not numeric or is complex where the
        system is real.
    ValueError
        If times are not increasing, a value is not finite, shapes or variables do not match, the
        spectrum has another p than the system, an option is unknown or out of range, or, if
        `check` is true, a ticket blows up before the last time.
    RuntimeError
        If a ticket met `max_steps` and `check` is true, or there is no CUDA device where one is
        asked for.

    Examples
    --------
    An aligned ticket with alpha^2 = 2 beta^2 follows beta0 / (1 - 2 p beta0 t):

    >>> from grokode.theory.systems import TicketFlow
    >>> path = simulate(TicketFlow(5), (0.1 * 2**0.5, 0.1), [0.0, 0.5])
    >>> bool(np.allclose(path.xi_hat, [0.1, 0.1 / (1 - 2 * 5 * 0.1 * 0.5)], rtol=1e-7))
    True
    """
    if not isinstance(system, System):
        raise TypeError(f"system must be a System such as TicketFlow(p=23), got {system!r}")
    asked = np.ascontiguousarray(check_increasing("times", times))
    tableau = get_method(method)
    _check_options(tableau, rtol, atol, step_size, stop_norm, max_steps)
    integrate = _integrator(device, dtype, rtol if tableau.adaptive else 1.0)
    state = _labelled(system, initial)
    first = state[next(iter(system.variables))]
    y = _pack(system, state)
    path = np.full((asked.size, *y.shape), np.nan)
    report = np.zeros((len(y), 4))
    integrate(
        system,
        tableau,
        y,
        asked,
        report,
        path,
        step_size if step_size is not None else rtol ** (1 / tableau.order),
        (rtol**2, atol**2),
        np.inf if stop_norm is None else stop_norm**2,
        max_steps,
    )
    if check:
        _raise_failures(report, asked, max_steps)
    columns = report.reshape(*first.shape, 4)
    moved = {
        name: (("time", *first.dims), values.reshape(asked.size, *first.shape), state[name].attrs)
        for name, values in _unpack(system, path).items()
    }
    flags = {
        "flag_values": [int(status) for status in Status],
        "flag_meanings": " ".join(status.name.lower() for status in Status),
    }
    outcome = {
        "status": (first.dims, columns[..., 0].astype(np.int8), flags),
        "accepted": (first.dims, columns[..., 1].astype(int), {"long_name": "accepted steps"}),
        "rejected": (first.dims, columns[..., 2].astype(int), {"long_name": "rejected steps"}),
        "stop_time": (first.dims, columns[..., 3], {"long_name": "time of the last state"}),
    }
    return state.assign(moved | outcome).assign_coords(
        time=("time", asked, {"long_name": "time since the initial state"})
    )


def _check_options(
    tableau: Tableau,
    rtol: float,
    atol: float,
    step_size: float | None,
    stop_norm: float | None,
    max_steps: int,
) -> None:
    check_number("rtol", rtol, least=1e-14, below=1)
    check_number("atol", atol, least=0)
    if tableau.adaptive and step_size is not None:
        raise ValueError(f"step_size is for rk4, {tableau.name} adapts its own; pass rtol instead")
    if not tableau.adaptive:
        if step_size is None:
            raise ValueError(f"method {tableau.name} needs a positive step_size, got None")
        check_number("step_size", step_size, above=0)
    if stop_norm is not None:
        check_number("stop_norm", stop_norm, above=0)
    check_integer("max_steps", max_steps, least=1)


def _labelled(system: System, initial: Any) -> xr.Dataset:
    """The initial state as a Dataset whose variables all have the dimensions of the first."""
    names = list(system.variables)
    if isinstance(initial, xr.Dataset):
        missing = [name for name in names if name not in initial]
        if missing:
            raise ValueError(
                f"initial must hold the variables {names}, but {missing} are missing; "
                "for network weights see grokode.theory.spectrum"
            )
        if "time" in initial.dims:
            raise ValueError("initial has a dimension time already; pick one state with isel")
        modulus = initial.attrs.get("p")
        if modulus is not None and getattr(system, "p", modulus) != modulus:
            raise ValueError(f"system has p = {system.p}, but initial has p = {modulus}")  # type: ignore[attr-defined]
        state = initial.drop_vars("time", errors="ignore")  # a restart's scalar coordinate
        dims = state[names[0]].dims
        for name in names:
            if set(initial[name].dims) != set(dims):
                raise ValueError(
                    f"initial must have one set of dimensions, got {dims} for {names[0]} and "
                    f"{initial[name].dims} for {name}"
                )
        return state.assign({name: state[name].transpose(*dims) for name in names})
    if isinstance(initial, np.ndarray | xr.DataArray) or not isinstance(initial, Sequence):
        raise TypeError(
            f"initial must be a Dataset or a tuple of arrays ({', '.join(names)}), "
            f"got {type(initial).__name__}"
        )
    if len(initial) != len(names):
        raise ValueError(
            f"initial must have one array for each of {names}, got {len(initial)} arrays"
        )
    arrays = as_arrays(
        **{f"initial {name}": values for name, values in zip(names, initial, strict=True)}
    )
    try:
        arrays = [array.copy() for array in np.broadcast_arrays(*arrays)]
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(
            f"initial must have arrays of one broadcastable shape, got {shapes}"
        ) from None
    dims = tuple(f"batch_{i}" for i in range(arrays[0].ndim))
    return xr.Dataset({name: (dims, array) for name, array in zip(names, arrays, strict=True)})


def _pack(system: System, state: xr.Dataset) -> Array:
    """Variables as float64 (tickets, components); the one place where input is converted."""
    columns = []
    for name, kind in system.variables.items():
        values = state[name].values
        if values.dtype.kind not in ("iufc" if kind is complex else "iuf"):
            raise TypeError(
                f"initial {name} must be {kind.__name__} numbers, got dtype {values.dtype}"
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"initial {name} must be finite, got NaN or infinity; drop those tickets"
            )
        columns += [values.real.ravel(), values.imag.ravel()][: 1 + (kind is complex)]
    return np.stack([column.astype(np.float64) for column in columns], axis=-1)


def _unpack(system: System, path: Array) -> dict[str, Array]:
    """Variables (time, tickets) of a path (time, tickets, components)."""
    variables, column = {}, 0
    for name, kind in system.variables.items():
        if kind is complex:
            variables[name] = path[..., column] + 1j * path[..., column + 1]
            column += 2
        else:
            variables[name] = path[..., column]
            column += 1
    return variables


def _integrator(device: str, dtype: str, rtol: float) -> Any:
    """The function that integrates on the device; compilers are loaded when first needed."""
    if device not in ("cpu", "cuda", "auto"):
        raise ValueError(f"device must be cpu, cuda or auto, got {device!r}")
    if dtype not in ("float64", "float32"):
        raise ValueError(f"dtype must be float64 or float32, got {dtype!r}")
    single = dtype == "float32"
    if single and device != "cuda":
        raise ValueError(f'dtype float32 is for device="cuda", got device={device!r}; use float64')
    if single and rtol < 1e-6:
        raise ValueError(f"rtol must be at least 1e-6 in float32, got {rtol:g}; use float64")
    if device != "cpu":
        from grokode.theory import cuda_solvers

        if device == "cuda" or cuda_solvers.available():
            return partial(cuda_solvers.integrate, single=single)
    from grokode.theory import _stepper_lanes

    return _stepper_lanes.integrate


def _raise_failures(report: Array, asked: Array, max_steps: int) -> None:
    status, stop_time = report[:, 0], report[:, 3]
    blown, slow = status == Status.BLEW_UP, status == Status.TOO_MANY_STEPS
    if blown.any():
        raise ValueError(
            f"{blown.sum()} of {status.size} tickets blow up before the last time {asked[-1]:g}, "
            f"the first at {stop_time[blown].min():.6g}; ask for earlier times, set stop_norm, or "
            "pass check=False for NaN after the blow-up"
        )
    if slow.any():
        raise RuntimeError(
            f"{slow.sum()} of {status.size} tickets met max_steps = {max_steps} before the last "
            f"time {asked[-1]:g}, the first at {stop_time[slow].min():.6g}; raise max_steps or "
            "rtol, or pass check=False for NaN after it"
        )
