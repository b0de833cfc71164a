"""Who wins the lottery of frequencies in each neuron: predicted at the start, and observed.

Every predictor of theory's ladder is scored, also where its assumption does not hold: what a
predictor loses against the next is what its assumption costs.

Source: arXiv:2602.16849, section 4 (the corollary on misalignment); the blow-up time is the
exact form of the same lottery, with the magnitudes that the corollary assumes equal.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.arguments import check_names
from grokode.compare.common.cells import plain
from grokode.compare.common.course import half_loss
from grokode.compare.common.estimates import wilson
from grokode.compare.common.outputs import final_logits_r2
from grokode.compare.lottery.ladder import Ladder, Prediction, current_leaders, ladder
from grokode.nets.runs import Run
from grokode.theory import fourier

__all__ = ["REASONS", "winners", "winners_json"]

REASONS = ("right", "near tie", "contested", "other", "no prediction")
"""What became of a prediction, see `winners`."""

_LONG_NAMES = {
    "predicted": "predicted winner",
    "observed": "observed winner",
    "accuracy": "winners predicted (fraction of neurons)",
    "interval": "95% interval of the accuracy",
    "top3": "winner among the three best scores (fraction of neurons)",
    "leader_agreement": "current leader predicted (fraction of neurons)",
    "predicted_magnitude": "predicted final beta of the predicted winner",
    "observed_magnitude": "beta of the observed winner in the last checkpoint",
    "tie_gap": "later over earlier blow-up time of predicted and observed winner, less 1",
    "rival_share": "beta of the predicted over that of the observed winner, last checkpoint",
    "reason": "what became of the prediction",
    "logit_r2": "variance of the final logits explained (fraction)",
    "half_loss": "predicted step at which the training loss has halved",
    "observed_half_loss": "step at which the training loss had halved",
    "train_loss": "training loss (nats)",
}


def winners(
    run: Run,
    predictors: Sequence[str] | None = None,
    *,
    near_tie: float = 0.05,
    contested: float = 0.2,
    climbed: Ladder | None = None,
) -> xr.Dataset:
    """Predicted winners of every neuron under each predictor, against the observed ones.

    The winner is the frequency of largest beta in the last checkpoint.

    Parameters
    ----------
    run : Run
        Of one seed, at least two checkpoints; the first is predicted from, the last is observed.
        Checkpoints with weights that are not finite are left out.
    predictors : sequence of str, optional
        ``chance`` and names of predictors; if not given all that were climbed, which are those of
        `grokode.theory.predictors.PREDICTORS`, from crude to fine, unless `climbed` has fewer.
    near_tie : float
        A wrong neuron is a *near tie* if the blow-up times of its predicted and its observed winner
        differ by less than this fraction of the smaller one.
    contested : float
        Else it is *contested* if the predicted frequency ends with a beta less than this fraction
        below the winner's; else *other*.
    climbed : Ladder, optional
        The run's `grokode.compare.lottery.ladder.ladder`, if there is one already.

    Returns
    -------
    Dataset
        Per predictor: ``accuracy``, its ``interval (predictor, bound)`` at 95%, ``top3`` (the
        fraction of neurons whose winner is among the three best scores), ``within_assumptions``,
        ``logit_r2`` (share of the variance of the final logits, centred over the output, that the
        predicted weights' logits explain at scale 1; NaN without a path), ``half_loss`` (step at
        which the loss has halved, by flows that know it, beside ``observed_half_loss``),
        ``leader_agreement (predictor, step)`` (the fraction of neurons whose frequency of largest
        beta is the predicted one; NaN for those that rank only). Per neuron: ``observed``,
        ``observed_magnitude`` (its beta). Per predictor and neuron: ``predicted``, 0 where none is
        named; ``predicted_magnitude``, NaN for predictors that rank only; ``reason``, one of
        `REASONS`; and what it is decided by, ``tie_gap`` and ``rival_share``. ``train_loss (step)``
        is the network's. ``outside (predictor)`` and ``accuracy_reason (predictor)`` say why a
        predictor is outside its assumption, and why it has no number. Attributes ``p``, ``chance =
        1/K``, ``skipped`` (steps left out), ``near_tie`` and ``contested``.

    Raises
    ------
    ValueError
        For an unknown predictor, a threshold that is not positive, a run of several seeds, or a
        ladder of another run.
    NotMeasured
        For a run with fewer than two checkpoints of finite weights, or that no theory is about.

    Notes
    -----
    Neurons start as independent draws. A bootstrap over them resamples hits and misses, so the
    number of hits it counts is binomial and needs no drawing; the interval is Wilson's of that
    binomial, which agrees with the bootstrap's and keeps a width where all neurons are right.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from grokode import nets
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scored = winners(nets.train(config, Path(folder) / "run"), ["chance", "neuron_flow"])
    >>> scored.accuracy.values.tolist()
    [0.5, 1.0]
    """
    if predictors is not None:
        check_names("predictors", predictors)
    for name, value in (("near_tie", near_tie), ("contested", contested)):
        if not (isinstance(value, int | float) and value > 0):
            raise ValueError(f"{name} must be a positive fraction such as 0.05, got {value!r}")
    if climbed is None:
        named = None if predictors is None else [one for one in predictors if one != "chance"]
        climbed = ladder(run, named)
    names = ["chance", *climbed.predictions] if predictors is None else list(predictors)
    climbed.check_about(run)
    final = fourier.beta(climbed.observed.isel(step=-1, drop=True))
    observed = final.idxmax("frequency").astype(int)
    start = xr.Dataset(
        {
            "observed": observed,
            "observed_magnitude": final.max("frequency"),
            "train_loss": climbed.train_loss,
            "observed_half_loss": half_loss(
                run.metrics.train_loss.load().sel(step=slice(climbed.rule.first_step, None))
            ),
        },
        attrs={
            "p": climbed.rule.p,
            "chance": 1 / final.sizes["frequency"],
            "skipped": climbed.observed.attrs["skipped"],
            "near_tie": near_tie,
            "contested": contested,
        },
    )
    rows = [
        _chance_row(climbed, start)
        if name == "chance"
        else _row(climbed, climbed.prediction(name), start, final)
        for name in names
    ]
    of_each = xr.concat(rows, "predictor", coords="minimal", compat="override", join="exact")
    scored = start.merge(of_each)
    for name, text in _LONG_NAMES.items():
        scored[name].attrs = {"long_name": text}
    return scored.assign_coords(predictor=names, bound=["low", "high"])


def winners_json(scored: xr.Dataset) -> dict[str, Any]:
    """The numbers of `winners` as plain values.

    Parameters
    ----------
    scored : Dataset
        From `winners`.

    Returns
    -------
    dict
        ``p, neurons, chance, skipped`` and ``rules``: by name ``accuracy``, ``interval`` (low,
        high), ``top3``, ``within_assumptions``, ``outside`` (why it is not), ``failure`` (why there
        is no number) and ``reasons`` (how many neurons of each of `REASONS`). A number that cannot
        be had is None.
    """
    of_each = {}
    for name in scored.predictor.values:
        row = scored.sel(predictor=name)
        kinds = row.reason.values.tolist()
        of_each[str(name)] = {
            "accuracy": plain(row.accuracy),
            "interval": plain(row.interval),
            "top3": plain(row.top3),
            "logit_r2": plain(row.logit_r2),
            "half_loss": plain(row.half_loss),
            "within_assumptions": bool(row.within_assumptions),
            "outside": str(row.outside.item()),
            "failure": str(row.accuracy_reason.item()),
            "reasons": {kind: kinds.count(kind) for kind in REASONS},
        }
    return {
        "p": scored.attrs["p"],
        "neurons": scored.sizes["neuron"],
        "chance": scored.attrs["chance"],
        "skipped": scored.attrs["skipped"],
        "half_loss": plain(scored.observed_half_loss),
        "rules": of_each,
    }


def _row(
    climbed: Ladder, prediction: Prediction, start: xr.Dataset, final: xr.DataArray
) -> xr.Dataset:
    """One predictor's part of `winners`."""
    predicted = _least(prediction.scores)
    right = predicted == start.observed
    n = start.sizes["neuron"]
    interval = wilson(int(right.sum()), n)
    accuracy, top3 = float(right.mean()), _top(prediction.scores, start.observed, 3)
    if prediction.failure:
        accuracy, top3, interval = np.nan, np.nan, (np.nan, np.nan)
    named = predicted.clip(min=1)
    times = climbed.blowup_time
    first, second = (times.sel(frequency=k).values for k in (named, start.observed))
    # A neuron of dead weights has no share, and tickets that never blow up no gap.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = final.sel(frequency=named).drop_vars("frequency") / start.observed_magnitude
        gap = np.maximum(first, second) / np.minimum(first, second) - 1
    reasons = [
        (right, "right"),
        (predicted == 0, "no prediction"),
        (gap < start.attrs["near_tie"], "near tie"),
        (share > 1 - start.attrs["contested"], "contested"),
    ]
    reason = np.select([np.asarray(test) for test, _ in reasons], [k for _, k in reasons], "other")
    magnitude = np.full(n, np.nan)
    if prediction.predictor.predict is not None:
        # Scores of a flow are -beta.
        magnitude = -prediction.scores.fillna(0).min("frequency").where(predicted > 0).values
    return xr.Dataset(
        {
            "predicted": predicted,
            "accuracy": accuracy,
            "interval": ("bound", np.array(interval)),
            "top3": top3,
            "within_assumptions": not prediction.outside,
            "outside": prediction.outside,
            "accuracy_reason": prediction.failure,
            "logit_r2": _logit_r2(climbed, prediction),
            "half_loss": _half_loss(climbed, prediction),
            "leader_agreement": ("step", _agreement(climbed, prediction)),
            "predicted_magnitude": ("neuron", magnitude),
            "rival_share": ("neuron", np.where(predicted > 0, share, np.nan)),
            "tie_gap": ("neuron", np.where(predicted > 0, gap, np.nan)),
            "reason": ("neuron", reason),
        },
    )


def _chance_row(climbed: Ladder, start: xr.Dataset) -> xr.Dataset:
    """A guess among all K frequencies: exact, so its interval has no width."""
    n, chance = start.sizes["neuron"], start.attrs["chance"]
    none = ("neuron", np.full(n, np.nan))
    return xr.Dataset(
        {
            "predicted": ("neuron", np.zeros(n, dtype=int)),
            "accuracy": chance,
            "interval": ("bound", np.array([chance, chance])),
            "top3": min(3 * chance, 1.0),
            "within_assumptions": True,
            "outside": "",
            "accuracy_reason": "",
            "logit_r2": np.nan,
            "half_loss": np.nan,
            "leader_agreement": ("step", np.full(climbed.observed.sizes["step"], chance)),
            "predicted_magnitude": none,
            "rival_share": none,
            "tie_gap": none,
            "reason": ("neuron", np.full(n, "no prediction")),
        },
    )


def _least(scores: xr.DataArray) -> xr.DataArray:
    """Frequency of the lowest score, 0 where a neuron has only NaN."""
    known = scores.notnull().any("frequency")
    least = scores.fillna(np.inf).argmin("frequency")
    return scores.frequency[least].drop_vars("frequency").where(known, 0).astype(int)


def _top(scores: xr.DataArray, observed: xr.DataArray, count: int) -> float:
    """Fraction of neurons whose winner is among the `count` lowest scores."""
    order = np.argsort(scores.values, axis=-1)[:, :count]
    ranked = np.take_along_axis(scores.values, order, axis=-1)
    named = (scores.frequency.values[order] == observed.values[:, None]) & ~np.isnan(ranked)
    return float(named.any(-1).mean())


def _agreement(climbed: Ladder, prediction: Prediction) -> np.ndarray:
    if prediction.path is None:
        return np.full(climbed.observed.sizes["step"], np.nan)
    predicted = current_leaders(prediction.path, climbed.blowup_time.idxmin("frequency"))
    leads = fourier.leading_frequency(climbed.observed)
    return np.asarray((predicted == leads).mean("neuron"))


def _logit_r2(climbed: Ladder, prediction: Prediction) -> float:
    if prediction.path is None:
        return np.nan
    predicted = prediction.path.isel(step=-1, drop=True)
    last = climbed.observed.isel(step=-1, drop=True)
    return final_logits_r2(predicted, last, climbed.rule.activation)


def _half_loss(climbed: Ladder, prediction: Prediction) -> float:
    """Step of the run at which a flow's own loss has halved, NaN if it has none or never does."""
    after = -1 if prediction.path is None else prediction.path.attrs.get("half_loss", -1)
    return float(after + climbed.rule.first_step) if after >= 0 else np.nan
