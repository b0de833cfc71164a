"""Making runs, and looking at what they are."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokode.commands.options import Json, RunPath, Seed, check_new, open_one_seed
from grokode.console import if_interrupted, print_json, print_numbers, training_progress

if TYPE_CHECKING:
    from grokode.nets import Run, TrainingConfig

__all__ = ["export", "import_", "info", "train"]


class Optimizer(StrEnum):
    """Optimisers, all full-batch."""

    sgd = "sgd"
    adamw = "adamw"


class Dtype(StrEnum):
    """Floating-point formats of the network."""

    float32 = "float32"
    float64 = "float64"


def train(
    out: Annotated[
        Path, typer.Option(help="Directory of the run; must not exist unless --resume.")
    ],
    preset: Annotated[
        str | None,
        typer.Option(
            help="A published configuration to start from: he2026/standard, he2026/grokking, "
            "he2026/quad-random, he2026/quad-single-frequency or he2026/relu-single-frequency."
        ),
    ] = None,
    p: Annotated[int | None, typer.Option(help="Modulus, odd; 23 if not given.")] = None,
    neurons: Annotated[
        int | None, typer.Option(help="Width of the network; 512, or as the preset scales it.")
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            help="quadratic (the default), relu, abs, quartic, gelu, softplus, softplus2, exp, "
            "identity or cubic."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="addition (the default), subtraction, multiplication, quadratic_form (x^2+xy+y^2) "
            "or random."
        ),
    ] = None,
    initial: Annotated[
        str | None,
        typer.Option(help="gaussian (the default), equal_magnitude or single_frequency."),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Size of the initial weights, 0.1: gaussian draws scale*N(0,1)/sqrt(p); the "
            "others set every magnitude alpha and beta to it."
        ),
    ] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="Full-batch; sgd.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate, 0.1.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum of SGD, 0.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Weight decay, 0; decoupled for AdamW.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps at most, 10000.")] = None,
    stop_loss: Annotated[
        float | None, typer.Option(help="Stop when the training loss falls below this.")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Fraction of the pairs to train on, 1.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the initial weights and of the split, 0.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Train this many seeds side by side, from --seed on.")
    ] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="Format of the weights; float32.")] = None,
    checkpoint_every: Annotated[
        str | None, typer.Option(help='Steps between checkpoints, 200; or "log".')
    ] = None,
    log_every: Annotated[
        str | None, typer.Option(help='Steps between logged losses, 100; or "log".')
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto (the default), cpu or cuda.")] = None,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other field of the configuration, repeatable: embedding, separate_inputs, "
            "loss, loss_dtype, dropout, betas, eps, decay_until, log_grid.",
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
) -> None:
    """Train a two-layer network, or one to a seed, into a run.

    Checkpoints are written as training goes, so a killed training loses at most the one in flight;
    --resume goes on to the same result.
    """
    from grokode import nets

    given = {
        "p": p,
        "neurons": neurons,
        "activation": activation,
        "task": task,
        "initial": initial,
        "scale": scale,
        "optimizer": optimizer and optimizer.value,
        "learning_rate": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "steps": steps,
        "stop_loss": stop_loss,
        "train_fraction": fraction,
        "seed": seed,
        "dtype": dtype and dtype.value,
        "checkpoint_every": checkpoint_every
        and nets.parse_setting("checkpoint_every", checkpoint_every),
        "log_every": log_every and nets.parse_setting("log_every", log_every),
        "device": device,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for setting in set_:
        name, _, text = setting.partition("=")
        name = "learning_rate" if name == "lr" else name
        changes[name] = nets.parse_setting(name, text)
    config, stored_seeds = _configuration(out, preset, resume, changes)
    chosen = stored_seeds if seeds is None else range(config.seed, config.seed + seeds)
    with (
        if_interrupted("finished checkpoints are kept, the same with --resume goes on from them"),
        training_progress(config.steps) as on_step,
    ):
        run = nets.train(
            config, out, seeds=chosen, resume=resume, time_limit=time_limit, on_step=on_step
        )
    summary = _training_json(run)
    if json:
        print_json(summary)
    else:
        print_numbers(str(out), summary)


def import_(
    source: Annotated[Path, typer.Argument(help="Directory of published checkpoints (*.pth).")],
    out: Annotated[Path, typer.Option(help="Directory of the run to make; must not exist.")],
    activation: Annotated[
        str | None,
        typer.Option(help="Activation, where the directory's name does not say it."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn a directory of published checkpoints (He et al.) into a run.

    Files are read with weights_only loading: a checkpoint that needs code is refused.
    """
    from grokode.nets import import_published

    run = import_published(source, out, activation=activation)
    if json:
        print_json(
            {
                "p": run.config.p,
                "neurons": run.config.neurons,
                "activation": run.config.activation,
                "optimizer": run.config.optimizer,
                "steps": run.weights.step.values.tolist(),
            }
        )
    else:
        typer.echo(f"{run}")


def info(run: RunPath, seed: Seed = None, json: Json = False) -> None:
    """Say what a run is: configuration, how far it is, its last numbers, where it was made."""
    from grokode import nets

    opened = nets.open_run(run, seed)
    if json:
        print_json(opened.describe())
    else:
        print_numbers("", {"run": f"{opened}"} | opened.describe())


def export(
    run: RunPath,
    out: Annotated[
        Path, typer.Option(help="File to write: .npz, or .pth as the authors' loader reads it.")
    ],
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Write the weights of one checkpoint to a file of its own.

    A .npz holds theta, xi (neuron, residue) and step; a .pth the keys mlp.W_in, mlp.W_out and
    mlp.basis under "model".
    """
    check_new(out, (".npz", ".pth"))
    file = open_one_seed(run, seed).export(out, step)
    if json:
        print_json({"file": str(file)})
    else:
        typer.echo(f"wrote {file}")


def _configuration(
    out: Path, preset: str | None, resume: bool, changes: dict[str, Any]
) -> "tuple[TrainingConfig, tuple[int, ...] | None]":
    """The configuration that the flags ask for, and the seeds if a run says which."""
    from dataclasses import replace

    from grokode import nets

    if resume and (out / "run.json").exists():
        run = nets.open_run(out)
        return replace(run.stored_config, **changes), run.seeds
    if preset is not None:
        return nets.preset(preset, **changes), None
    return nets.TrainingConfig(**({"p": 23, "neurons": 512} | changes)), None


def _training_json(run: "Run") -> dict[str, Any]:
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
