"""Trainings on record: logs that others published, followed again from their seed.

A log is a JSON file as the web app of arXiv:2602.16849 keeps them: by name of a configuration its
``config`` (prime, d_mlp, act_type, init_type, init_scale, optimizer, lr, weight_decay, frac_train,
seed) and a ``table`` of rows (epoch, train and test losses and accuracies, norms of gradient and
weights). Epoch e is the state after e updates.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokode.nets.training.config import TrainingConfig
from grokode.nets.training.loop import train

__all__ = ["TOLERANCES", "Recorded", "read_log", "replay", "replay_json"]

TOLERANCES = {
    "start_error": 1e-6,
    "loss_error": 0.1,
    "accuracy_error": 0.05,
    "norm_error": 5e-3,
}
"""Up to which a replay holds.

The log prints losses to six decimals, so the first row tells one seed from another: losses of two
starts differ in the fifth. After it, rounding in float32 grows with the training, most where a loss
is small: over the logs of p = 15 and 23, losses are off by up to 0.07 (24,000 steps of grokking),
accuracies by 0.03 (four of 133 test pairs, for a moment), weight norms by 9e-4.
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
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} cannot be read, it is no file; give a log of trainings")
    try:
        stored = json.loads(path.read_text())
        entries = {name: (entry["config"], entry["table"]) for name, entry in stored.items()}
        if not entries:
            raise ValueError("it is empty")
        return {name: _recorded(name, *entry) for name, entry in entries.items()}
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); give a file") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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
            seed_recipe="he2026",
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
    config = recorded.config.replace(steps=int(table.step[-1]))
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, Path(folder) / "run", on_step=on_step)
        ours = run.metrics[list(_COLUMNS)].load().sel(step=table.step.values)
    both = xr.concat([table, ours], "source", join="exact").assign_coords(
        source=["recorded", "replayed"]
    )
    return both if config.train_fraction < 1 else both.drop_vars(["test_loss", "test_accuracy"])


def replay_json(both: xr.Dataset) -> dict[str, Any]:
    """Largest errors over the rows of a replay, and whether it holds.

    Parameters
    ----------
    both : Dataset
        From `replay`.

    Returns
    -------
    dict
        ``steps``; ``start_error`` and ``loss_error``, the largest relative errors of the losses, in
        the first and in all rows; ``accuracy_error``, the largest difference; ``norm_error`` and
        ``gradient_error``, the largest relative errors of the norms of weights and gradient;
        ``holds``, whether all are within `TOLERANCES`.
    """
    recorded, replayed = (both.sel(source=name) for name in ("recorded", "replayed"))
    gap = abs(replayed - recorded)
    losses = [name for name in both.data_vars if str(name).endswith("loss")]
    accuracies = [name for name in both.data_vars if str(name).endswith("accuracy")]
    errors = {
        "start_error": _largest((gap / recorded)[losses].isel(step=0)),
        "loss_error": _largest((gap / recorded)[losses]),
        "accuracy_error": _largest(gap[accuracies]),
        "norm_error": _largest((gap / recorded)[["weight_norm"]]),
        "gradient_error": _largest((gap / recorded)[["gradient_norm"]]),
    }
    holds = all(errors[name] <= most for name, most in TOLERANCES.items())
    return {"steps": int(both.step[-1])} | errors | {"holds": holds}


def _largest(errors: xr.Dataset) -> float:
    """NaN if there is one, so that no comparison holds."""
    return float(errors.to_array().max(skipna=False))
