"""What theory says of a run, and what the run says back."""

from typing import Annotated, Any

import typer

from grokode.commands.options import (
    Figure,
    Json,
    RunPath,
    Seed,
    draw,
    open_one_seed,
    refuse_existing,
)
from grokode.console import note, print_json, print_table

__all__ = ["logits", "logits_json", "scores", "winners", "winners_json"]


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
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Predict each neuron's winning frequency from the first checkpoint, and compare with the last.

    The winner is the frequency of largest beta in the last checkpoint.
    """
    refuse_existing(figure)
    from grokode import compare

    found = compare.winners(open_one_seed(run, seed), rule)
    if figure:
        from grokode.compare import figures

        draw(figure, lambda ax: figures.accuracy_by_rule(found, ax))
    if json:
        print_json(winners_json(found))
    else:
        print_table(compare.winners_table(found))


def logits(
    run: RunPath,
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Compare a checkpoint's logits with Proposition 1 and its kin, and split them into parts.

    R² is the share of the logits' variance (centred over the output) that a prediction explains.
    The budget splits that variance into signal, phase noise, cross-frequency and constant parts,
    which with their covariances sum to the whole.
    """
    refuse_existing(figure)
    from grokode import compare
    from grokode.compare import logit_tables
    from grokode.compare.budget import logit_budget

    opened = open_one_seed(run, seed)
    weights = compare.checkpoint(opened, step)
    layers = weights.theta.values, weights.xi.values
    fit = compare.logits(*layers, opened.config.activation)
    budget = logit_budget(*layers, opened.config.activation)
    if figure:
        from grokode.compare import figures

        draw(figure, lambda ax: figures.logit_scatter(fit, ax))
    if json:
        budget_numbers = {"budget": logit_tables.budget_json(budget)}
        print_json({"step": int(weights.step)} | logits_json(fit) | budget_numbers)
        return
    print_table(logit_tables.fits_table(fit))
    print_table(logit_tables.peaks_table(fit))
    print_table(logit_tables.budget_table(budget))


def scores(
    run: RunPath,
    seed: Seed = None,
    score: Annotated[
        str, typer.Option(help="Score to regress and to lead and lag.")
    ] = "ell_neuron",
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Alignment scores over the checkpoints, and how they go along with test accuracy.

    Pearson and Spearman over the whole run, once all training pairs are known, and of the changes
    around grokking; permutation test, regression on magnitudes, lead and lag. Observational. A run
    of several seeds is pooled over them unless --seed is given.
    """
    refuse_existing(figure)
    from grokode import nets
    from grokode.compare import statistics
    from grokode.compare.alignment import SCORES

    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got {score!r}")
    opened = nets.open_run(run, seed)
    if opened.seed is None:
        found = statistics.pooled_statistics(opened, score)
    else:
        found = statistics.score_statistics(opened, score)
    if figure:
        from grokode.compare.alignment import scores as scores_of
        from grokode.compare.figures.alignment import score_curves
        from grokode.compare.observe import checkpoint_accuracy

        one = open_one_seed(run, seed)
        draw(
            figure,
            lambda ax: score_curves(
                scores_of(one), checkpoint_accuracy(one), ax, t_grok=found["t_grok"]
            ),
        )
    if json:
        print_json(found)
    else:
        print_table(statistics.statistics_table(found))
        note(f"grokking step: {found['t_grok']}; {found['kind']}")


def winners_json(found: Any) -> dict[str, Any]:
    """The answer of `grokode winners --json`."""
    rules = {
        str(rule): {"accuracy": float(found.accuracy.sel(rule=rule))} for rule in found.rule.values
    }
    return {
        "p": found.attrs["p"],
        "neurons": found.sizes["neuron"],
        "chance": found.attrs["chance"],
        "rules": rules,
    }


def logits_json(fit: Any) -> dict[str, Any]:
    """The numbers of `grokode logits --json`."""
    from grokode.compare.logit_tables import logits_json as all_numbers

    numbers = {name: float(fit[name]) for name in ("r2", "scale", "expected_scale")}
    return all_numbers(fit) | {"accuracy": float(fit.accuracy), "proposition_1": numbers}
