"""The theory's identities, each with an exact proof, and the misprints, each with its refutation.

An identity is an object: name, statement in LaTeX, source, whether it is expected to hold, and a
proof that derives it from the definitions without a floating-point number. Proofs are symbolic in p
where the algebra allows; otherwise exact at the listed p, in the roots of unity.
"""

from grokode.theory.identities.base import Identity, Proof, Verdict
from grokode.theory.identities.catalogue import IDENTITIES, prove

__all__ = ["IDENTITIES", "Identity", "Proof", "Verdict", "prove"]
