"""Reader of the networks that the authors of arXiv:2306.17844 published.

A file ``model_<id>.pt`` is a state dict and nothing more: a transformer without "=" (``embed.W_E``)
or a network that adds the embeddings (``embed.weight, l1, l2``). What the tensors cannot tell is
the rate of attention; it stands in their ``config_<id>.json``. The pairs trained on were drawn
without a seed and are unknown.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grokode.nets.networks import SummedEmbeddings
from grokode.nets.networks.transformer_model import activations
from grokode.nets.readers.files import matrix, read_checkpoint
from grokode.nets.readers.nanda2023 import parameters_of, transformer_of
from grokode.nets.readers.record import Imported, Reader, check_size
from grokode.nets.tasks import Modular
from grokode.nets.training.config import TrainingConfig
from grokode.theory.modulus import check_modulus

__all__ = ["READER", "read", "recognise"]

_LINEAR = ("embed.weight", "unembed.weight", "l1.weight", "l1.bias")
_TRAINED: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 2.0,
    "train_fraction": 0.8,
    "steps": 20_000,
}
"""As every config file in their repository says; transformers besides warm up, see below."""
_PUBLISHED = {
    "model_p99zdpze5l": 0.0,
    "model_l8k1hzciux": 1.0,
    "model_q9rsl94xlv": 1.0,
    "model_n9n7h3p965": 0.033337460528999885,
}
"""Rates of attention in the config files of their repository, of the transformers analysed."""
_RATES = np.linspace(0, 1, 21)


def recognise(path: Path) -> bool:
    """Whether a file holds a state dict of one of the two kinds."""
    if path.suffix not in (".pth", ".pt") or not path.is_file():
        return False
    try:
        stored = read_checkpoint(path)
    except ValueError:
        return False
    if not isinstance(stored, Mapping):
        return False
    if all(isinstance(stored.get(name), torch.Tensor) for name in _LINEAR):
        return True
    positions = stored.get("pos_embed.W_pos")
    return isinstance(positions, torch.Tensor) and len(positions) == 2


def read(path: Path, *, attention_rate: float | None = None) -> Imported:
    """Read a published state dict.

    Parameters
    ----------
    path : Path
    attention_rate : float, optional
        Of a transformer; from the config file beside it if not given, or by the file's published
        name, and otherwise that of 21 rates from 0 to 1 with the least loss over all pairs.

    Returns
    -------
    Imported
        The weights as those of step 20,000, without a split.

    Raises
    ------
    ValueError
        If the file is not what it should be, naming it.
    """
    stored = read_checkpoint(path)
    if not isinstance(stored, Mapping):
        raise ValueError(f"{path} holds a {type(stored).__name__}, not tensors by name")
    if "embed.weight" in stored:
        return _linear(path, stored)
    parameters = parameters_of(path, stored)
    how = "given"
    if attention_rate is None:
        attention_rate, how = _rate(path, parameters)
    network, p = transformer_of(path, parameters, attention_rate)
    config = TrainingConfig(p=p, network=network, warmup=10, betas=(0.9, 0.98), **_TRAINED)
    attrs = {"source": path.name, "split": "unknown", "attention_rate_from": how}
    return Imported(config, {config.steps: parameters}, attrs=attrs)


def _rate(path: Path, parameters: Mapping[str, NDArray[Any]]) -> tuple[float, str]:
    beside = path.with_name(path.stem.replace("model_", "config_") + ".json")
    if beside.is_file():
        try:
            return float(json.loads(beside.read_text())["attn_coeff"]), beside.name
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{beside} says no attn_coeff ({error!r}); give attention_rate"
            ) from None
    if path.stem in _PUBLISHED:
        return _PUBLISHED[path.stem], "the published config file"
    named = {name: torch.tensor(v[None], dtype=torch.float64) for name, v in parameters.items()}
    losses = []
    for rate in _RATES:
        network, p = transformer_of(path, parameters, float(rate))
        task = Modular(p=p)
        with torch.no_grad():
            logits = activations(network, named, task.inputs).logits[0]
        answers = torch.tensor(task.answers(0))
        losses.append(float(torch.nn.functional.cross_entropy(logits, answers)))
    return float(_RATES[int(np.argmin(losses))]), "the least loss over all pairs"


def _linear(path: Path, stored: Mapping[str, Any]) -> Imported:
    """Model A or B of their code: one or two layers on the sum of the embeddings."""
    layers = 1 + ("l2.weight" in stored)
    known = {*_LINEAR, *(("l2.weight", "l2.bias") if layers == 2 else ())}
    unknown = sorted(set(stored) ^ known)
    if unknown:
        raise ValueError(
            f"{path} {'holds' if unknown[0] in stored else 'lacks'} {unknown[0]!r}, and is no "
            "network of this code"
        )
    float32 = (torch.float32,)
    embed, unembed = (matrix(path, n, stored[n], float32) for n in _LINEAR[:2])
    weights = [
        matrix(path, f"l{i}.weight", stored[f"l{i}.weight"], float32) for i in range(1, layers + 1)
    ]
    biases = [
        matrix(path, f"l{i}.bias", stored[f"l{i}.bias"][None], float32)[0]
        for i in range(1, layers + 1)
    ]
    p, width = embed.shape
    try:
        check_size(check_modulus(p))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    right = {"unembed": (p, width), "W": (width, width), "b": (width,)}
    for name, values in (
        ("unembed", [unembed]),
        ("W", weights),
        ("b", biases),
    ):
        for value in values:
            if value.shape != right[name]:
                raise ValueError(
                    f"{path}: {name} has shape {value.shape}; with an embedding of {embed.shape} "
                    f"it should be {right[name]}"
                )
    network = SummedEmbeddings(width=width, layers=layers, initial="published")
    config = TrainingConfig(p=p, network=network, **_TRAINED)
    parameters = {
        "embed": embed,
        "W": np.stack(weights),
        "b": np.stack(biases),
        "unembed": unembed,
    }
    attrs = {"source": path.name, "split": "unknown"}
    return Imported(config, {config.steps: parameters}, attrs=attrs)


READER = Reader("a .pt state dict of arXiv:2306.17844", recognise, read)
