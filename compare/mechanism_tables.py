"""The numbers of `grokode.compare.mechanism` beside what they should be: measures, rows, JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.cells import Rows, or_reason, plain, text
from grokode.compare.mechanism import PUBLISHED_SWAP, Mechanism
from grokode.compare.phases import RANDOM_SINE

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
    value : float or str
        The number, or why there is none.
    theory, random, published : float, optional
        What theory gives, what random weights or phases have on average, and what was published.
    """

    name: str
    observation: int
    text: str
    value: float | str
    theory: float | None = None
    random: float | None = None
    published: float | None = None


def measures(found: Mechanism) -> list[Measure]:
    """Every number of a mechanism with its references; none if the checkpoint has a reason.

    Parameters
    ----------
    found : Mechanism

    Returns
    -------
    list of Measure
        Medians are over the neurons that have a wave in both layers.
    """
    if found.reason:
        return []
    return [*_waves(found), *_phases(found), *_symmetry(found), *_leakage(found), *_swap(found)]


def mechanism_table(found: Mechanism) -> Rows:
    """The measures as rows of text, header first."""
    rows = [["observation", "measure", "network", "theory", "random", "published"]]
    if found.reason:
        return [*rows, ["", "nothing to measure", found.reason, "", "", ""]]
    for m in measures(found):
        value = m.value if isinstance(m.value, str) else text(m.value)
        rows.append(
            [
                str(m.observation),
                m.text,
                value,
                text(m.theory),
                text(m.random),
                text(m.published),
            ]
        )
    return rows


def mechanism_json(found: Mechanism) -> dict[str, Any]:
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
        name: plain(found.history[name])
        for name in ("step", "reason", "same_leader", "mean_abs_sin")
    }
    for row, layer in enumerate(found.history.layer.values):
        share = found.history.initial_share.isel(layer=row).values
        of_step[f"initial_share_{layer}"] = [_number(_median(now, "")) for now in share]
        of_step[f"participation_{layer}"] = plain(found.history.participation.isel(layer=row))
    result: dict[str, Any] = {
        "p": found.p,
        "neurons": found.neurons,
        "activation": found.activation,
        "step": found.step,
        "reason": found.reason,
        "measures": {m.name: asdict(m) for m in measures(found)},
        "history": of_step,
    }
    if found.reason:
        return result
    uniformity, homogeneity = found.parts["uniformity"], found.parts["homogeneity"]
    result["dead_neurons"] = found.parts["doubling"].attrs["dead"]
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


def _waves(found: Mechanism) -> list[Measure]:
    fits, sparsity = found.parts["fits"], found.parts["sparsity"]
    reason = fits.attrs["reason"]
    K = (found.p - 1) // 2
    # Energies of Gaussian waves are exponential: the largest of K has H_K / K of their sum.
    random_share = {"theta": 1 / K, "xi": sum(1 / k for k in range(1, K + 1)) / K}
    last = _last_share(found)
    # The flow of a quadratic neuron keeps the one frequency that it starts with.
    single = found.history.attrs["initial"] == "single_frequency"
    kept = 1.0 if single and found.activation == "quadratic" else None
    rows = []
    for layer, name in (("theta", "input"), ("xi", "output")):
        r2 = fits.r2.sel(layer=layer).values
        participation = sparsity.participation.sel(layer=layer).values
        rows += [
            Measure(
                f"r2_{layer}",
                1,
                f"R² of one cosine, {name} weights (median)",
                _median(r2, reason),
                1.0,
                random_share[layer],
            ),
            Measure(
                f"participation_{layer}",
                1,
                f"inverse participation ratio, {name} weights (median)",
                _median(participation, "no neuron has a wave in this layer"),
                1.0,
                sparsity.attrs["random"],
            ),
            Measure(
                f"initial_share_{layer}",
                1,
                f"energy at the initial leading frequency, {name} weights (median, last step)",
                last[layer],
                kept,
            ),
        ]
    return rows


def _last_share(found: Mechanism) -> dict[str, float | str]:
    """Median share at the first frequency in the last checkpoint, or why there is none."""
    if found.history.sizes["step"] == 1:
        return dict.fromkeys(("theta", "xi"), "the run has one checkpoint")
    last = found.history.isel(step=-1)
    return {
        layer: _median(last.initial_share.sel(layer=layer).values, str(last.reason.item()))
        for layer in ("theta", "xi")
    }


def _phases(found: Mechanism) -> list[Measure]:
    doubling = found.parts["doubling"]
    reason = doubling.attrs["reason"]
    return [
        Measure(
            "mean_abs_sin",
            2,
            "mean |sin D|, D = 2φ - ψ",
            or_reason(doubling.mean_abs_sin, reason),
            0.0,
            RANDOM_SINE,
        ),
        Measure("mean_cos", 2, "mean cos D", or_reason(doubling.mean_cos, reason), 1.0, 0.0),
    ]


def _symmetry(found: Mechanism) -> list[Measure]:
    return [*_balance(found), *_uniformity(found), *_homogeneity(found)]


def _balance(found: Mechanism) -> list[Measure]:
    balance = found.parts["balance"]
    fewest, most = float(balance.neurons.min()), float(balance.neurons.max())
    expected = float(balance.expected)
    p_value = or_reason(balance.p_value, balance.attrs["reason"])
    return [
        Measure("fewest_neurons", 3, "fewest neurons to a frequency", fewest, expected),
        Measure("most_neurons", 3, "most neurons to a frequency", most, expected),
        Measure(
            "balance_p_value", 3, "even spread over the frequencies, chi-square p-value", p_value
        ),
    ]


def _uniformity(found: Mechanism) -> list[Measure]:
    uniformity = found.parts["uniformity"]
    reason = uniformity.attrs["reason"]
    p_value = or_reason(uniformity.adjusted_p_value.min(), reason)
    rows = [
        Measure("uniformity_p_value", 3, "even phases, smallest Rayleigh p-value (Holm)", p_value)
    ]
    for order in uniformity.order.values:
        now = uniformity.sel(order=order)
        name, ordinal = f"noise_{order}", _ORDINALS.get(int(order), f"{order}th")
        noise, as_little = (or_reason(n, reason) for n in (now.noise, now.noise_p_value))
        words = f"N resultant² of the phases, {ordinal} order (mean)"
        rows.append(Measure(name, 3, words, noise, theory=0.0, random=1.0))
        words = f"random phases with as little, {ordinal} order (part)"
        rows.append(Measure(f"{name}_p_value", 3, words, as_little))
    return rows


def _homogeneity(found: Mechanism) -> list[Measure]:
    homogeneity = found.parts["homogeneity"]
    reason = homogeneity.attrs["reason"] or "neurons hold one frequency alone"
    return [
        Measure(
            f"variation_{kind}_{layer}",
            3,
            f"variation of the {name} magnitudes {words}",
            or_reason(homogeneity[f"variation_{kind}"].sel(layer=layer), reason),
            theory=0.0,
        )
        for layer, name in (("theta", "input"), ("xi", "output"))
        for kind, words in (("within", "within a frequency"), ("between", "between frequencies"))
    ]


def _leakage(found: Mechanism) -> list[Measure]:
    leakage = found.parts["leakage"]
    middle = leakage.ratio_quantile.sel(quantile=0.5)
    theories = {"relu": leakage.grown, "quadratic": xr.zeros_like(leakage.grown)}
    theory = theories.get(found.activation, xr.full_like(leakage.grown, np.nan))
    rows = []
    for layer, name, harmonics in (("theta", "input", (3, 5)), ("xi", "output", (2, 3))):
        for r in harmonics:
            at = {"layer": layer, "harmonic": r}
            rows.append(
                Measure(
                    f"leakage_{layer}_{r}",
                    1,
                    f"{name} magnitude at {r}k over that at k (median)",
                    or_reason(
                        middle.sel(at),
                        leakage.attrs["reason"] or f"{r}k is 0 or k itself at p = {found.p}",
                    ),
                    theory=_number(float(theory.sel(at))),
                    published=(
                        _number(float(leakage.published.sel(at)))
                        if found.activation == "relu"
                        else None
                    ),
                )
            )
    return rows


def _swap(found: Mechanism) -> list[Measure]:
    swap = found.parts["swap"]
    # What was published is about a ReLU network.
    published = PUBLISHED_SWAP if found.activation == "relu" else {}
    return [
        Measure(
            f"swap_{name}",
            4,
            f"accuracy under {name}" + (", its own" if name == found.activation else ""),
            or_reason(
                swap.accuracy.sel(activation=name), str(swap.reason.sel(activation=name).item())
            ),
            random=swap.attrs["chance"],
            published=_number(published.get(str(name), np.nan)),
        )
        for name in swap.activation.values
    ]


def _median(values: Sequence[float] | np.ndarray, reason: str) -> float | str:
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.median(known)) if known.size else reason


def _number(value: float | str) -> float | None:
    return None if isinstance(value, str) or np.isnan(value) else value
