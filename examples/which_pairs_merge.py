"""Which hidden states merge?
==========================

Two criteria beside a network, from its start and from its plateau.

The distances of pairs of hidden states are followed through a training and laid over the pair flow;
the published criterion and the exact one say who merges, and are scored.

Data: one recurrent network of 30 neurons, trained here on all sequences up to length 6.

Run it::

    python examples/which_pairs_merge.py --out mergers.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import nets
from grokode.compare.automata import figures, measure, mergers
from grokode.compare.common.style import save_figure


def main(out: Path, length: int = 6, neurons: int = 30, steps: int = 3600) -> None:
    """Train, follow pairs, score the criteria and draw.

    Parameters
    ----------
    out : Path
        Figure file.
    length : int
        Of the longest training sequences.
    neurons, steps : int
        Width and optimiser steps.
    """
    every = max(1, steps // 60)
    config = nets.preset(
        "vanrossem2025/parity",
        length=length,
        neurons=neurons,
        learning_rate=0.1,
        steps=steps,
        checkpoint_every=every,
        log_every=every,
        seed=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = nets.train(config, Path(folder) / "run")
        sigma = float(measure.states_over_training(run).sigma)
        pairs = mergers.pair_theory(run, sigma)
    scored = mergers.score(pairs)
    print(scored.accuracy.to_series().unstack("criterion"))
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 4.5), layout="constrained", width_ratios=[1, 1, 1.6]
    )
    for ax, begin in zip(axes, ("start", "plateau"), strict=False):
        figures.pair_distances(pairs, begin, ax)
        ax.set_title(f"from the {begin}")
    figures.criteria(scored, axes[2])
    save_figure(figure, out, dpi=110)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("mergers.png"))
    main(parser.parse_args().out)
