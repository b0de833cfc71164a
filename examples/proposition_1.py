"""When do logits follow Proposition 1?
====================================

A network from single-frequency neurons, and a Gaussian one.

The proposition assumes one aligned frequency a neuron, phases spread evenly and equal magnitudes. A
single-frequency start grants the first; a Gaussian start has to find it.

Data: two quadratic networks, p = 23, 512 neurons, trained here on all pairs.

Run it::

    python examples/proposition_1.py --out proposition_1.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import compare, nets
from grokode.compare import figures
from grokode.compare.common.style import save_figure


def main(out: Path, p: int = 23, neurons: int = 512, steps: int = 15_000) -> None:
    """Train both networks and draw their logits against the proposition.

    Parameters
    ----------
    out : Path
        Figure file.
    p, neurons, steps : int
        Modulus, width and optimiser steps at most.
    """
    starts = {"single_frequency": 0.02, "gaussian": 0.1}
    figure, axes = plt.subplots(1, len(starts), figsize=(10, 4.5), layout="constrained")
    for (start, scale), ax in zip(starts.items(), axes, strict=True):
        config = nets.TrainingConfig(
            p=p,
            neurons=neurons,
            activation="quadratic",
            optimizer="sgd",
            learning_rate=0.1,
            initial=start,
            scale=scale,
            seed=0,
            steps=steps,
            checkpoint_every=steps,
            log_every=steps,
            stop_loss=0.05,
        )
        with tempfile.TemporaryDirectory() as folder:
            run = nets.train(config, Path(folder) / "run")
            weights = compare.checkpoint(run)
        fit = compare.logits(weights.theta, weights.xi, config.activation)
        figures.logit_scatter(fit, ax)
        ax.set_title(f"{start.replace('_', ' ')} start: {ax.get_title()}")
        print(f"{start}: R^2 {float(fit.r2):.4f}, accuracy {float(fit.accuracy):.4f}")
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("proposition_1.png"))
    main(parser.parse_args().out)

# sphinx_gallery_thumbnail_path = 'images/proposition_1.png'
