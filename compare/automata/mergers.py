"""The theory of mergers over a run: distances of pairs, which of them merge, and when it drops."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode.compare.automata import pair_paths
from grokode.compare.automata.machines import Sequences
from grokode.compare.automata.measure import (
    FALL,
    TOLERANCES,
    drop_step,
    hidden_over_training,
    parts_of,
    told_apart,
)
from grokode.compare.automata.pairs import Pairs, grams, responses, sample_pairs
from grokode.compare.common.estimates import wilson

if TYPE_CHECKING:
    from grokode.nets.runs import Run

__all__ = ["READINGS", "length_law", "pair_theory", "plateau_end", "score"]

Array = NDArray[Any]

_PLATEAU = 0.9
"""Part of the loss of a guess above which a network still guesses."""
_APART = 1e-6
"""Part of the largest hidden value below which a distance is rounding in single precision."""
_FITTED = 40
"""Checkpoints that rates are fitted on."""
READINGS = ("symbols after less before", "longer less shorter")
"""What n - m may be in the estimate of lengths."""
_LAW = ("gain", "constant", "accuracy", "low", "high", "chance")
_GAINS = np.linspace(-4, 4, 81)
"""Logarithms of G that are tried."""


def plateau_end(run: "Run") -> int | None:
    """The place of the last checkpoint before the drop at which the training loss is a guess's.

    That is nine tenths of the loss of constant outputs, 1/4 for squares and log 2 for the
    cross-entropy. None if there was no drop, or no such checkpoint but the start.
    """
    drop = drop_step(run)
    guess = 0.25 if run.config.loss == "mse" else np.log(2)
    steps = run.parameters.step.values
    loss = run.metrics.train_loss
    known = np.isin(steps, loss.step.values)
    high = np.zeros(len(steps), bool)
    high[known] = loss.sel(step=steps[known]).values > _PLATEAU * guess
    before = np.flatnonzero(high & (steps < drop))
    return int(before[-1]) if before.size and before[-1] > 0 else None


def pair_theory(
    run: "Run",
    sigma: float,
    *,
    per_cell: int = 4,
    tolerances: Sequence[float] = TOLERANCES,
    seed: int = 0,
) -> xr.Dataset:
    """Pairs of sequences beside the pair flow, from the start and from the end of the plateau.

    The two rates of the flow are fitted once for each of the two, on every other pair, up to the
    end of training; everything else is scored on the pairs that were not fitted.

    Parameters
    ----------
    run : Run
        Of one seed.
    sigma : float
        See `grokode.compare.automata.measure.states_over_training`.
    per_cell : int
        Agreeing and other pairs for every two lengths, at most.
    tolerances : sequence of float
        Parts of sigma.
    seed : int
        Of the sample.

    Returns
    -------
    Dataset
        ``observed`` (step, pair), distances; ``predicted`` (begin, step, pair), NaN before the
        begin; per pair ``shorter``, ``longer``, ``agreeing``, ``fitted``, ``continuations``;
        ``merged`` (within, pair); ``published_final`` and ``exact_final`` (begin, pair),
        distances at the end by either criterion. Per begin ``begin_step``, ``hidden_time``,
        ``output_time`` (per continuation), in steps, ``explained`` (begin, kind) for agreeing and
        other pairs, and ``drop``, the step at which the flow's mean loss on the other pairs falls
        below 0.1. NaN for a begin that the run does not have.
    """
    _, task = parts_of(run)
    every = Sequences.up_to(task.length)
    pairs = sample_pairs(told_apart(task.machine(run.config.seed), every), every, per_cell, seed)
    begins = {"start": 0, "plateau": plateau_end(run)}
    observed, kept = _followed(run, every, pairs, [at for at in begins.values() if at is not None])
    steps = run.parameters.step.values
    fitted = np.arange(len(pairs.first)) % 2 == 0
    floor = tolerances[0] * sigma
    followed = [
        _from(kept.get(-1 if at is None else at), at, steps, observed, pairs, fitted, floor)
        for at in begins.values()
    ]
    return xr.Dataset(
        {
            "observed": (("step", "pair"), observed),
            "shorter": ("pair", every.lengths[pairs.first]),
            "longer": ("pair", every.lengths[pairs.second]),
            "agreeing": ("pair", pairs.agreeing),
            "fitted": ("pair", fitted),
            "merged": (("within", "pair"), observed[-1] < np.array(tolerances)[:, None] * sigma),
        }
        | {name: (("begin", *dims), np.stack([f[name] for f in followed])) for name, dims in _DIMS},
        coords={
            "step": steps,
            "begin": list(begins),
            "within": list(tolerances),
            "kind": ["agreeing", "disagreeing"],
        },
        attrs={"sigma": sigma, "length": task.length},
    )


def _followed(
    run: "Run", every: Sequences, pairs: Pairs, begins: Sequence[int]
) -> tuple[Array, dict[int, Any]]:
    """Distances (step, pair), and at each begin what the theory needs of the pairs it is about."""
    network, task = parts_of(run)
    answers = np.eye(task.classes)[task.machine(run.config.seed).run(every.inputs)]
    train, _ = task.split(run.config.seed)
    trained = np.zeros(len(every.inputs), bool)
    trained[1 + train] = True  # the empty sequence comes first
    distances, kept = [], {}
    for at, parameters, hidden in hidden_over_training(run, every):
        states = hidden[0].double().numpy()
        apart = np.linalg.norm(states[pairs.second] - states[pairs.first], axis=1)
        distances.append(apart)
        if at in begins:
            outputs = network.read(parameters, hidden)[0].double().numpy()
            variables = responses(pairs, states, outputs, answers, trained, every)
            usable = (variables["N"] > 0) & (apart > _APART * np.abs(states).max())
            some = Pairs(*(column[usable] for column in pairs))
            gram = grams(network, parameters, some, states, trained, every)
            difference = states[some.second] - states[some.first]
            kept[at] = ({k: v[usable] for k, v in variables.items()}, usable, difference, gram)
    return np.array(distances), kept


_DIMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("predicted", ("step", "pair")),
    ("published_final", ("pair",)),
    ("exact_final", ("pair",)),
    ("continuations", ("pair",)),
    ("explained", ("kind",)),
    ("begin_step", ()),
    ("hidden_time", ()),
    ("output_time", ()),
    ("drop", ()),
)


def _from(
    kept: Any,
    at: int | None,
    steps: Array,
    observed: Array,
    pairs: Pairs,
    fitted: Array,
    floor: float,
) -> dict[str, Array]:
    """What `_DIMS` names, for one begin."""
    count = len(pairs.first)
    result = {
        name: np.full([{"step": len(steps), "pair": count, "kind": 2}[d] for d in dims], np.nan)
        for name, dims in _DIMS
    }
    if kept is None or at is None or at >= len(steps) - 2:
        return result
    variables, usable, difference, gram = kept
    times = (steps[at:] - steps[at]).astype(float)
    some = np.unique(np.linspace(0, len(times) - 1, _FITTED).astype(int))
    inside = fitted[usable]
    seen = observed[at:][:, usable]
    rates = pair_paths.fit_rates(
        {k: v[inside] for k, v in variables.items()}, times[some], seen[some][:, inside], floor
    )
    predicted = pair_paths.paths(variables, times, rates)
    result["predicted"][at:, usable] = predicted
    finals = pair_paths.final_distances(variables, difference, gram, rates)
    for name, values in finals.items():
        result[f"{name}_final"][usable] = values
    result["continuations"][usable] = variables["N"]
    agreeing = pairs.agreeing[usable]
    for kind, those in enumerate((agreeing & ~inside, ~agreeing & ~inside)):
        result["explained"][kind] = pair_paths.explained(seen[:, those], predicted[:, those], floor)
    result["begin_step"][...] = steps[at]
    result["hidden_time"][...], result["output_time"][...] = rates
    loss = pair_paths.losses({k: v[~agreeing] for k, v in variables.items()}, times, rates)
    below = np.flatnonzero(loss < FALL)
    if below.size:
        result["drop"][...] = steps[at] + times[below[0]]
    return result


def score(pairs: xr.Dataset) -> xr.Dataset:
    """How often each criterion says rightly whether two states merge, on pairs not fitted.

    A pair merges if it ends nearer than the tolerance; a criterion says so if its final distance
    is. Chance says of every pair what most pairs do.

    Parameters
    ----------
    pairs : Dataset
        As `pair_theory` returns it.

    Returns
    -------
    Dataset
        ``right`` and ``total`` (criterion, begin, within, longer), for all lengths of the longer
        sequence; ``accuracy``, ``low`` and ``high`` (criterion, begin, within), with Wilson's
        95% interval; ``false_mergers`` and ``missed_mergers`` (criterion, begin, within).
    """
    lengths = np.unique(pairs.longer)
    criteria = ["published", "exact", "chance"]
    shape = (len(criteria), pairs.sizes["begin"], pairs.sizes["within"])
    counts = {name: np.zeros((*shape, len(lengths)), int) for name in ("right", "total")}
    wrong = {name: np.zeros(shape, int) for name in ("false_mergers", "missed_mergers")}
    for b in range(shape[1]):
        final = {name: pairs[f"{name}_final"].values[b] for name in criteria[:2]}
        used = ~pairs.fitted.values & np.isfinite(final["exact"])
        longer = pairs.longer.values[used]
        for t, tolerance in enumerate(pairs.within.values * pairs.attrs["sigma"]):
            merged = pairs.merged.values[t][used]
            for c, name in enumerate(criteria):
                if name == "chance":
                    said = np.full(merged.shape, 2 * merged.sum() > merged.size)
                else:
                    said = final[name][used] < tolerance
                for n, length in enumerate(lengths):
                    counts["right"][c, b, t, n] = (said == merged)[longer == length].sum()
                    counts["total"][c, b, t, n] = (longer == length).sum()
                wrong["false_mergers"][c, b, t] = (said & ~merged).sum()
                wrong["missed_mergers"][c, b, t] = (~said & merged).sum()
    right, total = counts["right"].sum(-1), counts["total"].sum(-1)
    ends = np.full((2, *shape), np.nan)
    for at in np.argwhere(total):
        where = tuple(at)
        ends[(slice(None), *where)] = wilson(int(right[where]), int(total[where]))
    dims = ("criterion", "begin", "within")
    with np.errstate(invalid="ignore"):
        share = right / total
    return xr.Dataset(
        {name: ((*dims, "longer"), values) for name, values in counts.items()}
        | {name: (dims, values) for name, values in wrong.items()}
        | {"accuracy": (dims, share), "low": (dims, ends[0]), "high": (dims, ends[1])},
        coords={
            "criterion": criteria,
            "begin": pairs.begin,
            "within": pairs.within,
            "longer": lengths,
        },
    )


def length_law(pairs: xr.Dataset) -> xr.Dataset:
    """The published estimate that agreeing pairs merge where C < N G^(n - m), fitted and scored.

    The criterion |d|^4 < 2 N <|dy|^2> becomes it if differences grow g-fold with every symbol, |d|
    as g^m over the m symbols before and |dy| as g^(m + n) over the n after, with G = g^2. N is the
    number of continuations. A second reading has for n and m the lengths of the two sequences. G
    and C are those under which most of the fitted pairs are right; all is scored on the others.

    Parameters
    ----------
    pairs : Dataset
        As `pair_theory` returns it; its attribute ``length`` is that of the longest sequences.

    Returns
    -------
    Dataset
        Over (reading, within): ``gain`` G, ``constant`` C, ``accuracy`` with ``low`` and ``high``,
        and ``chance``, what the commoner outcome of the scored pairs would be right about.
    """
    counts = pairs.continuations.sel(begin="start").values
    used = pairs.agreeing.values & (counts > 0)
    count, fitted = np.log(counts[used]), pairs.fitted.values[used]
    longer, shorter = (pairs[name].values[used] for name in ("longer", "shorter"))
    exponents = (pairs.attrs["length"] - longer - shorter, longer - shorter)
    cells = [
        [_fitted_law(count, exponent, merged, fitted) for merged in pairs.merged.values[:, used]]
        for exponent in exponents
    ]
    columns = np.moveaxis(np.array(cells), -1, 0)
    return xr.Dataset(
        {name: (("reading", "within"), column) for name, column in zip(_LAW, columns, strict=True)},
        coords={"reading": list(READINGS), "within": pairs.within},
    )


def _fitted_law(count: Array, exponent: Array, merged: Array, fitted: Array) -> list[float]:
    """The numbers of `_LAW`, from log N, n - m and whether each pair merged."""
    best = (-1, 0.0, 0.0)
    for gain in _GAINS:
        level = count + gain * exponent
        for cut in np.unique(np.append(level, -np.inf)):
            right = int(((level > cut) == merged)[fitted].sum())
            best = max(best, (right, float(gain), float(cut)))
    _, gain, cut = best
    told, seen = (count + gain * exponent > cut)[~fitted], merged[~fitted]
    right, total = int((told == seen).sum()), int(seen.size)
    share = seen.mean() if total else np.nan
    ends = wilson(right, total) if total else (np.nan, np.nan)
    accuracy = right / total if total else np.nan
    return [np.exp(gain), np.exp(cut), accuracy, *ends, max(share, 1 - share)]
