"""Does a score go along with test accuracy? Observational statistics over a run's checkpoints.

Neighbouring checkpoints are nearly the same network, so every interval and test here allows for
autocorrelation or says that it does not. Nothing here is causal: interventions are for that.
Where a number cannot be had it is NaN, and its reason stands beside it.

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

from collections.abc import Callable, Mapping
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
    measured,
    pearson,
    pooled,
    regression,
    spearman,
    why_not,
)
from grokode.compare.common.events import generalised
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import check_split, checkpoint_accuracy
from grokode.nets.runs import Run

__all__ = ["BASELINES", "REPORTED", "SECTIONS", "pooled_statistics", "score_statistics"]

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

SECTIONS = ("pearson", "spearman", "post_saturation", "transition")
"""The correlations with test accuracy that there are of every score."""


def score_statistics(
    run: Run, score: str = "ell_neuron_norm", draws: int = 999
) -> dict[str, xr.Dataset]:
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
    dict of Datasets
        ``correlations``: ``pearson (score)`` and ``spearman`` over the whole run,
        ``post_saturation`` (Pearson once all training pairs are known, ``from_step`` on),
        ``transition`` (Pearson of first differences in the ``window`` around t_grok), ``p_value
        (block, score)`` of post_saturation by permutation of blocks, ``peak`` (step of each score's
        maximum), ``t_grok`` (step, see `grokode.compare.common.events.generalised`),
        ``decoded_vs_raw`` (Pearson) with ``decoded_to_raw`` (ratio of means), and what ell_global
        rests on, ``largest_coherence`` and ``reliable_fraction``; each NaN where
        ``<name>_reason`` says why. ``regression`` and ``lead_lag`` as
        `grokode.compare.common.estimates` gives them, empty with an attribute ``reason`` if there
        is none. Steps are those at which the accuracy was measured: a published checkpoint holds
        the accuracy from before its last update.

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
    ...     numbers = score_statistics(train(config, f"{folder}/run"))["correlations"]
    >>> float(numbers.pearson[0]), str(numbers.pearson_reason[0].values)
    (nan, 'the run has no test pairs')
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got {score!r}")
    check_split(run)
    decoded, raw = scores(run), scores(run, "raw")
    accuracy = checkpoint_accuracy(run)
    test, at = accuracy.test_accuracy.values, accuracy.measured_at.values
    columns = {name: decoded[name].values for name in REPORTED}
    missing = why_not(test) if len(run.test_pairs) else "the run has no test pairs"
    event = generalised(run, held_out=False)
    correlations = xr.Dataset(
        _each("pearson", columns, test, missing, pearson)
        | _each("spearman", columns, test, missing, spearman)
        | _saturated(columns, test, at, accuracy.train_accuracy.values >= 1, missing, draws)
        | _transition(columns, test, at, event.step, event.reason, missing)
        | _peaks(columns, at)
        | _one("t_grok", event.step, f"not found: {event.reason}")
        | _decoded_vs_raw(decoded.ell_neuron.values, raw.ell_neuron.values)
        | _global_phase(decoded)
        | {"checkpoints": len(test)},
        coords={"score": list(REPORTED), "block": [BLOCK, *LONGER_BLOCKS]},
        attrs={
            "kind": "observational: from one run, it shows what goes along with what, not why",
            "coordinates": decoded.attrs["coordinates"],
            "chosen": score,
            "draws": draws,
        },
    )
    values, uneven = decoded[score].values, missing or _uneven(at)
    return {
        "correlations": correlations,
        "regression": _or_reason(
            missing, lambda: regression(test, _baselines(run, decoded, at), values)
        ),
        "lead_lag": _or_reason(uneven, lambda: lead_lag(values, test, int(at[1] - at[0]))),
    }


def pooled_statistics(each: Mapping[int, Mapping[str, xr.Dataset]]) -> xr.Dataset:
    """Correlations of `score_statistics` pooled over the seeds of a run.

    Parameters
    ----------
    each : mapping
        Seed -> what `score_statistics` gives for it.

    Returns
    -------
    Dataset
        ``mean (section, score)``, ``interval (section, score, end)``, ``runs`` and ``left_out`` of
        `SECTIONS`, as `grokode.compare.common.estimates.pooled` gives them; ``early_peak (score)``:
        in how many of the ``grokked`` seeds a score is largest before t_grok; ``t_grok (seed)``.
    """
    together = xr.concat([one["correlations"] for one in each.values()], dim="seed")
    by_section = [
        xr.concat(
            [pooled(one.values) for one in together[name].transpose("score", "seed")], "score"
        )
        for name in SECTIONS
    ]
    result = xr.concat(by_section, dim="section").assign_coords(
        section=list(SECTIONS), score=list(REPORTED), seed=list(each)
    )
    return result.assign(
        t_grok=together.t_grok,
        t_grok_reason=together.t_grok_reason,
        grokked=together.t_grok.notnull().sum(),
        early_peak=(together.peak < together.t_grok).sum("seed"),
    ).assign_attrs(
        kind=f"observational: from {len(each)} runs that differ in their seed alone", runs=len(each)
    )


def _each(
    what: str,
    columns: Mapping[str, Array],
    test: Array,
    missing: str,
    statistic: Callable[[Array, Array], float],
) -> dict[str, Any]:
    """A statistic of every score against accuracy, and the reasons why not."""
    values, reasons = [], []
    for column in columns.values():
        usable = np.isfinite(column) & np.isfinite(test)
        value, reason = (
            (np.nan, missing) if missing else measured(statistic, column[usable], test[usable])
        )
        values.append(value)
        reasons.append(reason)
    return {what: ("score", values), f"{what}_reason": ("score", reasons)}


def _one(what: str, value: float | None, reason: str) -> dict[str, Any]:
    """A number and ``""``, or NaN and its reason."""
    there = value is not None and np.isfinite(value)
    return {what: value if there else np.nan, f"{what}_reason": "" if there else reason}


def _saturated(
    columns: Mapping[str, Array],
    test: Array,
    at: NDArray[np.integer],
    known: NDArray[np.bool_],
    missing: str,
    draws: int,
) -> dict[str, Any]:
    """Correlations from the step on at which all training pairs are known, and their p."""
    late = at >= at[known.argmax()] if known.any() else np.zeros(len(at), dtype=bool)
    unknown = missing or ("" if known.any() else "the training pairs were never all known")
    after = {name: column[late] for name, column in columns.items()}
    p_values = [
        _each(
            "p_value",
            after,
            test[late],
            unknown,
            partial(block_permutation, block=block, draws=draws),
        )
        for block in (BLOCK, *LONGER_BLOCKS)
    ]
    from_step = int(at[late][0]) if late.any() else None
    return (
        {
            name: (("block", "score"), [of_block[name][1] for of_block in p_values])
            for name in ("p_value", "p_value_reason")
        }
        | _each("post_saturation", after, test[late], unknown, pearson)
        | _one("from_step", from_step, "training pairs never all known")
        | {"saturated_checkpoints": int(late.sum())}
    )


def _transition(
    columns: Mapping[str, Array],
    test: Array,
    at: NDArray[np.integer],
    t_grok: int | None,
    reason: str,
    missing: str,
) -> dict[str, Any]:
    """Pearson of first differences in a window around grokking."""
    before, after = WINDOW
    chosen, why = slice(0), f"not found: {reason}"
    if t_grok is not None:
        centre = int(np.searchsorted(at, t_grok))
        chosen = slice(max(centre - before, 0), centre + after + 1)
        why = missing or _uneven(at[chosen])
    window = at[chosen][[0, -1]].astype(float) if t_grok is not None else [np.nan, np.nan]
    differences = {name: np.diff(values[chosen]) for name, values in columns.items()}
    return _each("transition", differences, np.diff(test[chosen]), why, pearson) | {
        "window": ("end", window),
        "window_reason": why if t_grok is None else "",
        "window_checkpoints": len(at[chosen]),
    }


def _peaks(columns: Mapping[str, Array], at: NDArray[np.integer]) -> dict[str, Any]:
    steps = [
        float(at[np.nanargmax(column)]) if np.isfinite(column).any() else np.nan
        for column in columns.values()
    ]
    reasons = ["" if np.isfinite(step) else "not finite" for step in steps]
    return {"peak": ("score", steps), "peak_reason": ("score", reasons)}


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


def _global_phase(decoded: xr.Dataset) -> dict[str, Any]:
    """What ell_global rests on: the coherence, and how often it is enough to rely on."""
    weaker = decoded.global_coherence.values.min(axis=1)
    known = weaker[np.isfinite(weaker)]
    return _one("largest_coherence", known.max() if known.size else None, "not finite") | {
        "least_coherence": RELIABLE_COHERENCE,
        "reliable_fraction": float(decoded.global_reliable.mean()),
    }


def _decoded_vs_raw(decoded: Array, raw: Array) -> dict[str, Any]:
    usable = np.isfinite(decoded) & np.isfinite(raw)
    reason = f"too few checkpoints ({usable.sum()})" if usable.sum() < FEWEST else ""
    value = np.nan if reason else pearson(decoded[usable], raw[usable])
    ratio = np.nan if reason else abs(decoded[usable]).mean() / abs(raw[usable]).mean()
    return _one("decoded_vs_raw", value, reason) | _one("decoded_to_raw", ratio, reason)


def _or_reason(missing: str, estimate: Callable[[], xr.Dataset]) -> xr.Dataset:
    """The estimate, or an empty Dataset that says why there is none."""
    try:
        return xr.Dataset(attrs={"reason": missing}) if missing else estimate()
    except NotMeasured as reason:
        return xr.Dataset(attrs={"reason": str(reason)})
