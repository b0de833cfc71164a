"""The network itself, trained again from a run's first checkpoint: the ceiling of every prediction.

Rounding grows with a training, so a network does not end on all of its own winners again. How many
it does is what a predictor can reach at most.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare.common.course import half_loss
from grokode.compare.common.events import generalised, memorised, why_none_held_out
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.observe import check_addition, one_network, start_of
from grokode.compare.common.outputs import final_logits_r2, pairs_right
from grokode.nets.runs import Run
from grokode.nets.training.loop import DivergedError, train
from grokode.theory import fourier

__all__ = ["RETRAININGS", "retrained", "retrained_seconds"]

RETRAININGS: dict[str, tuple[str, float]] = {
    "float32": ("float32", 0.0),
    "float64": ("float64", 0.0),
    "kick": ("float32", 1e-6),
}
"""Number format, and size of a Gaussian kick to the start as a share of each parameter's spread."""

# Rows logged of a training, which tell when it learns.
_LOGGED = 1000


def retrained(run: Run, ways: Sequence[str] = tuple(RETRAININGS)) -> xr.Dataset:
    """Winners and final logits of the network trained again, against those of the run.

    Parameters
    ----------
    run : Run
        Of one seed, addition, at least two checkpoints; whatever makes its input weights.
    ways : sequence of str
        Some of `RETRAININGS`; each takes as long as the run took.

    Returns
    -------
    Dataset
        Over ``retraining``, see `RETRAININGS`: ``accuracy``, the fraction of neurons that end on
        the winner of the run; ``logit_r2``, the share of the variance of the run's final logits
        that these explain; ``half_loss``, ``memorised`` and ``generalised``, steps, NaN where there
        is none; ``pairs_right``, part of all pairs answered rightly; ``winner (retraining,
        neuron)``.

    Raises
    ------
    NotMeasured
        If the first checkpoint is in the middle of a warm-up, whose rest cannot be trained alone.

    Examples
    --------
    >>> from grokode import nets
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = retrained(nets.train(config, Path(folder) / "run"))
    >>> again.accuracy.values.tolist()
    [1.0, 1.0, 1.0]
    """
    check_addition(run, any_inputs=True)
    one_network(run, any_inputs=True)
    parameters = _checkpoints(run)
    first = parameters.isel(step=0, drop=True).load().astype(float)
    last = start_of(parameters.isel(step=-1, drop=True).load())
    begun, ended = (int(step) for step in parameters.step.values[[0, -1]])
    settings = _from_there(run, begun, ended)
    config = run.config.replace(
        **settings,
        checkpoint_every=settings["steps"],
        log_every=max(1, settings["steps"] // _LOGGED),
        log_grid=False,
        stop_loss=None,
        seed_recipe="grokode",
        device="auto",  # that of the run may not be here
    )
    observed = fourier.leading_frequency(last).values
    rows = []
    for dtype, kick in (RETRAININGS[way] for way in ways):
        rng = np.random.default_rng(0)
        kicked = first.copy()
        for name, w in first.items():
            kicked[name] = w + kick * float(w.std()) * rng.normal(size=w.shape)
        with tempfile.TemporaryDirectory() as folder:
            try:
                again = train(
                    config.replace(dtype=dtype),
                    Path(folder) / "run",
                    initial=start_of(kicked),
                    train_pairs=run.train_pairs,
                )
            except DivergedError:
                raise NotMeasured(f"{run.path} diverges when it is trained again") from None
            end = start_of(again.parameters.isel(step=-1, drop=True).load())
            learnt = _learnt(again, ended - config.steps)
        winner = fourier.leading_frequency(end).values
        rows.append(
            xr.Dataset(
                {
                    "accuracy": float((winner == observed).mean()),
                    "logit_r2": final_logits_r2(end, last, config.activation),
                    "pairs_right": pairs_right(end, config.activation),
                    **learnt,
                    "winner": ("neuron", winner),
                }
            )
        )
    return xr.concat(rows, "retraining").assign_coords(retraining=list(ways))


def _checkpoints(run: Run) -> xr.Dataset:
    """What is trained, over the checkpoints of a run."""
    return run.parameters


def _from_there(run: Run, begun: int, ended: int) -> dict[str, Any]:
    """What of the configuration counts steps, counted from the first checkpoint on."""
    config = run.config
    if config.warmup and begun <= 1:
        # The first update of a warm-up has no rate: the state after it is the start.
        return {"steps": ended, "warmup": config.warmup}
    if begun < config.warmup:
        raise NotMeasured(
            f"{run.path} begins at step {begun} of a warm-up of {config.warmup}; train "
            "again from a run that begins at its start"
        )
    settings: dict[str, Any] = {"steps": ended - begun, "warmup": 0}
    if config.decay_until is None:
        return settings
    left = config.decay_until - begun
    return settings | (
        {"decay_until": left} if left > 0 else {"decay_until": None, "weight_decay": 0.0}
    )


def retrained_seconds(run: Run) -> float:
    """About how long a core takes to train a run again as often as `retrained` does.

    Measured at p = 23 and 97 to hold within a factor of two, as
    `grokode.theory.harmonic_flow.harmonic_seconds`; float64 takes twice as long.

    Examples
    --------
    >>> from grokode import nets
    >>> config = nets.TrainingConfig(p=5, neurons=4, steps=20, checkpoint_every=10, log_every=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     retrained_seconds(nets.train(config, Path(folder) / "run")) < 1
    True
    """
    begun, ended = (int(step) for step in run.parameters.step.values[[0, -1]])
    config, share = run.config, len(run.train_pairs) / run.config.p**2
    times = sum(2 if dtype == "float64" else 1 for dtype, _ in RETRAININGS.values())
    # With one set of input weights half of the pairs are mirror images.
    sets = 2 if config.separate_inputs else 1
    operations = 3 * sets * (share * config.p**3 + 2 * (config.embedding or 0) * config.p)
    return times * (ended - begun) * config.neurons * operations / 12e9


def _learnt(run: Run, offset: int) -> dict[str, float]:
    """Steps at which a run's loss had halved, and its pairs were known; counted from an offset."""
    steps = {"half_loss": half_loss(run.metrics.train_loss.load())}
    steps |= {"memorised": np.nan, "generalised": np.nan}
    if not why_none_held_out(run.train_pairs, run.test_pairs):
        for name, event in (("memorised", memorised(run)), ("generalised", generalised(run))):
            steps[name] = np.nan if event.step is None else float(event.step)
    return {name: step + offset for name, step in steps.items()}
