"""Numbers as rows of text, header first: the same rows for the terminal and for the page."""

import numpy as np
import xarray as xr

__all__ = ["errors_table", "logits_table", "winners_table"]

Rows = list[list[str]]


def winners_table(winners: xr.Dataset) -> Rows:
    """Accuracy of each rule, from `grokode.compare.winners`."""
    neurons = winners.sizes["neuron"]
    rows = [["rule", "winners predicted", "neurons"]]
    rows.append(["chance", f"{winners.attrs['chance']:.4f}", ""])
    for rule in winners.rule.values:
        accuracy = float(winners.accuracy.sel(rule=rule))
        rows.append([str(rule), f"{accuracy:.4f}", f"{round(accuracy * neurons)} of {neurons}"])
    return rows


def errors_table(errors: xr.Dataset, rows: int = 10) -> Rows:
    """Theory against network at steps spread over the plateau and the start of the loss's fall."""
    falling = np.flatnonzero(errors.loss_drop.values <= 0.1)
    last = falling[-1] if falling.size else errors.sizes["step"] - 1
    table = [["step", "loss below log p", "same leader", "beta error", "tickets blown up"]]
    for index in np.unique(np.linspace(0, last, rows).astype(int)):
        row = errors.isel(step=index)
        error = float(row.beta_error)
        table.append(
            [
                str(int(row.step)),
                f"{float(row.loss_drop):.2%}",
                f"{float(row.leader_agreement):.2%}",
                "-" if np.isnan(error) else f"{error:.2%}",
                f"{float(row.blown_up):.2%}",
            ]
        )
    return table


def logits_table(fit: xr.Dataset) -> Rows:
    """What Proposition 1 explains of the logits, from `grokode.compare.logits`."""
    expected = float(fit.expected_scale)
    return [
        ["logits", "value"],
        ["accuracy over all pairs", f"{float(fit.accuracy):.4f}"],
        ["R² of Proposition 1", f"{float(fit.r2):.4f}"],
        ["fitted scale (aN/2)", f"{float(fit.scale):.4g}"],
        ["scale from the weights", "-" if np.isnan(expected) else f"{expected:.4g}"],
    ]
