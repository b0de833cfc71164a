"""Scalar elliptic kernels of the four-variable flow, compiled; private to `theory.exact`.

Everything here works on one ticket. Write v = beta^2 and q = alpha^2 = C1 + 2 v, and let v*, q* be
their values at the turning point, where cos D = 0. On the orbit

    (dv/dt)^2 = 16 p^2 x (x^2 + S x + P),   x = v - v* = (q - q*) / 2,

with S = q* + v* and P = q* (v* + q*/4). The turning value w = beta* is the positive root of
2 w^3 + C1 w = |C2|, and q* = |C2| / w. So x, S and P are sums of positive terms, and the roots of
the cubic, real or complex, enter through S and P alone: nothing below cancels.

With u = 2 p (time left to the blow-up), x = wp(u) - e1 (e1 the largest real root), and
omega = R_F(0, ...) is u at the turning point. u -> 2 omega - u changes the sign of cos D, and
x(omega - u) = P / x(u).
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from numba import njit, prange
from numpy.typing import NDArray

from grokode.theory._parallel import parallel

Array = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


class _Compiler(Protocol):
    def __call__(self, function: Function, /) -> Function: ...


# Scalar functions and the loops over tickets that call them stay in one file: numba's cache does
# not notice a change in another.
_scalar: _Compiler = cast(Any, njit(cache=True, error_model="numpy"))
_inline: _Compiler = cast(Any, njit(cache=True, error_model="numpy", forceinline=True))
_loop: _Compiler = parallel
_BLOCK = 4096  # tickets a thread takes at once
_FAINT = 2.0**-266  # alpha / beta below which B stands still and A moves linearly, to rounding
_CLEAR = 2.0**-250  # to where it is followed so: squares are far from underflow, and far below 1
_SPLIT = 134217729.0  # 2^27 + 1, Dekker's splitting constant


@_inline
def _larger(a: float, b: float) -> float:
    """The larger of two numbers; numba's `max` does not compile for every device."""
    return a if a > b else b


@_inline
def _two_product(a: float, b: float) -> tuple[float, float]:
    """Product a b as an unevaluated sum of two floats, exactly (Dekker)."""
    product = a * b
    t = _SPLIT * a
    a_high = t - (t - a)
    t = _SPLIT * b
    b_high = t - (t - b)
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@_inline
def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Sum a + b as an unevaluated sum of two floats, exactly (Knuth)."""
    total = a + b
    t = total - a
    return total, (a - (total - t)) + (b - t)


@_inline
def _cross(h1: float, l1: float, f1: float, h2: float, l2: float, f2: float) -> float:
    """(h1 + l1) f1 + (h2 + l2) f2 in twice the working precision."""
    m1, r1 = _two_product(h1, f1)
    m2, r2 = _two_product(h2, f2)
    total, rest = _two_sum(m1, m2)
    return total + (rest + (r1 + r2) + (l1 * f1 + l2 * f2))


@_inline
def _invariants(
    ar: float, ai: float, br: float, bi: float
) -> tuple[float, float, float, float, float]:
    """alpha^2, beta^2, C1, C2 and C3 = alpha^2 beta cos D from A = ar + i ai, B = br + i bi.

    T is singular at C2 = 0, D = pi, C1 <= 0, and the turning time vanishes with C3, so C1, C2 and
    C3 need *relative* accuracy where they cancel: they are summed in doubled precision.
    """
    h1, l1 = _two_product(ar, ar)
    h2, l2 = _two_product(ai, ai)
    h3, l3 = _two_product(br, br)
    h4, l4 = _two_product(bi, bi)
    difference, rest = _two_sum(h1, -h2)
    rest += l1 - l2
    twice, twice_low = _two_product(2.0 * ar, ai)
    C2 = _cross(twice, twice_low, br, difference, rest, -bi)
    C3 = _cross(difference, rest, br, twice, twice_low, bi)
    a_sum, a_rest = _two_sum(h1, h2)
    b_sum, b_rest = _two_sum(h3, h4)
    total, low = _two_sum(a_sum, -2.0 * b_sum)
    C1 = total + (low + (a_rest + l1 + l2) - 2.0 * (b_rest + l3 + l4))
    return a_sum, b_sum, C1, C2, C3


@_inline
def _root_step(w: float, C1: float, c: float) -> float:
    """Halley step down from w towards the positive root of 2 w^3 + C1 w = c."""
    slope = 6.0 * w * w + C1
    f = w * (2.0 * w * w + C1) - c
    return f * slope / (slope * slope - 6.0 * w * f)


@_inline
def _root_bound(C1: float, c: float, b: float) -> float:
    """Upper bound of the positive root of 2 w^3 + C1 w = c; b is one already."""
    ratio = c / C1
    bound = ratio if C1 > 0.0 else math.sqrt(abs(0.5 * C1)) - 0.5 * ratio
    # At C1 = 0 there is no bound but b: the other is minus infinity, or NaN.
    return bound if (bound >= 0.0) & (bound < b) else b


@_inline
def _first_excess(a2: float, b2: float, q: float, C3: float) -> float:
    """Initial x from x (x^2 + S x + P) = (C3/2)^2; the cofactor has only plus signs.

    The difference b2 - v* would cancel near the turning point.
    """
    half = 0.5 * C3
    return half / (0.5 * b2 * (a2 + q) + 0.25 * q * q) * half


@_inline
def _duplicated(x: float, S: float, P: float) -> float:
    """Four times x at half the u: Carlson's duplication, real whatever the other two roots."""
    pair = math.sqrt(x * (x + S) + P)
    return x + math.sqrt(x * (2.0 * (x + pair) + S)) + pair


@_inline
def _series(X: float, YZ: float) -> float:
    """sqrt(mean) R_F from relative deviations X, Y, Z = -X - Y (DLMF 19.36.1), to order 7."""
    E2 = YZ - X * X
    E3 = X * YZ
    return (
        1.0
        - E2 / 10.0
        + E3 / 14.0
        + E2 * E2 / 24.0
        - 3.0 * E2 * E3 / 44.0
        - 5.0 * E2 * E2 * E2 / 208.0
        + 3.0 * E3 * E3 / 104.0
        + E2 * E2 * E3 / 16.0
    )


@_scalar
def _first_kind(x: float, S: float, P: float, mirrored: bool) -> float:
    """Solution u of wp(u) - e1 = x, Carlson's R_F; with ``mirrored``, 2 omega - u instead.

    The mirrored point has the same x and the other sign of one square root in the first
    duplication, where x - sqrt(..) + sqrt(..) = P / (x + sqrt(..) + sqrt(..)).
    """
    third = S / 3.0
    product = P - S * S / 4.5
    while True:
        mean = x + third
        # Deviations below 0.03 leave the series an error below rounding. NaN leaves the loop too.
        if not (mirrored or third * third + abs(product) >= 4e-4 * mean * mean):
            break
        total = _duplicated(x, S, P)
        if mirrored:
            total = P / total
            mirrored = False
        x = 0.25 * total
        S *= 0.25
        third *= 0.25
        P *= 0.0625
        product *= 0.0625
    return _series(third / mean, product / (mean * mean)) / math.sqrt(mean)


@_scalar
def _excess(u: float, C1: float, C2: float, S: float, P: float) -> float:
    """Excess x = wp(u) - e1 for 0 < u <= omega/2: Laurent series at u / 2^n, then n doublings.

    Doubling is stable there because x >= sqrt(P): the square below does not cancel.
    """
    if u > 1e150:  # only where omega is infinite: the ticket has come to rest
        return 0.0
    size = S + math.sqrt(P)
    doublings = 0
    while u * u * size > 0.02:
        u *= 0.5
        doublings += 1
    z = u * u
    c2 = C1 * C1 / 60.0  # g2 / 20
    c3 = (C1 * C1 * C1 / 27.0 + C2 * C2) / 28.0  # g3 / 28
    tail = c2 + z * (c3 + z * (c2 * c2 / 3.0 + z * 3.0 * c2 * c3 / 11.0))
    x = 1.0 / z + z * tail - S / 3.0
    for _ in range(doublings):
        if x == 0.0:  # likewise
            break
        ratio = P / x
        x = (x - ratio) ** 2 / (4.0 * (x + S + ratio))
    return x


@_scalar
def _sweep(x: float, S: float, P: float, rho: float, C2: float) -> float:
    """Angle C2 R_J(x, ., ., rho) / 6 swept by psi (rho = v) or -phi (rho = q/2) until blow-up.

    In both cases the product of rho minus the other arguments is C2^2 / 4, so every R_C of
    Carlson's duplication is an arctangent.
    """
    if C2 == 0.0:  # no angle, and R_J may be infinite
        return 0.0
    total = 0.0
    weight = 2.0
    shrunk = 0.5 * C2
    power = 1.0
    while True:
        mean = (3.0 * x + S + 2.0 * rho) / 5.0
        X = (mean - x) / mean
        R = (mean - rho) / mean
        YZ = ((mean - x) * (mean - x - S) + P) / (mean * mean)
        if not X * X + R * R + abs(YZ) >= 4e-4:
            break
        root = math.sqrt(x)
        root_rho = math.sqrt(rho)
        pair = math.sqrt(x * (x + S) + P)
        pair_sum = math.sqrt(2.0 * (x + pair) + S)
        total += weight * math.atan(
            shrunk / ((root_rho + root) * (rho + root_rho * pair_sum + pair))
        )
        shift = root * pair_sum + pair
        x = 0.25 * (x + shift)
        rho = 0.25 * (rho + shift)
        S *= 0.25
        P *= 0.0625
        weight *= 2.0
        shrunk *= 0.125
        power *= 0.25
    # DLMF 19.36.2, of order 5 in deviations below 0.03, and for the small rest of the angle only.
    YplusZ = -X - 2.0 * R
    E2 = X * YplusZ + YZ - 3.0 * R * R
    E3 = X * YZ + 2.0 * E2 * R + 4.0 * R * R * R
    E4 = (2.0 * X * YZ + E2 * R + 3.0 * R * R * R) * R
    E5 = X * YZ * R * R
    series = (
        1.0
        - 3.0 * E2 / 14.0
        + E3 / 6.0
        + 9.0 * E2 * E2 / 88.0
        - 3.0 * E4 / 22.0
        - 9.0 * E2 * E3 / 52.0
        + 3.0 * E5 / 26.0
    )
    return total + power * C2 / 6.0 * series / (mean * math.sqrt(mean))


@_inline
def _exponent(size: float) -> int:
    """Binary exponent of a number, at least -1000."""
    exponent = math.frexp(size)[1]
    return exponent if exponent > -1000 else -1000


@_scalar
def _scale(ar: float, ai: float, br: float, bi: float) -> float:
    """Power of two that brings the components to order 1 where they need it; 0 if all are 0."""
    largest = _larger(_larger(abs(ar), abs(ai)), _larger(abs(br), abs(bi)))
    if 1e-30 < largest < 1e30:
        return 1.0
    if largest == 0.0:
        return 0.0
    return math.ldexp(1.0, -_exponent(largest))


@_scalar
def _orbit(
    ar: float, ai: float, br: float, bi: float
) -> tuple[float, float, float, float, float, float]:
    """C1, C2, C3, v*, q*, x of a ticket with alpha > 0."""
    a2, b2, C1, C2, C3 = _invariants(ar, ai, br, bi)
    c = abs(C2)
    if c == 0.0:
        w = math.sqrt(_larger(-0.5 * C1, 0.0))
    else:
        w = _root_bound(C1, c, math.sqrt(b2))
        while True:
            step = _root_step(w, C1, c)
            w -= step
            if not abs(step) > 1e-6 * w:  # cubic convergence: the next is below rounding
                break
    q = C1 + 2.0 * w * w if C1 >= 0.0 else c / w
    return C1, C2, C3, w * w, q, _first_excess(a2, b2, q, C3)


@_scalar
def _is_faint(A: complex, B: complex) -> bool:
    """Whether (alpha/beta)^2 is so small that the closed form's differences would underflow."""
    return 0.0 < abs(A) < _FAINT * abs(B)


@_scalar
def _unit(w: complex) -> float:
    """Power of two that brings a number to order 1."""
    return math.ldexp(1.0, -_exponent(_larger(abs(w.real), abs(w.imag))))


@_scalar
def _faint(A: complex, B: complex, p: float) -> tuple[float, float, float, float]:
    """Growing and shrinking part of a faint ticket in units of 1/`_unit`; their rate, and a time.

    With B = beta u^2 at rest, A = (plus + i minus) u, and plus grows, minus shrinks at the rate
    2 p beta. The time is when plus is `_CLEAR` beta; infinite if it is 0.
    """
    up, level = _unit(A), _unit(B)
    a2, b2, _, C2, C3 = _invariants(up * A.real, up * A.imag, level * B.real, level * B.imag)
    b = math.sqrt(b2)
    # plus^2 - minus^2 = C3 / beta and 2 plus minus = C2 / beta, with no difference of equals.
    larger = math.sqrt((a2 * b + abs(C3)) / (2.0 * b))
    smaller = C2 / (2.0 * b * larger)
    plus, minus = (larger, smaller) if C3 >= 0.0 else (smaller, larger)
    rate = 2.0 * p * abs(B)
    if plus == 0.0:
        return plus, minus, rate, math.inf
    way = math.log(_CLEAR) + math.log(abs(B)) + math.log(up) - math.log(abs(plus))
    return plus, minus, rate, way / rate


@_scalar
def _faint_after(A: complex, B: complex, t: float, p: float) -> complex:
    """A of a faint ticket after a time at which it is no larger than `_CLEAR` beta."""
    plus, minus, rate, _ = _faint(A, B, p)
    up = _unit(A)
    u = up * A / complex(plus, minus)
    shrink = math.log(up)
    return u * complex(plus * math.exp(rate * t - shrink), minus * math.exp(-rate * t - shrink))


@_scalar
def _blowup(A: complex, B: complex, p: float) -> float:
    """Blow-up time of one ticket; see `theory.exact.blowup_time`."""
    if _is_faint(A, B):
        _, _, _, lead = _faint(A, B, p)
        return lead + _blowup_near(complex(_CLEAR * abs(B), 0.0), complex(abs(B), 0.0), p)
    return _blowup_near(A, B, p)


@_scalar
def _blowup_near(A: complex, B: complex, p: float) -> float:
    """`_blowup` of a ticket that is not faint."""
    ar, ai, br, bi = A.real, A.imag, B.real, B.imag
    s = _scale(ar, ai, br, bi)
    if s == 0.0 or (ar == 0.0 and ai == 0.0):
        return math.inf
    _, _, C3, v, q, x = _orbit(s * ar, s * ai, s * br, s * bi)
    if C3 < 0.0 and q == 0.0:
        return math.inf
    return _first_kind(x, q + v, q * (v + 0.25 * q), C3 < 0.0) * s / (2.0 * p)


@_inline
def _blowup_straight(ar: float, ai: float, br: float, bi: float, p: float) -> float:
    """`_blowup` without a branch, so that a loop over it runs in vector lanes; NaN where unsure.

    The fixed numbers of root and duplication steps settle over 99% of Gaussian tickets.
    """
    a2, b2, C1, C2, C3 = _invariants(ar, ai, br, bi)
    c = abs(C2)
    w = _root_bound(C1, c, math.sqrt(b2))
    w -= _root_step(w, C1, c)
    w -= _root_step(w, C1, c)
    w -= _root_step(w, C1, c)
    step = _root_step(w, C1, c)
    w -= step
    v = w * w
    q = C1 + 2.0 * v if C1 >= 0.0 else c / w
    S, P = q + v, q * (v + 0.25 * q)
    x = _first_excess(a2, b2, q, C3)
    total = _duplicated(x, S, P)
    x = 0.25 * (P / total if C3 < 0.0 else total)
    x = 0.25 * _duplicated(x, S * 4.0**-1, P * 16.0**-1)
    x = 0.25 * _duplicated(x, S * 4.0**-2, P * 16.0**-2)
    x = 0.25 * _duplicated(x, S * 4.0**-3, P * 16.0**-3)
    x = 0.25 * _duplicated(x, S * 4.0**-4, P * 16.0**-4)
    mean = x + S / 3.0 * 4.0**-5
    X = S / 3.0 * 4.0**-5 / mean
    YZ = (P - S * S / 4.5) * 16.0**-5 / (mean * mean)
    size = a2 + b2
    in_range = (size > 1e-60) & (size < 1e60) & (a2 > 1e-150 * b2)
    settled = (abs(step) <= 1e-6 * w) & (X * X + abs(YZ) < 4e-4)
    return _series(X, YZ) / (2.0 * p * math.sqrt(mean)) if in_range & settled else math.nan


@_scalar
def _blowup_block(A: Array, B: Array, p: float, out: Array) -> None:
    for i in range(out.size):
        out[i] = _blowup_straight(A[i].real, A[i].imag, B[i].real, B[i].imag, p)
    for i in range(out.size):
        if math.isnan(out[i]):
            out[i] = _blowup(A[i], B[i], p)


@_loop
def blowup_loop(A: Array, B: Array, p: float, out: Array) -> None:
    """Blow-up times of contiguous arrays of tickets into out."""
    for k in prange((out.size + _BLOCK - 1) // _BLOCK):
        block = slice(_BLOCK * k, min(_BLOCK * (k + 1), out.size))
        _blowup_block(A[block], B[block], p, out[block])


@_scalar
def _travel(
    u: float, C1: float, C2: float, C3: float, S: float, P: float, x0: float
) -> tuple[float, bool]:
    """Excess x after u = 2 p t (infinite at and past the blow-up), and whether it is growing."""
    falling = C3 < 0.0
    u0 = _first_kind(x0, S, P, False)
    if P == 0.0:  # C2 = 0 and C1 <= 0: there is no turning point to be reached
        if not falling and u >= u0:
            return math.inf, True
        return _excess(u0 + u if falling else u0 - u, C1, C2, S, P), not falling
    # Times are measured from the nearest of blow-up, turning point and start, so that their
    # differences do not cancel.
    from_turn = _first_kind(P / x0, S, P, False)
    delta = u - from_turn if falling else u + from_turn
    omega = _first_kind(0.0, S, P, False)
    if abs(delta) <= 0.5 * omega:
        return (P / _excess(abs(delta), C1, C2, S, P) if delta != 0.0 else 0.0), delta >= 0.0
    if delta < 0.0:
        return _excess(u0 + u, C1, C2, S, P), False
    left = (_first_kind(x0, S, P, True) if falling else u0) - u
    return (_excess(left, C1, C2, S, P) if left > 0.0 else math.inf), True


@_scalar
def _evolve(A: complex, B: complex, t: float, p: float) -> tuple[complex, complex]:
    """A and B of one ticket after time t; NaN at and past the blow-up."""
    if _is_faint(A, B):
        _, _, _, lead = _faint(A, B, p)
        A = _faint_after(A, B, min(t, lead), p)
        if t <= lead:
            return A, B
        t -= lead
    s = _scale(A.real, A.imag, B.real, B.imag)
    a0 = abs(A)
    if t == 0.0 or s == 0.0 or a0 == 0.0:
        return A, B
    C1, C2, C3, v, q, x0 = _orbit(s * A.real, s * A.imag, s * B.real, s * B.imag)
    S, P = q + v, q * (v + 0.25 * q)
    x, growing = _travel(2.0 * p * t / s, C1, C2, C3, S, P, x0)
    if not x < math.inf:
        return complex(math.nan, math.nan), complex(math.nan, math.nan)
    alpha, beta = math.sqrt(q + 2.0 * x), math.sqrt(v + x)
    # The angle whose rate stays bounded on this orbit is integrated; the other follows from D.
    offset, sign = (0.5 * q, -1.0) if C1 >= 0.0 else (v, 1.0)
    swept = _sweep(x0, S, P, offset + x0, C2)
    after = _sweep(x, S, P, offset + x, C2)
    if C3 >= 0.0:
        turn = sign * (swept - after)
    elif not growing:
        turn = sign * (after - swept)
    else:
        turn = sign * (2.0 * _sweep(0.0, S, P, offset, C2) - swept - after)
    cosine = 2.0 * math.sqrt(x * (x * (x + S) + P))
    D = math.atan2(C2, cosine if growing else -cosine)
    if C1 >= 0.0:
        unit = A / a0 * complex(math.cos(turn), math.sin(turn))
        return alpha / s * unit, beta / s * unit * unit * complex(math.cos(D), -math.sin(D))
    half = 0.5 * (turn + D - math.atan2(C2, C3))
    return (
        alpha / s * (A / a0) * complex(math.cos(half), math.sin(half)),
        beta / s * (B / abs(B)) * complex(math.cos(turn), math.sin(turn)),
    )


@_loop
def evolve_loop(A: Array, B: Array, t: Array, p: float, A_out: Array, B_out: Array) -> None:
    """Evolved tickets of contiguous arrays into A_out, B_out."""
    for i in prange(t.size):
        A_out[i], B_out[i] = _evolve(A[i], B[i], t[i], p)


@_scalar
def output_magnitude(A: complex, B: complex, t: float, p: float) -> float:
    """Magnitude beta of one ticket after time t, infinite at and past the blow-up."""
    if _is_faint(A, B):
        _, _, _, lead = _faint(A, B, p)
        if t <= lead:
            return abs(B)
        A = _faint_after(A, B, lead, p)
        t -= lead
    s = _scale(A.real, A.imag, B.real, B.imag)
    if t == 0.0 or s == 0.0 or (A.real == 0.0 and A.imag == 0.0):
        return abs(B)
    C1, C2, C3, v, q, x0 = _orbit(s * A.real, s * A.imag, s * B.real, s * B.imag)
    x, _ = _travel(2.0 * p * t / s, C1, C2, C3, q + v, q * (v + 0.25 * q), x0)
    return math.sqrt(v + x) / s


@_loop
def output_magnitude_loop(A: Array, B: Array, t: Array, p: float, out: Array) -> None:
    """`output_magnitude` of contiguous arrays into out."""
    for i in prange(t.size):
        out[i] = output_magnitude(A[i], B[i], t[i], p)


@_loop
def turning_loop(A: Array, B: Array, p: float, out: Array) -> None:
    """Rows alpha, beta, time of the turning point into out (n, 3); NaN where there is none."""
    for i in prange(A.size):
        ar, ai, br, bi = A[i].real, A[i].imag, B[i].real, B[i].imag
        s = _scale(ar, ai, br, bi)
        out[i, :] = math.nan
        if s == 0.0:
            continue
        if _is_faint(A[i], B[i]):
            plus, minus, rate, _ = _faint(A[i], B[i], p)
            if abs(plus) < abs(minus):
                out[i, 0] = math.sqrt(2.0 * abs(plus * minus)) / _unit(A[i])
                out[i, 1] = abs(B[i])
                ratio = math.log(abs(minus / plus)) if plus != 0.0 else math.inf
                out[i, 2] = 0.5 * ratio / rate
            continue
        _, _, C3, v, q, x = _orbit(s * ar, s * ai, s * br, s * bi)
        if C3 < 0.0:
            P = q * (v + 0.25 * q)
            out[i, 0] = math.sqrt(q) / s
            out[i, 1] = math.sqrt(v) / s
            out[i, 2] = (
                math.inf if P == 0.0 else _first_kind(P / x, q + v, P, False) * s / (2.0 * p)
            )
