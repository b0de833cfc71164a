"""The numbers of the mechanism beside what they should be: measures, rows of text, JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.cells import Rows, plain, text
from grokode.compare.mechanism.measures import PUBLISHED_SWAP
from grokode.compare.mechanism.phases import RANDOM_SINE
from grokode.compare.question import Datasets

__all__ = ["Measure", "measures", "mechanism_json", "mechanism_table"]

_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


@dataclass(frozen=True)
class Measure:
    """One number about a network, and what to hold it against.

    Parameters
    ----------
    name : str
    observation : int
        1 to 4, the published observation that it is about.
    text : str
        What it is.
    value : float
        NaN if there is none.
    reason : str
        Why there is none, or ``""``.
    theory, random, published : float, optional
        What theory gives, what random weights or phases have on average, and what was published.
    """

    name: str
    observation: int
    text: str
    value: float
    reason: str = ""
    theory: float | None = None
    random: float | None = None
    published: float | None = None


def measures(measured: Datasets) -> list[Measure]:
    """Every number of a mechanism with its references; none if the checkpoint has a reason.

    Parameters
    ----------
    measured : dict of Datasets
        From `grokode.compare.mechanism.measures.mechanism`.

    Returns
    -------
    list of Measure
        Medians are over the neurons that have a wave in both layers.
    """
    if _about(measured, "reason"):
        return []
    return [
        *_waves(measured),
        *_phases(measured),
        *_symmetry(measured),
        *_leakage(measured),
        *_swap(measured),
    ]


def mechanism_table(measured: Datasets) -> Rows:
    """The measures as rows of text, header first."""
    rows = [["observation", "measure", "network", "theory", "random", "published"]]
    if _about(measured, "reason"):
        return [*rows, ["", "nothing to measure", _about(measured, "reason"), "", "", ""]]
    for m in measures(measured):
        references = map(text, (m.theory, m.random, m.published))
        rows.append([str(m.observation), m.text, m.reason or text(m.value), *references])
    return rows


def mechanism_json(measured: Datasets) -> dict[str, Any]:
    """Every number as plain values.

    Returns
    -------
    dict
        ``p, neurons, activation, step, dead_neurons, reason``; ``measures``, by name, each with
        value (a number, or the reason for its absence as text) and references; ``frequencies``, by
        frequency (and order): neurons, resultants, p-values and magnitudes; ``history``, by step.
        None stands for NaN.
    """
    of_step = {
        name: plain(measured["history"][name])
        for name in ("step", "reason", "same_leader", "mean_abs_sin")
    }
    for row, layer in enumerate(measured["history"].layer.values):
        share = measured["history"].initial_share.isel(layer=row).values
        of_step[f"initial_share_{layer}"] = [_number(_median(now)) for now in share]
        of_step[f"participation_{layer}"] = plain(measured["history"].participation.isel(layer=row))
    result: dict[str, Any] = {
        "p": _about(measured, "p"),
        "neurons": _about(measured, "neurons"),
        "activation": _about(measured, "activation"),
        "step": _about(measured, "step"),
        "reason": _about(measured, "reason"),
        "measures": {m.name: _measure_json(m) for m in measures(measured)},
        "history": of_step,
    }
    if _about(measured, "reason"):
        return result
    uniformity, homogeneity = measured["uniformity"], measured["homogeneity"]
    result["dead_neurons"] = measured["doubling"].attrs["dead"]
    result["frequencies"] = {
        name: plain(values)
        for name, values in (
            ("frequency", uniformity.frequency),
            ("neurons", uniformity.neurons),
            ("order", uniformity.order),
            ("resultant", uniformity.resultant),
            ("weighted_resultant", uniformity.weighted_resultant),
            ("p_value", uniformity.p_value),
            ("adjusted_p_value", uniformity.adjusted_p_value),
            ("mean_alpha", homogeneity.mean_magnitude.sel(layer="theta")),
            ("mean_beta", homogeneity.mean_magnitude.sel(layer="xi")),
            ("variation_alpha", homogeneity.variation.sel(layer="theta")),
            ("variation_beta", homogeneity.variation.sel(layer="xi")),
        )
    }
    return result


def _measure_json(measure: Measure) -> dict[str, Any]:
    values = asdict(measure)
    reason = values.pop("reason")
    return values | ({"value": reason} if reason else {})


def _waves(measured: Datasets) -> list[Measure]:
    fits, sparsity = measured["fits"], measured["sparsity"]
    reason = fits.attrs["reason"]
    K = (_about(measured, "p") - 1) // 2
    # Energies of Gaussian waves are exponential: the largest of K has H_K / K of their sum.
    random_share = {"theta": 1 / K, "xi": sum(1 / k for k in range(1, K + 1)) / K}
    last = _last_share(measured)
    # The flow of a quadratic neuron keeps the one frequency that it starts with.
    single = _about(measured, "initial") == "single_frequency"
    kept = 1.0 if single and _about(measured, "activation") == "quadratic" else None
    rows = []
    for layer, name in (("theta", "input"), ("xi", "output")):
        r2 = fits.r2.sel(layer=layer).values
        participation = sparsity.participation.sel(layer=layer).values
        rows += [
            Measure(
                f"r2_{layer}",
                1,
                f"R² of one cosine, {name} weights (median)",
                *_known(_median(r2), reason),
                1.0,
                random_share[layer],
            ),
            Measure(
                f"participation_{layer}",
                1,
                f"inverse participation ratio, {name} weights (median)",
                *_known(_median(participation), "no neuron has a wave in this layer"),
                1.0,
                sparsity.attrs["random"],
            ),
            Measure(
                f"initial_share_{layer}",
                1,
                f"energy at the initial leading frequency, {name} weights (median, last step)",
                *last[layer],
                kept,
            ),
        ]
    return rows


def _last_share(measured: Datasets) -> dict[str, tuple[float, str]]:
    """Median share at the first frequency in the last checkpoint, and why there is none."""
    if measured["history"].sizes["step"] == 1:
        return dict.fromkeys(("theta", "xi"), (np.nan, "the run has one checkpoint"))
    last = measured["history"].isel(step=-1)
    return {
        layer: _known(_median(last.initial_share.sel(layer=layer).values), str(last.reason.item()))
        for layer in ("theta", "xi")
    }


def _phases(measured: Datasets) -> list[Measure]:
    doubling = measured["doubling"]
    reason = doubling.attrs["reason"]
    return [
        Measure(
            "mean_abs_sin",
            2,
            "mean |sin D|, D = 2φ - ψ",
            *_known(doubling.mean_abs_sin, reason),
            0.0,
            RANDOM_SINE,
        ),
        Measure("mean_cos", 2, "mean cos D", *_known(doubling.mean_cos, reason), 1.0, 0.0),
    ]


def _symmetry(measured: Datasets) -> list[Measure]:
    return [*_balance(measured), *_uniformity(measured), *_homogeneity(measured)]


def _balance(measured: Datasets) -> list[Measure]:
    balance = measured["balance"]
    fewest, most = float(balance.neurons.min()), float(balance.neurons.max())
    expected = float(balance.expected)
    p_value = _known(balance.p_value, balance.attrs["reason"])
    words = "even spread over the frequencies, chi-square p-value"
    return [
        Measure("fewest_neurons", 3, "fewest neurons to a frequency", fewest, theory=expected),
        Measure("most_neurons", 3, "most neurons to a frequency", most, theory=expected),
        Measure("balance_p_value", 3, words, *p_value),
    ]


def _uniformity(measured: Datasets) -> list[Measure]:
    uniformity = measured["uniformity"]
    reason = uniformity.attrs["reason"]
    p_value = _known(uniformity.adjusted_p_value.min(), reason)
    words = "even phases, smallest Rayleigh p-value (Holm)"
    rows = [Measure("uniformity_p_value", 3, words, *p_value)]
    for order in uniformity.order.values:
        now = uniformity.sel(order=order)
        name, ordinal = f"noise_{order}", _ORDINALS.get(int(order), f"{order}th")
        noise, as_little = (_known(n, reason) for n in (now.noise, now.noise_p_value))
        words = f"N resultant² of the phases, {ordinal} order (mean)"
        rows.append(Measure(name, 3, words, *noise, theory=0.0, random=1.0))
        words = f"random phases with as little, {ordinal} order (part)"
        rows.append(Measure(f"{name}_p_value", 3, words, *as_little))
    return rows


def _homogeneity(measured: Datasets) -> list[Measure]:
    homogeneity = measured["homogeneity"]
    reason = homogeneity.attrs["reason"] or "neurons hold one frequency alone"
    return [
        Measure(
            f"variation_{kind}_{layer}",
            3,
            f"variation of the {name} magnitudes {words}",
            *_known(homogeneity[f"variation_{kind}"].sel(layer=layer), reason),
            theory=0.0,
        )
        for layer, name in (("theta", "input"), ("xi", "output"))
        for kind, words in (("within", "within a frequency"), ("between", "between frequencies"))
    ]


def _leakage(measured: Datasets) -> list[Measure]:
    leakage = measured["leakage"]
    middle = leakage.ratio_quantile.sel(quantile=0.5)
    theories = {"relu": leakage.grown, "quadratic": xr.zeros_like(leakage.grown)}
    theory = theories.get(_about(measured, "activation"), xr.full_like(leakage.grown, np.nan))
    rows = []
    for layer, name, harmonics in (("theta", "input", (3, 5)), ("xi", "output", (2, 3))):
        for r in harmonics:
            at = {"layer": layer, "harmonic": r}
            rows.append(
                Measure(
                    f"leakage_{layer}_{r}",
                    1,
                    f"{name} magnitude at {r}k over that at k (median)",
                    *_known(
                        middle.sel(at),
                        leakage.attrs["reason"]
                        or f"{r}k is 0 or k itself at p = {_about(measured, 'p')}",
                    ),
                    theory=_number(float(theory.sel(at))),
                    published=(
                        _number(float(leakage.published.sel(at)))
                        if _about(measured, "activation") == "relu"
                        else None
                    ),
                )
            )
    return rows


def _swap(measured: Datasets) -> list[Measure]:
    swap = measured["swap"]
    # What was published is about a ReLU network.
    published = PUBLISHED_SWAP if _about(measured, "activation") == "relu" else {}
    return [
        Measure(
            f"swap_{name}",
            4,
            f"accuracy under {name}"
            + (", its own" if name == _about(measured, "activation") else ""),
            *_known(
                swap.accuracy.sel(activation=name), str(swap.reason.sel(activation=name).item())
            ),
            random=swap.attrs["chance"],
            published=_number(published.get(str(name), np.nan)),
        )
        for name in swap.activation.values
    ]


def _about(measured: Datasets, name: str) -> Any:
    return measured["about"].attrs[name]


def _known(value: float | xr.DataArray, reason: str) -> tuple[float, str]:
    """A number and ``""``, or NaN and the reason why there is none."""
    return (float(value), "") if np.isfinite(value) else (np.nan, reason)


def _median(values: Sequence[float] | np.ndarray) -> float:
    """Median of the numbers that are finite, NaN if none is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
