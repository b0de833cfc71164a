"""The scalar stepper of one ticket, which CPU lanes and CUDA threads share; private to the solvers.

`build` turns a method and a system into a few scalar functions for either target. The stages are
written out as straight-line code on scalars, zero coefficients left out: only so can a compiler
keep a ticket in registers, and eight tickets in one vector register.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from grokode.theory.tableaus import Tableau

REACHED, BLEW_UP, TOO_MANY_STEPS, STOPPED = range(4)


class Stepper(NamedTuple):
    """Compiled scalar functions on tuples of floats."""

    velocity: Any
    """(t, y, parameters) -> dy/dt"""
    row: Any
    """(array (n, components), i) -> its row i as a tuple"""
    step: Any
    """(t, y, k, h, tolerances, parameters) -> y, k at t + h; squared error; squared norm.

    k = f(t, y); tolerances are the squares of rtol and atol; an error of 1 is just acceptable."""
    first_step: Any
    """(y, k, shrink, longest) -> h"""
    control: Any
    """(squared error, memory) -> factor of the step if accepted, if rejected; new memory"""
    record: Any
    """Write the asked values that lie in an accepted step; see its own docstring."""
    outcome: Any
    """Status after a step; see `_outcome`."""


def build(
    tableau: Tableau,
    groups: Sequence[int],
    rhs: Callable[..., Any],
    jit: Any,
    number: type[np.floating[Any]] = np.float64,
) -> Stepper:
    """Stepper of a method and a system.

    Parameters
    ----------
    tableau : Tableau
    groups : sequence of int
        Components of each variable, 1 or 2.
    rhs : function (t, y, parameters) -> tuple
        Plain Python; compiled here.
    jit : decorator
        Compiles a scalar function for the target.
    number : numpy.float64 or numpy.float32
        The format of all scalars.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        return jit(with_constants(function, number))

    plain: Any = float if number is np.float64 else number
    scope: dict[str, Any] = {"velocity": compiled(rhs), "sqrt": math.sqrt}
    source = _source(tableau, groups, 1e-300 if number is np.float64 else 1e-36)
    exec(compile(source, f"<{tableau.name} stepper>", "exec"), scope)
    return Stepper(
        velocity=scope["velocity"],
        row=compiled(scope["row"]),
        step=compiled(scope["step"]),
        first_step=compiled(scope["first_step"]),
        control=compiled(_control(tableau, plain)),
        record=compiled(
            _record(compiled(scope["polynomial"]), compiled(scope["evaluate"]), plain(math.inf))
        ),
        outcome=compiled(_outcome),
    )


def with_constants(
    function: Callable[..., Any], number: type[np.floating[Any]]
) -> Callable[..., Any]:
    """The function with its constants in float32, if that is the format: else nothing is changed.

    One constant in float64 makes a compiler compute in float64 whatever it meets.
    """
    if number is np.float64:
        return function

    def converted(constant: Any) -> Any:
        if isinstance(constant, tuple):
            return tuple(map(converted, constant))
        return number(constant) if isinstance(constant, float) else constant

    code = function.__code__
    return FunctionType(
        code.replace(co_consts=converted(code.co_consts)),
        function.__globals__,
        closure=function.__closure__,
    )


def _control(tableau: Tableau, number: type) -> Callable[..., Any]:
    """PI control with exponents that are sums of powers of 1/2, so that roots replace `pow`.

    factor = safety err^(-a) err_before^b with a = 1/8, b = 1/16 at order 5 and a = 3/32, b = 1/32
    at order 8; after a rejection it is safety err^(-3/16) and safety err^(-1/8). It stays within
    1/5 and 5.
    Single precision is enough for a step size, and its roots take a third of the time.
    """
    sqrt, single = math.sqrt, np.float32
    if not tableau.adaptive:
        return lambda error2, memory: (1.0, 0.0, memory)
    fifth_order = tableau.order <= 5
    # Measured towards a blow-up: bolder steps of order 8 are rejected one time in three.
    safety = 0.9 if fifth_order else 0.8

    def control(error2: float, memory: float) -> tuple[float, float, float]:
        # Written so that NaN counts as a very large error.
        bounded = single(error2 if error2 < 1e20 else 1e20)
        bounded = bounded if bounded > single(1e-20) else single(1e-20)
        root = sqrt(sqrt(sqrt(sqrt(sqrt(bounded)))))  # err^(1/16)
        root = root if fifth_order else sqrt(root)
        square = root * root
        grown = single(safety) * single(memory) / (square if fifth_order else square * root)
        grown = grown if grown < single(5.0) else single(5.0)
        grown = grown if grown > single(0.2) else single(0.2)
        shrunk = single(safety) / (square * root if fifth_order else square * square)
        shrunk = shrunk if shrunk > single(0.2) else single(0.2)
        return number(grown), number(shrunk), number(root)

    return control


def _outcome(
    asked: int, count: int, stop: float, t: float, h: float, steps: float, max_steps: int
) -> int:
    """Status of a ticket after a step, or -1 if it goes on."""
    if asked == count:
        return REACHED
    if stop < math.inf:
        return STOPPED
    if t + h == t:
        return BLEW_UP
    if steps >= max_steps:
        return TOO_MANY_STEPS
    return -1


def _record(polynomial: Any, evaluate: Any, never: float) -> Callable[..., Any]:
    def record(
        t: float,
        y: Any,
        h: float,
        t_after: float,
        y_after: Any,
        norm2_after: float,
        threshold2: float,
        parameters: Any,
        times: Any,
        asked: int,
        path: Any,
        ticket: int,
    ) -> tuple[int, float]:
        """Write the asked values of the step from t to t_after into path (time, ticket, component).

        Returns the next asked time's index and the time at which the norm met its threshold, or
        never, infinity.
        """
        stop = never
        if norm2_after < threshold2:
            if times[asked] > t_after:
                return asked, stop
            if times[asked] == t_after:  # the last time, which the step was cut to meet
                for c in range(len(y)):
                    path[asked, ticket, c] = y_after[c]
                return asked + 1, stop
        coefficients = polynomial(t, y, h, parameters)
        if norm2_after >= threshold2:
            low, high = 0.0, 1.0
            for _ in range(60):
                middle = 0.5 * (low + high)
                norm2 = 0.0
                for value in evaluate(y, coefficients, middle):
                    norm2 += value * value
                if norm2 >= threshold2:
                    high = middle
                else:
                    low = middle
            stop = t + high * h
        while asked < len(times) and times[asked] <= t_after and times[asked] <= stop:
            values = y_after
            if times[asked] < t_after:
                values = evaluate(y, coefficients, (times[asked] - t) / h)
            for c in range(len(values)):
                path[asked, ticket, c] = values[c]
            asked += 1
        return asked, stop

    return record


def _source(tableau: Tableau, groups: Sequence[int], tiny: float) -> str:
    """The functions row, step, first_step, polynomial and evaluate as Python source."""
    n, s, total = sum(groups), tableau.stages, len(tableau.c)
    y, z = _names("y", n), _names("z", n)
    ends = np.cumsum([0, *groups]).tolist()
    parts = [range(start, end) for start, end in pairwise(ends)]

    def stages(first: int, last: int) -> list[str]:
        """Lines that compute stages k_first .. k_(last - 1)."""
        lines = []
        for i in range(first, last):
            state = [f"y{c} + h * ({_sum(tableau.a[i], 'k', c)})" for c in range(n)]
            if i == s - 1:
                lines.append(f"{_tuple(z)} = {_tuple(state)}")
                state = z
            lines.append(
                f"k{i} = velocity(t + {float(tableau.c[i])!r} * h, {_tuple(state)}, parameters)"
            )
            lines.append(f"{_tuple(_names(f'k{i}_', n))} = k{i}")
        return lines

    body = [f"{_tuple(y)} = y", f"{_tuple(_names('k0_', n))} = k"]
    body += stages(1, s)
    for g, part in enumerate(parts):
        body.append(f"old = {_squares('y', part)}")
        body.append(f"new{g} = {_squares('z', part)}")
        # Something tiny makes a variable that is and stays exactly zero free of error.
        body.append(
            f"scale{g} = tolerances[1] + {tiny} + tolerances[0] * (old if old > new{g} else new{g})"
        )
    for m, weights in enumerate(tableau.errors):
        for c in range(n):
            body.append(f"e{c} = h * ({_sum(weights, 'k', c)})")
        ratios = [f"({_squares('e', part)}) / scale{g}" for g, part in enumerate(parts)]
        body.append(f"error{m} = ({' + '.join(ratios)}) * {1 / len(groups)!r}")
    error = ["0.0", "error0", f"error0 * error0 / (error0 + 0.01 * error1 + {tiny})"]
    norm2 = " + ".join(f"new{g}" for g in range(len(groups)))
    body.append(f"return {_tuple(z)}, k{s - 1}, {error[len(tableau.errors)]}, {norm2}")
    step = _function("step(t, y, k, h, tolerances, parameters)", body)

    body = [f"{_tuple(y)} = y", f"{_tuple(_names('k', n))} = k", "h = longest"]
    for part in [*parts, range(n)]:
        body.append(f"size, rate = {_squares('y', part)}, {_squares('k', part)}")
        body.append("if size > 0.0 and rate * h * h > shrink * shrink * size:")
        body.append("    h = shrink * sqrt(size / rate)")
    first_step = _function("first_step(y, k, shrink, longest)", [*body, "return h"])

    body = [f"{_tuple(y)} = y", "k0 = velocity(t, y, parameters)"]
    body += [f"{_tuple(_names('k0_', n))} = k0", *stages(1, total)]
    powers = [
        _tuple([f"h * ({_sum(tableau.dense[:, j], 'k', c)})" for c in range(n)])
        for j in range(tableau.dense.shape[1])
    ]
    polynomial = _function("polynomial(t, y, h, parameters)", [*body, f"return {_tuple(powers)}"])

    values = []
    for c in range(n):
        horner = f"q[{len(powers) - 1}][{c}]"
        for j in reversed(range(len(powers) - 1)):
            horner = f"q[{j}][{c}] + x * ({horner})"
        values.append(f"y[{c}] + x * ({horner})")
    evaluate = _function("evaluate(y, q, x)", [f"return {_tuple(values)}"])
    row = _function("row(y, i)", [f"return {_tuple([f'y[i, {c}]' for c in range(n)])}"])
    return "\n".join([row, step, first_step, polynomial, evaluate])


def _function(head: str, body: list[str]) -> str:
    return "\n".join([f"def {head}:", *(f"    {line}" for line in body), ""])


def _names(stem: str, n: int) -> list[str]:
    return [f"{stem}{c}" for c in range(n)]


def _tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)},)"


def _sum(weights: Any, stem: str, component: int) -> str:
    terms = [f"{float(w)!r} * {stem}{j}_{component}" for j, w in enumerate(weights) if w != 0]
    return " + ".join(terms) or "0.0"


def _squares(stem: str, part: range) -> str:
    return " + ".join(f"{stem}{c} * {stem}{c}" for c in part)
