"""The command line. Heavy imports wait inside the commands, so that --help answers at once."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from grokode.console import note, one_line_errors, print_json, print_table, training_progress

__all__ = ["app", "main"]

app = typer.Typer(
    name="grokode",
    help="The theory of learning modular addition beside really trained networks.",
    epilog="Start with: grokode demo",
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Activation(StrEnum):
    """Activations of the two-layer network."""

    quadratic = "quadratic"
    relu = "relu"


class Optimizer(StrEnum):
    """Optimisers, all full-batch."""

    sgd = "sgd"
    adamw = "adamw"


class Initial(StrEnum):
    """Matched initialisations."""

    gaussian = "gaussian"
    equal_magnitude = "equal_magnitude"
    single_frequency = "single_frequency"


class Dtype(StrEnum):
    """Floating-point formats of the network."""

    float32 = "float32"
    float64 = "float64"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
RunPath = Annotated[Path, typer.Argument(help="A run: a directory made by train or import.")]
Figure = Annotated[
    Path | None, typer.Option(help="Also write the figure here (.png, .svg or .pdf).")
]


def main() -> None:
    """Run the command line; errors a user can mend are one line and exit code 2."""
    with one_line_errors():
        code = app(prog_name="grokode", standalone_mode=False)
        # Typer turns Ctrl-C into this code without a word.
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if context.invoked_subcommand is None and not version:
        typer.echo(context.get_help())
    if version:
        import grokode

        typer.echo(grokode.__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run, the figures and the page.")],
    p: Annotated[int, typer.Option(help="Modulus, odd.")] = 23,
    neurons: Annotated[int, typer.Option(help="Width of the network.")] = 512,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.")] = 0,
    json: Json = False,
) -> None:
    """The main job: train a network, integrate theory from the same start, lay one over the other.

    Quadratic activation, small Gaussian initialisation, SGD on all pairs until the loss is fitted;
    about half a minute on a laptop. Writes run/, figures/ and report.html into --out. Exit code 1
    if theory does not hold on the plateau of the loss.
    """
    _refuse_existing(out)
    from grokode.compare import (
        PLATEAU_CLAIM,
        compare_run,
        errors_table,
        logits_table,
        winners_table,
        write_report,
    )
    from grokode.nets import TrainingConfig, train

    config = TrainingConfig(
        p=p,
        neurons=neurons,
        activation="quadratic",
        optimizer="sgd",
        learning_rate=0.1,
        initial="gaussian",
        scale=0.1,
        seed=seed,
        steps=30_000,
        checkpoint_every=200,
        log_every=100,
        stop_loss=0.05,
    )
    with training_progress(config.steps) as on_step:
        run = train(config, out / "run", on_step=on_step)
    note(f"{run}\nlaying theory over it")
    comparison = compare_run(run)
    page = write_report(comparison, out)
    if json:
        print_json(
            {
                "holds_on_plateau": comparison.holds_on_plateau,
                "steps": int(run.weights.step[-1]),
                "winners": _winners_json(comparison.winners),
                "logits": _logits_json(comparison.logits),
                "report": str(page),
            }
        )
    else:
        print_table(winners_table(comparison.winners))
        if comparison.errors is not None:
            print_table(errors_table(comparison.errors))
        print_table(logits_table(comparison.logits))
        verdict = "holds" if comparison.holds_on_plateau else "does not hold"
        note(f"{comparison.partings()}\nTheory {verdict} here: {PLATEAU_CLAIM}.\nwrote {page}")
    raise typer.Exit(0 if comparison.holds_on_plateau else 1)


@app.command()
def train(
    out: Annotated[
        Path, typer.Option(help="Directory of the run; must not exist unless --resume.")
    ],
    p: Annotated[int, typer.Option(help="Modulus, odd.")] = 23,
    neurons: Annotated[int, typer.Option(help="Width of the network.")] = 512,
    activation: Annotated[
        Activation, typer.Option(help="Activation function.")
    ] = Activation.quadratic,
    initial: Annotated[Initial, typer.Option(help="Initialisation.")] = Initial.gaussian,
    scale: Annotated[
        float,
        typer.Option(
            help="Size of the initial weights: gaussian draws scale*N(0,1)/sqrt(p); the others set "
            "every magnitude alpha and beta to it."
        ),
    ] = 0.1,
    optimizer: Annotated[Optimizer, typer.Option(help="Optimiser, full-batch.")] = Optimizer.sgd,
    lr: Annotated[float, typer.Option(help="Learning rate on the mean loss.")] = 0.1,
    momentum: Annotated[float, typer.Option(help="Momentum of SGD.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Weight decay; decoupled for AdamW.")] = 0.0,
    steps: Annotated[int, typer.Option(help="Optimiser steps at most.")] = 10_000,
    stop_loss: Annotated[
        float | None, typer.Option(help="Stop when the training loss falls below this.")
    ] = None,
    fraction: Annotated[float, typer.Option(help="Fraction of the pairs to train on.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights and of the split.")] = 0,
    dtype: Annotated[Dtype, typer.Option(help="Number format of the network.")] = Dtype.float32,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 200,
    log_every: Annotated[int, typer.Option(help="Steps between logged losses.")] = 100,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out from its last checkpoint.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a two-layer network on addition mod p into a run.

    Checkpoints are written as training goes, so a killed training loses at most the one in flight;
    the same flags with --resume go on to the same result.
    """
    from grokode import nets

    config = nets.TrainingConfig(
        p=p,
        neurons=neurons,
        activation=activation.value,
        optimizer=optimizer.value,
        learning_rate=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        initial=initial.value,
        scale=scale,
        train_fraction=fraction,
        seed=seed,
        dtype=dtype.value,
        steps=steps,
        stop_loss=stop_loss,
        checkpoint_every=checkpoint_every,
        log_every=log_every,
        device=device,
    )
    with training_progress(steps) as on_step:
        run = nets.train(config, out, resume=resume, on_step=on_step)
    summary = _training_json(run)
    if json:
        print_json(summary)
    else:
        print_table([["", str(out)], *([key, f"{value}"] for key, value in summary.items())])


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Directory of published checkpoints (*.pth).")],
    out: Annotated[Path, typer.Option(help="Directory of the run to make; must not exist.")],
    activation: Annotated[
        Activation | None,
        typer.Option(help="Activation, where the directory's name does not say it."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn a directory of published checkpoints (He et al.) into a run.

    Files are read with weights_only loading: a checkpoint that needs code is refused.
    """
    from grokode.nets import import_published

    run = import_published(source, out, activation=activation.value if activation else None)
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


@app.command()
def winners(
    run: RunPath,
    rule: Annotated[
        list[str],
        typer.Option(
            help="Rule to score, repeatable: misalignment (least |D|, the published corollary), "
            "blowup_time (first to diverge under the exact four-variable flow), neuron_flow, "
            "clock_flow, moment_flow (followed to the end of the training; seconds each)."
        ),
    ] = ["misalignment", "blowup_time"],  # noqa: B006 (typer reads it, nothing changes it)
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Predict each neuron's winning frequency from the first checkpoint, and compare with the last.

    The winner is the frequency of largest beta in the last checkpoint.
    """
    _refuse_existing(figure)
    from grokode import compare, nets

    found = compare.winners(nets.open_run(run), rule)
    if figure:
        from grokode.compare import figures

        _draw(figure, lambda ax: figures.accuracy_by_rule(found, ax))
    if json:
        print_json(_winners_json(found))
    else:
        print_table(compare.winners_table(found))


@app.command()
def logits(
    run: RunPath,
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Compare a checkpoint's logits with Proposition 1 at its best scale.

    R² is the share of the logits' variance (centred over the output) that the proposition explains.
    """
    _refuse_existing(figure)
    from grokode import compare, nets

    opened = nets.open_run(run)
    weights = compare.checkpoint(opened, step)
    fit = compare.logits(weights.theta.values, weights.xi.values, opened.config.activation)
    if figure:
        from grokode.compare import figures

        _draw(figure, lambda ax: figures.logit_scatter(fit, ax))
    if json:
        print_json({"step": int(weights.step)} | _logits_json(fit))
    else:
        print_table(compare.logits_table(fit))


@app.command()
def contour(
    out: Annotated[Path, typer.Option(help="Figure to write (.png, .svg or .pdf).")],
    p: Annotated[int, typer.Option(help="Modulus, odd.")] = 23,
    size: Annotated[int, typer.Option(help="Grid points along each axis.")] = 400,
    smallest: Annotated[float, typer.Option(help="Smallest initial magnitude.")] = 0.001,
    largest: Annotated[float, typer.Option(help="Largest initial magnitude.")] = 0.1,
    json: Json = False,
) -> None:
    """Draw the lottery: blow-up time over initial magnitude (alpha = beta) and misalignment.

    The darker a ticket, the later it blows up; the ticket of a neuron that is first wins.
    """
    _refuse_existing(out)
    if not 0 < smallest < largest:
        raise ValueError(f"smallest must be positive and below largest, got {smallest}, {largest}")
    import numpy as np

    from grokode import theory
    from grokode.compare import figures

    lottery = theory.contour(
        p, np.geomspace(smallest, largest, size), np.linspace(-np.pi, np.pi, size)
    )
    _draw(out, lambda ax: figures.contour(lottery, "blowup_time", ax))
    times = lottery.blowup_time.where(np.isfinite(lottery.blowup_time))
    summary = {
        "p": p,
        "size": size,
        "shortest_blowup_time": float(times.min()),
        "longest_blowup_time": float(times.max()),
        "figure": str(out),
    }
    if json:
        print_json(summary)
    else:
        print_table([["lottery contour", ""], *([k, f"{v}"] for k, v in summary.items())])


def _refuse_existing(path: Path | None) -> None:
    if path is not None and path.exists():
        raise FileExistsError(f"{path} exists and is not overwritten; choose another --out")


def _draw(path: Path, draw: Any) -> None:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    draw(ax)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    note(f"wrote {path}")


def _winners_json(found: Any) -> dict[str, Any]:
    rules = {
        str(rule): {"accuracy": float(found.accuracy.sel(rule=rule))} for rule in found.rule.values
    }
    return {
        "p": found.attrs["p"],
        "neurons": found.sizes["neuron"],
        "chance": found.attrs["chance"],
        "rules": rules,
    }


def _logits_json(fit: Any) -> dict[str, Any]:
    numbers = {name: float(fit[name]) for name in ("r2", "scale", "expected_scale")}
    return {"accuracy": float(fit.accuracy), "proposition_1": numbers}


def _training_json(run: Any) -> dict[str, Any]:
    last = run.metrics.isel(step=-1)
    steps = int(last.step)
    seconds = run.attrs["seconds"]
    return {
        "steps": steps,
        "seconds": seconds,
        "ms_per_step": 1000 * seconds / max(steps, 1),
        "loss": float(last.train_loss),
        "train_accuracy": float(last.train_accuracy),
        "test_accuracy": float(last.test_accuracy),
    }
