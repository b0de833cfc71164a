"""Statistics of the alignment scores as rows of text and as JSON."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from grokode.compare.alignment.statistics import REPORTED, SECTIONS
from grokode.compare.common.cells import Rows
from grokode.compare.common.missing import number_or_reason

__all__ = ["pooled_json", "pooled_table", "statistics_json", "statistics_table"]


def statistics_table(correlations: xr.Dataset) -> Rows:
    """Correlations of every score with test accuracy, header first."""
    return _table(
        lambda section, score: _cell(number_or_reason(correlations.sel(score=score), section))
    )


def pooled_table(pooled: xr.Dataset) -> Rows:
    """As `statistics_table`, means over seeds with their intervals."""

    def cell(section: str, score: str) -> str:
        one = pooled.sel(section=section, score=score)
        mean = _cell(number_or_reason(one, "mean"))
        low, high = one.interval.values
        return mean if one.interval_reason.item() else f"{mean} [{low:.3f}, {high:.3f}]"

    return _table(cell)


def _table(cell: Any) -> Rows:
    rows = [["score", "Pearson", "Spearman", "training pairs known", "changes around grokking"]]
    return rows + [[score, *(cell(section, score) for section in SECTIONS)] for score in REPORTED]


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"


def statistics_json(measured: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """What `grokode.compare.score_statistics` measured as JSON: each number, or its reason."""
    numbers = measured["correlations"]
    shortest = numbers.isel(block=0)
    return {
        "kind": numbers.attrs["kind"],
        "runs": 1,
        "coordinates": numbers.attrs["coordinates"],
        "checkpoints": int(numbers.checkpoints),
        "t_grok": _step(numbers, "t_grok"),
        "peak": {score: _step(numbers.sel(score=score), "peak") for score in REPORTED},
        "pearson": _by_score(numbers, "pearson"),
        "spearman": _by_score(numbers, "spearman"),
        "post_saturation": {
            "from_step": _step(numbers, "from_step"),
            "checkpoints": int(numbers.saturated_checkpoints),
        }
        | _by_score(numbers, "post_saturation"),
        "transition": _transition(numbers),
        "permutation": {"draws": numbers.attrs["draws"], "block": int(shortest.block)}
        | _by_score(shortest, "p_value")
        | {
            "longer_blocks": {
                str(int(block)): _by_score(numbers.sel(block=block), "p_value")
                for block in numbers.block.values[1:]
            }
        },
        "decoded_vs_raw": {"pearson": number_or_reason(numbers, "decoded_vs_raw")}
        | (
            {}
            if numbers.decoded_to_raw_reason.item()
            else {"mean_ratio": float(numbers.decoded_to_raw)}
        ),
        "regression": _regression(measured["regression"]),
        "lead_lag": _lead_lag(measured["lead_lag"]),
        "global_phase": {
            "least_coherence": float(numbers.least_coherence),
            "largest_coherence": number_or_reason(numbers, "largest_coherence"),
            "reliable_fraction": float(numbers.reliable_fraction),
            "verdict": "reliable" if numbers.reliable_fraction == 1 else "unreliable",
        },
    }


def pooled_json(pooled: xr.Dataset, each: Mapping[int, Mapping[str, xr.Dataset]]) -> dict[str, Any]:
    """Statistics of several seeds as JSON, pooled and one by one."""
    return {
        "kind": pooled.attrs["kind"],
        "runs": pooled.attrs["runs"],
        "t_grok": {seed: _step(pooled.sel(seed=seed), "t_grok") for seed in each},
        "grokked": int(pooled.grokked),
        "early_peak": {score: int(pooled.early_peak.sel(score=score)) for score in REPORTED},
        "seeds": {seed: statistics_json(one) for seed, one in each.items()},
    } | {
        section: {score: _pool(pooled.sel(section=section, score=score)) for score in REPORTED}
        for section in SECTIONS
    }


def _pool(one: xr.Dataset) -> dict[str, Any]:
    plain: dict[str, Any] = {"runs": int(one.runs), "left_out": int(one.left_out)}
    plain["mean"] = number_or_reason(one, "mean")
    if int(one.runs):
        plain["interval"] = one.interval_reason.item() or one.interval.values.tolist()
    return plain


def _by_score(numbers: xr.Dataset, what: str) -> dict[str, float | str]:
    return {score: number_or_reason(numbers.sel(score=score), what) for score in REPORTED}


def _step(numbers: xr.Dataset, what: str) -> int | str:
    value = number_or_reason(numbers, what)
    return value if isinstance(value, str) else int(value)


def _transition(numbers: xr.Dataset) -> dict[str, Any]:
    if numbers.window_reason.item():
        return {"window": numbers.window_reason.item()}
    return {
        "window": [int(step) for step in numbers.window.values],
        "checkpoints": int(numbers.window_checkpoints),
    } | _by_score(numbers, "transition")


def _regression(fit: xr.Dataset) -> dict[str, Any] | str:
    if "reason" in fit.attrs:
        return str(fit.attrs["reason"])
    models = {
        model: {
            "r2": float(fit.r2.sel(model=model)),
            "coefficients": _finite(fit.coefficient.sel(model=model)),
            "intervals": _finite(fit.interval.sel(model=model)),
        }
        for model in fit.model.values
    }
    return {
        "checkpoints": int(fit.checkpoints),
        "lags": int(fit.lags),
        **models,
        "partial_correlation": float(fit.partial_correlation),
        "variance_inflation": float(fit.variance_inflation),
    }


def _finite(values: xr.DataArray) -> dict[str, Any]:
    return {str(one.regressor.item()): one.values.tolist() for one in values.dropna("regressor")}


def _lead_lag(profile: xr.Dataset) -> dict[str, Any] | str:
    if "reason" in profile.attrs:
        return str(profile.attrs["reason"])
    lags = profile.lag.values.tolist()
    return {
        "lags": lags,
        "pearson": [number_or_reason(profile.sel(lag=lag), "pearson") for lag in lags],
    }
