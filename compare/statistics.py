"""Does a score go along with test accuracy? Observational statistics over a run's checkpoints.

Neighbouring checkpoints are nearly the same network, so every interval and test here allows for
autocorrelation or says that it does not. Nothing here is causal: interventions are for that.
Where a number cannot be had, its place holds the reason, as text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from grokode.compare.alignment import scores
from grokode.compare.observe import checkpoint_accuracy
from grokode.nets.runs import Run

__all__ = [
    "block_permutation",
    "grokking_step",
    "lead_lag",
    "pooled",
    "pooled_statistics",
    "regression",
    "score_statistics",
    "statistics_table",
]

Array = NDArray[np.floating]

GROKKED = 0.95
"""Test accuracy at which a network counts as having generalised, as in the published analysis."""

WINDOW = (16, 15)
"""Checkpoints before and after that one, in the statistics of the transition."""

BLOCK = 5
"""Checkpoints that stay together when a series is permuted."""

REPORTED = (
    "ell_neuron",
    "ell_neuron_norm",
    "ell_abs_norm",
    "ell_global",
    "ell_global_norm",
    "magnitude",
    "coherence_in",
    "coherence_out",
    "coherence_joint",
    "coherence_aligned",
    "entropy_in",
    "entropy_out",
    "weight_norm",
)
BASELINES = ("weight_norm", "magnitude")
FEWEST = 8
"""Fewer pairs than this give no correlation worth a number."""

ROUNDING = 1e-12
"""Two correlations this close are equal."""

Number = float | str


def score_statistics(run: Run, score: str = "ell_neuron", draws: int = 999) -> dict[str, Any]:
    """Every statistic of a run's alignment scores against its test accuracy.

    Parameters
    ----------
    run : Run
        Of one seed.
    score : str
        The score that is regressed, led and lagged.
    draws : int
        Permutations.

    Returns
    -------
    dict
        ``t_grok`` (step), ``checkpoints`` (how many), ``peak`` (step of each score's maximum),
        ``pearson`` and ``spearman`` over the whole run, ``post_saturation`` (Pearson once all
        training pairs are known), ``transition`` (Pearson of first differences around t_grok),
        ``permutation`` (two-sided p), ``decoded_vs_raw``, ``regression``, ``lead_lag``, ``runs``
        and ``kind``. Plain numbers and text, ready for JSON. Steps are those at which the accuracy
        was measured: a published checkpoint holds the accuracy from before its last update.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=2, log_every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = score_statistics(train(config, f"{folder}/run"))
    >>> found["pearson"]["ell_neuron"]
    'the run has no test pairs'
    """
    accuracy = checkpoint_accuracy(run)
    test, at = accuracy.test_accuracy.values, accuracy.measured_at.values
    found, raw = scores(run), scores(run, "raw")
    columns = {name: found[name].values for name in REPORTED}
    missing = _why_not(test)
    t_grok = grokking_step(test, at)
    known = accuracy.train_accuracy.values >= 1
    late = at >= at[known.argmax()] if known.any() else np.zeros(len(at), dtype=bool)
    return {
        "kind": "observational: from one run, it shows what goes along with what, not why",
        "runs": 1,
        "checkpoints": len(test),
        "t_grok": t_grok,
        "peak": {
            name: int(at[np.nanargmax(values)]) if np.isfinite(values).any() else "not finite"
            for name, values in columns.items()
        },
        "pearson": _each(columns, test, missing, _pearson),
        "spearman": _each(columns, test, missing, _spearman),
        "post_saturation": {
            "from_step": int(at[late][0]) if late.any() else "training pairs never all known",
            "checkpoints": int(late.sum()),
        }
        | _each(
            {name: values[late] for name, values in columns.items()},
            test[late],
            missing or ("" if late.any() else "the training pairs were never all known"),
            _pearson,
        ),
        "transition": _transition(columns, test, at, t_grok, missing),
        "permutation": {"draws": draws, "block": BLOCK}
        | _each(
            {name: values[late] for name, values in columns.items()},
            test[late],
            missing or ("" if late.any() else "the training pairs were never all known"),
            lambda x, y: block_permutation(x, y, draws=draws),
        ),
        "decoded_vs_raw": _decoded_vs_raw(found.ell_neuron.values, raw.ell_neuron.values),
        "regression": missing
        or regression(test, {name: columns[name] for name in BASELINES}, found[score].values),
        "lead_lag": missing or lead_lag(found[score].values, test, np.diff(at).max(initial=1)),
    }


def grokking_step(
    accuracy: Array, steps: NDArray[np.integer], threshold: float = GROKKED
) -> int | str:
    """First step at which test accuracy reaches the threshold, or the reason why there is none.

    Examples
    --------
    >>> grokking_step(np.array([0.1, 0.96, 0.9]), np.array([0, 100, 200]))
    100
    >>> grokking_step(np.array([0.1, 0.2]), np.array([0, 100]))
    'not found: test accuracy never reached 0.95 (highest 0.2)'
    """
    reached = accuracy >= threshold
    if reached.any():
        return int(steps[reached.argmax()])
    if np.isnan(accuracy).all():
        return "not found: the run has no test pairs"
    return f"not found: test accuracy never reached {threshold} (highest {np.nanmax(accuracy):.3g})"


def block_permutation(
    score: Array, accuracy: Array, *, block: int = BLOCK, draws: int = 999, seed: int = 0
) -> float:
    """Two-sided p of a Pearson correlation when blocks of the score change places.

    Blocks keep the autocorrelation within them; longer trends are broken up, so p is too small
    where both series drift over the whole run.

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

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=100)
    >>> block_permutation(x, x + rng.normal(size=100))
    0.001
    """
    starts = range(0, len(score), block)
    blocks = [np.arange(start, min(start + block, len(score))) for start in starts]
    rng = np.random.default_rng(seed)
    observed = abs(_pearson(score, accuracy))
    drawn = []
    for _ in range(draws):
        order = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
        drawn.append(abs(_pearson(score[order], accuracy)))
    return float((1 + np.sum(np.array(drawn) >= observed - ROUNDING)) / (1 + draws))


def regression(
    accuracy: Array, baselines: Mapping[str, Array], score: Array
) -> dict[str, Any] | str:
    """Accuracy on standardised magnitudes, without and with the score.

    Ordinary least squares; intervals are 95% with errors that allow for heteroskedasticity and
    autocorrelation (Newey-West, lags 4 (n/100)^(2/9)).

    Parameters
    ----------
    accuracy : array (n,)
    baselines : mapping of arrays (n,)
    score : array (n,)

    Returns
    -------
    dict, or the reason why there is none
        ``without`` and ``with_score``: ``r2``, ``coefficients`` and ``intervals`` by name;
        ``partial_correlation`` of score and accuracy given the baselines.
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
    lags = int(4 * (len(y) / 100) ** (2 / 9))

    def fit(names: Sequence[str]) -> tuple[Any, dict[str, Any]]:
        X = sm.add_constant(np.column_stack([standard[name] for name in names]))
        found = sm.OLS(y, X).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        intervals = found.conf_int()
        return found, {
            "r2": float(found.rsquared),
            "coefficients": dict(zip(names, map(float, found.params[1:]), strict=True)),
            "intervals": {
                name: [float(low), float(high)]
                for name, (low, high) in zip(names, intervals[1:], strict=True)
            },
        }

    _, without = fit(list(baselines))
    full, with_score = fit([*baselines, "score"])
    gained = (with_score["r2"] - without["r2"]) / (1 - without["r2"])
    return {
        "checkpoints": len(y),
        "lags": lags,
        "without": without,
        "with_score": with_score,
        "partial_correlation": float(np.sign(full.params[-1]) * np.sqrt(max(gained, 0))),
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
        ``lags`` in steps (positive: the score moves first) and ``pearson`` at each.
    """
    changes = np.diff(score), np.diff(accuracy)
    if len(changes[0]) < most + FEWEST:
        return f"too few checkpoints ({len(score)}) for shifts of {most}"
    shifts = range(-most, most + 1)
    n = len(changes[0])
    values = [
        _pearson(changes[0][max(-s, 0) : n - max(s, 0)], changes[1][max(s, 0) : n - max(-s, 0)])
        for s in shifts
    ]
    return {"lags": [int(s * spacing) for s in shifts], "pearson": values}


def pooled(values: Sequence[float | str]) -> dict[str, Any]:
    """Mean correlation over runs by Fisher's z, with the 95% t interval over them.

    Parameters
    ----------
    values : sequence
        One correlation to a run; text, a reason for its absence, is left out and counted.

    Examples
    --------
    >>> found = pooled([0.8, 0.9, "constant"])
    >>> round(found["mean"], 3), found["runs"], found["left_out"]
    (0.858, 2, 1)
    """
    numbers = np.array([value for value in values if not isinstance(value, str)])
    result: dict[str, Any] = {"runs": len(numbers), "left_out": len(values) - len(numbers)}
    if not len(numbers):
        return result | {"mean": "no run has this number"}
    z = np.arctanh(np.clip(numbers, -1 + 1e-12, 1 - 1e-12))
    result["mean"] = float(np.tanh(z.mean()))
    if len(numbers) < 2:
        return result | {"interval": "one run has no spread"}
    half = stats.sem(z) * stats.t.ppf(0.975, len(z) - 1)
    return result | {"interval": [float(np.tanh(z.mean() + s * half)) for s in (-1, 1)]}


def pooled_statistics(run: Run, score: str = "ell_neuron", draws: int = 999) -> dict[str, Any]:
    """Correlations of `score_statistics` pooled over the seeds of a run.

    Parameters
    ----------
    run : Run
        Of several seeds.
    score, draws
        As there.

    Returns
    -------
    dict
        ``pearson``, ``spearman``, ``post_saturation`` and ``transition``, each by score as `pooled`
        gives it; ``early_peak``: in how many seeds a score is largest before t_grok; ``seeds``: the
        statistics of each.
    """
    each = {
        seed: score_statistics(run.select(seed), score=score, draws=draws) for seed in run.seeds
    }
    sections = ("pearson", "spearman", "post_saturation", "transition")
    early = {
        name: sum(
            isinstance(found["t_grok"], int)
            and isinstance(found["peak"][name], int)
            and found["peak"][name] < found["t_grok"]
            for found in each.values()
        )
        for name in REPORTED
    }
    return {
        "kind": f"observational: from {len(each)} runs that differ in their seed alone",
        "runs": len(each),
        "t_grok": {seed: found["t_grok"] for seed, found in each.items()},
        "early_peak": early,
        "seeds": each,
    } | {
        section: {
            name: pooled([found[section].get(name, "not found") for found in each.values()])
            for name in REPORTED
        }
        for section in sections
    }


def statistics_table(found: Mapping[str, Any]) -> list[list[str]]:
    """Correlations of `score_statistics` or `pooled_statistics` as rows of text, header first."""
    sections = ("pearson", "spearman", "post_saturation", "transition")
    rows = [["score", "Pearson", "Spearman", "training pairs known", "changes around grokking"]]
    for name in REPORTED:
        values = [found[section].get(name, "not found") for section in sections]
        rows.append([name, *(_as_text(value) for value in values)])
    return rows


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        interval = value.get("interval")
        spread = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if isinstance(interval, list) else ""
        return _as_text(value["mean"]) + spread
    return value if isinstance(value, str) else f"{value:.4f}"


def _transition(
    columns: Mapping[str, Array],
    test: Array,
    at: NDArray[np.integer],
    t_grok: int | str,
    missing: str,
) -> dict[str, Any]:
    before, after = WINDOW
    if isinstance(t_grok, str):
        return {"window": t_grok}
    centre = int(np.searchsorted(at, t_grok))
    chosen = slice(max(centre - before, 0), centre + after + 1)
    return {"window": [int(at[chosen][0]), int(at[chosen][-1])]} | _each(
        {name: np.diff(values[chosen]) for name, values in columns.items()},
        np.diff(test[chosen]),
        missing,
        _pearson,
    )


def _decoded_vs_raw(decoded: Array, raw: Array) -> dict[str, Number]:
    usable = np.isfinite(decoded) & np.isfinite(raw)
    if usable.sum() < FEWEST:
        return {"pearson": f"too few checkpoints ({usable.sum()})"}
    return {
        "pearson": _pearson(decoded[usable], raw[usable]),
        "mean_ratio": float(abs(decoded[usable]).mean() / abs(raw[usable]).mean()),
    }


def _each(
    columns: Mapping[str, Array], test: Array, missing: str, statistic: Any
) -> dict[str, Any]:
    """A statistic of every score against accuracy, or the reason why not."""
    result: dict[str, Any] = {}
    for name, values in columns.items():
        usable = np.isfinite(values) & np.isfinite(test)
        why = missing or _why_not(test[usable]) or _why_not(values[usable], "the score")
        result[name] = why or statistic(values[usable], test[usable])
    return result


def _why_not(values: Array, what: str = "test accuracy") -> str:
    if len(values) and np.isnan(values).all():
        return "the run has no test pairs"
    if len(values) < FEWEST:
        return f"too few checkpoints ({len(values)}; {FEWEST} are needed)"
    if np.nanmax(values) == np.nanmin(values):
        return f"{what} is constant"
    return ""


def _pearson(x: Array, y: Array) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def _spearman(x: Array, y: Array) -> float:
    return float(stats.spearmanr(x, y).statistic)
