"""Estimates for two series over checkpoints; `NotMeasured` says why there is none."""

from collections.abc import Callable, Mapping

import numpy as np
import scipy
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.common.missing import NotMeasured

__all__ = [
    "BLOCK",
    "FEWEST",
    "block_permutation",
    "check_pair",
    "lead_lag",
    "measured",
    "newey_west_lags",
    "pearson",
    "pooled",
    "regression",
    "spearman",
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
) -> float:
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
    float
        (1 + draws at least as far from 0) / (1 + draws).

    Raises
    ------
    NotMeasured
        For series without a correlation, or fewer than `FEWEST` blocks.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=100)
    >>> block_permutation(x, x + rng.normal(size=100))
    0.001
    """
    check_pair(score, accuracy)
    starts = range(0, len(score), block)
    if len(starts) < FEWEST:
        raise NotMeasured(f"too few blocks ({len(starts)} of {block}; {FEWEST} are needed)")
    blocks = [np.arange(start, min(start + block, len(score))) for start in starts]
    rng = np.random.default_rng(seed)
    x, y = scipy.stats.zscore(score), scipy.stats.zscore(accuracy) / len(accuracy)
    order = [rng.permutation(len(blocks)) for _ in range(draws)]
    drawn = np.array([x[np.concatenate([blocks[i] for i in one])] @ y for one in order])
    return float((1 + np.sum(abs(drawn) >= abs(x @ y) - ROUNDING)) / (1 + draws))


def regression(accuracy: Array, baselines: Mapping[str, Array], score: Array) -> xr.Dataset:
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
    Dataset
        ``r2 (model)`` for the models without and with_score; ``coefficient (model, regressor)``
        and ``interval (model, regressor, end)``, NaN for the score without it;
        ``partial_correlation`` of score and accuracy given the baselines; ``variance_inflation`` of
        the score, how far they make up its coefficient's variance (above 10 it means little);
        ``checkpoints`` and ``lags``.

    Raises
    ------
    NotMeasured
        If there are too few checkpoints, one column is constant, or they are collinear.
    """
    columns = {**baselines, "score": score}
    usable = np.isfinite(accuracy) & np.all([np.isfinite(v) for v in columns.values()], axis=0)
    if usable.sum() < FEWEST + len(columns):
        raise NotMeasured(f"too few checkpoints ({usable.sum()}) for {len(columns)} regressors")
    y = accuracy[usable]
    standard = np.stack([values[usable] for values in columns.values()])
    for name, values in zip(columns, standard, strict=True):
        if _is_constant(values):
            raise NotMeasured(f"{name} is constant")
    standard = scipy.stats.zscore(standard, axis=1)
    if _is_constant(y):
        raise NotMeasured("test accuracy is constant")
    if np.linalg.matrix_rank(standard.T) < len(standard):
        raise NotMeasured("the baselines and the score are collinear")
    # Imported where it is used: every command would wait for it.
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools import add_constant

    lags, models = newey_west_lags(len(y)), ("without", "with_score")
    r2 = np.empty(2)
    coefficient, interval = (
        np.full((2, len(columns)), np.nan),
        np.full((2, len(columns), 2), np.nan),
    )
    for model, count in enumerate((len(baselines), len(columns))):
        design = add_constant(standard[:count].T)
        fit = OLS(y, design).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        r2[model], coefficient[model, :count] = fit.rsquared, fit.params[1:]
        interval[model, :count] = fit.conf_int()[1:]
    if 1 - r2[0] < ROUNDING:
        raise NotMeasured("the baselines leave nothing to explain")
    gained = (r2[1] - r2[0]) / (1 - r2[0])
    # Of a score of variance 1, what the baselines leave of it.
    left = OLS(standard[-1], design[:, :-1]).fit().resid
    return xr.Dataset(
        {
            "r2": ("model", r2),
            "coefficient": (("model", "regressor"), coefficient),
            "interval": (("model", "regressor", "end"), interval),
            "partial_correlation": np.sign(coefficient[1, -1]) * np.sqrt(max(gained, 0)),
            "variance_inflation": 1 / np.mean(left**2),
            "checkpoints": len(y),
            "lags": lags,
        },
        coords={"model": list(models), "regressor": list(columns), "end": ["low", "high"]},
    )


def lead_lag(score: Array, accuracy: Array, spacing: int, most: int = 10) -> xr.Dataset:
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
    Dataset
        ``pearson (lag)``, NaN where ``pearson_reason (lag)`` says why; ``lag`` in steps (positive:
        the score moves first).

    Raises
    ------
    NotMeasured
        If there are too few checkpoints.
    """
    changes = np.diff(score), np.diff(accuracy)
    n = len(changes[0])
    if n < most + FEWEST:
        raise NotMeasured(f"too few checkpoints ({len(score)}) for shifts of {most}")
    shifts = range(-most, most + 1)
    values, reasons = zip(
        *(
            measured(
                pearson,
                changes[0][max(-s, 0) : n - max(s, 0)],
                changes[1][max(s, 0) : n - max(-s, 0)],
            )
            for s in shifts
        ),
        strict=True,
    )
    return xr.Dataset(
        {"pearson": ("lag", list(values)), "pearson_reason": ("lag", list(reasons))},
        coords={"lag": [s * spacing for s in shifts]},
    )


def pooled(values: Array) -> xr.Dataset:
    """Mean correlation over runs by Fisher's z, with the 95% t interval over them.

    Parameters
    ----------
    values : array (run,)
        One correlation to a run; those that are not finite are left out and counted.

    Returns
    -------
    Dataset
        ``mean`` and ``interval (end)``, with their reasons; ``runs`` and ``left_out``.

    Examples
    --------
    >>> together = pooled(np.array([0.8, 0.9, np.nan]))
    >>> round(float(together["mean"]), 3), int(together.runs), int(together.left_out)
    (0.858, 2, 1)
    """
    known = values[np.isfinite(values)]
    mean, interval = np.nan, np.full(2, np.nan)
    if len(known):
        z = np.arctanh(np.clip(known, -1 + 1e-12, 1 - 1e-12))
        mean = np.tanh(z.mean())
    if len(known) > 1:
        half = scipy.stats.sem(z) * scipy.stats.t.ppf(0.975, len(z) - 1)
        interval = np.tanh(z.mean() + np.array([-half, half]))
    return xr.Dataset(
        {
            "mean": mean,
            "mean_reason": "" if len(known) else "no run has this number",
            "interval": ("end", interval),
            "interval_reason": "" if len(known) > 1 else "one run has no spread",
            "runs": len(known),
            "left_out": len(values) - len(known),
        },
        coords={"end": ["low", "high"]},
    )


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
    low, high = scipy.stats.binomtest(int(hits), n).proportion_ci(method="wilson")
    return float(low), float(high)


def why_not(values: Array, what: str = "test accuracy") -> str:
    if len(values) and np.isnan(values).all():
        return f"{what} is not logged at any checkpoint"
    if len(values) < FEWEST:
        return f"too few checkpoints ({len(values)}; {FEWEST} are needed)"
    return f"{what} is constant" if _is_constant(values) else ""


def _is_constant(values: Array) -> bool:
    # Their variance is no test: that of ten times 0.1 is not 0.
    return bool(np.nanmax(values) == np.nanmin(values))


def check_pair(score: Array, accuracy: Array) -> None:
    """Raise `NotMeasured` for two series that have no correlation."""
    if not (np.isfinite(score).all() and np.isfinite(accuracy).all()):
        raise NotMeasured("a checkpoint between them has no score or no accuracy")
    why = why_not(accuracy) or why_not(score, "the score")
    if why:
        raise NotMeasured(why)


def measured(statistic: Callable[[Array, Array], float], *series: Array) -> tuple[float, str]:
    """A statistic of two series and ``""``, or NaN and the reason why there is none.

    Examples
    --------
    >>> measured(pearson, np.arange(9.0), np.ones(9))
    (nan, 'test accuracy is constant')
    """
    try:
        check_pair(*series)
        return float(statistic(*series)), ""
    except NotMeasured as reason:
        return np.nan, str(reason)


def pearson(x: Array, y: Array) -> float:
    """Pearson's correlation of two series that vary."""
    return float(np.corrcoef(x, y)[0, 1])


def spearman(x: Array, y: Array) -> float:
    """Spearman's, with average ranks where values are equal."""
    return float(scipy.stats.spearmanr(x, y).statistic)
