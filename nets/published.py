"""Reader of the checkpoints that the authors of arXiv:2602.16849 published.

A directory holds ``0.pth ... final.pth`` and the pairs, ``train_data.pth`` and ``test_data.pth``,
in later ones with their answers. The file of epoch e holds the weights after e + 1 updates, and the
losses and accuracies before that last update; ``final.pth`` holds the weights after all updates,
every epoch's losses, and the optimiser's settings. Runs of the authors' pipeline over many moduli
lie one level deeper, as ``p_023/standard/<name>``, and keep no optimiser: their settings are those
of the preset that the folder names. Nothing is loaded that could run code.
"""

import math
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grokode.nets import tasks
from grokode.nets.networks.activations import check_activation
from grokode.nets.runs import Run, RunWriter, appearing
from grokode.nets.tasks.examples import Examples
from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.ensemble import Ensemble
from grokode.nets.training.presets import PRESETS
from grokode.theory.fourier import check_modulus

__all__ = ["import_published", "read_checkpoint"]

_ACTIVATIONS = {"quad": "quadratic", "relu": "relu", "gelu": "gelu", "id": "identity"}
_PIPELINE = {
    "standard": "he2026/standard",
    "grokking": "he2026/grokking",
    "quad_random": "he2026/quad-random",
    "quad_single_freq": "he2026/quad-single-frequency",
    "relu_single_freq": "he2026/relu-single-frequency",
}
_WARMUP = 10
"""Every training of theirs warms up; the stored losses show it, as the first two are equal."""


def read_checkpoint(path: Path) -> Any:
    """What one ``.pth`` file holds, loaded with ``weights_only=True``.

    Raises
    ------
    ValueError
        If the file is missing, damaged, or needs code to load.
    """
    try:
        with warnings.catch_warnings():
            # A pickle that torch did not write; it is loaded or refused all the same.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; give a complete checkpoint directory") from None
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} needs arbitrary code to load and is refused; "
            "ask its authors for plain tensors (torch.save of a state dict)"
        ) from None
    except (RuntimeError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{path} is no readable checkpoint ({error}); fetch it again") from None


def import_published(source: str | Path, out: str | Path, *, activation: str | None = None) -> Run:
    """Turn a published checkpoint directory into a run.

    Parameters
    ----------
    source : path
        Directory with ``0.pth ... final.pth, train_data.pth, test_data.pth``, or one that holds
        nothing but such a directory.
    out : path
        Directory of the run; it must not exist, and appears only when everything was read.
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
    source, out = Path(source), Path(out)
    if out.exists():
        raise FileExistsError(f"{out} exists and is not overwritten; choose another directory")
    source = _checkpoints(source)
    epochs = _epochs(source)
    final = read_checkpoint(source / "final.pth")
    theta, xi = _weights(source / "final.pth", final)
    neurons, p = theta.shape
    train, test = (_pairs(source / f"{name}_data.pth", p) for name in ("train", "test"))
    task = _task(source / "train_data.pth", p)
    activation = check_activation(activation or _activation(source))
    with _named(source / "final.pth"):
        config = TrainingConfig(
            p=p,
            neurons=neurons,
            task=task,
            activation=activation,
            initial="published",
            dtype=str(theta.dtype),
            # A training that stopped early says in "epoch" how long it was to be.
            steps=len(final.get("train_losses", ()))
            or _field(final, "epoch", source / "final.pth"),
            train_fraction=len(np.unique(train, axis=0)) / p**2,
            warmup=_WARMUP,
            **_optimizer(final, source / "final.pth"),
        )
    checkpoints = {}
    accuracies = {}
    for epoch in epochs:
        file = source / f"{epoch}.pth"
        stored = read_checkpoint(file)
        checkpoints[epoch + 1] = _weights(file, stored)
        if checkpoints[epoch + 1][0].shape != theta.shape:
            raise ValueError(
                f"{file} has weights of shape {checkpoints[epoch + 1][0].shape}, final.pth has "
                f"{theta.shape}; keep one training to a directory"
            )
        with _named(file):
            accuracies[epoch] = tuple(
                float(stored.get(name, math.nan)) for name in ("train_accuracy", "test_accuracy")
            )
    checkpoints[config.steps] = (theta, xi)
    with _named(source / "final.pth"):
        metrics = _metrics(final, accuracies, config.steps)
    metrics.append((config.steps, _last_metrics(config, theta, xi, train, test)))

    with appearing(out) as partial, RunWriter(partial) as writer:
        seeds = [config.seed]
        attrs = {"source": source.name, "seconds": 0.0, "intervention": ""}
        data: Any = config.data
        stored = {
            "inputs": data.inputs,
            "answers": data.answers(config.seed)[None],
            "train": data.index(train)[None],
            "test": data.index(test)[None],
        }
        writer.create(config, seeds, config.network.layout(config.data), stored, attrs)
        for step, layers in checkpoints.items():
            theta, xi = layers
            writer.checkpoint(step, seeds, {"theta": theta[None], "xi": xi[None]})
        writer.log(seeds, [(step, row[None]) for step, row in metrics])
        writer.publish(seeds, {}, 0.0)
    return Run(out)


def _checkpoints(source: Path) -> Path:
    """The directory of the checkpoints, which may be the only one in `source`."""
    if not source.is_dir():
        raise ValueError(f"{source} is no directory; give one with 0.pth ... final.pth")
    inner = [file.parent for file in source.glob("*/final.pth")]
    return inner[0] if len(inner) == 1 and not (source / "final.pth").exists() else source


def _epochs(source: Path) -> list[int]:
    epochs = sorted(int(file.stem) for file in source.glob("*.pth") if file.stem.isdigit())
    if not epochs or not (source / "final.pth").exists():
        raise ValueError(
            f"{source} is no checkpoint directory; it needs 0.pth ... final.pth, train_data.pth "
            "and test_data.pth"
        )
    return epochs


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Errors about what a file holds say which file it is."""
    try:
        yield
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
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
    W_in, W_out = (_tensor(model, f"mlp.{name}", file) for name in ("W_in", "W_out"))
    p, neurons = W_out.shape
    try:
        check_modulus(p)
    except ValueError as error:
        raise ValueError(f"{file}: mlp.W_out has shape {W_out.shape}, but {error}") from None
    if "embed.W_E" in model:
        W_E = _tensor(model, "embed.W_E", file)
        W_in = W_in @ (W_E if W_E.shape == (W_in.shape[1], p) else _transposed(W_E, W_in, p, file))
    if W_in.shape != (neurons, p):
        raise ValueError(
            f"{file}: mlp.W_in has shape {W_in.shape}, mlp.W_out {W_out.shape}; "
            f"(neurons, p) and (p, neurons) would be right"
        )
    for name, values in (("W_in", W_in), ("W_out", W_out)):
        if not np.isfinite(values).all():
            raise ValueError(f"{file}: mlp.{name} holds NaN or infinity; remove that checkpoint")
    return W_in, W_out.T.copy()


def _transposed(W_E: NDArray[Any], W_in: NDArray[Any], p: int, file: Path) -> NDArray[Any]:
    if W_E.shape != (p, W_in.shape[1]):
        raise ValueError(
            f"{file}: embed.W_E has shape {W_E.shape}; with mlp.W_in {W_in.shape} "
            f"({W_in.shape[1]}, {p}) would be right"
        )
    return W_E.T


def _tensor(model: Mapping[str, Any], name: str, file: Path) -> NDArray[Any]:
    value = _field(model, name, file)
    if not isinstance(value, torch.Tensor) or value.ndim != 2:
        raise ValueError(f"{file}: {name} must be a matrix, got {type(value).__name__}")
    if value.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{file}: {name} must be of float32 or float64, got {value.dtype}")
    return value.numpy(force=True)


def _pairs(file: Path, p: int) -> NDArray[np.int64]:
    stored = read_checkpoint(file)
    if isinstance(stored, tuple) and len(stored) == 2:  # pairs and their answers
        stored = stored[0]
    try:
        return tasks.check_pairs(np.asarray(stored), p)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _task(file: Path, p: int) -> str:
    """The task whose answers are stored with the pairs; addition where none are."""
    stored = read_checkpoint(file)
    if not isinstance(stored, tuple):
        return "addition"
    (x, y), answers = np.asarray(stored[0]).T, np.asarray(stored[1])
    for task in tasks.OPERATIONS:
        if np.array_equal(tasks.table(task, p)[x, y], answers):
            return task
    raise ValueError(f"{file}: the answers are those of none of {', '.join(tasks.OPERATIONS)}")


def _activation(source: Path) -> str:
    words = set(source.name.lower().split("_"))
    found = [name for word, name in _ACTIVATIONS.items() if word in words]
    if len(found) != 1:
        raise ValueError(
            f"the name {source.name} does not tell the activation; give activation as one of "
            f"{', '.join(_ACTIVATIONS.values())}"
        )
    return found[0]


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


def _metrics(
    final: Mapping[str, Any], accuracies: Mapping[int, tuple[float, ...]], steps: int
) -> list[tuple[int, NDArray[Any]]]:
    """Stored numbers of each step, in the order of `METRICS`; NaN where none is stored."""
    count = len(final.get("train_losses", ()))
    columns = [
        final.get(name, [math.nan] * count)
        for name in ("train_losses", "test_losses", "grad_norms", "param_norms")
    ]
    unknown = (math.nan, math.nan)
    return [
        (
            step,
            np.array(
                [train, test, *accuracies.get(step, unknown), gradient, weight], dtype=np.float64
            ),
        )
        for step, (train, test, gradient, weight) in enumerate(zip(*columns, strict=True))
        if step < steps
    ]


def _last_metrics(
    config: TrainingConfig,
    theta: NDArray[Any],
    xi: NDArray[Any],
    train: NDArray[Any],
    test: NDArray[Any],
) -> NDArray[Any]:
    """The same for the last step, whose numbers are not stored, from its weights."""
    data: Any = config.data
    sets = [
        Examples.of(data, [0], [data.index(pairs)], symmetric=config.symmetric)
        for pairs in (train, test)
    ]
    parameters = {"theta": theta[None], "xi": xi[None]}
    ensemble = Ensemble(config.replace(dtype="float64"), [0], parameters, sets[0], "cpu")
    ensemble.loss(0)
    return ensemble.measure(*sets).numpy()[0]
