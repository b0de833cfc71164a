"""The published configurations by name.

Source: arXiv:2602.16849, experiments; AdamW has the betas (0.9, 0.98) everywhere. The warm-up of
ten updates is that of the authors' code; the text does not mention it, the stored losses show it.
vanrossem2025: arXiv:2507.09897 and its authors' code, where an epoch of all sequences up to length
10 is 21 steps; the code's values where the text has others (tanh: gain 0.01; automata: 0.75).
"""

import math
from typing import Any

from grokode.nets.records import check_choice
from grokode.nets.training.config import TrainingConfig
from grokode.theory.modulus import check_modulus

__all__ = ["PRESETS", "preset"]

_PARITY: dict[str, Any] = {
    "data": "parity",
    "network": "recurrent",
    "optimizer": "sgd",
    "learning_rate": 0.02,
    "steps": 21_000,
    "checkpoint_every": 105,
    "log_every": 105,
}

PRESETS: dict[str, dict[str, Any]] = {
    "he2026/standard": {
        "activation": "relu",
        "optimizer": "adamw",
        "learning_rate": 5e-5,
        "warmup": 10,
        "initial": "gaussian",
        "scale": 0.1,
        "steps": 5_000,
        "checkpoint_every": 100,
        "log_every": 50,
    },
    "he2026/grokking": {
        "activation": "relu",
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "warmup": 10,
        "weight_decay": 2.0,
        "train_fraction": 0.75,
        "initial": "gaussian",
        "scale": 0.1,
        "steps": 50_000,
        "checkpoint_every": 200,
        "log_every": 100,
    },
    "he2026/quad-random": {
        "activation": "quadratic",
        "optimizer": "adamw",
        "learning_rate": 5e-5,
        "warmup": 10,
        "initial": "gaussian",
        "scale": 0.1,
        "steps": 5_000,
        "checkpoint_every": 100,
        "log_every": 50,
    },
    "he2026/quad-single-frequency": {
        "activation": "quadratic",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "warmup": 10,
        "initial": "single_frequency",
        "scale": 0.02,
        "steps": 10_000,
        "checkpoint_every": 200,
        "log_every": 100,
    },
    "he2026/relu-single-frequency": {
        "activation": "relu",
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "warmup": 10,
        "initial": "single_frequency",
        "scale": 0.002,
        "steps": 10_000,
        "checkpoint_every": 200,
        "log_every": 100,
    },
    "vanrossem2025/parity": _PARITY,
    "vanrossem2025/parity-gain-0.7": _PARITY | {"gain": 0.7},
    "vanrossem2025/parity-tanh": _PARITY
    | {"activation": "tanh", "gain": 0.8, "learning_rate": 0.05},
    "vanrossem2025/parity-half": _PARITY | {"train_fraction": 0.5, "steps": 60_000},
    "vanrossem2025/parity-grid": _PARITY
    | {
        "loss": "cross_entropy",
        "train_fraction": 0.5,
        "test_sequences": 30,
        "test_length": 100,
        "stop_loss": 1e-3,
        "steps": 1_000_000,
        "checkpoint_every": "log",
        "log_every": 100,
    },
    "vanrossem2025/automaton": _PARITY
    | {"data": "automaton", "new_state": 0.6, "gain": 0.025, "learning_rate": 0.05},
}


def preset(name: str, p: int | None = None, **changes: Any) -> TrainingConfig:
    """A published configuration, at another modulus or with some values changed.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    p : int, optional
        Odd modulus; as published if not given. The width of the two-layer networks is 512 up to
        p = 23 and grows as p^2 above.
    **changes
        Settings of `TrainingConfig`.

    Returns
    -------
    TrainingConfig

    Raises
    ------
    ValueError
        For an unknown preset, or a value out of range.

    Examples
    --------
    >>> config = preset("he2026/grokking", p=29, seed=3)
    >>> config.neurons, config.weight_decay, config.seed
    (814, 2.0, 3)
    """
    check_choice("preset", name, tuple(PRESETS))
    settings = dict(PRESETS[name])
    if p is not None:
        settings["p"] = p
    if settings.get("network", "two_layer") == "two_layer":
        modulus = settings.setdefault("p", 23)
        settings["neurons"] = max(512, math.ceil(512 * check_modulus(modulus) ** 2 / 529))
    return TrainingConfig.from_dict(settings | changes)
