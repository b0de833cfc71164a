"""Fits, peaks, margins and budget of logits as rows of text and as plain numbers."""

from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.arguments import check_measured
from grokode.compare.common.cells import Rows, plain, text
from grokode.compare.logits.budget import common_share
from grokode.compare.logits.fits import FITS, KERNELS, PEAKS, QUANTILES

__all__ = [
    "budget_json",
    "budget_table",
    "closing_json",
    "closing_table",
    "fits_table",
    "logits_json",
    "logits_table",
    "peaks_table",
]


def fits_table(fit: xr.Dataset) -> Rows:
    """What each prediction explains of the logits, with fitted scale and that of the weights.

    Scales are c, the weight of a frequency (the scale of Proposition 1 is half of it); those of
    single frequencies are given as their range.

    Parameters
    ----------
    fit : Dataset
        From `logits`.

    Examples
    --------
    >>> from grokode.compare.logits.fits import logits
    >>> fits_table(logits(np.zeros((2, 5)), np.zeros((2, 5))))[1]
    ['nothing to compare', 'logits are equal for every output', '', '']
    """
    rows = [["prediction", "R²", "fitted scale", "scale from the weights"]]
    if fit.attrs["reason"]:
        return [*rows, ["nothing to compare", fit.attrs["reason"], "", ""]]
    for kernel in KERNELS:
        here = fit.sel(kernel=kernel)
        of_weights = here.weights_scale
        mean = float(of_weights.mean())
        rows.append([_words(kernel), _r2(fit, kernel), text(here.uniform_scale), text(mean)])
        name = f"{kernel}_per_frequency"
        rows.append(
            [_words(name), _r2(fit, name), _range(here.frequency_scale), _range(of_weights)]
        )
    single = "single_frequency"
    rows.append([_words(single), _r2(fit, single), text(fit.single_frequency_scale), "1"])
    return [*rows, [_words(f"{single}_unscaled"), _r2(fit, f"{single}_unscaled"), "1", "1"]]


def peaks_table(fit: xr.Dataset) -> Rows:
    """Peak heights and margins of the network beside those predicted.

    Parameters
    ----------
    fit : Dataset
        From `logits`.

    Examples
    --------
    >>> from grokode.compare.logits.fits import logits
    >>> rng = np.random.default_rng(0)
    >>> peaks_table(logits(*rng.normal(size=(2, 8, 5))))[0][:2]
    ['centred logit', 'network']
    """
    header = ["network", "Proposition 1", "ReLU kernel", "weights"]
    rows = [["centred logit", *header]]
    if fit.attrs["reason"]:
        return [*rows, ["nothing to compare", fit.attrs["reason"], "", "", ""]]
    for peak in PEAKS:
        cells = []
        for source in fit.source.values:
            here = fit.sel(source=source, peak=peak)
            spread = float(here.peak_spread)
            # At p = 3 no output is in the background.
            shown = source == "network" and np.isfinite(spread)
            cells.append(text(here.peak_height) + (f" ± {spread:.3g}" if shown else ""))
        rows.append([peak, *cells])
    for name in ("margin_min", "margin_mean"):
        rows.append([_words(name), *(text(value) for value in fit[name])])
    bounds = [text(fit.softmax_bound), "-", text(fit.expected_softmax_bound)]
    return [*rows, ["least softmax of the answer", text(fit.probability_min), *bounds]]


def logits_json(fit: xr.Dataset) -> dict[str, Any]:
    """All numbers of `logits` but the logits themselves, as plain numbers; None for NaN.

    Parameters
    ----------
    fit : Dataset
        From `logits`.

    Examples
    --------
    >>> from grokode.compare.logits.fits import logits
    >>> rng = np.random.default_rng(0)
    >>> numbers = logits_json(logits(*rng.normal(size=(2, 8, 5))))
    >>> numbers["fits"]["proposition_1"] == numbers["r2"]
    True
    """
    result: dict[str, Any] = {name: fit.attrs[name] for name in ("p", "activation", "reason")}
    numbers = [str(name) for name, values in fit.data_vars.items() if not values.dims]
    result |= {name: plain(fit[name]) for name in numbers}
    result["proposition_1"] = {name: result[name] for name in ("r2", "scale", "expected_scale")}
    result["fits"] = {name: plain(fit.fit_r2.sel(fit=name)) for name in FITS}
    result["kernels"] = {
        kernel: {
            name: plain(fit[name].sel(kernel=kernel))
            for name in ("uniform_scale", "frequency_scale", "weights_scale")
        }
        for kernel in KERNELS
    }
    result["peaks"], result["margins"] = {}, {}
    for source in map(str, fit.source.values):
        here = fit.sel(source=source)
        result["peaks"][source] = {
            peak: {
                "mean": plain(here.peak_height.sel(peak=peak)),
                "spread": plain(here.peak_spread.sel(peak=peak)),
            }
            for peak in PEAKS
        }
        result["margins"][source] = {
            "min": plain(here.margin_min),
            "mean": plain(here.margin_mean),
            "quantiles": {f"{q:g}": plain(here.margin_quantile.sel(quantile=q)) for q in QUANTILES},
        }
    return result


def logits_table(fit: xr.Dataset) -> Rows:
    """What Proposition 1 explains of the logits, from `grokode.compare.logits`."""
    check_measured("fit", fit, "grokode.compare.logits", "accuracy", "r2", "scale")
    return [
        ["logits", "value"],
        ["accuracy over all pairs", f"{float(fit.accuracy):.4f}"],
        ["R² of Proposition 1", f"{float(fit.r2):.4f}"],
        ["fitted scale (aN/2)", text(fit.scale)],
        ["scale from the weights", text(fit.expected_scale)],
    ]


def budget_table(budget: xr.Dataset) -> Rows:
    """Shares of the parts, and of all their covariances together, as rows of text.

    Parameters
    ----------
    budget : Dataset
        From `logit_budget`, or one step of `budget_over_steps`.

    Examples
    --------
    >>> from grokode.compare.logits.budget import logit_budget
    >>> budget_table(logit_budget(np.zeros((2, 5)), np.zeros((2, 5))))[1]
    ['no budget', 'logits are equal for every output']
    """
    rows = [["part of the logits", "share of the variance"]]
    reason = _reason(budget)
    if reason:
        return [*rows, ["no budget", reason]]
    for part in budget.part.values:
        rows.append([str(part).replace("_", " "), f"{float(budget.share.sel(part=part)):.4f}"])
    rows.append(["covariances of the parts", f"{float(common_share(budget)):+.4f}"])
    return [*rows, ["sum", f"{float(budget.covariance.sum()):.4f}"]]


def budget_json(budget: xr.Dataset) -> dict[str, Any]:
    """The budget as plain numbers; None for one that cannot be had.

    Parameters
    ----------
    budget : Dataset
        From `logit_budget` or `budget_over_steps`; of the latter every number is a list over
        ``step``.

    Returns
    -------
    dict
        ``share`` by part, ``covariance`` by two parts ("signal dc"; counted once, so the shares
        and twice these sum to 1), ``variance``, ``closure`` and ``reason``.

    Examples
    --------
    >>> from grokode.compare.logits.budget import logit_budget
    >>> x = np.arange(7)
    >>> wave = np.cos(2 * np.pi * x / 7)[None]
    >>> round(budget_json(logit_budget(wave, wave))["share"]["two_phase"], 9)
    0.666666667
    """
    names = [str(name) for name in budget.part.values]
    result: dict[str, Any] = {"activation": budget.attrs["activation"]}
    if "step" in budget.dims:
        result["step"] = budget.step.values.tolist()
        result["reason"] = budget.reason.values.tolist()
    else:
        result["reason"] = _reason(budget)
    result["share"] = {name: plain(budget.share.sel(part=name)) for name in names}
    result["covariance"] = {
        f"{one} {other}": plain(budget.covariance.sel(part=one, other=other))
        for index, one in enumerate(names)
        for other in names[index + 1 :]
    }
    return result | {name: plain(budget[name]) for name in ("variance", "closure")}


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return words.replace("proposition", "Proposition").replace("relu", "ReLU")


def _r2(fit: xr.Dataset, name: str) -> str:
    return text(fit.fit_r2.sel(fit=name))


def _range(values: xr.DataArray) -> str:
    if np.isnan(values).all():
        return "-"
    return f"{float(values.min()):.4g} to {float(values.max()):.4g}"


def _reason(budget: xr.Dataset) -> str:
    return str(budget.reason.item() if "reason" in budget else budget.attrs["reason"])


def closing_table(closed: xr.Dataset) -> Rows:
    """What is explained as measured values take the place of assumptions.

    Parameters
    ----------
    closed : Dataset
        From `grokode.compare.logits.closing.closing`.

    Examples
    --------
    >>> from grokode.compare.logits.closing import closing
    >>> wave = np.cos(2 * np.pi * np.arange(5) / 5)[None]
    >>> closing_table(closing(wave, wave))[-1]
    ['dc', '1', '0.2']
    """
    rows = [["put in", "R² at scale 1", "pairs answered rightly"]]
    if closed.attrs["reason"]:
        return [*rows, ["nothing to compare", closed.attrs["reason"], ""]]
    for stage in closed.stage.values:
        here = closed.sel(stage=stage)
        rows.append([_words(str(stage)), text(here.r2), text(here.accuracy)])
    return rows


def closing_json(closed: xr.Dataset) -> dict[str, Any]:
    """The numbers of `closing_table`, by stage ``r2`` and ``accuracy``; None where there is none.

    Parameters
    ----------
    closed : Dataset
    """
    return {
        str(stage): {name: plain(closed[name].sel(stage=stage)) for name in ("r2", "accuracy")}
        for stage in closed.stage.values
    }
