"""What does a transformer compute that adds?
==========================================

Waves of a few frequencies, and which ones.

A one-layer transformer is trained on part of the pairs until it answers all of them. The figure has
its frequencies in embedding, neurons and logits, and what each of them gives by itself; the table
stands every published claim beside this network.

Data: one small transformer, p = 53, trained here on 40% of the pairs, or a run of yours.

Run it::

    python examples/transformer_circuit.py --out circuit.png  # a minute on one core
    python examples/transformer_circuit.py --run RUN --out circuit.png  # a run that is there
"""

import argparse
import tempfile
from pathlib import Path

from grokode import nets
from grokode.compare.circuit.question import judge, measure, sheets, tables
from grokode.compare.common.claims import claims_table
from grokode.compare.common.style import save_figure


def main(
    out: Path,
    run: Path | None = None,
    p: int = 53,
    steps: int = 4_500,
    neurons: int = 128,
    seed: int = 0,
) -> None:
    """Train `nanda2023/small`, or open a run, and measure its last checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        config = nets.preset("nanda2023/small", p, steps=steps, neurons=neurons, seed=seed)
        config = config.replace(checkpoint_every=steps)
        opened = nets.train(config, Path(folder) / "run") if run is None else nets.open_run(run)
        measured = measure(opened, history=False)
    for table in [*(table.rows for table in tables(measured)[:3]), claims_table(judge(measured))]:
        for row in table:
            print("  ".join(row))
        print()
    save_figure(sheets(measured)[0].draw(), out, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))

# sphinx_gallery_thumbnail_path = 'images/transformer_circuit.png'
