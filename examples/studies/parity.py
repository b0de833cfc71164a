"""What streaming parity is like over seeds and settings: each study is a set of variants.

official    the published setup, eight seeds
settings    other gains, tanh, parts of the sequences, cross-entropy, random automata

Every variant is trained on some seeds into a folder, which is taken up where it was left. The table
has means over seeds with 95% intervals, and ranges.

Run it: python examples/studies/parity.py --study official --folder studies --out official.png
        (thirty seconds to a variant and seed on one core)
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from grokode import compare, nets
from grokode.compare.automata.measure import DivergedStatesError
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.style import plain_log, save_figure
from grokode.files import replace_file

QUESTION = compare.QUESTIONS["automaton"]
TANH: dict[str, Any] = {"preset": "vanrossem2025/parity-tanh"}
STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "official": {"published": {"seeds": 8}},
    "settings": {
        "gain 0.7": {"gain": 0.7},
        "gain 1": {"gain": 1.0},
        "half of the sequences": {"train_fraction": 0.5, "epochs": 4000, "seeds": 4},
        "a fifth, gain 1": {"train_fraction": 0.2, "gain": 1.0, "epochs": 3000},
        "tanh, gain 0.5": TANH | {"gain": 0.5},
        "tanh, gain 0.8": TANH | {"seeds": 4},
        "tanh, gain 0.01": TANH | {"gain": 0.01},
        "cross-entropy, half": {"preset": "vanrossem2025/parity-grid", "epochs": 2000},
        "random automata": {"preset": "vanrossem2025/automaton", "epochs": 1000, "seeds": 3},
    },
}
COLUMNS = {
    "drop": "test loss stays below 0.1 from epoch",
    "learned": "below 0.001 from epoch",
    "test_loss": "test loss at the end",
    "accuracy": "accuracy at the longest length",
    "peak": "most states, 0.01 sigma",
    "wide_peak": "most states, 0.1 sigma",
    "states": "states at the end, 0.01 sigma",
    "chained": "the same by chains",
    "wide_states": "states at the end, 0.1 sigma",
    "conflicts": "contradicting transitions, 0.01 sigma",
    "wide_conflicts": "contradicting transitions, 0.1 sigma",
    "minimal": "states of the smallest automaton, 0.1 sigma",
    "equivalent": "computes the task for ever, 0.1 sigma",
    "merged": "agreeing pairs merged, 0.01 sigma",
    "wide_merged": "agreeing pairs merged, 0.1 sigma",
    "disagreeing": "disagreeing pairs merged, 0.01 sigma",
    "diverged": "diverged at step",
}


def measured(run: nets.Run) -> dict[str, float]:
    """One row: every column of one run, NaN where it has no meaning, then who was right."""
    answered = compare.ask(QUESTION, run)
    states, score = answered["states"], answered["score"]
    epoch = states.attrs["epoch"]
    narrow, wide = (states.isel(within=at) for at in (0, -1))
    row = {
        "drop": states.attrs["drop_step"] / epoch,
        "learned": below(run, 1e-3) / epoch,
        "test_loss": float(run.metrics.test_loss[-1]),
        "accuracy": float(answered["accuracy"].accuracy[-1]),
        "peak": float(narrow.states.max()),
        "wide_peak": float(wide.states.max()),
        "states": float(narrow.states[-1]),
        "chained": float(narrow.states_linked[-1]),
        "wide_states": float(wide.states[-1]),
        "conflicts": float(narrow.conflicts[-1]),
        "wide_conflicts": float(wide.conflicts[-1]),
        "minimal": float(wide.minimal_states[-1]),
        "equivalent": float(wide.equivalent[-1]),
        "merged": float(narrow.agreeing_merged[-1]),
        "wide_merged": float(wide.agreeing_merged[-1]),
        "disagreeing": float(narrow.disagreeing_merged[-1]),
        "diverged": np.nan,
    }
    for begin in score.begin.values:
        pairs = answered["pairs"].sel(begin=begin)
        row[f"drop by the flow from the {begin}"] = float(pairs["drop"]) / epoch
        for kind in pairs.kind.values:
            row[f"explained from the {begin}, {kind}"] = float(pairs.explained.sel(kind=kind))
        for within in score.within.values:
            cell = score.sel(begin=begin, within=within)
            where = f"from the {begin}, {within:g} sigma"
            row[f"pairs {where}"] = float(cell.total.isel(criterion=0).sum())
            for name in score.criterion.values:
                one = cell.sel(criterion=name)
                row[f"{name} {where}"] = float(one.accuracy)
                row[f"{name}, false mergers {where}"] = float(one.false_mergers)
                row[f"{name}, missed {where}"] = float(one.missed_mergers)
    law = answered["law"]
    for reading in law.reading.values:
        for within in law.within.values:
            one = law.sel(reading=reading, within=within)
            for name in ("accuracy", "chance"):
                row[f"law, {reading}, {within:g} sigma, {name}"] = float(one[name])
    return row


def below(run: nets.Run, level: float) -> float:
    """First logged step from which the test loss stays below a level, NaN if there is none."""
    loss = run.metrics.test_loss
    above = np.flatnonzero(~(loss.values < level))
    after = int(above[-1]) + 1 if above.size else 0
    return float(loss.step[after]) if after < loss.size else np.nan


def trained_row(path: Path, changes: dict[str, Any], seed: int, scale: float) -> dict[str, float]:
    """Train one seed of a variant, or go on with it, and measure it."""
    changes = dict(changes)
    name = changes.pop("preset", "vanrossem2025/parity")
    epochs = max(2, round(scale * changes.pop("epochs", 1000)))
    task = nets.preset(name, seed=seed, **changes).data
    epoch = task.epoch(seed)
    every = epoch * max(1, epochs // 200)
    config = nets.preset(
        name,
        seed=seed,
        steps=epochs * epoch,
        checkpoint_every=every,
        log_every=every,
        **changes,
    )
    try:
        return measured(nets.train(config, path, resume=path.exists()))
    except nets.DivergedError:
        step = float(nets.open_run(path).metrics.step[-1])
        return dict.fromkeys(COLUMNS, np.nan) | {"diverged": step}
    except (NotMeasured, DivergedStatesError) as refusal:
        print(f"{path.name}: {refusal}")
        return dict.fromkeys(COLUMNS, np.nan)


def told(name: str, rows: list[dict[str, float]]) -> None:
    """Print mean, half width of the 95% interval (t) and range of every number over seeds."""
    print(f"## {name}, {len(rows)} seeds")
    for column in dict.fromkeys(key for row in rows for key in row):
        values = np.array([row.get(column, np.nan) for row in rows], dtype=float)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        text = f"{values.mean():.4g}"
        if len(values) > 1:
            half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
            text += f" ± {half:.2g} | {values.min():.4g} to {values.max():.4g}"
        print(f"| {COLUMNS.get(column, column)} | {text} | {len(values)} seeds |")


def main(
    out: Path,
    study: str = "official",
    folder: Path | None = None,
    scale: float = 1.0,
    seeds: int | None = None,
    only: str | None = None,
    **changes: Any,
) -> None:
    """Train what is missing of a study, measure it, tell it and draw it.

    `scale` multiplies the epochs, `seeds` stands in place of each variant's own number; `changes`
    are settings for all variants.
    """
    results: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = (Path(temporary) if folder is None else folder) / study
        home.mkdir(parents=True, exist_ok=True)
        for name, variant in STUDIES[study].items():
            if only not in (None, name):
                continue
            settings = dict(variant)
            count = settings.pop("seeds", 1)
            rows = []
            for seed in range(count if seeds is None else seeds):
                path = home / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
                kept = home / f"{path.name}.json"
                if not kept.exists():
                    row = trained_row(path, settings | changes, seed, scale)
                    text = json.dumps(row)
                    replace_file(kept, lambda file, text=text: file.write(text.encode()))
                rows.append(json.loads(kept.read_text()))
            results[name] = rows
            told(name, rows)
    save_figure(draw(results), out, dpi=150)


def draw(results: dict[str, list[dict[str, float]]]) -> Figure:
    """Some columns over the variants, a dot to a seed."""
    shown = ["drop", "test_loss", "accuracy", "peak", "states", "wide_states", "merged", "minimal"]
    figure = Figure(figsize=(14, 2 + 0.7 * len(results)), layout="constrained")
    for ax, column in zip(figure.subplots(2, 4).ravel(), shown, strict=True):
        for place, rows in enumerate(results.values()):
            values = np.array([row.get(column, np.nan) for row in rows], dtype=float)
            values = values[np.isfinite(values)]
            spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
            if len(values):
                ax.plot(values, place + spread, "o", color="#0072B2", alpha=0.7)
            else:
                ax.text(0.5, place, "none", transform=ax.get_yaxis_transform(), ha="center")
        ax.set_yticks(range(len(results)), list(results), fontsize=8)
        ax.set_ylim(len(results) - 0.5, -0.5)
        if column == "test_loss":
            ax.set_xscale("log")
            plain_log(ax.xaxis)
        else:
            ax.locator_params(axis="x", nbins=4)
        ax.set_title(COLUMNS[column], fontsize=8)
        ax.tick_params(axis="x", labelsize=8)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", choices=list(STUDIES), default="official")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--only", help="one variant")
    main(**vars(parser.parse_args()))
