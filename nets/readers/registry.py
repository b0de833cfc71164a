"""Which readers there are, and the door through which a user's files come in."""

from pathlib import Path
from typing import Any

from grokode.nets.readers import he2026, nanda2023, state_dict, zhong2023
from grokode.nets.readers.record import Imported, Reader
from grokode.nets.readers.writing import check_free, write_run
from grokode.nets.records import check_path
from grokode.nets.runs import Run

__all__ = ["READERS", "import_checkpoint", "import_published", "read_checkpoints"]

# Of several that recognise a path the last reads it: from the general to the particular.
READERS: dict[str, Reader] = {
    "state_dict": state_dict.READER,
    "he2026": he2026.READER,
    "nanda2023": nanda2023.READER,
    "zhong2023": zhong2023.READER,
}


def import_checkpoint(
    source: str | Path, out: str | Path, *, reader: str | None = None, **options: Any
) -> Run:
    """Turn anyone's checkpoints into a run: published ones, or those of your own network.

    Parameters
    ----------
    source : path
        File or directory of a kind in `READERS`.
    out : path
        Directory of the run; it must not exist, and is a run only when everything was read.
    reader : str, optional
        A name in `READERS`; chosen by what the source looks like if not given.
    options
        What that reader wants to be told: see `grokode.nets.readers.state_dict.read` and
        `grokode.nets.readers.he2026.read`.

    Returns
    -------
    Run

    Raises
    ------
    FileExistsError
        If `out` exists.
    ValueError
        If the source is of no known kind, a file is not what it should be, a tensor has no place in
        the network, or losses stored with the weights are not theirs.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from grokode.theory import fourier
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rng = np.random.default_rng(0)
    ...     np.savez(f"{folder}/mine.npz", W=rng.normal(size=(8, 5)), U=rng.normal(size=(5, 8)))
    ...     run = import_checkpoint(
    ...         f"{folder}/mine.npz", f"{folder}/run", activation="relu", input_weights="W"
    ...     )
    ...     run.config.p, run.config.neurons
    (5, 8)
    """
    folder = check_path("out", out)
    check_free(folder)
    return write_run(
        read_checkpoints(check_path("source", source), reader=reader, **options), folder
    )


def import_published(source: str | Path, out: str | Path, *, activation: str | None = None) -> Run:
    """Turn a published checkpoint directory (arXiv:2602.16849) into a run.

    Parameters
    ----------
    source : path
        Directory with ``0.pth ... final.pth, train_data.pth, test_data.pth``, or one that holds
        nothing but such a directory.
    out : path
        Directory of the run; it must not exist, and is a run only when everything was read.
    activation : str, optional
        Read from the directory's name (``Quad``, ``ReLU``, ``GeLU`` or ``Id``) if not given.

    Returns
    -------
    Run
        Checkpoints at steps e + 1 of the numbered files and at the last step. Metrics at every step
        whose loss is stored, with the accuracies of the numbered files; those of the last step are
        computed from its weights.

    Raises
    ------
    FileExistsError
        If `out` exists.
    ValueError
        If the directory or a file is not what it should be, naming the file.
    """
    return import_checkpoint(source, out, reader="he2026", activation=activation)


def read_checkpoints(source: Path, *, reader: str | None = None, **options: Any) -> Imported:
    """What `import_checkpoint` writes, not yet written; the same arguments."""
    name = _recognised(source) if reader is None else reader
    if name not in READERS:
        raise ValueError(f"reader must be one of {', '.join(READERS)}, got {name!r}")
    unknown = sorted(set(options) - set(READERS[name].options))
    if unknown:
        raise ValueError(
            f"{source} is read as {name}, which takes no {', '.join(unknown)}; it takes "
            f"{', '.join(READERS[name].options)}"
        )
    return READERS[name].read(source, **options)


def _recognised(source: Path) -> str:
    for name, reader in reversed(READERS.items()):
        if reader.recognise(source):
            return name
    kinds = "; ".join(f"{name}: {reader.reads}" for name, reader in READERS.items())
    raise ValueError(f"{source} {_what(source)}, which no reader knows; {kinds}")


def _what(source: Path) -> str:
    """What lies at a path, in a few words."""
    if not source.exists():
        return "does not exist"
    if not source.is_dir():
        return f"is a file ending in {source.suffix!r}"
    names = sorted(file.name for file in source.iterdir())
    some = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    return f"is a directory of {len(names)} files ({some})" if names else "is an empty directory"
