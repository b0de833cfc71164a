"""Reader of anyone's own two-layer network: a state dict with two matrices, by any names.

Files are ``.pth``, ``.pt``, ``.npz`` or ``.safetensors``; a directory of them, each with its step
in its name, becomes a run of as many checkpoints. Which matrix is the input's, and which of its
sides are the residues, follows from their names where they are given and from their shapes where
these leave one reading; else from the weights: of several readings, the one that answers the task.
What no tensor says (the optimiser, the split) is taken from flags or noted as unknown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from grokode.nets import tasks
from grokode.nets.networks.two_layer_model import logits
from grokode.nets.readers.files import ENDINGS, check_backed, matrix, read_tensors, stripped
from grokode.nets.readers.record import LARGEST_P, Imported, Reader
from grokode.nets.training.config import TrainingConfig

__all__ = ["READER", "read", "write"]

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_COUNTERS = ("step", "epoch")
_OURS = {"theta", "theta_y", "xi"}
"""Names in files that `grokode.nets.Run.export` writes, all (neuron, residue)."""
_PAIRS = 20_000
"""Pairs on which readings are held against the task: all of them up to p = 141."""

Matrices = dict[str, NDArray[Any]]


def recognise(path: Path) -> bool:
    """Whether it is a file of tensors by its ending, or a directory that holds some."""
    if path.is_dir():
        return any(file.suffix in ENDINGS for file in path.iterdir())
    return path.suffix in ENDINGS and path.exists()


def read(
    source: Path,
    *,
    activation: str | None = None,
    input_weights: str | None = None,
    output_weights: str | None = None,
    p: int | None = None,
    task: str = "addition",
    train_pairs: ArrayLike | str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Imported:
    """Read a two-layer network from a file, or from a directory of its checkpoints.

    Parameters
    ----------
    source : Path
    activation : str
        One of `grokode.nets.networks.activations.ACTIVATIONS`; no file says it.
    input_weights, output_weights : str, optional
        Names of the two matrices, where shapes and weights do not tell them apart.
    p : int, optional
        Modulus, where both sides of the matrices could be it.
    task : str
        One of `grokode.nets.tasks.OPERATIONS`.
    train_pairs : integers (n, 2) or "all", optional
        Pairs that it was trained on; the others are its test pairs. Unknown if not given.
    settings : mapping, optional
        What else is known, by names of `TrainingConfig`, as optimizer and learning_rate.

    Returns
    -------
    Imported
        Attribute ``reading`` says how the matrices were read, ``assumed`` which settings nobody
        gave.

    Raises
    ------
    ValueError
        If a file is not what it should be, a tensor has no place, or several readings are possible.
    """
    if activation is None:
        raise ValueError(f"{source} does not tell its activation; give it, as relu or quadratic")
    by_step = {step: (file, _matrices(file, held)) for step, file, held in _opened(source)}
    last_step = max(by_step)
    file, matrices = by_step[last_step]
    named = (input_weights, output_weights)
    reading, why = _chosen(file, matrices, _readings(file, matrices, named, p), activation, task)
    parameters = {step: reading.apply(*by_step[step]) for step in sorted(by_step)}
    last = parameters[last_step]
    for step, (file, _) in by_step.items():
        for name, array in parameters[step].items():
            if array.shape != last[name].shape or array.dtype != last[name].dtype:
                raise ValueError(
                    f"{file} has {name} of {array.dtype} {array.shape}, the last checkpoint "
                    f"{last[name].dtype} {last[name].shape}; keep one training to a directory"
                )
    settings = dict(settings or {})
    train, test = _split(train_pairs, reading.p)
    config = TrainingConfig.from_dict(
        settings
        | {
            "p": reading.p,
            "neurons": last["xi"].shape[0],
            "task": task,
            "activation": activation,
            "separate_inputs": "theta_y" in last,
            "initial": "published",
            "dtype": str(last["xi"].dtype),
            "steps": max(last_step, 1),
            "train_fraction": 1.0 if train is None else len(np.unique(train)) / reading.p**2,
        }
    )
    assumed = [
        f"{name} {getattr(config, name)}"
        for name in ("optimizer", "learning_rate", "weight_decay")
        if name not in settings
    ]
    attrs = {"source": source.name, "reading": why, "assumed": ", ".join(assumed) or "nothing"}
    return Imported(config, parameters, {}, train, test, attrs)


def _split(
    train_pairs: ArrayLike | str | None, p: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | tuple[None, None]:
    if train_pairs is None:
        return None, None
    if isinstance(train_pairs, str):
        if train_pairs != "all":
            raise ValueError(f"train_pairs must be integers (n, 2) or 'all', got {train_pairs!r}")
        train_pairs = tasks.all_pairs(p)
    train, test = (pairs @ (p, 1) for pairs in tasks.complement(train_pairs, p))
    return train, test


@dataclass(frozen=True)
class _Reading:
    """Which matrix is what: (name here, name there, whether its residues come first), and p."""

    p: int
    roles: tuple[tuple[str, str, bool], ...]

    def apply(self, file: Path, matrices: Matrices) -> Matrices:
        missing = [name for _, name, _ in self.roles if name not in matrices]
        if missing or len(matrices) != len(self.roles):
            raise ValueError(
                f"{file} holds {', '.join(map(repr, matrices))}, the last checkpoint "
                f"{', '.join(repr(name) for _, name, _ in self.roles)}; keep one training to a "
                "directory"
            )
        return {
            ours: np.ascontiguousarray(matrices[name].T if residues_first else matrices[name])
            for ours, name, residues_first in self.roles
        }

    def __str__(self) -> str:
        return ", ".join(
            f"{ours} = {name} {'(residue, neuron)' if first else '(neuron, residue)'}"
            for ours, name, first in self.roles
        )


def _opened(source: Path) -> list[tuple[int, Path, dict[str, Any]]]:
    """Step, file and tensors of each checkpoint; a step stored in the file goes before its name."""
    files = [source]
    if source.is_dir():
        files = sorted(file for file in source.iterdir() if file.suffix in ENDINGS)
        if not files:
            raise ValueError(f"{source} holds no file that ends in {', '.join(ENDINGS)}")
    numbers = _steps(files)
    opened = []
    for file, number in zip(files, numbers, strict=True):
        tensors = _state(file, read_tensors(file))
        stored = [_count(file, name, tensors.pop(name)) for name in _COUNTERS if name in tensors]
        step = stored[0] if stored else number
        if step is None:
            raise ValueError(
                f"{file} has no step in its name; rename it, as step_1000{file.suffix}"
            )
        opened.append((step, file, tensors))
    if len({step for step, _, _ in opened}) < len(opened):
        raise ValueError(f"{source} holds two files of one step; keep one training to a directory")
    return opened


def _steps(files: Sequence[Path]) -> list[int | None]:
    """Steps from names: the number in which they differ. Of a file alone, its last, or else 0."""
    numbers = [[int(n) for n in re.findall(r"\d{1,10}", file.stem)] for file in files]
    if len(files) == 1:
        return [numbers[0][-1] if numbers[0] else 0]
    if len({len(n) for n in numbers}) > 1 or not numbers[0]:
        odd = min(range(len(files)), key=lambda index: len(numbers[index]))
        return [None if index == odd else n[-1] if n else None for index, n in enumerate(numbers)]
    differ = [at for at in range(len(numbers[0])) if len({n[at] for n in numbers}) > 1]
    return [n[differ[0]] if len(differ) == 1 else None for n in numbers]


def _state(file: Path, stored: dict[str, Any]) -> dict[str, Any]:
    """The state dict in what a file holds: at the top, or the only one below."""
    if any(isinstance(value, torch.Tensor) for value in stored.values()):
        state = stored
    else:
        inner = {
            name: value
            for name, value in stored.items()
            if isinstance(value, Mapping)
            and value
            and all(isinstance(v, torch.Tensor) for v in value.values())
        }
        if len(inner) != 1:
            raise ValueError(
                f"{file} holds {len(inner)} state dicts ({', '.join(map(repr, inner)) or 'none'}); "
                "save the one of the network alone"
            )
        state = dict(*inner.values())
    if not all(isinstance(name, str) for name in state):
        raise ValueError(f"{file} holds tensors whose names are no text")
    return stripped(file, state)


def _count(file: Path, name: str, value: Any) -> int:
    """A step or epoch that is stored as a number."""
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        check_backed(file, name, value)
        value = value.item()
    if type(value) is not int or value < 0:
        raise ValueError(f"{file}: {name} must be a step, an integer of at least 0")
    return value


def _matrices(file: Path, tensors: Mapping[str, Any]) -> Matrices:
    """The matrices of a file; whatever else it holds is named and refused."""
    known = set(tensors) == _OURS
    others = [
        f"{name!r} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(name)
        for name, value in tensors.items()
        if not (isinstance(value, torch.Tensor) and value.ndim == 2)
    ]
    if others or (len(tensors) != 2 and not known):
        held = ", ".join(others) if others else ", ".join(map(repr, tensors)) or "nothing"
        raise ValueError(
            f"{file} holds {held}, for which a network of two matrices without biases has no "
            "place; without them it would be another network"
        )
    return {name: matrix(file, name, value, _DTYPES) for name, value in tensors.items()}


def _readings(
    file: Path, matrices: Matrices, named: tuple[str | None, str | None], p: int | None
) -> list[_Reading]:
    """Every way in which two matrices are a network of an odd modulus."""
    for flag, name in zip(("input_weights", "output_weights"), named, strict=True):
        if name is not None and name not in matrices:
            raise ValueError(f"{flag} must be one of {', '.join(matrices)}, got {name!r}")
    if named[0] is not None and named[0] == named[1]:
        raise ValueError(f"input_weights and output_weights must differ, got {named[0]!r} twice")
    if set(matrices) == {"theta", "xi"} and named == (None, None):
        named = ("theta", "xi")
    if set(matrices) == _OURS:
        same = len({array.shape for array in matrices.values()}) == 1
        roles = tuple((name, name, False) for name in ("theta", "theta_y", "xi"))
        possible = [_Reading(matrices["xi"].shape[1], roles)] if same else []
    else:
        first, second = matrices
        possible = [
            _Reading(residues, (("theta", into, flip_in), ("xi", out, flip_out)))
            for into, out in ((first, second), (second, first))
            if named[0] in (None, into) and named[1] in (None, out)
            for flip_in in (False, True)
            for flip_out in (False, True)
            for neurons, residues in [matrices[into].shape[:: -1 if flip_in else 1]]
            if matrices[out].shape == ((residues, neurons) if flip_out else (neurons, residues))
        ]
    possible = [r for r in possible if r.p % 2 and 3 <= r.p <= LARGEST_P and p in (None, r.p)]
    if not possible:
        shapes = ", ".join(f"{name!r} {array.shape}" for name, array in matrices.items())
        raise ValueError(
            f"{file} holds {shapes}; two matrices of neurons and residues would be right, with "
            f"p {f'= {p}' if p else f'odd, from 3 to {LARGEST_P}'}"
        )
    return possible


def _chosen(
    file: Path, matrices: Matrices, possible: list[_Reading], activation: str, task: str
) -> tuple[_Reading, str]:
    """The only reading, or the only one that answers the task; and how it was told."""
    scores = [_accuracy(r, r.apply(file, matrices), activation, task) for r in possible]
    answering = [at for at, (score, _) in enumerate(scores) if score > 0.5]
    if len(possible) > 1 and len(answering) != 1:
        readings = "; ".join(
            f"{reading} answers {100 * score:.0f}%"
            for reading, (score, _) in zip(possible, scores, strict=True)
        )
        raise ValueError(
            f"{file} can be read in {len(possible)} ways ({readings} of the pairs); name "
            "input_weights and output_weights, or p, or another task or activation"
        )
    at = answering[0] if answering else 0
    score, pairs = scores[at]
    return possible[at], f"{possible[at]}; answers {100 * score:.4g}% of {pairs} pairs"


def _accuracy(reading: _Reading, layers: Matrices, activation: str, task: str) -> tuple[float, int]:
    """Part of the pairs answered rightly, of all or a fixed draw, and how many they are."""
    pairs = tasks.all_pairs(reading.p)
    if len(pairs) > _PAIRS:
        pairs = pairs[np.random.default_rng(0).choice(len(pairs), _PAIRS, replace=False)]
    answers = tasks.table(task, reading.p)
    right = 0
    for part in np.array_split(pairs, len(pairs) // 1000 + 1):
        values = logits(
            layers["theta"], layers["xi"], activation, part, theta_y=layers.get("theta_y")
        )
        right += int((values.argmax(-1) == answers[tuple(part.T)]).sum())
    return right / len(pairs), len(pairs)


def write(
    config: TrainingConfig, step: int, layers: Mapping[str, NDArray[Any]], out: IO[bytes]
) -> None:
    """Write one checkpoint as arrays (neuron, residue) and its step."""
    np.savez(out, allow_pickle=False, step=step, **layers)


READER = Reader(
    f"two matrices without biases in a file ({', '.join(ENDINGS)}), or a directory of such files "
    "with their steps in their names",
    recognise,
    read,
)
