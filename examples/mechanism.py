"""What did a network learn?
=========================

One cosine a neuron, aligned phases, symmetry, and an even activation.

A ReLU network is trained as published and held against Observations 1 to 4; its harmonics are held
against three theories of them, and its weights are run under other activations.

Data: one ReLU network of the published standard configuration, p = 23, trained here.

Run it::

    python examples/mechanism.py --out mechanism.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import nets
from grokode.compare.common.style import save_figure
from grokode.compare.mechanism import figures, phase_figures
from grokode.compare.mechanism.measures import mechanism
from grokode.compare.mechanism.tables import mechanism_table


def main(out: Path, p: int = 23, neurons: int = 512, steps: int = 10_000) -> None:
    """Train the network, print its numbers beside theory and draw them.

    Parameters
    ----------
    out : Path
        Figure file.
    p, neurons, steps : int
        Modulus, width and optimiser steps; the activation swap needs more than the published 5000.
    """
    every = max(1, steps // 25)
    config = nets.preset(
        "he2026/standard", p, neurons=neurons, steps=steps, checkpoint_every=every, log_every=every
    )
    with tempfile.TemporaryDirectory() as folder:
        measured = mechanism(nets.train(config, Path(folder) / "run"))
    for row in mechanism_table(measured):
        print(f"{row[0]:<12}{row[1]:<76}" + "  ".join(f"{cell:>9}" for cell in row[2:]))
    parts = measured
    rows = ["fit_in fit_out", "ratio doubling", "heat", "circles", "bars", "balance sizes"]
    rows += ["leakage preserved", "swap"]
    figure, at = plt.subplot_mosaic(
        [(row.split() * 2)[:2] for row in rows], figsize=(11, 30), layout="constrained"
    )
    figures.weights_with_cosine(parts["fits"], 0, "theta", at["fit_in"])
    figures.weights_with_cosine(parts["fits"], 0, "xi", at["fit_out"])
    figures.participation_histogram(parts["sparsity"], at["ratio"])
    figures.basis_heatmap(parts["coefficients"], "theta", at["heat"])
    phase_figures.phase_doubling_scatter(parts["doubling"], at["doubling"])
    phase_figures.phase_circles(parts["doubling"], 1, at["circles"])
    phase_figures.resultant_bars(parts["uniformity"], at["bars"])
    phase_figures.frequency_bars(parts["balance"], at["balance"])
    phase_figures.magnitude_strips(parts["doubling"], parts["homogeneity"], "theta", at["sizes"])
    figures.leakage_bars(parts["leakage"], "theta", at["leakage"])
    figures.preservation_curves(measured["history"], at["preserved"])
    figures.activation_swap_bars(parts["swap"], at["swap"])
    save_figure(figure, out, dpi=110)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("mechanism.png"))
    main(parser.parse_args().out)
