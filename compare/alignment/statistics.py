"""Does a score go along with test accuracy? Observational statistics over a run's checkpoints.

Neighbouring checkpoints are nearly the same network, so every interval and test here allows for
autocorrelation or says that it does not. Nothing here is causal: interventions are for that.
Where a number cannot be had, its place holds the reason, as text.

Measured on the published grokking run of 251 checkpoints (arXiv:2602.16849's data):

- The printed regression (R^2 0.934770, with the score 0.941911, partial correlation -0.331) is that
  of ``ell_neuron_norm`` on `BASELINES`, met to 4e-7. These are inferred, not stated: of the sets of
  up to three out of 24 plain quantities no other comes within 5e-4, but for the same one with the
  checkpoints' own norms in place of the stored ones (5.5e-5 off). Among 278 transformed ones other
  triples come within 2e-6, as many as chance would give.
- Spearman depends on what is done with ties: 177 of the 251 test accuracies are the same. With
  average ranks, as here, ell_neuron has 0.134; ranks in order of appearance would give -0.248.
- Significance depends on the length of the blocks, which is not printed. For ell_global after
  saturation p is 0.006 in blocks of 4, 0.012 of 5 (20 000 draws), 0.05 of 8, 0.25 of 20.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.alignment.scores import RELIABLE_COHERENCE, SCORES, scores
from grokode.compare.common.estimates import (
    BLOCK,
    FEWEST,
    block_permutation,
    lead_lag,
    pearson,
    pooled,
    regression,
    spearman,
    why_no_pair,
    why_not,
)
from grokode.compare.common.events import generalised
from grokode.compare.common.observe import check_split, checkpoint_accuracy
from grokode.nets.runs import Run

__all__ = [
    "block_permutation",
    "lead_lag",
    "pooled",
    "pooled_statistics",
    "regression",
    "score_statistics",
    "statistics_table",
]

Array = NDArray[np.floating]

WINDOW = (16, 15)
"""Checkpoints before and after that one, in the statistics of the transition."""

LONGER_BLOCKS = (8, 16, 32)
"""Lengths at which the permutation is repeated: a p that grows with them is autocorrelation's."""

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
BASELINES = ("weight_norm", "magnitude", "top1_out")
"""Magnitudes to regress on; the weight norm is the one logged together with the accuracy."""

Number = float | str


def score_statistics(run: Run, score: str = "ell_neuron_norm", draws: int = 999) -> dict[str, Any]:
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
        ``t_grok`` (step, see `grokode.compare.common.events.generalised`), ``checkpoints`` (how
        many), ``peak`` (step of each score's maximum), ``pearson`` and ``spearman`` over the whole
        run, ``post_saturation`` (Pearson once all training pairs are known), ``transition``
        (Pearson of first differences around t_grok), ``permutation`` (two-sided p of
        post_saturation, also in longer blocks), ``decoded_vs_raw``, ``regression``, ``lead_lag``,
        ``global_phase`` (what ell_global rests on), ``coordinates``, ``runs`` and ``kind``. Plain
        numbers and text, ready for JSON. Steps are those at which the accuracy was measured: a
        published checkpoint holds the accuracy from before its last update.

    Raises
    ------
    ValueError
        For an unknown score, or a run that `grokode.compare.alignment.scores.scores` refuses.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=2, log_every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     numbers = score_statistics(train(config, f"{folder}/run"))
    >>> numbers["pearson"]["ell_neuron"]
    'the run has no test pairs'
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got {score!r}")
    check_split(run)
    decoded, raw = scores(run), scores(run, "raw")
    values = decoded[score].values
    accuracy = checkpoint_accuracy(run)
    test, at = accuracy.test_accuracy.values, accuracy.measured_at.values
    columns = {name: decoded[name].values for name in REPORTED}
    missing = why_not(test) if len(run.test_pairs) else "the run has no test pairs"
    event = generalised(run, held_out=False)
    t_grok = f"not found: {event.reason}" if event.step is None else event.step
    known = accuracy.train_accuracy.values >= 1
    late = at >= at[known.argmax()] if known.any() else np.zeros(len(at), dtype=bool)
    unknown = missing or ("" if known.any() else "the training pairs were never all known")
    after = {name: column[late] for name, column in columns.items()}

    def permuted(block: int) -> dict[str, Any]:
        p_value = partial(block_permutation, block=block, draws=draws)
        return _each(after, test[late], unknown, p_value)

    return {
        "kind": "observational: from one run, it shows what goes along with what, not why",
        "runs": 1,
        "coordinates": decoded.attrs["coordinates"],
        "checkpoints": len(test),
        "t_grok": t_grok,
        "peak": {
            name: int(at[np.nanargmax(column)]) if np.isfinite(column).any() else "not finite"
            for name, column in columns.items()
        },
        "pearson": _each(columns, test, missing, pearson),
        "spearman": _each(columns, test, missing, spearman),
        "post_saturation": {
            "from_step": int(at[late][0]) if late.any() else "training pairs never all known",
            "checkpoints": int(late.sum()),
        }
        | _each(after, test[late], unknown, pearson),
        "transition": _transition(columns, test, at, t_grok, missing),
        "permutation": {"draws": draws, "block": BLOCK}
        | permuted(BLOCK)
        | {"longer_blocks": {str(block): permuted(block) for block in LONGER_BLOCKS}},
        "decoded_vs_raw": _decoded_vs_raw(decoded.ell_neuron.values, raw.ell_neuron.values),
        "regression": missing or regression(test, _baselines(run, decoded, at), values),
        "lead_lag": missing or _uneven(at) or lead_lag(values, test, int(at[1] - at[0])),
        "global_phase": _global_phase(decoded),
    }


def pooled_statistics(run: Run, score: str = "ell_neuron_norm", draws: int = 999) -> dict[str, Any]:
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
        gives it; ``early_peak``: in how many of the ``grokked`` seeds a score is largest before
        t_grok; ``seeds``: the statistics of each.
    """
    each = {
        seed: score_statistics(run.select(seed), score=score, draws=draws) for seed in run.seeds
    }
    sections = ("pearson", "spearman", "post_saturation", "transition")
    early = {
        name: sum(
            isinstance(one["t_grok"], int)
            and isinstance(one["peak"][name], int)
            and one["peak"][name] < one["t_grok"]
            for one in each.values()
        )
        for name in REPORTED
    }
    return {
        "kind": f"observational: from {len(each)} runs that differ in their seed alone",
        "runs": len(each),
        "t_grok": {seed: one["t_grok"] for seed, one in each.items()},
        "grokked": sum(isinstance(one["t_grok"], int) for one in each.values()),
        "early_peak": early,
        "seeds": each,
    } | {
        section: {
            name: pooled([one[section].get(name, "not found") for one in each.values()])
            for name in REPORTED
        }
        for section in sections
    }


def statistics_table(numbers: Mapping[str, Any]) -> list[list[str]]:
    """Correlations of `score_statistics` or `pooled_statistics` as rows of text, header first."""
    sections = ("pearson", "spearman", "post_saturation", "transition")
    rows = [["score", "Pearson", "Spearman", "training pairs known", "changes around grokking"]]
    for name in REPORTED:
        values = [numbers[section].get(name, "not found") for section in sections]
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
    return {
        "window": [int(at[chosen][0]), int(at[chosen][-1])],
        "checkpoints": len(at[chosen]),
    } | _each(
        {name: np.diff(values[chosen]) for name, values in columns.items()},
        np.diff(test[chosen]),
        missing or _uneven(at[chosen]),
        pearson,
    )


def _baselines(run: Run, decoded: xr.Dataset, at: NDArray[np.integer]) -> dict[str, Array]:
    """`BASELINES` over the checkpoints, the norm as logged at the steps of the accuracy."""
    logged = run.metrics.weight_norm.reindex(step=at).values
    norm = np.where(np.isfinite(logged), logged, decoded.weight_norm.values)
    return {name: decoded[name].values for name in BASELINES} | {"weight_norm": norm}


def _uneven(at: NDArray[np.integer]) -> str:
    """Why first differences cannot be compared; a shorter last one is let pass."""
    spacing = np.diff(at)
    usual = np.median(spacing) if len(spacing) else 0
    wrong = np.append(spacing[:-1] != usual, spacing[-1:] > usual)
    if not wrong.any():
        return ""
    first = int(wrong.argmax())
    return (
        f"checkpoints are missing or unevenly spaced: {spacing[first]} steps follow step "
        f"{at[first]}, where {usual:g} are usual"
    )


def _global_phase(decoded: xr.Dataset) -> dict[str, Number]:
    """What ell_global rests on: the coherence, and how often it is enough to rely on."""
    weaker = decoded.global_coherence.values.min(axis=1)
    known = weaker[np.isfinite(weaker)]
    return {
        "least_coherence": RELIABLE_COHERENCE,
        "largest_coherence": float(known.max()) if known.size else "not finite",
        "reliable_fraction": float(decoded.global_reliable.mean()),
        "verdict": "reliable" if decoded.global_reliable.all() else "unreliable",
    }


def _decoded_vs_raw(decoded: Array, raw: Array) -> dict[str, Number]:
    usable = np.isfinite(decoded) & np.isfinite(raw)
    if usable.sum() < FEWEST:
        return {"pearson": f"too few checkpoints ({usable.sum()})"}
    return {
        "pearson": pearson(decoded[usable], raw[usable]),
        "mean_ratio": float(abs(decoded[usable]).mean() / abs(raw[usable]).mean()),
    }


def _each(
    columns: Mapping[str, Array], test: Array, missing: str, statistic: Any
) -> dict[str, Any]:
    """A statistic of every score against accuracy, or the reason why not."""
    result: dict[str, Any] = {}
    for name, values in columns.items():
        usable = np.isfinite(values) & np.isfinite(test)
        why = missing or why_no_pair(values[usable], test[usable])
        result[name] = why or statistic(values[usable], test[usable])
    return result
