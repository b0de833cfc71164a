"""What do a network's logits consist of?
======================================

Signal, phase noise and cross-frequency terms over steps.

Proposition 1 keeps the signal alone. A trained network also has what its phases do not cancel and
what the other waves of its neurons add; the budget splits every logit exactly and says how much of
the variance each part holds.

Data: one quadratic network, p = 23, 512 neurons, trained here on all pairs.

Run it::

    python examples/logit_budget.py --out logit_budget.png
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import nets
from grokode.compare.common.style import save_figure
from grokode.compare.logits.budget import budget_over_steps
from grokode.compare.logits.budget_figures import budget_bars, budget_history


def main(out: Path, p: int = 23, neurons: int = 512, steps: int = 10_000) -> None:
    """Train a quadratic network and draw its budget over steps and at the end.

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
        initial="gaussian",
        scale=0.1,
        seed=0,
        steps=steps,
        checkpoint_every=max(1, steps // 50),
        log_every=steps,
    )
    with tempfile.TemporaryDirectory() as folder:
        budget = budget_over_steps(nets.train(config, Path(folder) / "run"))
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    budget_history(budget, axes[0])
    last = budget.isel(step=-1)
    budget_bars(last, axes[1])
    axes[1].set_title(f"step {int(last.step)}: they sum to 100%", fontsize="medium")
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(
        f"signal {float(last.share.sel(part='signal')):.1%} of the logits' variance at step "
        f"{int(last.step)}; the parts sum to the logits to {float(last.closure):.1e}"
    )
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("logit_budget.png"))
    main(parser.parse_args().out)
