"""Do phases cause grokking?
=========================

Freeze, redraw or align them, change the decay, and see what follows.

Every variant is the published grokking run with one thing changed, on the same seeds; phases are
changed with all magnitudes as they were. Runs are kept in --runs and resumed, so that a figure can
be drawn again, or with more seeds, without training anew.

Data: ten variants of the published grokking configuration, four seeds each, trained here.

Run it::

    python examples/grokking_interventions.py --out interventions.png  # an hour on one core
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy import stats

from grokode import nets
from grokode.compare.common.style import save_figure


def variants(config: nets.TrainingConfig, memorised: int) -> dict[str, tuple]:
    """Configuration and intervention of every variant, by name."""
    return {
        "as published (decay 2)": (config, None),
        "phases frozen at their start": (config, nets.freeze_phases(config)),
        "phases redrawn once memorised": (config, nets.redraw_phases(memorised)),
        "phases aligned once memorised": (config, nets.align_phases(memorised)),
        "decay off once memorised": (replace(config, decay_until=memorised), None),
        "decay 0": (replace(config, weight_decay=0.0), None),
        "decay 0.5": (replace(config, weight_decay=0.5), None),
        "decay 1": (replace(config, weight_decay=1.0), None),
        "decay 4": (replace(config, weight_decay=4.0), None),
        "decay 0, dropout 0.2": (replace(config, weight_decay=0.0, dropout=0.2), None),
    }


def interval(values: np.ndarray) -> float:
    """Half the width of the 95% t interval of a mean over seeds."""
    if len(values) < 2:
        return float("nan")
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


def draw(runs: dict[str, nets.Run], axes: tuple[Axes, Axes]) -> None:
    """Test accuracy over steps, its mean over seeds with the 95% interval, and at the end."""
    curves, ends = axes
    for row, (name, run) in enumerate(runs.items()):
        accuracy = run.metrics.test_accuracy.values.reshape(len(run.seeds), -1)
        steps, mean = run.metrics.step.values, accuracy.mean(0)
        half = np.array([interval(values) for values in accuracy.T])
        style = {"color": plt.cm.cividis(row / len(runs)), "linestyle": ("-", "--", ":")[row % 3]}
        curves.plot(steps, mean, label=name, **style)
        curves.fill_between(steps, mean - half, mean + half, color=style["color"], alpha=0.15, lw=0)
        ends.errorbar(mean[-1], row, xerr=half[-1], fmt="o", color=style["color"], capsize=3)
        norm = run.metrics.weight_norm.values.reshape(len(run.seeds), -1)[:, -1].mean()
        print(f"{name:32s} test accuracy {mean[-1]:.3f} ± {half[-1]:.3f}, weight norm {norm:.1f}")
    curves.set(xlabel="optimiser steps", ylabel="test accuracy of the network", ylim=(0, 1.02))
    ends.set(xlabel="test accuracy at the last step", yticks=range(len(runs)), yticklabels=runs)
    ends.invert_yaxis()
    curves.legend(fontsize="x-small")


def main(
    out: Path,
    runs: Path | None = None,
    p: int = 23,
    neurons: int = 512,
    steps: int = 20_000,
    memorised: int | None = None,
    seeds: int = 4,
) -> None:
    """Train every variant and write the figure.

    Parameters
    ----------
    out : Path
        Figure file.
    runs : Path, optional
        Folder of the runs, resumed if they are there; a temporary one if not given.
    p, neurons, steps, seeds : int
        Modulus, width, optimiser steps, and how many seeds of each variant.
    memorised : int, optional
        Step at which the interventions begin; a ninth of the steps if not given, 2222 of 20,000:
        at p = 23 all training pairs are known at step 2100 to 2200.
    """
    every = max(1, steps // 100)
    config = nets.preset(
        "he2026/grokking", p, neurons=neurons, steps=steps, checkpoint_every=every, log_every=every
    )
    begin = memorised or max(1, steps // 9)
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for name, (changed, intervention) in variants(config, begin).items():
            path = (runs or Path(folder)) / name.replace(" ", "-").replace(",", "")
            path.parent.mkdir(parents=True, exist_ok=True)
            made[name] = nets.train(
                changed, path, seeds=range(seeds), intervention=intervention, resume=True
            )
        figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
        draw(made, axes)
        save_figure(figure, out, dpi=150)
        plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("grokking_interventions.png"))
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    given = parser.parse_args()
    main(given.out, given.runs, seeds=given.seeds)

# sphinx_gallery_thumbnail_path = 'images/grokking_interventions.png'
