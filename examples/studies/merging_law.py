"""Do agreeing states merge where C < N G^(n - m)? Gains, parts of the sequences and lengths swept.

N is the number of continuations that are trained on, and differences grow G-fold with two symbols.
The criterion of the paper makes n the symbols that may follow and m those that came before; a
second reading has for n and m the lengths of the two sequences. Small networks are trained at every
gain, on parts of the sequences and up to several lengths, some seeds each, into a folder that is
taken up where it was left. To the pairs of every gain log-odds a + b log N + b log G (n - m) are
fitted seed by seed, and scored on the seeds that they were not fitted to: the part they are right
about, beside the commoner outcome, and how often a pair that merges is ranked above one that does
not, of which half is chance. Means over seeds with 95% intervals.

Run it: python examples/studies/merging_law.py --folder studies --out law.png
        (ten seconds to a gain, part and length of four seeds, on one core)
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats
from scipy.optimize import minimize

from grokode import nets
from grokode.compare.automata.machines import Sequences
from grokode.compare.automata.measure import accuracy, hidden_over_training, parts_of, told_apart
from grokode.compare.automata.pairs import continuations, sample_pairs
from grokode.compare.common.style import save_figure
from grokode.files import replace_file

GAINS = (0.05, 0.1, 0.3, 0.7, 1.0)
SHAPES = ((1.0, 6), (0.75, 6), (0.5, 6), (1.0, 7))
"""Part of the sequences trained on, and their greatest length."""
READINGS = ("symbols after less before", "longer less shorter")
WITHIN = 0.1
"""Part of sigma within which two states are one."""
Pairs = dict[str, np.ndarray]


def pairs_of(run: nets.Run, per_cell: int = 12) -> dict[str, Any]:
    """Agreeing pairs of a run of one seed: log N, both exponents, and whether they merged."""
    _, task = parts_of(run)
    seed = run.config.seed
    every = Sequences.up_to(task.length)
    some = sample_pairs(told_apart(task.machine(seed), every), every, per_cell, seed)
    trained = np.zeros(len(every.inputs), bool)
    trained[1 + task.split(seed)[0]] = True
    pooled = np.stack(
        [hidden[0].double().numpy() for _, _, hidden in hidden_over_training(run, every)]
    )
    sigma = float(np.sqrt(pooled.reshape(-1, pooled.shape[-1]).var(0).sum()))
    apart = np.linalg.norm(pooled[-1][some.second] - pooled[-1][some.first], axis=1)
    shorter, longer = every.lengths[some.first], every.lengths[some.second]
    count = np.array(
        [
            (trained[continuations(a, d)] & trained[continuations(b, d)]).sum()
            for a, b, d in zip(some.first, some.second, task.length - longer, strict=True)
        ]
    )
    used = some.agreeing & (count > 0)
    columns = {
        "count": np.log(count[used]),
        READINGS[0]: (task.length - longer - shorter)[used],
        READINGS[1]: (longer - shorter)[used],
        "merged": (apart < WITHIN * sigma)[used],
    }
    right = float(accuracy(run, (500,))[0])
    return {name: values.tolist() for name, values in columns.items()} | {"accuracy": right}


def rows_of(home: Path, gain: float, steps: float, seeds: int) -> Iterator[tuple[int, Any]]:
    """Seed and pairs of every training at a gain; trains what is missing."""
    for part, length in SHAPES:
        path = home / f"gain-{gain:g}-part-{part:g}-length-{length}"
        kept = home / f"{path.name}.json"
        if not kept.exists():
            changes = {"length": length, "train_fraction": part, "gain": gain}
            task = nets.preset("vanrossem2025/parity", **changes).data
            every = max(1, round(30 * steps)) * task.epoch(0)
            config = nets.preset(
                "vanrossem2025/parity",
                neurons=30,
                learning_rate=0.1,
                steps=20 * every,
                checkpoint_every=every,
                log_every=every,
                **changes,
            )
            run = nets.train(config, path, seeds=range(seeds), resume=path.exists())
            text = json.dumps([pairs_of(run.select(seed)) for seed in range(seeds)])
            replace_file(kept, lambda file, text=text: file.write(text.encode()))
        yield from enumerate(json.loads(kept.read_text()))


def by_seed(rows: list[tuple[int, Any]]) -> dict[int, Pairs]:
    """The pairs of all trainings of a seed together."""
    return {
        seed: {
            name: np.concatenate([np.asarray(row[name], float) for s, row in rows if s == seed])
            for name in ("count", *READINGS, "merged")
        }
        for seed in {seed for seed, _ in rows}
    }


def fitted(pairs: Pairs, reading: str) -> np.ndarray:
    """a, b and b log G of the log-odds, by likelihood; a slight pull to 0 keeps them finite."""
    x = np.stack([np.ones_like(pairs["count"]), pairs["count"], pairs[reading]])
    sign = 2 * pairs["merged"] - 1

    def cost(at: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (at @ x)).sum() + 0.01 * (at @ at))

    return minimize(cost, np.zeros(3)).x


def scored(at: np.ndarray, pairs: Pairs, reading: str) -> tuple[float, float]:
    """Part of the pairs that a law is right about, and of the rankings that it gets right."""
    odds = at[0] + at[1] * pairs["count"] + at[2] * pairs[reading]
    merged = pairs["merged"].astype(bool)
    ranked = np.nan
    if merged.any() and not merged.all():
        above = stats.mannwhitneyu(odds[merged], odds[~merged]).statistic
        ranked = float(above / (merged.sum() * (~merged).sum()))
    return float(((odds > 0) == merged).mean()), ranked


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half width of the 95% interval (t) over seeds."""
    known = np.array(values)[np.isfinite(values)]
    if len(known) < 2:
        return (float(known.mean()) if len(known) else np.nan), np.nan
    return float(known.mean()), float(stats.sem(known) * stats.t.ppf(0.975, len(known) - 1))


def law(rows: list[tuple[int, Any]]) -> dict[str, tuple[float, float]]:
    """Every number of one gain."""
    seeds = by_seed(rows)
    numbers = {
        "generalise": interval(
            [np.mean([row["accuracy"] > 0.99 for s, row in rows if s == seed]) for seed in seeds]
        ),
        "merged": interval([pairs["merged"].mean() for pairs in seeds.values()]),
    }
    common = {
        s: np.mean([p["merged"].mean() for t, p in seeds.items() if t != s]) > 0.5 for s in seeds
    }
    numbers["chance"] = interval([(p["merged"] == common[s]).mean() for s, p in seeds.items()])
    for reading in READINGS:
        fits = {seed: fitted(pairs, reading) for seed, pairs in seeds.items()}
        cross = [
            [scored(at, pairs, reading) for other, at in fits.items() if other != seed]
            for seed, pairs in seeds.items()
        ]
        for place, name in enumerate(("accuracy", "ranking")):
            of_seed = [np.mean([each[place] for each in of_pairs]) for of_pairs in cross]
            numbers[f"{reading}: {name}"] = interval(of_seed)
        numbers[f"{reading}: exponent of N"] = interval([at[1] for at in fits.values()])
        numbers[f"{reading}: log-odds to a symbol"] = interval([at[2] for at in fits.values()])
        numbers[f"{reading}: log G"] = interval([at[2] / at[1] for at in fits.values()])
    return numbers


def main(out: Path, folder: Path | None = None, steps: float = 1.0, seeds: int = 4) -> None:
    """Train what is missing, fit, tell and draw; `steps` multiplies the 600 epochs."""
    with tempfile.TemporaryDirectory() as temporary:
        home = (Path(temporary) if folder is None else folder) / "merging-law"
        home.mkdir(parents=True, exist_ok=True)
        rows = {gain: list(rows_of(home, gain, steps, seeds)) for gain in GAINS}
    # A training that fits at most shows by what it merges why it does not generalise.
    good = {
        g: [(s, row) for s, row in of_gain if row["accuracy"] > 0.99] for g, of_gain in rows.items()
    }
    for title, some in (("all trainings", rows), ("those that generalise", good)):
        told = {gain: law(of_gain) for gain, of_gain in some.items() if of_gain}
        counts = " | ".join(f"gain {gain:g} ({len(some[gain])})" for gain in told)
        print(f"| {title} | {counts} |")
        for name in next(iter(told.values()), {}):
            cells = [f"{n[name][0]:.3g} ± {n[name][1]:.2g}" for n in told.values()]
            print(f"| {name} | " + " | ".join(cells) + " |")
    save_figure(draw({gain: good[gain] for gain in told}, told), out, dpi=150)


def draw(rows: dict[float, list[tuple[int, Any]]], told: dict[float, Any]) -> Figure:
    """Merged parts over N and over n - m, a line to a gain; rankings by the law beside chance."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    colors = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00")
    for (gain, of_gain), color in zip(rows.items(), colors, strict=False):
        seeds = by_seed(of_gain)
        for ax, name in zip(axes, ("count", READINGS[0]), strict=False):
            places, shares = [], []
            for place in np.arange(-8, 9):
                level = {
                    s: p[name] / np.log(2) if name == "count" else p[name] for s, p in seeds.items()
                }
                here = [
                    p["merged"][np.round(level[s]) == place].mean()
                    for s, p in seeds.items()
                    if (np.round(level[s]) == place).any()
                ]
                if len(here) > 1:
                    places.append(place)
                    shares.append(interval(here))
            mean, half = np.array(shares).T
            ax.errorbar(
                places,
                mean,
                np.nan_to_num(half),
                fmt="o-",
                ms=4,
                color=color,
                label=f"gain {gain:g}",
            )
    for ax in axes[:2]:
        ax.set_ylim(-0.02, 0.7)
    axes[0].set(xlabel="continuations N, powers of 2", ylabel="part of the agreeing pairs merged")
    axes[1].set(xlabel=f"n - m: {READINGS[0]}", ylabel="part of the agreeing pairs merged")
    axes[0].legend(fontsize="small")
    for shift, (reading, color) in enumerate(zip(READINGS, colors, strict=False)):
        mean, half = np.array([numbers[f"{reading}: ranking"] for numbers in told.values()]).T
        at = np.arange(len(mean)) + 0.15 * (shift - 0.5)
        axes[2].errorbar(at, mean, np.nan_to_num(half), fmt="o", color=color, label=reading)
    axes[2].axhline(0.5, color="0.5", ls=":", label="chance")
    axes[2].set_xticks(range(len(told)), [f"{gain:g}" for gain in told])
    axes[2].set(xlabel="gain", ylabel="rankings right, on seeds not fitted")
    axes[2].legend(fontsize="small", loc="lower left")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--steps", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=4)
    main(**vars(parser.parse_args()))
