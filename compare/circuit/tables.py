"""The circuit as rows of text and as plain numbers."""

from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.circuit.measures import ABLATIONS
from grokode.compare.circuit.progress import PHASES, Phase
from grokode.compare.common.cells import Rows, text
from grokode.compare.common.missing import number_or_reason, reason_for

__all__ = [
    "ablations_table",
    "circuit_json",
    "keys_table",
    "overview_table",
    "phases_table",
]

_OVERVIEW = {
    "accuracy": "part of all pairs answered rightly",
    "key_gap": "smallest key's norm over the largest other's",
    "restricted_blocks": "restricted to blocks of products",
    "restricted_blocks_linear": "restricted to blocks, waves of x or y alone too",
    "excluded_loss": "excluded, training pairs",
    "excluded_loss_3d": "excluded, one direction to a key",
    "clustered": "neurons of one frequency (above 85%)",
    "output_residual": "neuron-logit map outside the keys, squared",
    "distance_irrelevance": "distance irrelevance",
    "gradient_symmetricity": "gradient symmetricity",
    "circularity": "circularity of the embedding",
    "gini_embedding": "Gini of the embedding over frequencies",
    "gini_output": "Gini of the neuron-logit map over frequencies",
    "sum_squares": "sum of squares of all parameters",
}


def overview_table(measured: xr.Dataset) -> Rows:
    """Every single number, or its reason.

    Parameters
    ----------
    measured : Dataset
        From `grokode.compare.circuit.measures.circuit`.
    """
    rows = [["measure", "value"]]
    keys = ", ".join(map(str, measured.key.values))
    rows.append(["key frequencies", measured.attrs["no_keys"] or keys])
    for part in measured.part.values:
        rows.append([f"loss, {part} pairs", _cell(measured.sel(part=part), "loss")])
    for part in measured.part.values:
        value = measured.sel(part=part).restricted_loss
        rows.append([f"restricted loss, {part} pairs", text(value)])
    for form in measured.form.values:
        rows.append([f"R² of logits, {form}", text(measured.kernel_r2.sel(form=form))])
    return rows + [[words, _cell(measured, name)] for name, words in _OVERVIEW.items()]


def keys_table(measured: xr.Dataset) -> Rows:
    """One row to a key frequency.

    Clock and pizza are R² of what this frequency of the embedding alone gives to its own waves in
    the logits.
    """
    rows = [
        [
            "frequency",
            "neurons",
            "scale",
            "u: cos",
            "v: sin",
            "clock alone",
            "pizza alone",
            "loss without, training pairs",
            "loss without, all pairs",
        ]
    ]
    clustered = measured.neuron_frequency.values[measured.neuron_share.values > 0.85]
    if measured.attrs["no_keys"]:
        return [["frequency"], [measured.attrs["no_keys"]]]
    for k in measured.key.values:
        here = measured.sel(key=k)
        rows.append(
            [
                str(k),
                str(int((clustered == k).sum())),
                text(here.kernel_scale.sel(form="clock")),
                *(text(here.projection_share.sel(wave=wave)) for wave in ("cos", "sin")),
                *(text(here.circle_r2.sel(form=form)) for form in ("clock", "pizza")),
                text(here.excluded_loss_per_key),
                text(here.excluded_loss_per_key_all),
            ]
        )
    return rows


def ablations_table(measured: xr.Dataset) -> Rows:
    """Loss over all pairs under each ablation."""
    whole = float(measured.loss.sel(part="all"))
    rows = [["what is done", "loss", "times the whole's"]]
    for name, words in ABLATIONS.items():
        lost = measured.ablated_loss.sel(ablation=name)
        if not np.isfinite(lost):
            rows.append([words, reason_for(measured, "ablated_loss"), "-"])
        else:
            rows.append([words, text(lost), text(lost / whole)])
    return rows


def phases_table(measured: dict[str, Phase]) -> Rows:
    """The phases, or why they are not there."""
    rows = [["phase", "from step", "to step", "definition"]]
    for name, phase in measured.items():
        steps = [str(phase.start), str(phase.end)] if phase.steps else ["not found", phase.reason]
        rows.append([name.replace("_", " "), *steps, PHASES[name]])
    return rows


def circuit_json(measured: xr.Dataset, phases: dict[str, Phase] | str) -> dict[str, Any]:
    """The numbers as JSON has them, null with a reason by name where one is missing.

    Parameters
    ----------
    measured : Dataset
        From `grokode.compare.circuit.measures.circuit`.
    phases : dict of Phase, or str
        Why there are none.
    """
    reasons: dict[str, str] = {}

    def number(name: str, key: str, **where: Any) -> float | None:
        value = number_or_reason(measured.sel(where), name)
        if isinstance(value, str):
            reasons[key] = value
            return None
        return value

    keys: list[int] | None = measured.key.values.tolist()
    if measured.attrs["no_keys"]:
        reasons["key_frequencies"], keys = measured.attrs["no_keys"], None
    per_key = measured.excluded_loss_per_key
    per_frequency = None
    if np.isfinite(per_key).all():
        per_frequency = {str(k): float(per_key.sel(key=k)) for k in measured.key.values}
    else:
        reasons["excluded_loss.per_frequency"] = reason_for(measured, "excluded_loss_per_key")
    told: dict[str, Any] | None = None
    if isinstance(phases, str):
        reasons["phases"] = phases
    else:
        told = dict.fromkeys(phases)
        for name, phase in phases.items():
            if phase.steps:
                told[name] = {"start": phase.start, "end": phase.end}
            else:
                reasons[f"phases.{name}"] = phase.reason
    return {
        "p": measured.attrs["p"],
        "accuracy": float(measured.accuracy),
        "key_frequencies": keys,
        "loss": {
            part: number("loss", f"loss.{part}", part=part) for part in ("all", "train", "test")
        },
        "restricted_loss": number("restricted_loss", "restricted_loss", part="all"),
        "excluded_loss": {
            "two_dimensional": number("excluded_loss", "excluded_loss.two_dimensional"),
            "three_dimensional": number("excluded_loss_3d", "excluded_loss.three_dimensional"),
            "per_frequency": per_frequency,
        },
        **{f"{f}_r2": number("kernel_r2", f"{f}_r2", form=f) for f in ("clock", "pizza")},
        "distance_irrelevance": number("distance_irrelevance", "distance_irrelevance"),
        "gradient_symmetricity": number("gradient_symmetricity", "gradient_symmetricity"),
        "phases": told,
        "reasons": reasons,
    }


def _cell(measured: xr.Dataset, name: str) -> str:
    value = number_or_reason(measured, name)
    # A gap is infinite where the other frequencies are nothing at all.
    if name == "key_gap" and np.isinf(measured[name]):
        return "no other frequency"
    return value if isinstance(value, str) else text(value)
