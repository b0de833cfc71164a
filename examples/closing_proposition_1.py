"""What does Proposition 1 need to be exact?
=========================================

Measured values in place of its assumptions, in turn.

Every published configuration, trained from the published seed. The proposition knows one size;
then come the sizes of all frequencies, misalignment, the spread of phases, and at last what it
leaves out by its own choice of one frequency a neuron. Nothing is fitted.

Data: the five published configurations, p = 23, each trained here from the published seed.

Run it::

    python examples/closing_proposition_1.py --runs closing --out closing_proposition_1.png

It takes six minutes on one core; runs that are there are not trained again.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from grokode import nets
from grokode.compare.common.style import save_figure
from grokode.compare.logits.budget_figures import closing_steps
from grokode.compare.logits.closing import closing


def main(
    out: Path,
    runs: Path | None = None,
    p: int = 23,
    neurons: int | None = None,
    steps: int | None = None,
) -> None:
    """Train every configuration, print what closes its logits, and draw it.

    Parameters
    ----------
    out : Path
        Figure file.
    runs : Path, optional
        Folder of the runs; a temporary one if not given.
    p : int
        Modulus.
    neurons, steps : int, optional
        As the presets have them if not given.
    """
    changes = {"neurons": neurons, "steps": steps}
    changes = {name: value for name, value in changes.items() if value is not None}
    names = [name for name in nets.PRESETS if name.startswith("he2026/")]
    figure, axes = plt.subplots(len(names), 1, figsize=(9, 3 * len(names)), layout="constrained")
    with tempfile.TemporaryDirectory() as temporary:
        folder = runs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, ax in zip(names, axes, strict=True):
            config = nets.preset(name, p, seed=42, seed_recipe="he2026", **changes)
            run = nets.train(config, folder / name.partition("/")[2], resume=True)
            last = run.weights.isel(step=-1)
            closed = closing(last.theta.values, last.xi.values, config.activation)
            closing_steps(closed, ax).set_title(name, loc="left")
            print(name)
            for stage in closed.stage.values:
                here = closed.sel(stage=stage)
                print(
                    f"  {stage:16s} R² {float(here.r2):7.4f}   "
                    f"pairs right {float(here.accuracy):.4f}"
                )
    save_figure(figure, out, dpi=150)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("closing_proposition_1.png"))
    parser.add_argument("--runs", type=Path)
    given = parser.parse_args()
    main(given.out, given.runs)

# sphinx_gallery_thumbnail_path = 'images/closing_proposition_1.png'
