"""The run store: a training on disk, written as it goes, that no kill and no power cut spoils.

A run is a directory:

    run.json        configuration, parameters, and length and digest of the journal
    journal.jsonl   one line to a publication: checkpoints, logged steps, a digest of every file
    arrays.zarr     weights/<name> (step, seed, ...), metrics/<name> (step, seed),
                    correct (step, seed, x, y) if asked for, data/{inputs, answers, train, test}
    tail-N.bin      the last of N logged steps, as long as they fill no chunk of the metrics
    state-N.pth     the optimiser at step N, to resume from; the one before is kept as well
    .lock           held by the one process that writes

A publication writes new files only, makes them durable, and then replaces ``run.json`` in one
rename. What a reader sees is complete and stays as it is; what a killed writer left beyond is never
looked at.
"""

from grokode.nets.runs.begun import appearing, asked_of, never_published
from grokode.nets.runs.layout import METRICS, Layout
from grokode.nets.runs.run import Run, open_run
from grokode.nets.runs.store import BusyError
from grokode.nets.runs.writer import RunWriter

__all__ = [
    "METRICS",
    "BusyError",
    "Layout",
    "Run",
    "RunWriter",
    "appearing",
    "asked_of",
    "never_published",
    "open_run",
]
