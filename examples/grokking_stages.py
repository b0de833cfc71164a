"""What happens in the stages of grokking?
=======================================

Train on part of the pairs with decay, and look at each.

The first row is about the progress of training, the second about memorising, the next two about the
weights, and the last about what theory says: forces, decay, and the lottery with pairs missing.

Data: one network of the published grokking configuration, p = 23, trained here, or a run of yours.

Run it::

    python examples/grokking_stages.py --out stages.png  # a few minutes on one core
    python examples/grokking_stages.py --run RUN --out stages.png  # a run that is there already
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import nets
from grokode.compare.common.style import save_figure
from grokode.compare.grokking import figures as draw
from grokode.compare.grokking.perturbed import non_feature_decay, perturbed_lottery
from grokode.compare.grokking.split import broken_orthogonality
from grokode.compare.grokking.stages import Stages, heatmaps, stages
from grokode.compare.grokking.tables import boundaries_table, stages_table


def memorising_steps(measured: Stages) -> list[int]:
    """Checkpoints at the start, halfway to and at the end of memorising, or of the run."""
    steps = measured.measured.step.values
    end = measured.checkpoint(measured.memorised.step) or int(steps[-1])
    return [int(steps[abs(steps - part * end).argmin()]) for part in (0, 0.5, 1)]


def draw_all(run: nets.Run, measured: Stages, out: Path) -> None:
    """Every figure of the stages on one page."""
    maps = heatmaps(run, measured)
    rows = [2, 2, maps.sizes["step"], 2]
    figure = plt.figure(figsize=(11, 4 * sum(rows)), layout="constrained")
    progress, memorising, weights, theory = figure.subfigures(4, 1, height_ratios=rows)
    axes = progress.subplots(2, 2).ravel()
    draw.loss_curves(measured, axes[0])
    draw.accuracy_curves(measured, axes[1])
    draw.misalignment_curve(measured, axes[2])
    draw.sparsity_and_norm(measured, axes[3])
    axes = memorising.subplots(2, 2).ravel()
    for ax, step in zip(axes, memorising_steps(measured), strict=False):
        draw.accuracy_grid(measured, step, ax)
    draw.common_to_rare(measured, axes[3])
    axes = weights.subplots(maps.sizes["step"], 2, squeeze=False)
    for row, step in zip(axes, maps.step.values, strict=True):
        for ax, layer in zip(row, ("theta", "xi"), strict=True):
            draw.weight_heatmap(maps, layer, int(step), ax)
    axes = theory.subplots(2, 2).ravel()
    draw.force_balance(measured, axes[0])
    draw.non_feature_decay(measured, non_feature_decay(measured), axes[1])
    draw.lottery_agreement(measured, perturbed_lottery(run, measured), axes[2])
    draw.coupling_map(broken_orthogonality(run.config.p, run.train_pairs), axes[3])
    save_figure(figure, out, dpi=100, bbox_inches="tight")
    plt.close(figure)


def main(
    out: Path,
    run: Path | None = None,
    p: int = 23,
    neurons: int = 512,
    steps: int = 20_000,
) -> None:
    """Train, unless a run is given, and write the figure.

    Parameters
    ----------
    out : Path
        Figure file.
    run : Path, optional
        Directory of a run; one is trained for the occasion if not given.
    p, neurons, steps : int
        Modulus, width and optimiser steps of that.
    """
    with tempfile.TemporaryDirectory() as folder:
        if run is None:
            every = max(1, steps // 100)
            settings = {"checkpoint_every": every, "log_every": every}
            config = nets.preset("he2026/grokking", p, neurons=neurons, steps=steps, **settings)
            opened = nets.train(config, Path(folder) / "run")
        else:
            opened = nets.open_run(run)
        measured = stages(opened)
        for row in [*boundaries_table(measured), *stages_table(measured)]:
            print(" | ".join(row))
        draw_all(opened, measured, out)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("stages.png"))
    parser.add_argument("--run", type=Path)
    parser.add_argument("--steps", type=int, default=20_000)
    given = parser.parse_args()
    main(given.out, given.run, steps=given.steps)

# sphinx_gallery_thumbnail_path = 'images/grokking_stages.png'
