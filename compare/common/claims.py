"""A published claim on one run: its number, its threshold, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grokode.compare.common.cells import Rows

__all__ = ["FAILS", "HOLDS", "NOT_MEASURED", "PARTLY", "Claim", "Verdict", "claims_table"]

HOLDS, PARTLY, FAILS = "holds", "holds partly", "does not hold here"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Claim:
    """A statement with the numbers at which it holds, and holds partly.

    Parameters
    ----------
    text : str
    measure : str
        What is measured.
    holds, partly : float
        Thresholds; if ``partly`` is the larger, less is better.
    """

    text: str
    measure: str
    holds: float
    partly: float

    def judge(self, value: float | str) -> "Verdict":
        """Verdict on a number, or on the reason for which there is none.

        Parameters
        ----------
        value : float or str
            As from `grokode.compare.common.missing.number_or_reason`.

        Examples
        --------
        >>> claim = Claim("right", "accuracy", 1.0, 0.9)
        >>> claim.judge(0.95).verdict, claim.judge("no pairs").reason
        ('holds partly', 'no pairs')
        """
        if isinstance(value, str) or np.isnan(value):
            reason = value if isinstance(value, str) else "not finite"
            return Verdict(self, NOT_MEASURED, float("nan"), reason)
        sign = 1 if self.holds >= self.partly else -1
        if sign * value >= sign * self.holds:
            return Verdict(self, HOLDS, value)
        return Verdict(self, PARTLY if sign * value >= sign * self.partly else FAILS, value)


@dataclass(frozen=True)
class Verdict:
    """A judged claim.

    Parameters
    ----------
    claim : Claim
    verdict : str
        `HOLDS`, `PARTLY`, `FAILS` or `NOT_MEASURED`.
    value : float
        NaN if it was not measured.
    reason : str
        Why it was not measured, or ``""``.
    """

    claim: Claim
    verdict: str
    value: float
    reason: str = ""

    def plain(self) -> dict[str, Any]:
        """The verdict as JSON has it."""
        return {
            "claim": self.claim.text,
            "verdict": self.verdict,
            "value": None if np.isnan(self.value) else self.value,
            "reason": self.reason,
        }


def claims_table(verdicts: Sequence[Verdict]) -> Rows:
    """Verdicts as rows of text, header first.

    Examples
    --------
    >>> claims_table([Claim("right", "accuracy", 1.0, 0.9).judge("no pairs")])[1]
    ['right', 'not measured: no pairs', 'accuracy: -', 'at least 1 (0.9)']
    """
    rows = [["claim", "verdict", "measured", "threshold (partly)"]]
    for judged in verdicts:
        claim = judged.claim
        relation = "at least" if claim.holds >= claim.partly else "at most"
        value = "-" if np.isnan(judged.value) else f"{judged.value:.3g}"
        rows.append(
            [
                claim.text,
                f"{judged.verdict}: {judged.reason}" if judged.reason else judged.verdict,
                f"{claim.measure}: {value}",
                f"{relation} {claim.holds:g} ({claim.partly:g})",
            ]
        )
    return rows
