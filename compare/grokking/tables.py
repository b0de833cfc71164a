"""Stages of a training as rows of text and as plain numbers.

Where a number cannot be had, its place holds the reason.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.cells import Rows, or_reason, plain, text
from grokode.compare.common.events import Boundary
from grokode.compare.grokking.perturbed import non_feature_decay
from grokode.compare.grokking.progress import SERIES
from grokode.compare.grokking.split import GROUPS, KINDS, broken_orthogonality
from grokode.compare.grokking.stages import STAGES, Stages, per_stage

__all__ = [
    "boundaries_table",
    "delay_json",
    "delay_table",
    "grokking_json",
    "stages_table",
    "theory_table",
]

# Quantities of the table, in its order, and how they are written there.
_TABLE = {
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "mean_abs_sin": "mean |sin D|",
    "participation_theta": "inverse participation ratio, input",
    "participation_xi": "inverse participation ratio, output",
    "weight_norm": "weight norm",
    "gradient_norm": "loss gradient",
    "push_norm": "force of the loss, as applied",
    "decay_norm": "force of decay",
    "force_cosine": "cosine of gradient and decay",
    "push_cosine": "cosine of applied force and decay",
}

# Names of JSON that stay as they were first given.
_KEYS = {
    "mean_abs_sin": "sin_misalignment",
    "participation_theta": "ipr_in",
    "participation_xi": "ipr_out",
    "rest_theta": "rest_in",
    "rest_xi": "rest_out",
}


def grokking_json(staged: Stages, lottery: xr.Dataset) -> dict[str, Any]:
    """Everything about the stages as plain values.

    Parameters
    ----------
    staged : Stages
        From `grokode.compare.grokking.stages.stages`.
    lottery : Dataset
        From `grokode.compare.grokking.perturbed.perturbed_lottery`.

    Returns
    -------
    dict
        ``p``, ``checkpoints``, ``skipped`` (steps); ``memorised`` and ``generalised``: ``step`` (or
        None), ``reason``, ``definition``, ``lapses``; ``pairs``: how many of each kind and group;
        ``free_accuracy``: ``mirrored``, ``with_guesses``, ``random_split`` and test accuracy
        ``at_memorisation``; ``stages``: by name ``start``, ``end``, ``checkpoints`` and, as
        ``mean`` and at the ``end``, every series, ``accuracy`` by kind and ``group_accuracy`` by
        group, or the ``reason`` why a stage has no checkpoints;
        ``non_feature_decay``, ``orthogonality`` and ``lottery``.
    """
    p = staged.pairs.attrs["p"]
    kinds, groups = staged.pairs.kind.values, staged.pairs.group.values
    return {
        "p": p,
        "checkpoints": staged.series.sizes["step"],
        "skipped": staged.series.attrs["skipped"],
        "memorised": asdict(staged.memorised),
        "generalised": asdict(staged.generalised),
        "pairs": {name: int((kinds == name).sum()) for name in KINDS}
        | {name: int((groups == name).sum()) for name in GROUPS},
        "free_accuracy": _free_accuracy(staged),
        "stages": _stages(staged),
        "non_feature_decay": _decay(staged),
        "orthogonality": _orthogonality(p, kinds),
        "lottery": _lottery(lottery),
    }


def boundaries_table(staged: Stages) -> Rows:
    """Where the stages end, and the accuracy that comes free with the mirrored pairs.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.compare.grokking.stages import stages
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     staged = stages(train(config, f"{folder}/run"))
    >>> boundaries_table(staged)[2]
    ['generalised', 'not found', 'the run has no test pairs']
    """
    rows = [["boundary", "step", "definition, or why there is none"]]
    for name, at in (("memorised", staged.memorised), ("generalised", staged.generalised)):
        rows.append([name, _step(at), at.reason or at.definition])
    texts = {
        "mirrored": "test pairs known from their mirror image",
        "with_guesses": "the same, others guessed",
        "random_split": "the same on average over random splits",
        "at_memorisation": "the network's test accuracy at memorisation",
    }
    for name, value in _free_accuracy(staged).items():
        number, reason = (f"{value:.4f}", "") if isinstance(value, float) else ("-", f": {value}")
        rows.append(["free test accuracy", number, texts[name] + reason])
    return rows


def stages_table(staged: Stages) -> Rows:
    """Means over each stage, a row to a quantity."""
    summary = per_stage(staged)
    rows = [["mean over the stage", *STAGES]]
    spans = zip(summary.start.values, summary.end.values, strict=True)
    rows.append(["steps", *(f"{a} to {b}" if a >= 0 else "-" for a, b in spans)])
    rows.append(["checkpoints", *(str(count) for count in summary.checkpoints.values)])
    means = summary.sel(summary="mean")
    rows += [[words, *map(text, means[name])] for name, words in _TABLE.items()]
    rows += [
        [f"accuracy, {kind} pairs", *map(text, means.accuracy.sel(kind=kind))] for kind in KINDS
    ]
    rows += [
        [f"accuracy, {group} training pairs", *map(text, means.group_accuracy.sel(group=group))]
        for group in GROUPS
    ]
    return rows


def theory_table(staged: Stages, lottery: xr.Dataset) -> Rows:
    """What theory says of the stages: the lottery with pairs missing, and decay by itself.

    Parameters
    ----------
    staged : Stages
        From `grokode.compare.grokking.stages.stages`.
    lottery : Dataset
        From `grokode.compare.grokking.perturbed.perturbed_lottery`.
    """
    named, fits = _lottery(lottery), _decay(staged)
    fits.pop("predicted_rate")
    coupling = _orthogonality(staged.pairs.attrs["p"], staged.pairs.kind.values)["coupling_max"]
    rows = [["theory beside it", "measured", "95% interval"]]
    for variant in map(str, lottery.variant.values):
        words = f"winners named by neuron flow, {variant}"
        rows.append(_row(words, named.get(variant) or named["reason"], "winners", "interval"))
    rows.append(_row("winners named by chance", named, "chance"))
    for window, here in fits.items():
        for layer, words in (("theta", "input"), ("xi", "output")):
            words = f"{words} decay over lr·decay, non-features, {window}"
            rows.append(_row(words, here[layer], "ratio", "ratio_interval"))
    words = "missing pairs: largest force on another frequency over the own"
    return [*rows, _row(words, {"most": coupling}, "most")]


def delay_table(told: xr.Dataset) -> Rows:
    """Predicted steps of memorisation and of grokking beside the training's.

    Parameters
    ----------
    told : Dataset
        From `grokode.compare.grokking.delay.delay`.
    """
    steps = ("memorised", "generalised", "delay")
    own = [told.attrs[name] for name in steps]
    rows = [["", *steps, "reason"]]
    rows.append(["the network", *("-" if step < 0 else str(step) for step in own), ""])
    for theory in told.theory.values:
        one = told.sel(theory=theory)
        numbers = ["-" if np.isnan(one[name]) else f"{float(one[name]):.0f}" for name in steps]
        rows.append([str(theory).replace("_", " "), *numbers, str(one.reason.item())])
    return rows


def delay_json(told: xr.Dataset) -> dict[str, Any]:
    """Numbers of `grokode.compare.grokking.delay.delay` as plain values.

    Parameters
    ----------
    told : Dataset

    Returns
    -------
    dict
        ``observed`` and every theory: ``memorised``, ``generalised``, ``delay``, None where there
        is none; theories with a ``reason``.
    """
    steps = ("memorised", "generalised", "delay")
    known = [told.attrs[name] for name in steps]
    observed = {name: None if at < 0 else at for name, at in zip(steps, known, strict=True)}
    return {"observed": observed} | {
        str(theory): {name: plain(told[name].sel(theory=theory)) for name in steps}
        | {"reason": str(told.reason.sel(theory=theory).item())}
        for theory in told.theory.values
    }


def _row(words: str, one: dict[str, Any] | str, name: str, interval: str = "") -> list[str]:
    """One number with its interval, or the reason why there is none."""
    value = one if isinstance(one, str) else one[name]
    if isinstance(one, str) or isinstance(value, str):
        return [words, value, ""]
    return [words, f"{value:.4f}", " to ".join(f"{x:.4f}" for x in one.get(interval, []))]


def _free_accuracy(staged: Stages) -> dict[str, float | str]:
    reason = "" if staged.free_accuracy["mirrored"] >= 0 else "the run has no test pairs"
    step = staged.checkpoint(staged.memorised.step)
    at: float | str = reason or staged.memorised.reason or "no checkpoint after memorisation"
    if step is not None:
        at = or_reason(staged.series.test_accuracy.sel(step=step), reason)
    return {name: reason or value for name, value in staged.free_accuracy.items()} | {
        "at_memorisation": at
    }


def _stages(staged: Stages) -> dict[str, Any]:
    summary = per_stage(staged)
    result: dict[str, Any] = {}
    for name in STAGES:
        here = summary.sel(stage=name)
        if not int(here.checkpoints):
            result[name] = {"checkpoints": 0, "reason": _why_empty(staged, name)}
            continue
        span = {key: int(here[key]) for key in ("start", "end", "checkpoints")}
        result[name] = span | {kind: _numbers(here.sel(summary=kind)) for kind in ("mean", "end")}
    return result


def _numbers(here: xr.Dataset) -> dict[str, Any]:
    """Every series of one stage, as its mean or its end."""
    return {_KEYS.get(name, name): or_reason(here[name], _why_nan(name)) for name in SERIES} | {
        name: {
            str(part): or_reason(here[name].sel({dim: part}), f"there are no {part} pairs")
            for part in here[dim].values
        }
        for name, dim in (("accuracy", "kind"), ("group_accuracy", "group"))
    }


def _decay(staged: Stages) -> dict[str, Any]:
    fits = non_feature_decay(staged)
    predicted = fits.attrs["predicted"]
    result: dict[str, Any] = {"predicted_rate": predicted}
    for window in fits.window.values:
        here = fits.sel(window=window)
        reason = str(here.reason.item())
        result[str(window)] = {"checkpoints": int(here.checkpoints)} | {
            str(layer): reason
            or {
                "rate": float(one.rate),
                "interval": [float(bound) for bound in one.interval],
                "ratio": or_reason(one.ratio, "there is no decay to compare with"),
                "ratio_interval": [
                    or_reason(bound, "there is no decay to compare with")
                    for bound in one.ratio_interval
                ],
                "r2": or_reason(one.r2, "the size is constant"),
            }
            for layer in here.layer.values
            for one in [here.sel(layer=layer)]
        }
    return result


def _orthogonality(p: int, kinds: np.ndarray) -> dict[str, Any]:
    couplings = broken_orthogonality(p, np.argwhere(kinds == KINDS[0]))
    off_diagonal = couplings.coupling.where(couplings.frequency != couplings.onto)
    return {
        "character_mass": float(couplings.character_mass),
        "mass_mean": float(couplings.mass.mean()),
        "mass_max": float(couplings.mass.max()),
        # At p = 3 there is one frequency and nothing to couple to.
        "coupling_max": or_reason(off_diagonal.max(), "there is one frequency only"),
        "coupling": couplings.coupling.values.tolist(),
    }


def _lottery(lottery: xr.Dataset) -> dict[str, Any]:
    result: dict[str, Any] = {"chance": lottery.attrs["chance"]}
    reason = lottery.attrs["reason"]
    if reason:
        return result | {"reason": reason}
    for variant in lottery.variant.values:
        here = lottery.sel(variant=variant)
        result[str(variant)] = {
            "winners": float(here.winners),
            "interval": [float(bound) for bound in here.interval],
            "stopped": int(here.stopped),
        }
    return result


def _why_empty(staged: Stages, stage: str) -> str:
    at = {"memorised": staged.memorised, "generalised": staged.generalised}.get(stage)
    return at.reason if at is not None and at.reason else "no checkpoint in this stage"


def _why_nan(quantity: str) -> str:
    if quantity.startswith("test"):
        return "the run has no test pairs"
    if quantity.startswith("push"):
        return "there is no checkpoint before"
    return "not defined for weights of zero"


def _step(at: Boundary) -> str:
    return "not found" if at.step is None else str(at.step)
