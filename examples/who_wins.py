"""Which frequency wins each neuron, and what does it take to know?
================================================================

Train, predict, compare.

Networks are trained from starts whose magnitudes spread more and more. Least misalignment, the
published corollary, names the winners where magnitudes are equal and fails as they spread; the
ladder of theory is then scored on the network of the widest spread.

Data: four quadratic networks, p = 23, 128 neurons, trained here from starts of growing spread.

Run it::

    python examples/who_wins.py --out who_wins.png
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import compare, nets
from grokode.compare import figures
from grokode.compare.common.style import save_figure
from grokode.compare.lottery.corollary import corollary, corollary_of_runs, spread_start
from grokode.compare.lottery.winner_figures import corollary_curve


def main(
    out: Path,
    p: int = 23,
    neurons: int = 128,
    steps: int = 8000,
    spreads: Sequence[float] = (0.0, 0.05, 0.2, 0.65),
) -> None:
    """Train a network for each spread, score the predictors, write the figure.

    Parameters
    ----------
    out : Path
        Figure file.
    p, neurons, steps : int
        Modulus, width and optimiser steps.
    spreads : sequence of float
        Standard deviations of the logarithm of the initial magnitudes.
    """
    kappa = 0.02
    config = nets.TrainingConfig(
        p=p,
        neurons=neurons,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.1,
        initial="given",
        scale=kappa,
        steps=steps,
        checkpoint_every=max(1, steps // 20),
        log_every=max(1, steps // 20),
    )
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for spread in spreads:
            start = spread_start(p, neurons, kappa, spread, seed=0)
            runs[spread] = nets.train(config, Path(folder) / f"{spread:g}", initial=start)
        networks = corollary_of_runs(runs)
        scored = compare.winners(runs[spreads[-1]])
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained")
    corollary_curve(corollary(p, kappa=kappa), axes[0], networks)
    figures.accuracy_by_predictor(scored, axes[1])
    axes[1].set_title(f"network of spread {spreads[-1]:g}", pad=20)
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    for name in networks.predictor.values:
        scores = ", ".join(f"{value:.2f}" for value in networks.accuracy.sel(predictor=name).values)
        print(f"{name} names {scores} of the winners at spreads {list(spreads)}")
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("who_wins.png"))
    main(parser.parse_args().out)
