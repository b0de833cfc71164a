"""Exact arithmetic with roots of unity, and sums over Z_p for every p at once.

For a given order n, ``RootsOfUnity`` holds polynomials in symbols and in z = e^{2 pi i / n} with
rational coefficients, reduced modulo the n-th cyclotomic polynomial: a normal form, so an element
is zero exactly where its normal form is. A real wave is written with its complex coefficient and
that coefficient's conjugate as two symbols, alpha cos(w k x + phi) = (A z^{kx} + A' z^{-kx}) / 2.

For symbolic p, ``character_mean`` averages a Laurent polynomial over Z_p by character
orthogonality (itself an identity of this package): only the constant term survives.
"""

from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement, ring

from grokode.theory.identities.base import Verdict

__all__ = ["RootsOfUnity", "character_mean"]


class RootsOfUnity:
    """Polynomials in symbols over the n-th roots of unity.

    Parameters
    ----------
    order : int
        n, at least 1.
    names : sequence of str
        Symbols besides z.

    Examples
    --------
    >>> roots = RootsOfUnity(3)
    >>> roots.normal(1 + roots.z(1) + roots.z(2))
    0
    """

    def __init__(self, order: int, names: Sequence[str] = ()) -> None:
        self.order = order
        domain, z, *symbols = ring(["z", *names], sp.QQ)
        self._z = z
        self.one: PolyElement = domain.one
        self.symbols: dict[str, PolyElement] = dict(zip(names, symbols, strict=True))
        coefficients = sp.Poly(sp.cyclotomic_poly(order, sp.Symbol("z"))).all_coeffs()
        self._degree = len(coefficients) - 1
        # z^degree = sum of tail[i] z^i, because the cyclotomic polynomial is monic.
        self._tail = [-sp.QQ(int(c)) for c in reversed(coefficients[1:])]

    def z(self, exponent: int) -> PolyElement:
        """The root e^{2 pi i exponent / n}, exponent any integer."""
        return self._z ** (exponent % self.order)

    def number(self, value: sp.Rational | int) -> PolyElement:
        """A rational constant."""
        return self.one * sp.QQ.from_sympy(sp.sympify(value))

    def cos(self, exponent: int) -> PolyElement:
        """cos(2 pi exponent / n)."""
        return (self.z(exponent) + self.z(-exponent)) * sp.QQ(1, 2)

    def wave(self, coefficient: str, exponent: int) -> PolyElement:
        """Real wave (A z^exponent + A' z^-exponent) / 2 of the symbols A and A'."""
        A, conjugate = self.symbols[coefficient], self.symbols[coefficient + "'"]
        return (A * self.z(exponent) + conjugate * self.z(-exponent)) * sp.QQ(1, 2)

    def normal(self, element: PolyElement) -> PolyElement:
        """Normal form: powers of z below the degree of the cyclotomic polynomial."""
        by_power: dict[int, dict[tuple[int, ...], Any]] = {}
        for monomial, coefficient in self.one.ring(element).terms():
            power = by_power.setdefault(monomial[0] % self.order, {})
            _add(power, monomial[1:], coefficient)
        for high in range(self.order - 1, self._degree - 1, -1):
            for rest, coefficient in by_power.pop(high, {}).items():
                for low, tail in enumerate(self._tail, start=high - self._degree):
                    if tail:
                        _add(by_power.setdefault(low, {}), rest, tail * coefficient)
        return self.one.ring.from_dict(
            {
                (power, *rest): c
                for power, terms in by_power.items()
                for rest, c in terms.items()
                if c
            }
        )

    def vanishes(self, element: PolyElement) -> Verdict:
        """Whether an element is zero; else its normal form, z standing for e^{2 pi i / n}.

        Examples
        --------
        >>> roots = RootsOfUnity(5)
        >>> roots.vanishes(roots.cos(1) + roots.cos(2)).counterexample
        'left - right = -1/2, z = exp(2 pi i/5)'
        """
        residual = self.normal(element)
        if not residual:
            return Verdict(True)
        return Verdict(False, f"left - right = {residual.as_expr()}, z = exp(2 pi i/{self.order})")


def character_mean(expression: sp.Expr, *characters: sp.Symbol) -> sp.Expr:
    """Mean over (x, y, ...) in Z_p of a Laurent polynomial in u = e^{iwx}, v = e^{iwy}, ...

    By character orthogonality this is the constant term, for every p above the exponents that
    occur: then no exponent but 0 is a multiple of p.

    Examples
    --------
    >>> u, v, A = sp.symbols("u v A")
    >>> character_mean((A * u + v) * (1 / u + v), u, v)
    A
    """
    expanded = sp.expand(expression)
    for character in characters:
        expanded = expanded.as_independent(character, as_Add=True)[0]
    return expanded


def _add(terms: dict[tuple[int, ...], Any], monomial: tuple[int, ...], value: Any) -> None:
    terms[monomial] = terms.get(monomial, 0) + value
