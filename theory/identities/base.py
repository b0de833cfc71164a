"""What an identity is, how a proof answers, and the exact tests every proof ends in.

Nothing here or in the proofs evaluates a number in floating point. An expression counts as zero
only if its canonical form as a rational function is zero, with sines and cosines written through
e^{ia}, one variable for every angle a, so that no trigonometric identity has to be searched for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import sympy as sp
from sympy.simplify.fu import TR8

__all__ = ["Identity", "Proof", "Verdict", "all_hold", "canonical", "holds_if", "vanishes"]


@dataclass(frozen=True)
class Verdict:
    """The answer of a proof.

    Parameters
    ----------
    holds : bool
    counterexample : str
        Residual or counter-example where it does not hold, else empty.
    """

    holds: bool
    counterexample: str = ""


@dataclass(frozen=True)
class Identity:
    """A printed statement with its proof.

    Parameters
    ----------
    name : str
        Unique, lower case with underscores.
    statement : str
        The statement in LaTeX, without dollar signs, with its range of validity.
    source : str
        Paper and place; "derived" where no paper has it.
    expected : bool
        False for a misprint: its proof must fail, with a counter-example.
    proof : callable () -> Verdict

    Examples
    --------
    >>> square = Identity("square", "1 + 1 = 2", "arithmetic", True, lambda: Verdict(1 + 1 == 2))
    >>> square.proof().holds
    True
    """

    name: str
    statement: str
    source: str
    expected: bool
    proof: Callable[[], Verdict]


@dataclass(frozen=True)
class Proof:
    """A verdict that was reached: the identity, the answer, and how long it took.

    Parameters
    ----------
    identity : Identity
    holds : bool
    counterexample : str
        Residual or counter-example where it does not hold, else empty.
    seconds : float
        Wall time of the proof.
    """

    identity: Identity
    holds: bool
    counterexample: str
    seconds: float


def canonical(expression: sp.Expr) -> sp.Expr:
    """Canonical rational function of a rational expression in symbols and their sines and cosines.

    Angles are integer combinations of symbols (write w x = 2 X to use half angles). Two such
    expressions are equal exactly where their difference is canonically zero.

    Raises
    ------
    ValueError
        For any other angle.

    Examples
    --------
    >>> a, b = sp.symbols("a b")
    >>> canonical(sp.cos(a - b) - sp.cos(a) * sp.cos(b) - sp.sin(a) * sp.sin(b))
    0
    """
    expression = sp.sympify(expression)
    rational = {}
    for wave in expression.atoms(sp.sin, sp.cos):
        phasor = sp.Integer(1)
        for symbol, count in sp.expand(wave.args[0]).as_coefficients_dict().items():
            if not (symbol.is_Symbol and count.is_Integer):
                raise ValueError(
                    f"angle must combine symbols with integers, got {wave}; rescale its symbols"
                )
            phasor *= sp.Symbol(f"exp_i_{symbol}") ** count
        sign = 1 if wave.func is sp.cos else -1
        scale = sp.Integer(2) if wave.func is sp.cos else 2 * sp.I
        rational[wave] = (phasor + sign / phasor) / scale
    return sp.cancel(sp.together(expression.xreplace(rational)))


def vanishes(*expressions: sp.Expr) -> Verdict:
    """Whether every expression is identically zero; else its residual and a point where it is not.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> vanishes(sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1).holds
    True
    >>> vanishes((x + 1) ** 2 - x**2 - 1).counterexample
    'left - right = 2*x; at x = 1 it is 2'
    """
    for expression in expressions:
        if canonical(expression) != 0:
            residual = sp.factor(TR8(sp.expand(expression)))
            return Verdict(False, f"left - right = {residual}; {_point(residual)}")
    return Verdict(True)


def holds_if(condition: object, otherwise: str) -> Verdict:
    """A verdict from a condition that must be True itself: undecided counts as failed.

    Examples
    --------
    >>> holds_if(sp.Symbol("x") > 0, "x may be -1")
    Verdict(holds=False, counterexample='x may be -1')
    """
    decided = condition is True or condition is sp.true
    return Verdict(True) if decided else Verdict(False, otherwise)


def all_hold(cases: Iterable[tuple[str, Verdict]]) -> Verdict:
    """The first failing case, with its label before its counter-example, or success.

    Examples
    --------
    >>> all_hold([("p = 3", Verdict(True)), ("p = 5", Verdict(False, "1"))])
    Verdict(holds=False, counterexample='p = 5: 1')
    """
    for label, verdict in cases:
        if not verdict.holds:
            return Verdict(False, f"{label}: {verdict.counterexample}")
    return Verdict(True)


def _point(residual: sp.Expr) -> str:
    """A point in small integers, angles in quarter turns and sixths, where a residual is not 0."""
    symbols: Sequence[sp.Symbol] = sorted(residual.free_symbols, key=str)
    angles = {s for wave in residual.atoms(sp.sin, sp.cos) for s in wave.free_symbols}
    choices = [(sp.pi / 2, sp.pi / 3) if s in angles else (1, 2, 3) for s in symbols]
    for values in product(*choices):
        at = residual.subs(dict(zip(symbols, values, strict=True)))
        if at.is_zero is False:
            where = ", ".join(f"{s} = {v}" for s, v in zip(symbols, values, strict=True))
            return f"at {where} it is {sp.simplify(at)}" if where else f"it is {at}"
    return "it is not identically zero"
