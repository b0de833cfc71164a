"""What do networks of the five published configurations end as?
=============================================================

From presets to reports.

Trains every preset with several seeds into --runs (resumed if they are there), prints mean and
spread of the numbers the papers are about, and writes a report on each beside the runs.

Data: the five published configurations, p = 23, four seeds each, trained here.

Run it::

    python examples/published_configurations.py --runs published  # half an hour on two cores
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from grokode import compare, nets
from grokode.compare.common.style import save_figure
from grokode.compare.mechanism.measures import activation_swap
from grokode.compare.mechanism.phases import phase_doubling
from grokode.theory import fourier

QUANTITIES = {
    "loss": "training loss (nats)",
    "accuracy": "accuracy over all pairs",
    "blowup_time": "winners named by blow-up time",
    "misalignment": "winners named by misalignment",
    "sine": "mean |sin D|",
    "participation": "inverse participation ratio",
    "r2": "R² of Proposition 1",
    "single": "R² of the single-frequency projection",
    "swap": "least accuracy after a swap",
}
# The swap of Observation 4 puts each of these in place of the activation trained with.
SWAPPED = ["abs", "quadratic", "quartic", "softplus2", "exp"]


def numbers(run: nets.Run) -> dict[str, float]:
    """What the papers say of a network, measured on one seed."""
    last = run.weights.isel(step=-1)
    theta, xi = last.theta.values, last.xi.values
    spectrum = fourier.spectrum(theta, xi)
    fit = compare.logits(theta, xi, run.config.activation)
    scored = compare.winners(run, ("blowup_time", "misalignment"))
    beta = fourier.beta(spectrum)
    shares = beta**2 / (beta**2).sum("frequency")
    swapped = activation_swap(theta, xi).accuracy
    return {
        "loss": float(run.metrics.train_loss[-1]),
        "accuracy": float(fit.accuracy),
        "blowup_time": float(scored.accuracy.sel(predictor="blowup_time")),
        "misalignment": float(scored.accuracy.sel(predictor="misalignment")),
        "sine": float(phase_doubling(spectrum).mean_abs_sin),
        "participation": float((shares**2).sum("frequency").median()),
        "r2": float(fit.r2),
        "single": float(fit.fit_r2.sel(fit="single_frequency")),
        "swap": float(swapped.sel(activation=SWAPPED).min()),
    }


def main(
    out: Path,
    runs: Path | None = None,
    p: int = 23,
    neurons: int | None = None,
    steps: int | None = None,
    seeds: int = 4,
    reports: bool = False,
) -> None:
    """Train every preset, print its numbers and write the figure.

    Parameters
    ----------
    out : Path
        Figure file.
    runs : Path, optional
        Folder of the runs, resumed if they are there; a temporary one if not given.
    p : int
        Modulus.
    neurons, steps : int, optional
        As the presets have them if not given.
    seeds : int
        How many of each.
    reports : bool
        Write a report on the first seed of each beside the runs.
    """
    changes = {"neurons": neurons, "steps": steps}
    changes = {name: value for name, value in changes.items() if value is not None}
    of_configuration = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = runs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in (name for name in nets.PRESETS if name.startswith("he2026/")):
            path = folder / name.partition("/")[2]
            run = nets.train(nets.preset(name, p, **changes), path, seeds=range(seeds), resume=True)
            each = [numbers(run.select(seed)) for seed in run.seeds]
            of_configuration[name] = {
                key: np.array([one[key] for one in each]) for key in QUANTITIES
            }
            print(name)
            for key, values in of_configuration[name].items():
                print(f"  {QUANTITIES[key]:40s} {values.mean():.4g} ± {values.std():.2g}")
            page = path.with_suffix(".html")
            if reports and not page.exists():
                compare.report([run.select(run.seeds[0])], page)
    figure, axes = plt.subplots(3, 3, figsize=(12, 8), sharey=True, layout="constrained")
    for ax, (key, label) in zip(axes.flat, QUANTITIES.items(), strict=True):
        for row, name in enumerate(of_configuration):
            values = of_configuration[name][key]
            ax.plot(values, np.full(len(values), row), "o", color="#0072B2", alpha=0.6)
        ax.set(xlabel=label, yticks=range(len(of_configuration)), yticklabels=of_configuration)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(axis="y", color="0.9")
    axes[0, 0].invert_yaxis()
    figure.suptitle(f"networks at the end of training, one point to a seed (p = {p})")
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("published_configurations.png"))
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--no-reports", action="store_true")
    given = parser.parse_args()
    main(given.out, given.runs, seeds=given.seeds, reports=not given.no_reports)

# sphinx_gallery_thumbnail_path = 'images/published_configurations.png'
