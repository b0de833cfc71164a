"""Who wins the lottery of frequencies in each neuron: predicted at the start, and observed.

Source: arXiv:2602.16849, section 4 (the corollary on misalignment); the blow-up time rule is the
exact form of the same lottery, with the magnitudes that the corollary assumes equal.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from grokode.compare.observe import observed_winners, training_rule
from grokode.nets.runs import Run
from grokode.theory.predictors import get_predictor

__all__ = ["winners"]


def winners(run: Run, rules: Sequence[str] = ("misalignment", "blowup_time")) -> xr.Dataset:
    """Predicted winners of every neuron under each rule, against the observed ones.

    Parameters
    ----------
    run : Run
        At least two checkpoints; the first is predicted from, the last is observed.
    rules : sequence of str
        Names of predictors, see `grokode.theory.predictors`.

    Returns
    -------
    Dataset
        ``predicted (rule, neuron)`` and ``observed (neuron)`` frequencies, ``accuracy (rule)``;
        attributes ``p`` and ``chance = 1/K``.

    Raises
    ------
    ValueError
        For an unknown rule, one whose assumption the run is outside of so far that it cannot be
        computed, or a run with a single checkpoint.
    """
    observed = observed_winners(run)
    initial = run.spectra().isel(step=0, drop=True)
    rule = training_rule(run)
    predicted = xr.concat(
        [get_predictor(name).winners(initial, rule) for name in rules],
        "rule",
        coords="minimal",
        compat="override",
    ).assign_coords(rule=list(rules))
    K = initial.sizes["frequency"]
    return xr.Dataset(
        {
            "predicted": predicted.assign_attrs(long_name="predicted winner"),
            "observed": observed.assign_attrs(long_name="observed winner"),
            "accuracy": ("rule", np.asarray((predicted == observed).mean("neuron"))),
        },
        attrs={"p": rule.p, "chance": 1 / K},
    )
