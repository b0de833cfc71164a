"""Which tickets win? Blow-up time and final magnitude over initial magnitude and misalignment.

Every point is one ticket with initial alpha = beta = kappa and misalignment D, solved exactly. All
are read off at one time, when the fastest of them has grown tenfold.

Run it: python examples/lottery_contour.py --out lottery_contour.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

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
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    labels = {
        "final_magnitude": f"final magnitude β at t = {grid.attrs['saturation_time']:.3g}",
        "blowup_time": "blow-up time T",
    }
    for (name, label), ax in zip(labels.items(), axes, strict=True):
        values = grid[name]
        norm = LogNorm(float(values.min()), float(values.max()))
        levels = np.geomspace(norm.vmin, norm.vmax, 12)[1:-1]
        image = ax.pcolormesh(
            grid.misalignment, grid.magnitude, values, norm=norm, cmap="viridis", rasterized=True
        )
        ax.contour(
            grid.misalignment, grid.magnitude, values, levels=levels, colors="white", linewidths=0.6
        )
        ax.set_xlabel("initial misalignment D (rad)")
        ax.set_xticks(np.arange(5) * np.pi / 2, ["0", "π/2", "π", "3π/2", "2π"])
        figure.colorbar(image, ax=ax, label=label)
    axes[0].set_yscale("log")
    axes[0].set_ylabel("initial magnitude κ = α = β")
    figure.suptitle(f"One ticket's start decides, p = {p}")
    figure.savefig(out, dpi=150)
    plt.close(figure)
    best = grid.final_magnitude.isel(grid.final_magnitude.argmax(...))
    print(
        f"largest at kappa = {float(best.magnitude):.3g}, D = {float(best.misalignment):.3g}; "
        f"T from {float(grid.blowup_time.min()):.3g} to {float(grid.blowup_time.max()):.3g}"
    )
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("lottery_contour.png"))
    parser.add_argument("--size", type=int, default=500)
    arguments = parser.parse_args()
    main(arguments.out, size=arguments.size)
