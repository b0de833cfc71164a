"""An imported training becomes a run: the one place where readers meet the store."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokode.nets.manifest import never_published
from grokode.nets.readers.record import Imported, check_losses
from grokode.nets.runs import METRICS, Run
from grokode.nets.writer import RunWriter

__all__ = ["check_free", "write_run"]


def write_run(imported: Imported, out: str | Path) -> Run:
    """Check what was read against itself and write it as a run.

    The directory is made here, and is no run until everything is in it. One that a killed import
    left behind is taken up; anything else that is there is refused and left as it is.

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
    data = {"train": _of_one(imported.train), "test": _of_one(imported.test)}

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mkdir(out)
        made = True
    except FileExistsError:
        check_free(out)
        made = False
    with RunWriter(out) as writer:
        # Another import may have finished it since.
        check_free(out)
        try:
            layout = imported.config.network.layout(imported.config.data)
            writer.create(imported.config, seeds, layout, data, attrs)
            for step in steps:
                named = imported.parameters[step]
                writer.checkpoint(step, seeds, {name: w[None] for name, w in named.items()})
            writer.log(seeds, rows)
            writer.publish(seeds, {}, 0.0)
        except BaseException:
            if made and _is_ours(out):
                shutil.rmtree(out)
            raise
    return Run(out)


def check_free(out: Path) -> None:
    """Raise a FileExistsError if there is anything but what a killed import left behind."""
    if os.path.lexists(out) and not _is_ours(out):
        raise FileExistsError(f"{out} exists and is not overwritten; choose another directory")


def _is_ours(out: Path) -> bool:
    return not out.is_symlink() and never_published(out)


def _of_one(chosen: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Examples of the only seed; none where nobody knows which."""
    return np.asarray([] if chosen is None else chosen, dtype=np.int64)[None]


def _row(numbers: Any) -> NDArray[np.float64]:
    return np.array([[numbers.get(name, math.nan) for name in METRICS]], dtype=np.float64)
