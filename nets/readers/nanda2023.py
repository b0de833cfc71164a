"""Reader of the transformers that the authors of arXiv:2301.05217 published.

A file holds ``model`` (a state dict of their code), ``optimizer``, ``epoch``, ``train_losses`` of
every epoch, and ``test_losses`` of every epoch or of every tenth. The weights are those after
``epoch + 1`` updates; the loss of an epoch is that before its update. The pairs are not stored, but
they were split by Python's ``random`` from a small seed, so the split is the one that gives the
last losses back. A sweep's file has loss curves alone, see `read_sweep`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from grokode.nets.networks import Transformer
from grokode.nets.networks.transformer_model import activations
from grokode.nets.readers.files import check_backed, read_checkpoint
from grokode.nets.readers.record import Imported, Reader, check_size
from grokode.nets.tasks import Modular
from grokode.nets.training.config import TrainingConfig
from grokode.theory.modulus import check_modulus

__all__ = ["READER", "parameters_of", "read", "read_sweep", "recognise", "transformer_of"]

_NAMES = {
    "W_E": "embed.W_E",
    "W_pos": "pos_embed.W_pos",
    "W_U": "unembed.W_U",
    "W_K": "blocks.{}.attn.W_K",
    "W_Q": "blocks.{}.attn.W_Q",
    "W_V": "blocks.{}.attn.W_V",
    "W_O": "blocks.{}.attn.W_O",
    "W_in": "blocks.{}.mlp.W_in",
    "b_in": "blocks.{}.mlp.b_in",
    "W_out": "blocks.{}.mlp.W_out",
    "b_out": "blocks.{}.mlp.b_out",
}
_UNUSED = ("blocks.{}.attn.mask",)
_SEEDS = range(20)
_FRACTIONS = tuple(round(0.01 * percent, 2) for percent in range(5, 100))
_AGREE = 0.02
"""Relative difference between a stored loss and that of the weights one update later; published
files differ by less than 0.001, the second-best split by a factor of 2 and more."""


def recognise(path: Path) -> bool:
    """Whether a file holds a transformer with "=" of their code, or the curves of their sweep."""
    stored = _loaded(path)
    if _is_sweep(stored):
        return True
    model = _model(stored)
    return model is not None and len(model[_NAMES["W_pos"]]) == 3


def read(path: Path) -> Imported:
    """Read a published file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Imported
        The last weights, the losses of every epoch, and the split if one of the seeds 0 to 19 and a
        whole percentage gives the last losses back, else none.

    Raises
    ------
    ValueError
        If the file is not what it should be, naming it.
    """
    stored = read_checkpoint(path)
    if _is_sweep(stored):
        raise ValueError(
            f"{path} holds loss curves without weights, which make no run; read them with "
            "grokode.nets.readers.nanda2023.read_sweep"
        )
    model = _model(stored)
    if model is None:
        raise ValueError(f"{path} holds no transformer of this code; it lacks embed.W_E and blocks")
    parameters = parameters_of(path, model)
    network, p = transformer_of(path, parameters)
    curves = _curves(path, stored)
    steps = _steps(path, stored, curves)
    split = _split(network, p, parameters, curves)
    task = Modular(p=p, shuffle="python")
    train = test = None
    seed, how = 0, "unknown: no small seed gives the stored losses back"
    if split is not None:
        seed, fraction = split
        task = Modular(p=p, shuffle="python", train_fraction=fraction)
        train, test = task.split(seed)
        how = f"recovered: Python's random with seed {seed}, fraction {fraction}"
    config = TrainingConfig(
        data=task, network=network, seed=seed, steps=steps, warmup=10, **_optimizer(path, stored)
    )
    metrics: dict[int, dict[str, float]] = {}
    for name, (every, losses) in curves.items():
        for row, loss in enumerate(losses):
            metrics.setdefault(row * every, {})[name] = loss
    attrs = {"source": path.name, "split": how}
    return Imported(config, {steps: parameters}, metrics, train, test, attrs)


def read_sweep(path: Path) -> xr.Dataset:
    """Loss curves of the published sweep over the training fraction.

    Returns
    -------
    Dataset
        ``train_loss, test_loss (fraction, step)``, NaN after the end of a training.

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    stored = read_checkpoint(Path(path))
    if not _is_sweep(stored):
        raise ValueError(f"{path} holds no sweep: a list of fractions and one of loss curves")
    fractions, curves = stored
    longest = max(map(len, curves))
    values = np.full((len(curves), longest), np.nan)
    for row, curve in zip(values, curves, strict=True):
        row[: len(curve)] = curve
    return xr.Dataset(
        {
            "train_loss": (("fraction", "step"), values[::2]),
            "test_loss": (("fraction", "step"), values[1::2]),
        },
        {"fraction": fractions, "step": np.arange(longest)},
    )


def parameters_of(path: Path, model: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Parameters by our names, layers stacked; every tensor of the file has its place or is named.

    Raises
    ------
    ValueError
        If one is missing, unknown, no plain tensor, or not finite.
    """
    layers = len({name.split(".")[1] for name in model if name.startswith("blocks.")})
    known = {pattern.format(i) for pattern in (*_NAMES.values(), *_UNUSED) for i in range(layers)}
    unknown = sorted(set(model) - known)
    if unknown:
        raise ValueError(f"{path} holds {unknown[0]!r}, which has no place in this architecture")
    parameters = {}
    for name, pattern in _NAMES.items():
        stacked = "{}" in pattern
        parts = [
            _array(path, model, pattern.format(i)) for i in (range(layers) if stacked else (0,))
        ]
        if len({part.shape for part in parts}) > 1:
            raise ValueError(f"{path}: {name} has another shape in every layer")
        parameters[name] = np.stack(parts) if stacked else parts[0]
    return parameters


def transformer_of(
    path: Path, parameters: Mapping[str, NDArray[Any]], attention_rate: float = 1.0
) -> tuple[Transformer, int]:
    """The architecture that has these parameters, and p.

    Raises
    ------
    ValueError
        If no architecture has them, naming the tensor.
    """
    for name, dims in (("W_E", 2), ("W_pos", 2), ("W_K", 4), ("W_in", 3)):
        if parameters[name].ndim != dims:
            raise ValueError(f"{path}: {name} has shape {parameters[name].shape}")
    width, tokens = parameters["W_E"].shape
    positions = len(parameters["W_pos"])
    if positions not in (2, 3):
        raise ValueError(f"{path} reads {positions} tokens; 2, x and y, or 3 with '=' are read")
    p = tokens - (positions == 3)
    try:
        check_size(check_modulus(p))
        network = Transformer(
            width=width,
            heads=parameters["W_K"].shape[1],
            neurons=parameters["W_in"].shape[1],
            layers=len(parameters["W_K"]),
            attention_rate=attention_rate,
            equals=positions == 3,
            initial="published",
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for name, layout in network.layout(Modular(p=p)).items():
        if parameters[name].shape != layout.shape:
            raise ValueError(
                f"{path}: {name} has shape {parameters[name].shape}; with p = {p} and the other "
                f"tensors it should be {layout.shape}"
            )
    return network, p


def _loaded(path: Path) -> Any:
    if path.suffix not in (".pth", ".pt") or not path.is_file():
        return None
    try:
        return read_checkpoint(path)
    except ValueError:
        return None


def _model(stored: Any) -> Mapping[str, Any] | None:
    """The state dict of a transformer in what a file holds, if there is one."""
    model = stored.get("model", stored) if isinstance(stored, Mapping) else None
    needed = (_NAMES["W_E"], _NAMES["W_pos"], _NAMES["W_K"].format(0))
    if not isinstance(model, Mapping) or not all(
        isinstance(model.get(name), torch.Tensor) for name in needed
    ):
        return None
    return model


def _is_sweep(stored: Any) -> bool:
    return (
        isinstance(stored, list | tuple)
        and len(stored) == 2
        and all(isinstance(part, list) for part in stored)
        and len(stored[1]) == 2 * len(stored[0]) > 0
        and all(isinstance(curve, list) for curve in stored[1])
    )


def _array(path: Path, model: Mapping[str, Any], name: str) -> NDArray[Any]:
    value = model.get(name)
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"{path} lacks the tensor {name}")
    if value.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{path}: {name} must be of float32 or float64, got {value.dtype}")
    check_backed(path, name, value)
    array: NDArray[Any] = value.numpy(force=True)
    if not np.isfinite(array).all():
        raise ValueError(f"{path}: {name} holds NaN or infinity; remove that checkpoint")
    return array


def _curves(path: Path, stored: Any) -> dict[str, tuple[int, list[float]]]:
    """Stored losses, and at every how many epochs."""
    curves = {}
    longest = len(stored.get("train_losses", ()))
    for name in ("train_loss", "test_loss"):
        losses = stored.get(name + "es", [])
        if not isinstance(losses, list) or not all(type(loss) is float for loss in losses):
            raise ValueError(f"{path}: {name}es must be a list of numbers")
        if losses:
            curves[name] = (-(-longest // len(losses)), losses)
    return curves


def _steps(path: Path, stored: Any, curves: Mapping[str, tuple[int, list[float]]]) -> int:
    epoch = stored.get("epoch")
    recorded = len(curves["train_loss"][1]) if "train_loss" in curves else 0
    if type(epoch) is int and epoch >= 0 and recorded in (0, epoch, epoch + 1):
        return recorded or epoch + 1
    raise ValueError(f"{path}: epoch is {epoch!r} with {recorded} training losses")


def _optimizer(path: Path, stored: Any) -> dict[str, Any]:
    try:
        group = stored["optimizer"]["param_groups"][0]
        return {
            "optimizer": "adamw",
            "learning_rate": float(group["initial_lr"]),
            "weight_decay": float(group["weight_decay"]),
            "betas": tuple(map(float, group["betas"])),
            "eps": float(group["eps"]),
        }
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{path} says nothing of its optimiser ({error!r})") from None


def _split(
    network: Transformer,
    p: int,
    parameters: Mapping[str, NDArray[Any]],
    curves: Mapping[str, tuple[int, list[float]]],
) -> tuple[int, float] | None:
    """Seed and fraction of the split that gives the last stored losses back, if one does."""
    if not {"train_loss", "test_loss"} <= curves.keys():
        return None
    last = [curves[name][1][-1] for name in ("train_loss", "test_loss")]
    task = Modular(p=p)
    named = {name: torch.tensor(v[None], dtype=torch.float64) for name, v in parameters.items()}
    with torch.no_grad():
        logits = activations(network, named, task.inputs).logits[0]
    losses = torch.nn.functional.cross_entropy(
        logits, torch.tensor(task.answers(0)), reduction="none"
    ).numpy()
    fits = []
    for seed in _SEEDS:
        # One shuffle serves every fraction: the training pairs are its first.
        everything = Modular(p=p, shuffle="python", train_fraction=1.0)
        order = everything.order(seed)
        sums = np.cumsum(losses[order])
        for fraction in _FRACTIONS:
            count = int(fraction * p**2)
            means = (sums[count - 1] / count, (sums[-1] - sums[count - 1]) / (p**2 - count))
            error = max(abs(mean / stored - 1) for mean, stored in zip(means, last, strict=True))
            fits.append((error, seed, fraction))
    error, seed, fraction = min(fits)
    return (seed, fraction) if error < _AGREE else None


READER = Reader("a .pth file of a transformer of arXiv:2301.05217", recognise, read)
