"""Where does a network keep what it memorises?
============================================

In rows: the part g(x, j) + g(y, j) of its logits, which knows nothing of x + y.

With pairs missing, an answer that never came with an x is pushed down wherever that x is. Averaged
over all pairs a row is right as often as wrong: what rows add to the right answers of training
pairs they take from those of the missing ones, three times as much where a quarter is missing. The
rule is there early, in the first harmonics, and rows hide it; grokking is their decay.

Data: a run with pairs held out, p = 23, trained here unless one is given.

Run it::

    python examples/what_rows_hold.py --out what_rows_hold.png

It takes half a minute on one core; ``--run`` reads a run that is there, an imported one, too.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from grokode import nets
from grokode.compare.common.outputs import outputs
from grokode.compare.common.style import save_figure
from grokode.theory.kept import parse_kept, part_of

SHARES = {"rows": "#D55E00", "first harmonics": "#0072B2", "the rest": "0.6"}
ANSWERS = {"network": "k", "without rows": "#009E73", "first harmonics": "#0072B2"}
PUSHED = {"training pairs": "#0072B2", "test pairs": "#D55E00"}


def main(
    out: Path,
    run: Path | None = None,
    p: int = 23,
    neurons: int = 512,
    steps: int = 12_000,
) -> None:
    """Train or read, print what rows hold over the steps, and draw it.

    Parameters
    ----------
    out : Path
        Figure file.
    run : Path, optional
        A run of addition with test pairs; one is trained if not given.
    p, neurons, steps : int
        Of the training.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if run is None:
            config = nets.preset("he2026/grokking", p, neurons=neurons, steps=steps)
            every = max(1, steps // 60)
            own = nets.train(config.replace(checkpoint_every=every), f"{temporary}/run")
        else:
            own = nets.open_run(run)
        told = measured(own)
    print("step | rows, of the logits | test pairs right: " + ", ".join(ANSWERS))
    last = told.sizes["step"] - 1
    for at in np.unique(np.geomspace(1, last + 1, 12).astype(int) - 1):
        row, step = told.isel(step=at), int(told.step[at])
        right = ", ".join(f"{value:.2f}" for value in row.right.values)
        print(f"{step} | {float(row.share.sel(part='rows')):.2f} | {right}")
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    panels = [
        ("share", "part", SHARES, "share of the logits' variance"),
        ("right", "answers", ANSWERS, "test pairs right"),
        ("pushed", "pairs", PUSHED, "rows' logit of the right answer"),
    ]
    for ax, (name, dim, colours, label) in zip(axes, panels, strict=True):
        for key, colour in colours.items():
            told[name].sel({dim: key}).plot(ax=ax, color=colour, label=key)
        ax.set(xlabel="step", ylabel=label, title="", xscale="log")
        ax.legend(frameon=False, fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


def measured(run: nets.Run) -> xr.Dataset:
    """Shares of the logits' variance, test pairs right by parts, and what rows do to answers."""
    spectra, p = run.spectra(), run.config.p
    rows = parse_kept("rows").mask(p)
    first = parse_kept("1").mask(p) & ~rows
    train, test = (tuple(pairs.T) for pairs in (run.train_pairs, run.test_pairs))
    answers = np.add.outer(np.arange(p), np.arange(p)) % p
    columns: tuple[list[list[float]], ...] = ([], [], [])
    for at in range(spectra.sizes["step"]):
        logits = outputs(spectra.isel(step=at), run.config.activation).reshape(p, p, p)
        logits -= logits.mean(-1, keepdims=True)
        in_rows, in_first = (part_of(logits, mask) for mask in (rows, first))
        sizes = [float((part**2).sum() / (logits**2).sum()) for part in (in_rows, in_first)]
        given = [part.argmax(-1) for part in (logits, logits - in_rows, in_first)]
        own = np.take_along_axis(in_rows, answers[..., None], -1)[..., 0]
        columns[0].append([*sizes, 1 - sum(sizes)])
        columns[1].append([float((each == answers)[test].mean()) for each in given])
        columns[2].append([float(own[pairs].mean()) for pairs in (train, test)])
    names = {"share": "part", "right": "answers", "pushed": "pairs"}
    return xr.Dataset(
        {
            name: (("step", dim), np.array(column))
            for (name, dim), column in zip(names.items(), columns, strict=True)
        },
        {
            "step": spectra.step.values,
            "part": list(SHARES),
            "answers": list(ANSWERS),
            "pairs": list(PUSHED),
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("what_rows_hold.png"))
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    main(given.out, given.run)

# sphinx_gallery_thumbnail_path = 'images/what_rows_hold.png'
