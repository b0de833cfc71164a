"""An imported training becomes a run: the one place where readers meet the store."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokode.nets.readers.record import Imported, check_losses
from grokode.nets.runs import METRICS, Run, RunWriter, appearing

__all__ = ["check_free", "write_run"]


def write_run(imported: Imported, out: str | Path) -> Run:
    """Check what was read against itself and write it as a run.

    The directory appears whole, under a name of its own until then, which nobody can guess.

    Parameters
    ----------
    imported : Imported
    out : path
        Directory of the run.

    Raises
    ------
    FileExistsError
        If `out` exists.
    ValueError
        If stored losses are not those of the weights; see `check_losses`.
    """
    out = Path(out)
    check_free(out)
    check_losses(imported)
    steps = sorted(imported.parameters)
    metrics = dict(imported.metrics)
    metrics |= {step: imported.measured(step) for step in steps if step not in metrics}
    rows = [(step, _row(metrics[step])) for step in sorted(metrics)]
    seeds = [imported.config.seed]
    attrs = {"seconds": 0.0, "intervention": ""} | dict(imported.attrs)
    attrs |= {} if imported.train is not None else {"split": "unknown"}

    with appearing(out) as folder, RunWriter(folder) as writer:
        layout = imported.config.network.layout(imported.config.data)
        writer.create(imported.config, seeds, layout, _data(imported), attrs)
        for step in steps:
            named = imported.parameters[step]
            writer.checkpoint(step, seeds, {name: w[None] for name, w in named.items()})
        writer.log(seeds, rows)
        writer.publish(seeds, {}, 0.0)
    return Run(out)


def check_free(out: Path) -> None:
    """Raise a FileExistsError if there is anything of that name."""
    if os.path.lexists(out):
        raise FileExistsError(f"{out} exists and is not overwritten; choose another directory")


def _data(imported: Imported) -> dict[str, NDArray[Any]]:
    """Inputs, answers and split of the only seed; no training examples where nobody knows which."""
    task, seed = imported.config.data, imported.config.seed
    data = {"inputs": task.inputs, "answers": task.answers(seed)[None]}
    for name, chosen in (("train", imported.train), ("test", imported.test)):
        if chosen is not None:
            data[name] = np.asarray(chosen, dtype=np.int64)[None]
    return data


def _row(numbers: Any) -> NDArray[np.float64]:
    return np.array([[numbers.get(name, math.nan) for name in METRICS]], dtype=np.float64)
