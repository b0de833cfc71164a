"""Clock or pizza?
===============

The rate of attention decides how a transformer adds.

Attention that may look at the tokens multiplies waves of x and y: the right answer's logit is the
same for every pair (a clock). Attention that is a constant average only adds them, and a ReLU has
to do the rest: what each frequency gives depends on x - y (a pizza). One network is trained at each
rate; the heat maps are the logits of the right answer that its strongest frequency gives alone.

Data: three transformers, p = 53, trained here on 80% of the pairs, seed 0.

Run it::

    python examples/clock_or_pizza.py --out pizza.png  # two minutes on one core
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from grokode import nets
from grokode.compare.circuit.computation import Computation
from grokode.compare.circuit.measures import circuit
from grokode.compare.circuit.observe import last_computation
from grokode.compare.common.style import save_figure
from grokode.theory.fourier import fourier_basis

RATES = (0.0, 0.5, 1.0)


def alone(computation: Computation, k: int) -> np.ndarray:
    """Logits of the right answer, (x + y, x - y), with one frequency in the embedding alone."""
    p = computation.p
    rows = fourier_basis(p)[[0, 2 * k - 1, 2 * k]]
    logits = computation.from_embedding(rows.T @ (rows @ computation.embedding))
    logits = logits - logits.mean(-1, keepdims=True)
    x, y = np.indices((p, p))
    right = np.empty((p, p))
    right[(x + y) % p, (x - y) % p] = logits[x, y, (x + y) % p]
    return right


def main(out: Path, p: int = 53, steps: int = 3_000, neurons: int = 256, seed: int = 0) -> None:
    """Train one network to each rate of attention, without "=" as in the published ones."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for ax, rate in zip(figure.subplots(1, len(RATES)), RATES, strict=True):
        config = nets.preset(
            "nanda2023/small",
            p,
            steps=steps,
            neurons=neurons,
            seed=seed,
            train_fraction=0.8,
            equals=False,
            attention_rate=rate,
            checkpoint_every=steps,
        )
        with tempfile.TemporaryDirectory() as folder:
            last = last_computation(nets.train(config, Path(folder) / "run"))
        if last is None:
            raise SystemExit(f"the network of rate {rate} has no finite weights")
        _, computation = last
        measured = circuit(computation)
        strongest = int(measured.logit_norm.idxmax())
        print(
            f"rate {rate}: accuracy {float(measured.accuracy):.3f}, distance irrelevance "
            f"{float(measured.distance_irrelevance):.3f}, gradient symmetricity "
            f"{float(measured.gradient_symmetricity):.3f}, R² of each frequency alone: clock "
            f"{np.round(measured.circle_r2.sel(form='clock').values, 2).tolist()}, pizza "
            f"{np.round(measured.circle_r2.sel(form='pizza').values, 2).tolist()}"
        )
        picture = ax.imshow(alone(computation, strongest), origin="lower", aspect="auto", vmin=0)
        figure.colorbar(picture, ax=ax)
        ax.set(
            title=f"rate {rate}, frequency {strongest}, {float(measured.accuracy):.0%} right",
            xlabel="x - y",
            ylabel="x + y",
        )
    save_figure(figure, out, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))

# sphinx_gallery_thumbnail_path = 'images/clock_or_pizza.png'
