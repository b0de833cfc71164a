"""Every identity in one list, and the function that proves them."""

import time
from collections.abc import Callable, Sequence

from grokode.theory.identities import (
    characters,
    energy,
    errata,
    flow,
    logits,
    mergers,
    moments,
    pair_errata,
    pair_flow,
    relu,
)
from grokode.theory.identities.base import Identity, Proof

__all__ = ["IDENTITIES", "prove"]

IDENTITIES: tuple[Identity, ...] = (
    *characters.IDENTITIES,
    *energy.IDENTITIES,
    *flow.IDENTITIES,
    *logits.IDENTITIES,
    *pair_flow.IDENTITIES,
    *mergers.IDENTITIES,
    *pair_errata.IDENTITIES,
    *moments.IDENTITIES,
    *relu.IDENTITIES,
    *errata.IDENTITIES,
)


def prove(
    names: Sequence[str] | None = None, on_proved: Callable[[Proof], object] | None = None
) -> list[Proof]:
    """Prove identities, exactly, one after the other.

    Parameters
    ----------
    names : sequence of str or None
        Names out of ``IDENTITIES``, in the order wanted; None proves all of them.
    on_proved : callable (Proof) or None
        Called after each, for showing progress.

    Returns
    -------
    list of Proof
        One per name: whether it holds, the counter-example if not, and the seconds it took. Compare
        ``proof.holds`` with ``proof.identity.expected``: a misprint is expected to fail.

    Raises
    ------
    TypeError
        If names is a single string.
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> [proof] = prove(["misalignment_rate_published"])
    >>> proof.holds, proof.identity.expected
    (False, False)
    """
    if isinstance(names, str):
        raise TypeError(
            f"names must be a sequence of names, got the string {names!r}; pass [{names!r}]"
        )
    known = {identity.name: identity for identity in IDENTITIES}
    wanted = list(known) if names is None else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(
            f"names must be known identities, got {', '.join(map(repr, unknown))}; "
            f"choose from {', '.join(known)}"
        )
    proofs = []
    for name in wanted:
        start = time.perf_counter()
        verdict = known[name].proof()
        seconds = time.perf_counter() - start
        proofs.append(Proof(known[name], verdict.holds, verdict.counterexample, seconds))
        if on_proved is not None:
            on_proved(proofs[-1])
    return proofs
