"""Which tickets win?
==================

Blow-up time and final magnitude over initial magnitude and misalignment.

Every point is one ticket with initial alpha = beta and misalignment D, solved exactly. The final
magnitudes are read off at one time, when the fastest ticket of all has grown tenfold: Figure 11 of
arXiv:2602.16849.

Data: a grid of 500 by 500 tickets, p = 23; nothing is trained.

Run it::

    python examples/lottery_contour.py --out lottery_contour.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from grokode.compare import figures
from grokode.compare.common.style import save_figure
from grokode.theory import lottery


def main(out: Path, p: int = 23, size: int = 500) -> None:
    """Draw both contours.

    Parameters
    ----------
    out : Path
        Figure file.
    p, size : int
        Modulus, and points on each axis.
    """
    # Midpoints, because at D = pi exactly the blow-up time is infinite.
    misalignments = 2 * np.pi * (np.arange(size) + 0.5) / size
    grid = lottery.contour(p, np.geomspace(0.01, 0.1, size), misalignments)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for quantity, ax in zip(("final_magnitude", "blowup_time"), axes, strict=True):
        figures.contour(grid, quantity, ax)
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    best = grid.final_magnitude.isel(grid.final_magnitude.argmax(...))
    print(
        f"largest at magnitude {float(best.magnitude):.3g}, D = {float(best.misalignment):.3g}; "
        f"T from {float(grid.blowup_time.min()):.3g} to {float(grid.blowup_time.max()):.3g}"
    )
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("lottery_contour.png"))
    parser.add_argument("--size", type=int, default=500)
    arguments = parser.parse_args()
    main(arguments.out, size=arguments.size)
