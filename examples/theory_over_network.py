"""Does theory follow a network from the same start?
=================================================

Train one, integrate the flow, draw both.

Data: one quadratic network, p = 23, 128 neurons, trained here on all pairs.

Run it::

    python examples/theory_over_network.py --out theory_over_network.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import compare, nets
from grokode.compare import figures
from grokode.compare.common.style import save_figure


def main(out: Path, p: int = 23, neurons: int = 128, steps: int = 12_000) -> None:
    """Train from a small Gaussian start and write the figure.

    Parameters
    ----------
    out : Path
        Figure file.
    p, neurons, steps : int
        Modulus, width and optimiser steps.
    """
    config = nets.TrainingConfig(
        p=p,
        neurons=neurons,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.1,
        scale=0.1,
        seed=0,
        steps=steps,
        checkpoint_every=max(1, steps // 50),
        log_every=max(1, steps // 50),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = nets.train(config, Path(folder) / "run")
        pair = compare.trajectories(run)
        errors = compare.trajectory_errors(pair)
        figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
        figures.tickets(pair, 0, "beta", axes[0])
        figures.error_curves(errors, axes[1])
        figures.loss_curve(run.metrics, p, axes[2])
        save_figure(figure, out, dpi=150)
        plt.close(figure)
    print(f"all beta part by 2% at step {compare.parting_step(errors, 0.02)}; wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("theory_over_network.png"))
    main(parser.parse_args().out)
