"""What a question measured, kept beside the run, so that asking again is instant.

A result is one file in a folder of our own inside the run, named by the digest of everything that
it depends on: the run as it was opened, its seed, the question, its options, and the version and
source of the package. A file is believed only if this user sealed it and it says that it is about
just that; any other is measured anew, so whoever hands on a run cannot answer for it. A run that
cannot be written to is measured each time, without a word.
"""

import contextlib
import hashlib
import hmac
import io
import json
import os
import re
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import xarray as xr

import grokode
from grokode.compare.common.arguments import check_run
from grokode.compare.question import Datasets, Question
from grokode.files import create_file, replace_file
from grokode.nets.runs import Run
from grokode.theory._parallel import one_thread_of_blas
from grokode.theory.predictors import PREDICTORS

__all__ = ["CACHE", "ask", "read", "write"]

CACHE = "measured.cache"
"""Folder inside a run. All in it can be deleted at any time."""

# Newest results that are kept of a run: a training that goes on leaves stale ones behind.
_KEPT = 32
_OURS = re.compile(r"[a-z_]+-[0-9a-f]{32}\.npz")
_SEAL = hashlib.sha256().digest_size
# Of bytes: what is larger is neither kept nor read, whoever put it there.
_LARGEST = 2**30


def ask(question: Question, run: Run, **options: Any) -> Datasets:
    """Everything a question measures on a run, from the cache if it was measured before.

    Parameters
    ----------
    question : Question
    run : Run
        Of one seed.
    **options
        Of the question's measure.

    Raises
    ------
    NotMeasured
        If the run is none that can be measured so. Refusals are not kept.

    Examples
    --------
    >>> import tempfile
    >>> from grokode.compare import QUESTIONS
    >>> from grokode.nets import TrainingConfig, train
    >>> config = TrainingConfig(p=5, neurons=8, steps=4, checkpoint_every=2, log_every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train(config, f"{folder}/run")
    ...     measured = ask(QUESTIONS["logits"], run)
    ...     again = ask(QUESTIONS["logits"], run)
    >>> sorted(measured), measured["fit"].identical(again["fit"])
    (['budget', 'closing', 'fit', 'history'], True)
    """
    if not isinstance(question, Question):
        raise TypeError(f"question must be one of grokode.compare.QUESTIONS, got {question!r}")
    check_run(run)
    if not _is_ours(question):
        return _measure(question, run, options)
    about = _about(question, run, options)
    file = run.path / CACHE / f"{question.name}-{_digest(about)}.npz"
    measured = read(file, about)
    if measured is None:
        measured = {name: _plain(one) for name, one in _measure(question, run, options).items()}
        # Somebody else's run, a full disk: the numbers are there all the same.
        with contextlib.suppress(OSError):
            write(file, about, measured)
    return measured


def read(file: Path, about: Mapping[str, Any]) -> Datasets | None:
    """What a file holds, or None if it is not there, not ours, damaged, or about something else.

    Parameters
    ----------
    file : Path
    about : mapping
        What the result must depend on, in JSON's types.
    """
    try:
        # A stranger's folder may have a pipe or a disk of zeros in a file's place.
        if not file.is_file() or file.stat().st_size > _LARGEST:
            return None
        content = file.read_bytes()
    except OSError:
        return None
    seal, body = content[:_SEAL], content[_SEAL:]
    if not hmac.compare_digest(seal, _sealed(body)):
        return None
    # Nothing in a file is ever run all the same, and whatever is wrong with one, it is no result.
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            index = json.loads(arrays["index"].item())
            if index["about"] != json.loads(json.dumps(about, default=_of_numpy)):
                return None
            return {name: _dataset(one, arrays) for name, one in index["datasets"].items()}
    except Exception:
        return None


def write(file: Path, about: Mapping[str, Any], measured: Datasets) -> None:
    """Keep a result, whole or not at all, and forget the oldest ones.

    Parameters
    ----------
    file : Path
        Its folder is made if it is not there.
    about : mapping
        What the result depends on, in JSON's types.
    measured : mapping of Datasets

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays: dict[str, Any] = {}

    def entry(key: Any, values: xr.DataArray) -> list[Any]:
        at = f"array{len(arrays)}"
        arrays[at] = values.values
        return [str(key), list(values.dims), at, values.attrs]

    datasets = {
        name: {
            "data": [entry(*item) for item in one.data_vars.items()],
            "coords": [entry(*item) for item in one.coords.items()],
            "attrs": one.attrs,
        }
        for name, one in measured.items()
    }
    index = json.dumps({"about": about, "datasets": datasets})
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, index=np.array(index), **arrays)
    body = buffer.getvalue()
    if file.parent.is_symlink():
        raise OSError(f"{file.parent} is a link, through which nothing is written; remove it")
    file.parent.mkdir(exist_ok=True)
    if len(body) > _LARGEST - _SEAL:
        raise OSError(f"{len(body)} bytes are too many to keep")
    replace_file(file, lambda out: out.write(_sealed(body) + body))
    results = [one for one in file.parent.iterdir() if _OURS.fullmatch(one.name)]
    for old in sorted(results, key=lambda one: one.stat().st_mtime_ns)[:-_KEPT]:
        old.unlink(missing_ok=True)


def _sealed(body: bytes) -> bytes:
    return hmac.digest(_secret(), body, "sha256")


@cache
def _secret() -> bytes:
    """One of this user's own, made once; of this process alone where it cannot be kept."""

    def write(out: IO[bytes]) -> None:
        os.chmod(out.name, 0o600)
        out.write(secrets.token_bytes(_SEAL))

    with contextlib.suppress(OSError, RuntimeError):  # no home, or none to write to
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grokode"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            create_file(folder / "measured.key", write)
        secret = (folder / "measured.key").read_bytes()
        if len(secret) == _SEAL:
            return secret
    return secrets.token_bytes(_SEAL)


def _dataset(one: Mapping[str, Any], arrays: Mapping[str, Any]) -> xr.Dataset:
    data, coords = (
        {key: (dims, arrays[at], attrs) for key, dims, at, attrs in one[part]}
        for part in ("data", "coords")
    )
    return xr.Dataset(data, coords, one["attrs"])


def _measure(question: Question, run: Run, options: Mapping[str, Any]) -> Datasets:
    """Measured anew; numpy's products, all of one checkpoint, are too small for several threads."""
    with one_thread_of_blas():
        return question.measure(run, **options)


def _is_ours(question: Question) -> bool:
    """Whether the digest of the source covers all that measures, as nothing from outside is."""
    predicting = (
        function
        for predictor in PREDICTORS.values()
        for function in (predictor.scores, predictor.predict)
        if function is not None
    )
    return all(
        getattr(function, "__module__", "").startswith("grokode.")
        for function in (question.measure, *predicting)
    )


def _plain(measured: xr.Dataset) -> xr.Dataset:
    """The same with everything in types that a file holds without pickling."""
    plain = measured.load().copy()
    plain.attrs = json.loads(json.dumps(measured.attrs, default=_of_numpy))
    for name in plain.variables:
        variable = plain[name]
        variable.attrs = json.loads(json.dumps(variable.attrs, default=_of_numpy))
        if variable.dtype == object:
            plain[name] = variable.astype(str)
    return plain


def _of_numpy(value: Any) -> Any:
    return value.tolist()


def _about(question: Question, run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": run.digest,
        "seed": run.seed,
        "question": question.name,
        "options": {name: options[name] for name in sorted(options)},
        "package": [grokode.__version__, _source()],
    }


def _digest(about: Mapping[str, Any]) -> str:
    text = json.dumps(about, sort_keys=True, default=_of_numpy)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _source() -> str:
    """Digest of the package's source: a changed measure must not find what the old one kept."""
    digest = hashlib.sha256()
    for wing in ("theory", "nets", "compare"):
        # An installed package, or the folders of a checkout: wherever its modules lie.
        module = __import__(f"grokode.{wing}", fromlist=["__file__"])
        for file in sorted(Path(str(module.__file__)).parent.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
