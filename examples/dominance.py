"""When does the winning ticket dominate?
======================================

The time, and how it scales with p and kappa.

The published law is O(log p / (p kappa)). Exact solutions of random starts say: from equal
magnitudes the time falls as 1 / (p kappa), faster than the law; from Gaussian weights it falls as
about p^-0.63 / kappa, slower, so that the law does not hold there.

Data: 300 random starts to each p from 11 to 397; nothing is trained.

Run it::

    python examples/dominance.py --out dominance.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from grokode.compare.common.style import save_figure
from grokode.compare.lottery.contour_figures import dominance_distribution, dominance_scaling
from grokode.theory import lottery

MODULI = (11, 23, 47, 97, 197, 397)
KAPPAS = (0.01, 0.03, 0.1)


def main(out: Path, p: int = 23, neurons: int = 300) -> None:
    """Draw the distribution at one modulus, and the medians over moduli and scales.

    Parameters
    ----------
    out : Path
        Figure file.
    p : int
        Modulus of the distribution, at least 5.
    neurons : int
        Random neurons to each modulus and scale.
    """
    times = lottery.dominance_times(p, KAPPAS[-1], neurons, seed=0)
    scalings = [
        lottery.dominance_scaling(MODULI, KAPPAS, neurons, seed=0, initialisation=initialisation)
        for initialisation in ("gaussian", "equal")
    ]
    figure, axes = plt.subplots(1, 3, figsize=(11, 5), layout="constrained")
    dominance_distribution(times, axes[0])
    dominance_scaling(scalings, "p", axes[1])
    dominance_scaling(scalings, "kappa", axes[2])
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    for scaling in scalings:
        print(
            f"{scaling.attrs['initialisation']} start: "
            f"p^{float(scaling.exponent_p):.3f} kappa^{float(scaling.exponent_kappa):.3f}, "
            f"where the published law has p^{float(scaling.exponent_p_published):.3f} kappa^-1"
        )
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dominance.png"))
    parser.add_argument("--neurons", type=int, default=300)
    arguments = parser.parse_args()
    main(arguments.out, neurons=arguments.neurons)
