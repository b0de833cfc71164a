"""What is given to a public function of this wing: held against what it takes, in one place."""

from pathlib import Path
from typing import Any

import xarray as xr

__all__ = ["check_file", "check_measured", "check_names", "check_run"]

_OF_A_RUN = ("path", "config")


def check_run(run: Any, name: str = "run") -> None:
    """TypeError unless it has what is read of a run.

    Examples
    --------
    >>> check_run("my-run")
    Traceback (most recent call last):
        ...
    TypeError: run must be a Run, from grokode.nets.train or open_run, got 'my-run'
    """
    if not all(hasattr(run, part) for part in _OF_A_RUN):
        raise TypeError(
            f"{name} must be a Run, from grokode.nets.train or open_run, got {_shown(run)}"
        )


def check_measured(name: str, value: Any, source: str, *variables: str) -> None:
    """TypeError unless it is a Dataset that holds these, as a function of ours returns it."""
    if not isinstance(value, xr.Dataset):
        raise TypeError(f"{name} must be the Dataset of {source}, got {_shown(value)}")
    lacking = [one for one in variables if one not in value.variables and one not in value.dims]
    if lacking:
        raise ValueError(f"{name} must be the Dataset of {source}; it lacks {', '.join(lacking)}")


def check_names(name: str, value: Any) -> None:
    """TypeError unless it is several names."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a list of names, got {_shown(value)}")


def check_file(name: str, value: Any) -> Path:
    """A path, of text or a Path; TypeError for anything else."""
    if not isinstance(value, str | Path):
        raise TypeError(f"{name} must be a path, got {_shown(value)}")
    return Path(value)


def _shown(value: Any) -> str:
    """The value, or its type where it would be long."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else f"a {type(value).__name__}"
