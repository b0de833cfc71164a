"""How does a recurrent network come to compute for ever?
======================================================

Its states multiply, then merge.

A small network is trained on the parity of short sequences; its hidden states are counted at every
checkpoint, and the automaton they end as is drawn.

Data: one recurrent network of 30 neurons, trained here on all sequences up to length 6.

Run it::

    python examples/automaton_grows.py --out automaton.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import nets
from grokode.compare.automata import figures, measure
from grokode.compare.common.style import save_figure


def main(out: Path, length: int = 6, neurons: int = 30, steps: int = 3600) -> None:
    """Train, measure and draw.

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
        states = measure.states_over_training(run)
        machine = measure.last_automaton(run, 0.1 * float(states.sigma))
        right = measure.accuracy(run, (100, 1000))
    print(f"generalises from epoch {states.attrs['drop_step'] / states.attrs['epoch']:.0f}")
    print(right.to_series().to_string())
    print(states.isel(step=-1).drop_dims("length").to_dataframe().T.to_string())
    figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    figures.state_counts(states, axes[0])
    figures.losses(states, axes[1])
    figures.automaton(machine, axes[2])
    save_figure(figure, out, dpi=110)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("automaton.png"))
    main(parser.parse_args().out)
