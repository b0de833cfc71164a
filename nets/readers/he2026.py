"""Reader of the checkpoints that the authors of arXiv:2602.16849 published, and export to them.

A directory holds ``0.pth ... final.pth`` and the pairs, ``train_data.pth`` and ``test_data.pth``,
in later ones with their answers. The file of epoch e holds the weights after e + 1 updates, and the
losses and accuracies before that last update; ``final.pth`` holds the weights after all updates,
every epoch's losses, and the optimiser's settings. Runs of the authors' pipeline over many moduli
lie one level deeper, as ``p_023/standard/<name>``, and keep no optimiser: their settings are those
of the preset that the folder names. Nothing is loaded that could run code.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from grokode.nets import tasks
from grokode.nets.networks.activations import check_activation
from grokode.nets.readers.files import check_backed, matrix, read_checkpoint, stripped
from grokode.nets.readers.record import Imported, Reader, check_size
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.presets import PRESETS
from grokode.theory import fourier
from grokode.theory.spelling import spelled

__all__ = ["READER", "read", "write"]

_PIPELINE = {
    "standard": "he2026/standard",
    "grokking": "he2026/grokking",
    "quad_random": "he2026/quad-random",
    "quad_single_freq": "he2026/quad-single-frequency",
    "relu_single_freq": "he2026/relu-single-frequency",
}
_WARMUP = 10
"""Every training of theirs warms up; the stored losses show it, as the first two are equal."""

_TENSORS = ("mlp.W_in", "mlp.W_out", "mlp.basis", "embed.W_E")
_DTYPES = (torch.float32, torch.float64)
# Of final.pth, a number for every epoch, and of the numbered files, one; by our names.
_CURVES = {
    "train_losses": "train_loss",
    "test_losses": "test_loss",
    "grad_norms": "gradient_norm",
    "param_norms": "weight_norm",
}
_NUMBERS = {
    "train_loss": "train_loss",
    "test_loss": "test_loss",
    "train_accuracy": "train_accuracy",
    "test_accuracy": "test_accuracy",
    "grad_norm": "gradient_norm",
    "param_norm": "weight_norm",
}


def recognise(path: Path) -> bool:
    """Whether a directory, or the only one in it, has numbered files and ``final.pth``."""
    if not path.is_dir():
        return False
    folder = _checkpoints(path)
    return (folder / "final.pth").exists() and bool(_epochs(folder))


def read(source: Path, *, activation: str | None = None) -> Imported:
    """Read a published checkpoint directory, or one that holds nothing but such a directory.

    Parameters
    ----------
    source : Path
    activation : str, optional
        Read from the directory's name (``Quad``, ``ReLU``, ``GeLU`` or ``Id``) if not given.

    Returns
    -------
    Imported
        Checkpoints at steps e + 1 of the numbered files and at the last step, metrics at every step
        whose numbers are stored.

    Raises
    ------
    ValueError
        If the directory or a file is not what it should be, naming the file.
    """
    if not source.is_dir():
        raise ValueError(f"{source} is no directory; give one with 0.pth ... final.pth")
    source = _checkpoints(source)
    epochs = _epochs(source)
    if not epochs or not (source / "final.pth").exists():
        raise ValueError(
            f"{source} is no checkpoint directory; it needs 0.pth ... final.pth, train_data.pth "
            "and test_data.pth"
        )
    last = source / "final.pth"
    final = read_checkpoint(last)
    theta, xi = _weights(last, final)
    neurons, p = theta.shape
    (train, task), (test, _) = (
        _pairs(source / f"{name}_data.pth", p) for name in ("train", "test")
    )
    _check_residues(source, train, test, p)
    with _named(last):
        config = TrainingConfig(
            p=p,
            neurons=neurons,
            task=task,
            activation=check_activation(activation or _activation(source)),
            initial="published",
            dtype=str(theta.dtype),
            # A training that stopped early says in "epoch" how long it was to be.
            steps=len(final.get("train_losses", ())) or _field(final, "epoch", last),
            train_fraction=len(np.unique(train, axis=0)) / p**2,
            warmup=_WARMUP,
            **_optimizer(final, last),
        )
        metrics = _curves(final, config.steps)
    parameters = {}
    for epoch in epochs:
        file = source / f"{epoch}.pth"
        stored = read_checkpoint(file)
        parameters[epoch + 1] = _layers(*_weights(file, stored))
        _check_epoch(file, epoch, parameters[epoch + 1]["theta"].shape, config)
        with _named(file):
            _add_numbers(file, stored, metrics.setdefault(epoch, {}))
    parameters[config.steps] = _layers(theta, xi)
    train, test = (pairs @ (p, 1) for pairs in (train, test))
    metrics = {step: row for step, row in metrics.items() if row}
    return Imported(config, parameters, metrics, train, test, {"source": source.name})


def _layers(theta: NDArray[Any], xi: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {"theta": theta, "xi": xi}


def _check_epoch(file: Path, epoch: int, shape: tuple[int, ...], config: TrainingConfig) -> None:
    if shape != (config.neurons, config.p):
        raise ValueError(
            f"{file} has weights of shape {shape}, final.pth has {(config.neurons, config.p)}; "
            "keep one training to a directory"
        )
    if epoch >= config.steps:
        raise ValueError(
            f"{file} is of an epoch beyond the {config.steps} of final.pth; keep one training to a "
            "directory"
        )


def _checkpoints(source: Path) -> Path:
    """The directory of the checkpoints, which may be the only one in `source`."""
    inner = [file.parent for file in source.glob("*/final.pth")]
    return inner[0] if len(inner) == 1 and not (source / "final.pth").exists() else source


def _epochs(source: Path) -> list[int]:
    stems = (file.stem for file in source.glob("*.pth"))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Errors about what a file holds say which file it is."""
    try:
        yield
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        if str(file) in str(error):
            raise
        raise ValueError(f"{file} is no checkpoint of this format ({error})") from error


def _field(stored: Mapping[str, Any], name: str, file: Path) -> Any:
    if not isinstance(stored, Mapping) or name not in stored:
        raise ValueError(f"{file} lacks {name!r}; it is no checkpoint of this format")
    return stored[name]


def _weights(file: Path, stored: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Theta (neuron, p) and xi (neuron, p), checked."""
    model = _field(stored, "model", file)
    if not isinstance(model, Mapping) or not all(isinstance(name, str) for name in model):
        raise ValueError(f"{file}: 'model' must hold tensors by name")
    model = stripped(file, model)
    W_in, W_out = (
        matrix(file, name, _field(model, name, file), _DTYPES) for name in ("mlp.W_in", "mlp.W_out")
    )
    p, neurons = W_out.shape
    try:
        check_size(fourier.check_modulus(p))
    except ValueError as error:
        raise ValueError(f"{file}: mlp.W_out has shape {W_out.shape}, but {error}") from None
    _check_all_used(file, model, p)
    if "embed.W_E" in model:
        W_E = matrix(file, "embed.W_E", model["embed.W_E"], _DTYPES)
        W_in = W_in @ (W_E if W_E.shape == (W_in.shape[1], p) else _transposed(W_E, W_in, p, file))
    if W_in.shape != (neurons, p):
        raise ValueError(
            f"{file}: mlp.W_in has shape {W_in.shape}, mlp.W_out {W_out.shape}; "
            f"(neurons, p) and (p, neurons) would be right"
        )
    return W_in, W_out.T.copy()


def _check_all_used(file: Path, model: Mapping[str, Any], p: int) -> None:
    """Refuse tensors that the network here has no place for; the basis must be the known one."""
    unused = sorted(set(model) - set(_TENSORS))
    if unused:
        raise ValueError(
            f"{file} holds {', '.join(map(repr, unused))}, for which the network here has no place "
            "(two layers without biases); without them it would be another network"
        )
    if "mlp.basis" in model:
        basis = matrix(file, "mlp.basis", model["mlp.basis"], _DTYPES)
        # Theirs is computed in float32 and differs by 3e-6 at p = 23.
        if basis.shape != (p, p) or np.abs(basis - fourier.fourier_basis(p)).max() > 1e-3:
            raise ValueError(f"{file}: mlp.basis is not the Fourier basis of p = {p}")


def _transposed(W_E: NDArray[Any], W_in: NDArray[Any], p: int, file: Path) -> NDArray[Any]:
    if W_E.shape != (p, W_in.shape[1]):
        raise ValueError(
            f"{file}: embed.W_E has shape {W_E.shape}; with mlp.W_in {W_in.shape} "
            f"({W_in.shape[1]}, {p}) would be right"
        )
    return W_E.T


def _pairs(file: Path, p: int) -> tuple[NDArray[np.int64], str]:
    """Pairs, and the task whose answers are stored with them; addition where none are."""
    stored = read_checkpoint(file)
    with_answers = isinstance(stored, tuple) and len(stored) == 2
    parts = stored if with_answers else (stored,)
    try:
        for part in parts:
            if isinstance(part, torch.Tensor):
                check_backed(file, "pairs", part)
        pairs, *answers = (np.asarray(part) for part in parts)
        pairs = tasks.check_pairs(pairs, p)
    except (RuntimeError, TypeError, ValueError) as error:
        if str(file) in str(error):
            raise
        raise ValueError(f"{file}: {error}") from None
    if not with_answers:
        return pairs, "addition"
    x, y = pairs.T
    for task in tasks.OPERATIONS:
        if np.array_equal(tasks.table(task, p)[x, y], answers[0]):
            return pairs, task
    raise ValueError(f"{file}: the answers are those of none of {', '.join(tasks.OPERATIONS)}")


def _check_residues(
    source: Path, train: NDArray[np.int64], test: NDArray[np.int64], p: int
) -> None:
    """Training and test pairs together are all pairs; less means weights of another modulus."""
    largest = max((int(pairs.max()) for pairs in (train, test) if len(pairs)), default=-1)
    if largest < p - 1:
        raise ValueError(
            f"{source}: the weights are of p = {p}, its pairs of residues up to {largest}; "
            "transpose the weights if they are stored the other way round"
        )


def _activation(source: Path) -> str:
    words = set(source.name.lower().split("_"))
    names = [spelled(word) for word in ("quad", "relu", "gelu", "id") if word in words]
    if len(names) != 1:
        raise ValueError(
            f"the name {source.name} does not tell the activation; give activation as one of "
            "quadratic, relu, gelu, identity"
        )
    return names[0]


def _optimizer(final: Mapping[str, Any], file: Path) -> dict[str, Any]:
    pipeline = _PIPELINE.get(file.parent.parent.name)
    if "optimizer" not in final and pipeline is not None:
        known = ("optimizer", "learning_rate", "weight_decay")
        return {name: value for name, value in PRESETS[pipeline].items() if name in known}
    groups = _field(_field(final, "optimizer", file), "param_groups", file)
    group = groups[0]
    settings = {"learning_rate": group["lr"], "weight_decay": float(group["weight_decay"])}
    if "betas" in group:
        return settings | {
            "optimizer": "adamw",
            "betas": tuple(group["betas"]),
            "eps": group["eps"],
        }
    return settings | {"optimizer": "sgd", "momentum": float(group["momentum"])}


def _curves(final: Mapping[str, Any], steps: int) -> dict[int, dict[str, float]]:
    """Numbers that final.pth stores for each step."""
    curves = {ours: final[theirs] for theirs, ours in _CURVES.items() if theirs in final}
    return {
        step: {name: float(value) for name, value in zip(curves, row, strict=True)}
        for step, row in enumerate(zip(*curves.values(), strict=True))
        if step < steps
    }


def _add_numbers(file: Path, stored: Mapping[str, Any], row: dict[str, float]) -> None:
    """Numbers of one numbered file, which must be those that final.pth has for its epoch."""
    for theirs, ours in _NUMBERS.items():
        value = float(stored.get(theirs, math.nan))
        # Both are written from one number.
        if ours in row and math.isfinite(value) and value != row[ours]:
            raise ValueError(
                f"{file} stores {theirs} {value:.5g}, final.pth {row[ours]:.5g} for the same "
                "epoch; keep one training to a directory"
            )
        if math.isfinite(value):
            row[ours] = value


def write(
    config: TrainingConfig, step: int, layers: Mapping[str, NDArray[Any]], out: IO[bytes]
) -> None:
    """Write one checkpoint as the authors' own loader reads it.

    Parameters
    ----------
    config : TrainingConfig
    step : int
    layers : mapping name -> array (neuron, residue)
        theta and xi.
    out : binary file

    Raises
    ------
    ValueError
        If y has input weights of its own, for which that layout has no place.
    """
    if set(layers) != {"theta", "xi"}:
        raise ValueError("file must end in .npz with separate_inputs, got .pth")
    model = {
        "mlp.W_in": torch.tensor(layers["theta"]),
        "mlp.W_out": torch.tensor(layers["xi"].T.copy()),
        "mlp.basis": torch.tensor(fourier.fourier_basis(config.p)),
    }
    group = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    for name in ("betas", "eps") if config.optimizer == "adamw" else ("momentum",):
        group[name] = getattr(config, name)
    stored = {"model": model, "epoch": step, "optimizer": {"state": {}, "param_groups": [group]}}
    torch.save(stored, out)


READER = Reader(
    "a directory with 0.pth ... final.pth, train_data.pth and test_data.pth (arXiv:2602.16849)",
    recognise,
    read,
)
