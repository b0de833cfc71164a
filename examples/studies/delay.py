"""How long after memorising does a network generalise? Theory's step beside the training's.

Small ReLU networks under AdamW, 80% of the pairs, at three decays and three moduli. Each is trained
on a few seeds; the step from which on 95% of the unseen pairs are answered rightly is predicted by
the harmonic flow (from the first checkpoint alone), by the published law of arXiv:2603.13331 (from
both norms, with its constant 1) and by holding the forces of memorisation. Nothing is fitted.
Beside them stands the network itself, trained again from a start kicked by a millionth: no theory
is to be asked for more.

Run it: python examples/studies/delay.py --folder delays --out delay.png
        (a minute to a variant on one quiet core; a folder is taken up where it was left)
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from grokode import nets
from grokode.compare.common.cells import Rows
from grokode.compare.common.style import save_figure
from grokode.compare.grokking.delay import THEORIES, delay
from grokode.compare.grokking.stages import stages
from grokode.compare.lottery.retrained import retrained
from grokode.files import replace_file

VARIANTS: dict[str, dict[str, Any]] = {
    "decay 0.5": {"weight_decay": 0.5},
    "decay 1": {},
    "decay 2": {"weight_decay": 2.0},
    "p = 23": {"p": 23},
    "p = 31": {"p": 31},
}
BASE: dict[str, Any] = {
    "p": 29,
    "neurons": 128,
    "activation": "relu",
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "warmup": 10,
    "weight_decay": 1.0,
    "train_fraction": 0.8,
    "scale": 0.1,
}
ROWS = (*THEORIES, "trained_again")
COLOURS = dict(zip(ROWS, ("#CC79A7", "#E69F00", "#D55E00", "#0072B2"), strict=True))
MARKERS = "os^Dv"


def measured(run: nets.Run) -> dict[str, Any]:
    """Observed steps, and those of every theory; None where there is none."""
    told = delay(run, stages(run))
    rows = {"observed": {name: told.attrs[name] for name in ("memorised", "generalised")}}
    each = {theory: told.sel(theory=theory) for theory in THEORIES}
    each["trained_again"] = retrained(run, ["kick"]).isel(retraining=0)
    for theory, one in each.items():
        steps = {name: float(one[name]) for name in ("memorised", "generalised")}
        rows[theory] = {name: at if np.isfinite(at) else None for name, at in steps.items()}
    return rows


def main(
    out: Path,
    folder: Path | None = None,
    steps: int = 2_000,
    seeds: int = 4,
    **changes: Any,
) -> None:
    """Train what is missing, measure it, print the table and draw.

    Parameters
    ----------
    out : Path
        Figure file.
    folder : Path, optional
        Where runs and results are kept.
    steps, seeds : int
    **changes
        Of the base configuration.
    """
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) if folder is None else folder
        home.mkdir(parents=True, exist_ok=True)
        for name, variant in VARIANTS.items():
            kept = home / f"{name.replace(' ', '-')}.json"
            if not kept.exists():
                every = max(1, steps // 80)
                config = nets.TrainingConfig(
                    **BASE | variant | changes,
                    steps=steps,
                    checkpoint_every=every,
                    log_every=every,
                )
                path = home / kept.stem
                run = nets.train(config, path, seeds=range(seeds), resume=True)
                text = json.dumps([measured(run.select(seed)) for seed in run.seeds])
                replace_file(kept, lambda file, text=text: file.write(text.encode()))
            results[name] = json.loads(kept.read_text())
    for row in table(results):
        print(" | ".join(row))
    save_figure(draw(results), out, dpi=150)
    print(f"wrote {out}")


def table(results: dict[str, list[dict[str, Any]]]) -> Rows:
    """Mean observed steps, and the error of each theory's step over seeds."""
    rows = [["variant", "memorised", "grokked", *ROWS]]
    for name, seeds in results.items():
        own = [one["observed"] for one in seeds if one["observed"]["generalised"] >= 0]
        means = [
            f"{np.mean([at[event] for at in own]):.0f}" if own else "-"
            for event in ("memorised", "generalised")
        ]
        rows.append([f"{name} ({len(own)} of {len(seeds)} seeds grok)", *means])
        rows[-1] += [error(seeds, theory) for theory in ROWS]
    return rows


def error(seeds: list[dict[str, Any]], theory: str) -> str:
    """Error of the predicted delay as a share of the observed one: mean, and spread over seeds."""
    off = []
    for one in seeds:
        own, predicted = one["observed"], one[theory]["generalised"]
        if own["generalised"] >= 0 and predicted is not None:
            span = own["generalised"] - own["memorised"]
            off.append((predicted - own["memorised"]) / span - 1)
    missing = sum(one["observed"]["generalised"] >= 0 for one in seeds) - len(off)
    text = f"{np.mean(off):+.0%} ± {np.std(off):.0%}" if off else ""
    return text + (f" ({missing} never)" if missing else "")


def draw(results: dict[str, list[dict[str, Any]]]) -> Figure:
    """Predicted over observed step of grokking; on the diagonal they are the same."""
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    ax = figure.subplots()
    most = 1.0
    for (name, seeds), marker in zip(results.items(), MARKERS, strict=True):
        for theory in ROWS:
            known = [
                (one["observed"]["generalised"], one[theory]["generalised"])
                for one in seeds
                if one["observed"]["generalised"] >= 0 and one[theory]["generalised"] is not None
            ]
            if known:
                most = max(most, *map(max, known))
                ax.plot(*zip(*known, strict=True), marker, color=COLOURS[theory], linestyle="none")
        ax.plot([], [], marker, color="0.4", linestyle="none", label=name)
    for theory, colour in COLOURS.items():
        ax.plot([], [], "o", color=colour, linestyle="none", label=theory.replace("_", " "))
    ax.plot([0, most], [0, most], color="0.5", linewidth=0.8)
    ax.set(xlabel="observed step of grokking", ylabel="predicted step of grokking")
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("delay.png"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=4)
    main(**vars(parser.parse_args()))
