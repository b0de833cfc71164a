"""Training a network, with flags made from the records of its configuration."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.commands.flags import choice_of, flags_of, with_flags
from grokode.commands.options import Json
from grokode.console import if_interrupted, note, print_json, print_numbers, training_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grokode.nets import Run, TrainingConfig

__all__ = ["train"]

_DEFAULTS = {"p": 23, "neurons": 512}
"""Of what a configuration must say, if it has it at all."""


def train(arguments: "Sequence[str]") -> "Callable[..., None]":
    """The command, with the flags of the network and task that the arguments ask for.

    Parameters
    ----------
    arguments : sequence of str
        Of the command line, looked at for --preset, --network and --data alone.
    """
    from grokode.nets.networks import NETWORKS
    from grokode.nets.tasks import TASKS
    from grokode.nets.training.config import TrainingConfig
    from grokode.nets.training.optimizers import OPTIMIZERS
    from grokode.nets.training.presets import PRESETS

    asked = _asked(arguments)
    base = dict(PRESETS.get(asked.get("preset", ""), {}))
    kinds = {name: asked.get(name, base.get(name)) for name in ("network", "data")}
    network, data = NETWORKS.get(kinds["network"] or ""), TASKS.get(kinds["data"] or "")
    records = TrainingConfig.records(data=data, network=network)
    choices: dict[str, Any] = {"optimizer": OPTIMIZERS}
    for record in records:
        choices |= getattr(record, "CHOICES", {})
    flags = [
        choice_of("preset", PRESETS, "A configuration to start from, changed by the other flags"),
        choice_of("network", NETWORKS, "Architecture; with --help, its own flags are shown"),
        choice_of("data", TASKS, "Kind of task; with --help, its own flags are shown"),
    ]
    for record in records:
        flags += flags_of(record, _DEFAULTS | _own_defaults(record) | base, choices)
    return with_flags(_train, flags)


def _asked(arguments: "Sequence[str]") -> dict[str, str]:
    """Values of the options that say which records there are."""
    values = {}
    for name in ("preset", "network", "data"):
        for index, argument in enumerate(arguments):
            flag, equals, value = argument.partition("=")
            if flag == f"--{name}":
                values[name] = value if equals else (*arguments, "")[index + 1]
    return values


def _own_defaults(record: type) -> dict[str, Any]:
    return {field.name: field.default for field in fields(record) if field.default is not MISSING}


def _train(
    out: Annotated[
        Path, typer.Option(help="Directory of the run; must not exist unless --resume.")
    ],
    seed: Annotated[
        int | None, typer.Option(help="Seed of the initial weights, of the split, and of dropout.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Train this many seeds side by side, from --seed on.")
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting by its name in Python, repeatable, as --set lr=0.1.",
        ),
    ] = [],  # noqa: B006 (typer reads it, nothing changes it)
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which to stop, to be resumed.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the run in --out; it knows its own configuration."
        ),
    ] = False,
    json: Json = False,
    *,
    preset: str | None,
    **settings: Any,
) -> None:
    """Train a network, or one to a seed, into a run.

    Checkpoints are written as training goes, so a killed training loses at most the one in flight;
    --resume goes on to the same result. In brackets stands what is taken if a flag is not given;
    --preset NAME --help shows that of a preset.
    """
    from grokode import nets
    from grokode.nets.runs.manifest import MOST_SEEDS
    from grokode.nets.training.requests import device_of

    given = settings | {"seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    for setting in set_:
        name, _, text = setting.partition("=")
        name = "learning_rate" if name == "lr" else name
        changes[name] = nets.parse_setting(name, text, _records(changes, preset))
    config, stored_seeds = _configuration(out, preset, resume, changes)
    if seeds is not None and not 0 < seeds <= MOST_SEEDS:
        raise ValueError(f"--seeds must be 1 to {MOST_SEEDS}, got {seeds}")
    chosen = stored_seeds if seeds is None else range(config.seed, config.seed + seeds)
    count, device = len(chosen or [config.seed]), device_of(config)
    needed = nets.memory_needed(config, count, device) / 1e9
    if needed >= 0.1:
        note(f"{count} seeds need about {needed:.2g} GB on {device}, or less")
    with (
        if_interrupted("finished checkpoints are kept, the same with --resume goes on from them"),
        training_progress(config.steps) as on_step,
    ):
        run = nets.train(
            config, out, seeds=chosen, resume=resume, time_limit=time_limit, on_step=on_step
        )
    summary = _summary(run)
    if json:
        print_json(summary)
    else:
        print_numbers(str(out), summary)


_train.__name__ = "train"


def _records(changes: dict[str, Any], preset: str | None) -> tuple[type, ...]:
    from grokode.nets.networks import NETWORKS
    from grokode.nets.tasks import TASKS
    from grokode.nets.training.config import TrainingConfig
    from grokode.nets.training.presets import PRESETS

    base = PRESETS.get(preset or "", {}) | changes
    return TrainingConfig.records(
        data=TASKS.get(base.get("data", "")), network=NETWORKS.get(base.get("network", ""))
    )


def _configuration(
    out: Path, preset: str | None, resume: bool, changes: dict[str, Any]
) -> "tuple[TrainingConfig, tuple[int, ...] | None]":
    """The configuration that the flags ask for, and the seeds if a run says which."""
    from grokode import nets
    from grokode.nets.runs import asked_of

    asked = asked_of(out) if resume else None
    if asked is not None:
        return asked[0].replace(**changes), asked[1]
    if preset is not None:
        return nets.preset(preset, **changes), None
    known = {field.name for record in _records(changes, preset) for field in fields(record)}
    defaults = {name: value for name, value in _DEFAULTS.items() if name in known}
    return nets.TrainingConfig(**defaults | changes), None


def _summary(run: "Run") -> dict[str, Any]:
    last = run.metrics.isel(step=-1)
    steps, seconds = int(last.step), run.attrs["seconds"]
    summary = {
        "steps": steps,
        "seconds": seconds,
        "ms_per_step": 1000 * seconds / max(steps, 1),
        "loss": float(last.train_loss.mean()),
        "train_accuracy": float(last.train_accuracy.mean()),
        "test_accuracy": float(last.test_accuracy.mean()),
    }
    return summary if run.seed is not None else summary | {"seeds": list(run.seeds)}
