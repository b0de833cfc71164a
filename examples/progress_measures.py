"""Can grokking be seen coming?
============================

Restricted and excluded loss over the training of a transformer.

Long before the test loss falls, the loss without the key frequencies rises and the loss with them
alone falls: the circuit forms while nothing shows from outside. The phases are shaded.

Data: one small transformer, p = 53, trained here on 40% of the pairs, or a run of yours.

Run it::

    python examples/progress_measures.py --out progress.png  # a minute on one core
    python examples/progress_measures.py --run RUN --out progress.png  # a run that is there
"""

import argparse
import tempfile
from pathlib import Path

from grokode import nets
from grokode.compare.circuit.progress import phases
from grokode.compare.circuit.question import measure, sheets
from grokode.compare.circuit.tables import phases_table
from grokode.compare.common.style import save_figure


def main(
    out: Path,
    run: Path | None = None,
    p: int = 53,
    steps: int = 4_500,
    neurons: int = 128,
    seed: int = 0,
) -> None:
    """Train `nanda2023/small`, or open a run, and follow it over its checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        config = nets.preset("nanda2023/small", p, steps=steps, neurons=neurons, seed=seed)
        config = config.replace(checkpoint_every=max(1, steps // 45))
        opened = nets.train(config, Path(folder) / "run") if run is None else nets.open_run(run)
        measured = measure(opened)
    for row in phases_table(phases(measured["progress"])):
        print("  ".join(row))
    save_figure(sheets(measured)[1].draw(), out, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))

# sphinx_gallery_thumbnail_path = 'images/progress_measures.png'
