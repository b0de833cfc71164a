"""Estimates for two series over checkpoints, each a number or the reason why there is none."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "BLOCK",
    "FEWEST",
    "block_permutation",
    "lead_lag",
    "newey_west_lags",
    "pearson",
    "pooled",
    "regression",
    "spearman",
    "why_no_pair",
    "why_not",
    "wilson",
]

Array = NDArray[np.floating]

BLOCK = 4
"""Checkpoints that stay together when a series is permuted; the printed p fit this length best."""

FEWEST = 8
"""Fewer pairs than this give no correlation worth a number, fewer blocks no permutation test."""

ROUNDING = 1e-12
"""Two correlations this close are equal, and a fit this close is exact."""


def block_permutation(
    score: Array, accuracy: Array, *, block: int = BLOCK, draws: int = 999, seed: int = 0
) -> float | str:
    """Two-sided p of a Pearson correlation when blocks of the score change places.

    Blocks keep the autocorrelation within them; longer trends are broken up, so p is too small
    where both series drift over many blocks. Repeat it with longer ones before you believe it.

    Parameters
    ----------
    score, accuracy : arrays (n,)
    block : int
        Neighbouring checkpoints kept together.
    draws : int
    seed : int

    Returns
    -------
    float, or the reason why there is none
        (1 + draws at least as far from 0) / (1 + draws).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=100)
    >>> block_permutation(x, x + rng.normal(size=100))
    0.001
    """
    why = why_no_pair(score, accuracy)
    starts = range(0, len(score), block)
    if why or len(starts) < FEWEST:
        return why or f"too few blocks ({len(starts)} of {block}; {FEWEST} are needed)"
    blocks = [np.arange(start, min(start + block, len(score))) for start in starts]
    rng = np.random.default_rng(seed)
    x, y = stats.zscore(score), stats.zscore(accuracy) / len(accuracy)
    order = [rng.permutation(len(blocks)) for _ in range(draws)]
    drawn = np.array([x[np.concatenate([blocks[i] for i in one])] @ y for one in order])
    return float((1 + np.sum(abs(drawn) >= abs(x @ y) - ROUNDING)) / (1 + draws))


def regression(
    accuracy: Array, baselines: Mapping[str, Array], score: Array
) -> dict[str, Any] | str:
    """Accuracy on standardised magnitudes, without and with the score.

    Ordinary least squares; intervals are 95% with errors that allow for heteroskedasticity and
    autocorrelation (Newey-West, see `newey_west_lags`).

    Parameters
    ----------
    accuracy : array (n,)
    baselines : mapping of arrays (n,)
    score : array (n,)

    Returns
    -------
    dict, or the reason why there is none
        ``without`` and ``with_score``: ``r2``, ``coefficients`` and ``intervals`` by name;
        ``partial_correlation`` of score and accuracy given the baselines; ``variance_inflation``
        of the score, how far they make up its coefficient's variance (above 10 it means little).
    """
    columns = {**baselines, "score": score}
    usable = np.isfinite(accuracy) & np.all([np.isfinite(v) for v in columns.values()], axis=0)
    if usable.sum() < FEWEST + len(columns):
        return f"too few checkpoints ({usable.sum()}) for {len(columns)} regressors"
    y = accuracy[usable]
    standard = {}
    for name, values in columns.items():
        spread = values[usable].std()
        if spread == 0:
            return f"{name} is constant"
        standard[name] = (values[usable] - values[usable].mean()) / spread
    if y.std() == 0:
        return "test accuracy is constant"
    if np.linalg.matrix_rank(np.column_stack(list(standard.values()))) < len(standard):
        return "the baselines and the score are collinear"
    lags = newey_west_lags(len(y))

    def regress(names: Sequence[str]) -> tuple[Any, dict[str, Any]]:
        X = sm.add_constant(np.column_stack([standard[name] for name in names]))
        fit = sm.OLS(y, X).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        intervals = fit.conf_int()
        return fit, {
            "r2": float(fit.rsquared),
            "coefficients": dict(zip(names, map(float, fit.params[1:]), strict=True)),
            "intervals": {
                name: [float(low), float(high)]
                for name, (low, high) in zip(names, intervals[1:], strict=True)
            },
        }

    _, without = regress(list(baselines))
    full, with_score = regress([*baselines, "score"])
    if 1 - without["r2"] < ROUNDING:
        return "the baselines leave nothing to explain"
    gained = (with_score["r2"] - without["r2"]) / (1 - without["r2"])
    # Of a score of variance 1, what the baselines leave of it.
    left = sm.OLS(standard["score"], full.model.exog[:, :-1]).fit().resid
    return {
        "checkpoints": len(y),
        "lags": lags,
        "without": without,
        "with_score": with_score,
        "partial_correlation": float(np.sign(full.params[-1]) * np.sqrt(max(gained, 0))),
        "variance_inflation": float(1 / np.mean(left**2)),
    }


def lead_lag(score: Array, accuracy: Array, spacing: int, most: int = 10) -> dict[str, Any] | str:
    """Correlation of first differences, the score's taken some checkpoints before the accuracy's.

    Parameters
    ----------
    score, accuracy : arrays (n,)
    spacing : int
        Steps between checkpoints.
    most : int
        Largest shift, in checkpoints, either way.

    Returns
    -------
    dict, or the reason why there is none
        ``lags`` in steps (positive: the score moves first) and ``pearson`` at each, or the reason
        in its place.
    """
    changes = np.diff(score), np.diff(accuracy)
    if len(changes[0]) < most + FEWEST:
        return f"too few checkpoints ({len(score)}) for shifts of {most}"
    shifts = range(-most, most + 1)
    n = len(changes[0])
    pairs = [
        (changes[0][max(-s, 0) : n - max(s, 0)], changes[1][max(s, 0) : n - max(-s, 0)])
        for s in shifts
    ]
    values = [why_no_pair(x, y) or pearson(x, y) for x, y in pairs]
    return {"lags": [int(s * spacing) for s in shifts], "pearson": values}


def pooled(values: Sequence[float | str]) -> dict[str, Any]:
    """Mean correlation over runs by Fisher's z, with the 95% t interval over them.

    Parameters
    ----------
    values : sequence
        One correlation to a run; text, a reason for its absence, is left out and counted.

    Examples
    --------
    >>> together = pooled([0.8, 0.9, "constant"])
    >>> round(together["mean"], 3), together["runs"], together["left_out"]
    (0.858, 2, 1)
    """
    numbers = np.array([v for v in values if not isinstance(v, str) and np.isfinite(v)])
    result: dict[str, Any] = {"runs": len(numbers), "left_out": len(values) - len(numbers)}
    if not len(numbers):
        return result | {"mean": "no run has this number"}
    z = np.arctanh(np.clip(numbers, -1 + 1e-12, 1 - 1e-12))
    result["mean"] = float(np.tanh(z.mean()))
    if len(numbers) < 2:
        return result | {"interval": "one run has no spread"}
    half = stats.sem(z) * stats.t.ppf(0.975, len(z) - 1)
    return result | {"interval": [float(np.tanh(z.mean() + s * half)) for s in (-1, 1)]}


def newey_west_lags(n: int) -> int:
    """Lags over which n values are taken to be correlated, the usual 4 (n/100)^(2/9).

    Examples
    --------
    >>> newey_west_lags(100), newey_west_lags(251)
    (4, 4)
    """
    return int(4 * (n / 100) ** (2 / 9))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95% interval of a fraction, hits out of n independent draws.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(5, 10)]
    [0.237, 0.763]
    """
    low, high = stats.binomtest(int(hits), n).proportion_ci(method="wilson")
    return float(low), float(high)


def why_not(values: Array, what: str = "test accuracy") -> str:
    if len(values) and np.isnan(values).all():
        return f"{what} is not logged at any checkpoint"
    if len(values) < FEWEST:
        return f"too few checkpoints ({len(values)}; {FEWEST} are needed)"
    if np.nanmax(values) == np.nanmin(values):
        return f"{what} is constant"
    return ""


def why_no_pair(score: Array, accuracy: Array) -> str:
    if not (np.isfinite(score).all() and np.isfinite(accuracy).all()):
        return "a checkpoint between them has no score or no accuracy"
    return why_not(accuracy) or why_not(score, "the score")


def pearson(x: Array, y: Array) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def spearman(x: Array, y: Array) -> float:
    return float(stats.spearmanr(x, y).statistic)
