"""What theory says of a run, and what the run says back."""

from pathlib import Path
from typing import Annotated

import typer

from grokode.commands.options import (
    Figure,
    Json,
    RunPath,
    Seed,
    check_new,
    draw,
    open_one_seed,
)
from grokode.console import counting_progress, note, print_json, print_table

__all__ = [
    "grokking",
    "logits",
    "mechanism",
    "report",
    "scores",
    "trajectories",
    "winners",
]


def winners(
    run: RunPath,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Rung to score, repeatable; all if not given: chance, misalignment (least |D|, "
            "the published corollary), largest_magnitude, blowup_time (first to diverge under the "
            "exact four-variable flow), ticket_flow, neuron_flow, clock_flow, moment_flow, "
            "symmetric_flow, harmonic_flow; harmonic_flow:KEPT keeps other modes, as rows+5.",
        ),
    ] = None,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Predict each neuron's winning frequency from the first checkpoint, and compare with the last.

    The winner is the frequency of largest beta in the last checkpoint. Each rung of the ladder has
    its accuracy with a 95% interval, and what the neurons it gets wrong are; rungs outside their
    assumption are scored all the same, and marked. The flows are followed through the whole
    training: half a minute for all at p = 23.
    """
    check_new(figure)
    from grokode import compare
    from grokode.compare.winners import RULES, winners_json

    opened = open_one_seed(run, seed)
    found = compare.winners(opened, rule or RULES)
    if figure:
        from grokode.compare import figures

        draw(figure, lambda ax: figures.accuracy_by_rule(found, ax))
    if json:
        print_json(winners_json(found))
    else:
        print_table(compare.winners_table(found))
        if found.attrs["skipped"]:
            note(f"left out, their weights are not finite: steps {found.attrs['skipped']}")


def trajectories(
    run: RunPath,
    rule: Annotated[
        str,
        typer.Option(
            help="Rung to lay over: ticket_flow, neuron_flow, clock_flow, moment_flow, "
            "symmetric_flow or harmonic_flow."
        ),
    ] = "ticket_flow",
    neuron: Annotated[
        int | None, typer.Option(help="Draw the frequencies of this neuron, not the errors.")
    ] = None,
    quantity: Annotated[
        str, typer.Option(help="What of it: alpha, beta, phi, psi or misalignment.")
    ] = "beta",
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Lay theory over the network step by step, from its first checkpoint, and say when they part.

    Errors are relative L2 distances over all tickets; a ticket has no theory from its blow-up on.
    """
    check_new(figure)
    from grokode import compare
    from grokode.compare import tables
    from grokode.compare.figures import trajectories as figures
    from grokode.compare.trajectories import partings_json

    opened = open_one_seed(run, seed)
    pair = compare.trajectories(opened, rule)
    errors = compare.trajectory_errors(pair)
    parted = compare.partings(errors.expand_dims(rule=[rule]))
    if neuron is not None and neuron not in pair.neuron:
        raise ValueError(f"neuron must be in 0..{pair.sizes['neuron'] - 1}, got {neuron}")
    if figure:
        draw(
            figure,
            lambda ax: (
                figures.error_curves(errors, ax)
                if neuron is None
                else figures.tickets(pair, neuron, quantity, ax)
            ),
        )
    if json:
        print_json(
            {
                "rule": rule,
                "outside": pair.attrs["outside"],
                "partings": partings_json(parted)[rule],
                "steps": errors.to_dataframe().reset_index().to_dict("records"),
            }
        )
    else:
        print_table(compare.errors_table(errors))
        print_table(tables.partings_table(parted))
        if pair.attrs["outside"]:
            note(f"outside the assumption of {rule}: {pair.attrs['outside']}")


def mechanism(
    run: RunPath,
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Measure the published observations on the neurons: sparsity, phases, magnitudes, activations.

    Each number stands beside what theory gives, what random weights have, and what was published.
    """
    from grokode.compare import mechanism_tables
    from grokode.compare.mechanism import mechanism as measure

    found = measure(open_one_seed(run, seed), step)
    if json:
        print_json(mechanism_tables.mechanism_json(found))
    else:
        print_table(mechanism_tables.mechanism_table(found))


def report(
    runs: Annotated[list[Path], typer.Argument(help="Runs made by train or import.")],
    out: Annotated[Path, typer.Option(help="Page to write (.html).")],
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Write one self-contained page: which claims hold, and everything theory says of the runs.

    Opens offline, on a phone and on paper. About a minute to a run at p = 23. Of a run with several
    seeds the first is looked at unless --seed is given.
    """
    check_new(out, (".html",))
    from grokode import nets
    from grokode.compare.run_report import PARTS
    from grokode.compare.run_report import report as write

    opened = [nets.open_run(run) for run in runs]
    chosen = [run.select(run.seeds[0] if seed is None else seed) for run in opened]
    with counting_progress("writing", len(PARTS) * len(chosen)) as count:
        page = write(chosen, out, on_part=count)
    if json:
        print_json({"report": str(page), "runs": [str(run.path) for run in chosen]})
    else:
        typer.echo(f"wrote {page}")


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
    check_new(figure)
    from grokode import compare
    from grokode.compare import logit_tables
    from grokode.compare.budget import logit_budget
    from grokode.compare.observe import check_addition

    opened = open_one_seed(run, seed)
    config = opened.config
    check_addition(opened)
    weights = compare.checkpoint(opened, step)
    layers = weights.theta.values, weights.xi.values
    fit = compare.logits(*layers, config.activation)
    budget = logit_budget(*layers, config.activation)
    if figure:
        from grokode.compare import figures

        draw(figure, lambda ax: figures.logit_scatter(fit, ax))
    if json:
        budget_numbers = {"budget": logit_tables.budget_json(budget)}
        print_json({"step": int(weights.step)} | logit_tables.logits_json(fit) | budget_numbers)
        return
    print_table(logit_tables.fits_table(fit))
    print_table(logit_tables.peaks_table(fit))
    print_table(logit_tables.budget_table(budget))


def scores(
    run: RunPath,
    seed: Seed = None,
    score: Annotated[
        str,
        typer.Option(
            help="Score to regress and to lead and lag: ell_neuron, ell_neuron_norm, "
            "ell_abs_norm, ell_global, ell_global_norm, magnitude, coherence_joint, weight_norm "
            "...; a wrong name lists them all."
        ),
    ] = "ell_neuron_norm",
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Alignment scores over the checkpoints, and how they go along with test accuracy.

    Pearson and Spearman over the whole run, once all training pairs are known, and of the changes
    around grokking; permutation test, regression on magnitudes, lead and lag. Observational. A run
    of several seeds is pooled over them unless --seed is given.
    """
    check_new(figure)
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
        steps = found["t_grok"]
        if isinstance(steps, dict):
            steps = "; ".join(f"seed {one}: {step}" for one, step in steps.items())
        note(f"grokking step: {steps}; {found['kind']}")


def grokking(
    run: RunPath,
    threshold: Annotated[
        float, typer.Option(help="Test accuracy, sustained, at which it has generalised.")
    ] = 0.95,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """The stages of a training on part of the pairs: memorised, generalised, and what differs.

    Accuracy by kind of pair (trained, mirror image trained, truly unseen) beside what mirrored
    pairs give for free, the balance of loss gradient and decay, and theory's perturbed lottery.
    What is not found comes back as not found, with the reason.
    """
    from grokode.compare import stage_tables
    from grokode.compare.perturbed import perturbed_lottery
    from grokode.compare.stages import stages

    opened = open_one_seed(run, seed)
    found = stages(opened, threshold)
    lottery = perturbed_lottery(opened, found)
    if json:
        print_json(stage_tables.grokking_json(found, lottery))
    else:
        print_table(stage_tables.boundaries_table(found))
        print_table(stage_tables.stages_table(found))
        print_table(stage_tables.theory_table(found, lottery))
