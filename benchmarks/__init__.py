"""Side-by-side timings on one core, and their recorded results.

From the checkout, ``python -m benchmarks [NAME ...]`` also keeps them in ``benchmarks/results``,
and ``python -m benchmarks draw`` draws what is kept there.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["NAMES", "run"]

NAMES = (
    *("ensemble", "blowup", "streaming", "training", "architectures", "pairs", "recurrent"),
    "flows",
)


def run(
    names: Sequence[str] | None = None, folder: str | Path | None = None
) -> list[dict[str, Any]]:
    """Run benchmarks on one core; a few minutes for all of them.

    Parameters
    ----------
    names : sequence of str, optional
        Some of `NAMES`; all if not given.
    folder : path, optional
        Where to keep the rows, one JSON file to a benchmark with machine, versions and date.
        Nothing is written if not given.

    Returns
    -------
    list of dict
        Rows ``{name, ours, peer, theirs, ratio, unit, error, their_error}``, see `record.row`.
        Where a peer could not be timed, ``theirs`` says why and ``ratio`` is None.

    Raises
    ------
    ValueError
        If there is no benchmark of a name.
    """
    chosen = NAMES if names is None else tuple(names)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        raise ValueError(f"benchmark must be one of {', '.join(NAMES)}, got {', '.join(unknown)}")
    record = import_module(".record", __name__)
    results = []
    with record.one_core():
        for name in chosen:
            rows = import_module(f".{name}", __name__).rows()
            if folder is not None:
                record.write(name, rows, Path(folder))
            results += rows
    return results
