"""Frozen records of settings: values in plain Python, checked against the field's own type."""

import difflib
import operator
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

__all__ = ["check_choice", "check_least", "nearest", "parse", "plain", "required"]

LARGEST = 2**32 - 1
"""Of any integer here: a seed and a step have 32 bits each in the seed of dropout."""


def plain(record: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in plain Python, as JSON keeps them.

    Parameters
    ----------
    record : type
        A dataclass.
    settings : dict
        Values of some of its fields; numbers of numpy become Python's.

    Raises
    ------
    ValueError
        If a value is not of its field's type, naming it, or not one of its choices.

    Examples
    --------
    >>> from grokode.nets.networks import TwoLayer
    >>> plain(TwoLayer, {"neurons": np.int64(8), "scale": 1})
    {'neurons': 8, 'scale': 1.0}
    """
    hints = get_type_hints(record)
    return {name: _plain(name, hints[name], value) for name, value in settings.items()}


def parse(record: type, name: str, text: str) -> Any:
    """A field's value from the text of a command line.

    Parameters
    ----------
    record : type
        A dataclass.
    name : str
        One of its fields.
    text : str
        A number, true or false, a name, numbers with commas between, or none.

    Raises
    ------
    ValueError
        If the text is no value of the field's type.

    Examples
    --------
    >>> from grokode.theory.optimizer import OptimizerRule
    >>> parse(OptimizerRule, "betas", "0.9,0.999")
    (0.9, 0.999)
    """
    hint = get_type_hints(record)[name]
    for kind in _kinds(hint):
        try:
            return _FROM_TEXT[kind](text)
        except (KeyError, ValueError):
            continue
    raise ValueError(f"{name} must be {_spelled(hint)}, got {text!r}")


def required(record: type) -> list[str]:
    """Names of the fields that have no default."""
    return [
        field.name
        for field in fields(record)
        if field.init and field.default is MISSING and field.default_factory is MISSING
    ]


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """The value if it is one of the choices, else ValueError with all of them."""
    if value not in choices:
        raise ValueError(
            f"{name} must be one of {', '.join(choices)}, got {value!r}"
            f"{nearest(str(value), choices)}"
        )
    return value


def check_least(record: Any, least: int, *names: str) -> None:
    """Raise ValueError for a field below a least value; None passes."""
    for name in names:
        value = getattr(record, name)
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def check_path(name: str, value: Any) -> Path:
    """A path, of text or a path object; TypeError for anything else."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path, got {value!r}")
    return Path(value)


def check_whole(name: str, value: Any, least: int = 0) -> int:
    """A whole number of at least so much; TypeError or ValueError for anything else."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if operator.index(value) < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return operator.index(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """A remark on the known name that a wrong one resembles, or nothing.

    Examples
    --------
    >>> nearest("learning_rte", ["learning_rate", "seed"])
    '; did you mean learning_rate?'
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _plain(name: str, hint: Any, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    kinds = _kinds(hint)
    if kinds == ["tuple"] and isinstance(value, tuple | list | np.ndarray):
        return tuple(_plain(name, float, number) for number in value)
    if "float" in kinds and type(value) is int and abs(value) <= LARGEST:
        return float(value)
    if get_origin(hint) is Literal:
        return check_choice(name, value, get_args(hint))
    if type(value).__name__ not in kinds:
        shown = " ".join(repr(value).split())[:60]
        raise ValueError(f"{name} must be {_spelled(hint)}, got {shown}")
    if type(value) is int and value > LARGEST:
        raise ValueError(f"{name} must be at most {LARGEST}, got {value:.3g}")
    return value


def _kinds(hint: Any) -> list[str]:
    """Names of the types that a hint allows."""
    if get_origin(hint) is tuple:
        return ["tuple"]
    if get_origin(hint) is Literal:
        return ["str"]
    return [kind.__name__ for kind in get_args(hint) or (hint,)]


def _spelled(hint: Any) -> str:
    return hint.__name__ if type(hint) is type else str(hint)


def _numbers(text: str) -> tuple[float, ...]:
    first, second = text.split(",")
    return float(first), float(second)


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "tuple": _numbers,
    "bool": {"true": True, "false": False}.__getitem__,
    "NoneType": {"none": None}.__getitem__,
    "int": int,
    "float": float,
    "str": str,
}
