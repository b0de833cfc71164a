"""When does a recurrent network generalise?
=========================================

More data and smaller weights help, each in its way.

Trainings on a part of the short sequences, from small and from large initial weights, seed by seed:
the accuracy on sequences much longer than any it was trained on.

Data: recurrent networks of 30 neurons, trained here at several shares of the data and gains, four
seeds each.

Run it::

    python examples/when_it_generalises.py --out generalises.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from grokode import nets
from grokode.compare.common.style import save_figure


def main(out: Path, length: int = 6, neurons: int = 30, steps: int = 4000, seeds: int = 4) -> None:
    """Train at several fractions and gains and draw the accuracy at the end.

    Parameters
    ----------
    out : Path
        Figure file.
    length : int
        Of the longest training sequences.
    neurons, steps : int
        Width and optimiser steps.
    seeds : int
        Trainings of each kind.
    """
    fractions = [0.25, 0.5, 0.75, 1.0]
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    for gain, color in ((0.1, "#0072B2"), (1.0, "#D55E00")):
        accuracies = []
        for fraction in fractions:
            config = nets.preset(
                "vanrossem2025/parity",
                length=length,
                neurons=neurons,
                learning_rate=0.1,
                gain=gain,
                train_fraction=fraction,
                steps=steps,
                checkpoint_every=steps,
                log_every=steps,
            )
            with tempfile.TemporaryDirectory() as folder:
                run = nets.train(config, Path(folder) / "run", seeds=range(seeds))
                accuracies.append(run.metrics.test_accuracy.isel(step=-1).values)
        shown = np.array(accuracies)
        print(f"gain {gain}: {shown.mean(1).round(3).tolist()} at {fractions}")
        ax.plot(fractions, shown.mean(1), "o-", color=color, label=f"gain {gain:g}")
        ax.plot(fractions, shown, ".", color=color, alpha=0.4)
    ax.axhline(0.5, color="0.5", ls=":", label="chance")
    ax.set(xlabel="part of the sequences trained on", ylabel="accuracy at length 50")
    ax.legend()
    save_figure(figure, out, dpi=110)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("generalises.png"))
    main(parser.parse_args().out)

# sphinx_gallery_thumbnail_path = 'images/when_it_generalises.png'
