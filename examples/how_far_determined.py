"""How far does a start decide who wins?
=====================================

As far as it is known: a few neurons in a hundred turn on a thousandth of the starting weights.

A theory that leaves out some of what a network feels pushes its weights a little off, as a kick of
the start does. So beside the share of winners that each set of kept modes names stands what the
network itself names when all of its starting weights are known to one part in a million, in ten
thousand, in a hundred. That is the ceiling of a theory that is right to the same part.

Data: a run with pairs held out, p = 23, trained here unless one is given.

Run it::

    python examples/how_far_determined.py --out how_far_determined.png

It takes four minutes on one core; ``--run`` reads a run that is there, an imported one, too.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from grokode import nets
from grokode.compare.common.observe import start_of, training_rule
from grokode.compare.common.style import save_figure
from grokode.compare.lottery.ladder import outside_every_theory
from grokode.theory import TrainingRule, fourier
from grokode.theory.harmonic_flow import harmonic_flow
from grokode.theory.kept import parse_kept

KICKS = (1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2)
KEPT = {
    "3": {"color": "0.5", "ls": "-"},
    "rows": {"color": "#E69F00", "ls": "--"},
    "rows+3": {"color": "#D55E00", "ls": "-."},
    "rows+diagonals+antidiagonals+slants": {"color": "#009E73", "ls": (0, (6, 1))},
    "rows+10": {"color": "#CC79A7", "ls": ":"},
}


def main(
    out: Path,
    run: Path | None = None,
    step: int | None = None,
    kicks: tuple[float, ...] = KICKS,
    seeds: int = 3,
    neurons: int = 512,
    steps: int = 6000,
) -> None:
    """Follow a start, whole and in part, exact and kicked; print and draw the winners named.

    Parameters
    ----------
    out : Path
        Figure file.
    run : Path, optional
        A run of addition; one is trained if not given.
    step : int, optional
        Checkpoint, after the first, whose winners are asked for; the last if not given.
    kicks : floats
        Standard deviation of the factor, about 1, that each starting weight is multiplied by.
    seeds : int
        Of the kicks.
    neurons, steps : int
        Of the training.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if run is None:
            config = nets.preset("he2026/grokking", neurons=neurons, steps=steps)
            own = nets.train(config.replace(checkpoint_every=steps), f"{temporary}/run")
        else:
            own = nets.open_run(run)
        _check(own, step)
        first = int(own.weights.step[0])
        last = int(own.weights.step[-1]) if step is None else step
        rule = replace(training_rule(own), steps=last - first, first_step=first)
        start = start_of(own.parameters.sel(step=first, drop=True).load())
        winners = _winners(own.spectra().sel(step=last))
    whole = f"rows+{(rule.p - 1) // 2}"

    def named(initial: xr.Dataset, keep: str) -> float:
        path = harmonic_flow(initial, rule, [0, last - first], keep=keep, dtype="float32")
        return float((_winners(path.isel(step=-1)) == winners).mean())

    print("kept modes | winners named")
    by_kept = {keep: named(start, keep) for keep in (*KEPT, whole)}
    for keep, share in by_kept.items():
        print(f"{keep}, {_modes(keep, rule)} | {share:.3f}")
    print("all modes, kicked by | winners named")
    by_kick = np.array(
        [[named(_kicked(start, kick, seed), whole) for seed in range(seeds)] for kick in kicks]
    )
    for kick, shares in zip(kicks, by_kick, strict=True):
        print(f"{kick:g} | " + ", ".join(f"{share:.3f}" for share in shares))
    figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    ax.plot(kicks, by_kick, "o", color="#0072B2", alpha=0.5, ms=4)
    ax.plot(kicks, by_kick.mean(1), color="#0072B2", label="the network, its start kicked")
    for keep, look in KEPT.items():
        label = f"{keep}, {_modes(keep, rule)} modes, start exact"
        ax.axhline(by_kept[keep], label=label, **look)
    ax.set(xscale="log", xlabel="relative kick of the start", ylabel="share of winners named")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=2)
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


def _check(run: nets.Run, step: int | None) -> None:
    """Refuse a training that flows do not follow, and a step that is no later checkpoint."""
    if reason := outside_every_theory(run.config):
        raise SystemExit(f"{run.path} is outside every theory: {reason}; give another run")
    if step is not None and step not in run.weights.step.values[1:]:
        raise SystemExit(f"step must be a checkpoint of {run.path} after its first, got {step}")


def _winners(spectrum: xr.Dataset) -> NDArray[np.int64]:
    """Frequency of largest beta of every neuron."""
    frequencies: NDArray[np.int64] = fourier.beta(spectrum).idxmax("frequency").values
    return frequencies


def _modes(keep: str, rule: TrainingRule) -> int:
    return int(parse_kept(keep).mask(rule.p).sum())


def _kicked(start: xr.Dataset, kick: float, seed: int) -> xr.Dataset:
    """A start with every weight multiplied by 1 + kick times a normal number."""
    weights, rng = fourier.weights(start), np.random.default_rng(seed)
    theta, xi = (
        one * (1 + kick * rng.standard_normal(one.shape)) for one in (weights.theta, weights.xi)
    )
    return fourier.spectrum(theta, xi)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("how_far_determined.png"))
    parser.add_argument("--run", type=Path)
    parser.add_argument("--step", type=int)
    given = parser.parse_args()
    main(given.out, given.run, given.step)

# sphinx_gallery_thumbnail_path = 'images/how_far_determined.png'
