"""What the paper on progress measures leaves open, as trainings: each study is a set of variants.

keys        how does the number of key frequencies go with loss, margin and generalisation?
operations  which operations keep a Fourier solution, and in which basis?
foretelling how far and how early do restricted and excluded loss foretell grokking?
decay       are the three phases there without weight decay, with much of it, with dropout, or by
            stopping early?
shapes      two layers, attention only, constant attention, no "=", a tied embedding
seeds       is the algorithm the same over seeds?

Every variant is trained on a few seeds of `nanda2023/small` into a folder, which is taken up where
it was left. The table has means over seeds with 95% intervals.

Run it: python examples/studies/transformers.py --study decay --folder studies --out decay.png
        (two minutes to a variant and seed on one core)
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats

from grokode import nets
from grokode.compare.circuit.groups import group_shares, nonzero_by_powers
from grokode.compare.circuit.measures import SOLVED, circuit
from grokode.compare.circuit.observe import computations, last_computation
from grokode.compare.circuit.progress import phases, progress
from grokode.compare.common.style import save_figure
from grokode.files import replace_file

STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "keys": {f"{neurons} neurons": {"neurons": neurons} for neurons in (32, 64, 128, 256)},
    "operations": {
        name: {"task": name, "train_fraction": 0.6}
        for name in ("addition", "subtraction", "multiplication", "quadratic_form", "random")
    }
    | {"dihedral": {"data": "dihedral", "corners": 27, "train_fraction": 0.6}},
    "foretelling": {
        f"{fraction:.0%} trained on": {"train_fraction": fraction} for fraction in (0.35, 0.4, 0.5)
    },
    "decay": {f"decay {decay}": {"weight_decay": decay} for decay in (0.0, 0.5, 1.0, 2.0, 5.0)}
    | {f"dropout {rate}": {"weight_decay": 0.0, "dropout": rate} for rate in (0.1, 0.3)},
    "shapes": {
        "published": {},
        "two layers": {"layers": 2},
        "attention only": {"neurons": 0},
        "constant attention": {"attention_rate": 0.0},
        "no =": {"equals": False},
        "tied": {"tied": True},
    },
    "seeds": {"published": {}},
}
COLUMNS = {
    "accuracy": "part of all pairs right",
    "generalised": "99% of the test pairs right, step",
    "keys": "key frequencies",
    "margin": "least margin of the right logit",
    "test_loss": "test loss",
    "early_stop": "least test loss, where one would stop early, at step",
    "early_accuracy": "part of the test pairs right there",
    "lead_restricted": "restricted loss halves before the test loss does, steps",
    "lead_excluded": "excluded loss doubles before the test loss halves, steps",
    "phases": "phases found",
    "clocks": "part of the keys that are clocks alone",
    "product": "logits that are a function of the answer, share",
    "quotient": "logits that are a function of answer less output, share",
    "character": "logits that are a sum of characters, share",
}


def measured(run: nets.Run) -> dict[str, float]:
    """One row: every column of one run, NaN where it has no meaning."""
    config = run.config
    row = dict.fromkeys(COLUMNS, np.nan)
    n = config.data.classes
    answers = config.data.answers(config.seed).reshape(n, n)
    last = {name: torch.tensor(v.values[-1:]) for name, v in run.parameters.items()}
    with torch.no_grad():
        logits = config.network.outputs(last, config.data.inputs)[0, :, :n]
    logits = logits.double().numpy().reshape(n, n, n)
    right = np.take_along_axis(logits, answers[..., None], -1)[..., 0]
    others = logits.copy()
    np.put_along_axis(others, answers[..., None], -np.inf, -1)
    margin = right - others.max(-1)
    row["accuracy"] = float((margin > 0).mean())
    row["margin"] = float(margin.min())
    row["test_loss"] = float(run.metrics.test_loss[-1])
    least = int(np.argmin(run.metrics.test_loss.values))
    row["early_stop"] = float(run.metrics.step[least])
    row["early_accuracy"] = float(run.metrics.test_accuracy[least])
    known = run.metrics.test_accuracy
    wrong = np.flatnonzero(known.values < SOLVED)
    if not len(wrong) or wrong[-1] + 1 < known.sizes["step"]:
        row["generalised"] = float(known.step[wrong[-1] + 1 if len(wrong) else 0])
    task = config.to_dict().get("task", "product")
    row |= in_its_group(logits, answers, task)
    return row | of_sums(run) if task in ("addition", "subtraction") else row


def in_its_group(logits: np.ndarray, answers: np.ndarray, task: str) -> dict[str, float]:
    """Shares of the logits that the operation's group explains; NaN where it is none."""
    if task == "subtraction":
        turned = -np.arange(len(answers)) % len(answers)
        logits, answers = logits[:, turned], answers[:, turned]
    if task == "multiplication":
        logits = nonzero_by_powers(logits)
        n = len(logits)
        answers = np.add.outer(np.arange(n), np.arange(n)) % n
    if task not in ("addition", "subtraction", "multiplication", "product"):
        return {}
    return group_shares(logits, answers)


def of_sums(run: nets.Run) -> dict[str, float]:
    """What has a meaning for addition and subtraction alone."""
    last = last_computation(run)
    measured_circuit = circuit(last[1])
    series = progress(computations(run), measured_circuit.key.values.tolist())
    half = first(
        series.test_loss < series.test_loss.max() / 2, after=np.argmax(series.test_loss.values)
    )
    least = int(np.argmin(series.excluded_loss.values))
    doubled = first(series.excluded_loss > 2 * series.excluded_loss[least], after=least)
    halved = first(series.restricted_loss < series.restricted_loss[0] / 2, after=0)
    solved = float(measured_circuit.accuracy) >= SOLVED
    clocks = measured_circuit.circle_r2.idxmax("form") == "clock"
    return {
        "keys": float(measured_circuit.sizes["key"]) if solved else np.nan,
        "clocks": float(clocks.mean()) if solved else np.nan,
        "lead_restricted": half - halved if solved else np.nan,
        "lead_excluded": half - doubled if solved else np.nan,
        "phases": float(sum(phase.steps is not None for phase in phases(series).values())),
    }


def first(holds: Any, after: Any) -> float:
    """First step from an index on at which something holds, NaN if it never does."""
    rows = np.flatnonzero(holds.values[int(after) :])
    return float(holds.step[int(after) + rows[0]]) if len(rows) else np.nan


def told(name: str, rows: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and half width of the 95% interval of every column over seeds; printed too."""
    numbers = {}
    print(f"{name}, {len(rows)} seeds")
    for column, words in COLUMNS.items():
        values = np.array([row[column] for row in rows], dtype=float)
        values = values[np.isfinite(values)]
        spread = np.nan
        if len(values) > 1:
            spread = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
        numbers[column] = (float(values.mean()) if len(values) else np.nan, spread)
        print(f"    {words}: {numbers[column][0]:.4g} ± {spread:.2g} ({len(values)} seeds)")
    return numbers


def main(
    out: Path,
    study: str = "seeds",
    folder: Path | None = None,
    p: int = 53,
    steps: int = 8_000,
    seeds: int = 3,
) -> None:
    """Train what is missing of a study, measure it, and draw its columns."""
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) if folder is None else folder
        for name, changes in STUDIES[study].items():
            rows = []
            for seed in range(seeds):
                path = home / study / f"{name.replace(' ', '-')}-{seed}"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows.append(row_of(path, configured(p, steps, seed, changes)))
            results[name] = told(name, rows)
    save_figure(draw(results), out, dpi=150)


def row_of(path: Path, config: nets.TrainingConfig) -> dict[str, float]:
    """The row of one training, trained and measured if its file beside the run lacks a column."""
    kept = path.parent / f"{path.name}.json"
    row: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
    if set(row) != set(COLUMNS):
        row = measured(nets.train(config, path, resume=True))
        replace_file(kept, lambda file: file.write(json.dumps(row).encode()))
    return row


def configured(p: int, steps: int, seed: int, changes: dict[str, Any]) -> nets.TrainingConfig:
    """A variant of the small preset; a task that is not modular has no p."""
    settings = nets.PRESETS["nanda2023/small"] | {"p": p} | changes
    if "data" in changes:
        del settings["p"]
    settings |= {"steps": steps, "seed": seed, "checkpoint_every": max(1, steps // 80)}
    return nets.TrainingConfig(**settings)


def draw(results: dict[str, dict[str, tuple[float, float]]]) -> Figure:
    """Every column that has numbers, over the variants."""
    shown = [c for c in COLUMNS if any(np.isfinite(r[c][0]) for r in results.values())]
    rows = -(-len(shown) // 4)
    figure = Figure(figsize=(15, 0.8 + rows * (1.2 + 0.32 * len(results))), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False).ravel()
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    for ax, column in zip(axes, shown, strict=False):
        means, spreads = np.array([numbers[column] for numbers in results.values()]).T
        places = np.arange(len(results))
        ax.errorbar(means, places, xerr=np.nan_to_num(spreads), fmt="o", color="#0072B2")
        ax.set_yticks(places, list(results), fontsize=8)
        ax.set_ylim(len(results) - 0.5, -0.5)
        ax.set_title(COLUMNS[column], fontsize=8)
        ax.tick_params(axis="x", labelsize=8)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", choices=list(STUDIES), default="seeds")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--seeds", type=int, default=3)
    main(**vars(parser.parse_args()))
