"""How do I integrate equations of my own?
=======================================

The lottery when the two layers learn at different rates.

A system is a frozen dataclass with a scalar right-hand side in plain Python; nothing else is needed
to run it on vector lanes, on all cores or on a CUDA device. Here the output layer learns `ratio`
times as fast as the input layer, and the question is how many lotteries that decides differently.

Data: 2,000 Gaussian starts, p = 23, seed 0; nothing is trained.

Run it::

    python examples/custom_system.py --out custom_system.png
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np

from grokode.compare.common.style import save_figure
from grokode.theory import fourier
from grokode.theory.solvers import simulate
from grokode.theory.systems import System


def two_rates(t: float, y: Any, parameters: Any) -> tuple[float, float, float, float]:
    """The right-hand side dA/dt = 2 p conj(A) B, dB/dt = ratio p A^2, real parts first."""
    ar, ai, br, bi = y
    p, ratio = parameters
    return (
        2 * p * (ar * br + ai * bi),
        2 * p * (ar * bi - ai * br),
        ratio * p * (ar * ar - ai * ai),
        ratio * p * 2 * ar * ai,
    )


@dataclass(frozen=True)
class TwoRateFlow(System):
    """The four-variable flow with an output layer that learns `ratio` times as fast."""

    variables: ClassVar[Mapping[str, type]] = {"theta_hat": complex, "xi_hat": complex}
    rhs: ClassVar[Callable[..., Any]] = staticmethod(two_rates)

    p: int
    ratio: float


def main(out: Path, p: int = 23, neurons: int = 2000) -> None:
    """Draw how often the winner is that of equal rates.

    Parameters
    ----------
    out : Path
        Figure file.
    p, neurons : int
        Modulus and number of lotteries.
    """
    theta, xi = 0.1 * np.random.default_rng(0).normal(size=(2, neurons, p))
    initial = fourier.spectrum(theta, xi)
    ratios = 4.0 ** np.arange(-3, 3.5, 0.5)
    winners = []
    for ratio in ratios:
        # Every ticket ends at its blow-up, long before this time.
        path = simulate(TwoRateFlow(p, ratio), initial, [1e9], rtol=1e-6, check=False)
        winners.append(path.stop_time.idxmin("frequency"))
    agreement = [float((winner == winners[len(ratios) // 2]).mean()) for winner in winners]

    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    ax.semilogx(ratios, agreement, "o-", base=2)
    ax.axhline(2 / (p - 1), color="grey", linestyle=":", label="chance")
    ax.set_xlabel("learning rate of the output layer / of the input layer")
    ax.set_ylabel("neurons with the winner of equal rates")
    ax.set_ylim(0, 1.05)
    ax.legend()
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("custom_system.png"))
    main(parser.parse_args().out)
