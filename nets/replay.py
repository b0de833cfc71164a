"""Trainings on record: logs that others published, followed again from their seed.

A log is a JSON file as the web app of arXiv:2602.16849 keeps them: by name of a configuration its
``config`` (prime, d_mlp, act_type, init_type, init_scale, optimizer, lr, weight_decay, frac_train,
seed) and a ``table`` of rows (epoch, train and test losses and accuracies, norms of gradient and
weights). Epoch e is the state after e updates.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokode.nets.config import TrainingConfig
from grokode.nets.seeds import draw_he2026
from grokode.nets.training import train
from grokode.theory import fourier

__all__ = ["TOLERANCES", "Recorded", "read_log", "replay", "replay_json"]

TOLERANCES = {"loss_error": 1e-2, "accuracy_error": 1e-2, "norm_error": 5e-3}
"""Up to which a replay holds.

Losses and norms are printed to six digits; what is left is rounding in float32, which a training
amplifies: several times what another machine than the recording one was measured to differ by.
"""

_COLUMNS = {
    "train_loss": "train_losses",
    "test_loss": "test_losses",
    "train_accuracy": "train_accs",
    "test_accuracy": "test_accs",
    "gradient_norm": "grad_norms",
    "weight_norm": "param_norms",
}
_WORDS = {
    "act_type": {"ReLU": "relu", "Quad": "quadratic"},
    "init_type": {"random": "gaussian", "single-freq": "single_frequency"},
    "optimizer": {"AdamW": "adamw", "SGD": "sgd"},
}


@dataclass(frozen=True, eq=False)
class Recorded:
    """One training on record.

    Parameters
    ----------
    name : str
    config : TrainingConfig
        Its settings; warm-up, betas and the float32 of its softmax are those of the authors' code.
    table : Dataset
        ``train_loss``, ``test_loss`` (nats), ``train_accuracy``, ``test_accuracy``,
        ``gradient_norm`` and ``weight_norm`` over ``step``.
    """

    name: str
    config: TrainingConfig
    table: xr.Dataset


def read_log(path: str | Path) -> dict[str, Recorded]:
    """The trainings of a log, by name of their configuration.

    Parameters
    ----------
    path : path
        A file such as ``p023_training_log.json``.

    Raises
    ------
    ValueError
        If the file is no such log, naming what is wrong with it.
    """
    path = Path(path)
    try:
        stored = json.loads(path.read_text())
        entries = {name: (entry["config"], entry["table"]) for name, entry in stored.items()}
        if not entries:
            raise ValueError("it is empty")
        return {name: _recorded(name, *entry) for name, entry in entries.items()}
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); give a file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(
            f"{path} is no log of trainings ({reason}); give a file such as "
            "p023_training_log.json of arXiv:2602.16849's precomputed results"
        ) from None


def _recorded(name: str, config: dict[str, Any], rows: list[dict[str, Any]]) -> Recorded:
    words = {key: known[config[key]] for key, known in _WORDS.items()}
    steps = [int(row["epoch"]) for row in rows]
    if len(steps) < 2 or steps[0] < 0 or (np.diff(steps) <= 0).any():
        raise ValueError(f"epochs of {name} must be increasing")
    table = xr.Dataset(
        {
            ours: ("step", np.array([row[theirs] for row in rows], dtype=float))
            for ours, theirs in _COLUMNS.items()
        },
        {"step": steps},
    )
    return Recorded(
        name,
        TrainingConfig(
            p=config["prime"],
            neurons=config["d_mlp"],
            activation=words["act_type"],
            initial=words["init_type"],
            optimizer=words["optimizer"],
            scale=config["init_scale"],
            learning_rate=config["lr"],
            weight_decay=config["weight_decay"],
            train_fraction=config["frac_train"],
            seed=config["seed"],
            steps=steps[-1],
            warmup=10,
            betas=(0.9, 0.98),
            loss_dtype="float32",
            log_every=int(np.gcd.reduce(steps[:-1])),
            checkpoint_every=steps[-1],
            device="cpu",
        ),
        table,
    )


def replay(
    recorded: Recorded,
    steps: int | None = None,
    *,
    on_step: Callable[[int, float, float], None] | None = None,
) -> xr.Dataset:
    """Train again from the seed, and lay the training beside its log.

    Parameters
    ----------
    recorded : Recorded
        From `read_log`.
    steps : int, optional
        Follow it up to this step only.
    on_step : function (step, loss, accuracy), optional
        Called at every row.

    Returns
    -------
    Dataset
        The columns of the log with a dimension ``source``: ``recorded`` and ``replayed``, over the
        rows up to that step. Test columns of a training on all pairs are left out.

    Raises
    ------
    ValueError
        If no row but the first is left.
    """
    last = recorded.config.steps if steps is None else steps
    table = recorded.table.sel(step=slice(None, last))
    if table.sizes["step"] < 2:
        second = int(recorded.table.step[1])
        raise ValueError(f"steps must reach the second row of the log, {second}, got {steps}")
    config = replace(recorded.config, steps=int(table.step[-1]))
    drawn = draw_he2026(
        config.initial,
        config.p,
        config.neurons,
        config.scale,
        config.train_fraction,
        config.seed,
    )
    start = fourier.spectrum(drawn.theta.astype(float), drawn.xi.astype(float))
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            config, Path(folder) / "run", initial=start, train_pairs=drawn.train, on_step=on_step
        )
        ours = run.metrics[list(_COLUMNS)].load().sel(step=table.step.values)
    both = xr.concat([table, ours], "source", join="exact").assign_coords(
        source=["recorded", "replayed"]
    )
    return both if len(drawn.test) else both.drop_vars(["test_loss", "test_accuracy"])


def replay_json(both: xr.Dataset) -> dict[str, Any]:
    """Largest errors over the rows of a replay, and whether it holds.

    Parameters
    ----------
    both : Dataset
        From `replay`.

    Returns
    -------
    dict
        ``steps``; ``loss_error`` and ``norm_error``, the largest relative ones; ``accuracy_error``,
        the largest difference; ``holds``, whether all are within `TOLERANCES`.
    """
    recorded, replayed = (both.sel(source=name) for name in ("recorded", "replayed"))
    errors = {}
    for kind in ("loss", "accuracy", "norm"):
        names = [name for name in both.data_vars if str(name).endswith(kind)]
        gaps = [abs(replayed[name] - recorded[name]) for name in names]
        if kind != "accuracy":
            gaps = [gap / recorded[name] for gap, name in zip(gaps, names, strict=True)]
        errors[f"{kind}_error"] = max(float(gap.max(skipna=False)) for gap in gaps)
    holds = all(errors[name] <= most for name, most in TOLERANCES.items())
    return {"steps": int(both.step[-1])} | errors | {"holds": holds}
