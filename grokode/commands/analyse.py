"""What theory says of a run, and what the run says back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from grokode.commands.options import Figure, Json, RunPath, Seed, check_new, draw, open_one_seed
from grokode.commands.telling import ask, draw_sheet, tell
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
            "--predictor",
            "--rule",
            metavar="NAME",
            help="Predictor to score, repeatable; all if not given: chance, misalignment (least "
            "|D|, the published corollary), largest_magnitude, blowup_time (first to diverge under "
            "the exact four-variable flow), ticket_flow, neuron_flow, clock_flow, moment_flow, "
            "symmetric_flow, harmonic_flow; harmonic_flow:KEPT keeps other modes, as rows+5; "
            "retrained is the network, trained again in float32, float64 and from a kicked start.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            help="Of a core, for all predictors together; those beyond are left out and named."
        ),
    ] = 40.0,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Predict each neuron's winning frequency from the first checkpoint, and compare with the last.

    The winner is the frequency of largest beta in the last checkpoint. Each predictor of the ladder
    has its accuracy with a 95% interval, and what the neurons it gets wrong are; those outside
    their assumption are scored all the same, and marked. The flows are followed through the whole
    training: half a minute for all at p = 23. Those that --seconds do not reach for are left out
    unless they are named.
    """
    check_new(figure)
    from grokode.compare.lottery.ladder import LEFT_OUT

    options: dict[str, Any] = {"predictors": rule} if rule else {"affordable": seconds}
    question, measured = ask("lottery", open_one_seed(run, seed), **options)
    if figure:
        draw_sheet(question, measured, "winners", figure)
    tell(question, measured, json)
    reasons = measured["winners"].accuracy_reason
    for name in reasons.predictor.values[reasons.str.startswith(LEFT_OUT).values]:
        note(f"{name}: {reasons.sel(predictor=name).item()} with --predictor, or raise --seconds")
    skipped = measured["winners"].attrs["skipped"]
    if skipped and not json:
        note(f"left out, their weights are not finite: steps {skipped}")


def trajectories(
    run: RunPath,
    rule: Annotated[
        str,
        typer.Option(
            "--predictor",
            "--rule",
            help="Predictor to lay over: ticket_flow, neuron_flow, clock_flow, moment_flow, "
            "symmetric_flow or harmonic_flow.",
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
    from grokode.compare.common.claims import claims_table
    from grokode.compare.lottery import trajectory_figures as figures
    from grokode.compare.lottery.tables import partings_table
    from grokode.compare.lottery.trajectories import partings_json

    opened = open_one_seed(run, seed)
    question, measured = ask("lottery", opened, predictors=[rule], follow=rule, neuron=neuron)
    tickets, errors = measured["tickets"], measured["errors"].sel(predictor=rule)
    parted, outside = compare.partings(measured["errors"]), tickets.attrs["outside"]
    if figure:
        draw(
            figure,
            lambda ax: (
                figures.error_curves(errors, ax)
                if neuron is None
                else figures.tickets(tickets, neuron, quantity, ax)
            ),
        )
    verdicts = question.judge(measured)
    if json:
        rows = errors.drop_vars(["predictor", "outside"]).to_dataframe().reset_index()
        print_json(
            {
                "rule": rule,
                "outside": outside,
                "partings": partings_json(parted)[rule],
                "steps": rows.to_dict("records"),
                "verdicts": [verdict.plain() for verdict in verdicts],
            }
        )
        return
    for table in (compare.errors_table(errors), partings_table(parted), claims_table(verdicts)):
        print_table(table)
    if outside:
        note(f"outside the assumption of {rule}: {outside}")


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
    question, measured = ask("logits", open_one_seed(run, seed), step=step, history=False)
    if figure:
        draw_sheet(question, measured, "logits", figure)
    tell(question, measured, json)


def mechanism(
    run: RunPath,
    step: Annotated[int | None, typer.Option(help="Checkpoint; the last one if not given.")] = None,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """Measure the published observations on the neurons: sparsity, phases, magnitudes, activations.

    Each number stands beside what theory gives, what random weights have, and what was published.
    """
    check_new(figure)
    options = {} if step is None else {"step": step}
    question, measured = ask("mechanism", open_one_seed(run, seed), **options)
    if figure:
        draw_sheet(question, measured, "neurons", figure)
    tell(question, measured, json)


def grokking(
    run: RunPath,
    threshold: Annotated[
        float | None,
        typer.Option(help="Test accuracy, sustained, at which it has generalised; 0.95."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(help="Of a core, for the checkpoints: as many as it allows, evenly spread."),
    ] = 20.0,
    seed: Seed = None,
    figure: Figure = None,
    json: Json = False,
) -> None:
    """The stages of a training on part of the pairs: memorised, generalised, and what differs.

    Accuracy by kind of pair (trained, mirror image trained, truly unseen) beside what mirrored
    pairs give for free, the balance of loss gradient and decay, theory's perturbed lottery, and the
    step of generalising as theory predicts it.
    What is not found comes back as not found, with the reason.
    """
    check_new(figure)
    from grokode import compare

    options = {"affordable": seconds} | ({} if threshold is None else {"threshold": threshold})
    opened = open_one_seed(run, seed)
    reason = compare.QUESTIONS["grokking"].needs(opened)
    if reason:
        raise ValueError(f"{run} cannot show grokking: {reason}")
    question, measured = ask("grokking", opened, **options)
    if figure:
        draw_sheet(question, measured, "stages", figure)
    tell(question, measured, json)
    series = measured["series"]
    if not json and series.sizes["step"] < series.attrs["checkpoints"]:
        looked, every = series.sizes["step"], series.attrs["checkpoints"]
        note(f"looked at {looked} of {every} checkpoints; raise --seconds for more")


def scores(
    run: RunPath,
    seed: Seed = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="Score to regress and to lead and lag, ell_neuron_norm if not given: ell_neuron, "
            "ell_abs_norm, ell_global, ell_global_norm, magnitude, coherence_joint, weight_norm "
            "...; a wrong name lists them all."
        ),
    ] = None,
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
    from grokode.compare.alignment.scores import SCORES
    from grokode.compare.alignment.statistics import pooled_statistics, score_statistics
    from grokode.compare.alignment.tables import pooled_json, pooled_table

    if score is not None and score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}, got {score!r}")
    opened = nets.open_run(run, seed)
    options: dict[str, Any] = {} if score is None else {"score": score}
    if opened.seed is None:
        if figure:
            raise ValueError(
                f"{run} holds the seeds {list(opened.seeds)}; choose the one to draw with --seed"
            )
        each = {one: score_statistics(opened.select(one), **options) for one in opened.seeds}
        pooled = pooled_statistics(each)
        numbers = pooled_json(pooled, each)
        if json:
            print_json(numbers)
            return
        print_table(pooled_table(pooled))
        steps = "; ".join(f"seed {one}: {step}" for one, step in numbers["t_grok"].items())
        note(f"grokking step: {steps}; {numbers['kind']}")
        return
    question, measured = ask("alignment", opened, **options)
    if figure:
        draw_sheet(question, measured, "scores", figure)
    tell(question, measured, json)
    if not json:
        numbers = question.plain(measured)
        note(f"grokking step: {numbers['t_grok']}; {numbers['kind']}")


def report(
    runs: Annotated[list[Path], typer.Argument(help="Runs made by train or import.")],
    out: Annotated[Path, typer.Option(help="Page to write (.html).")],
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Write one self-contained page: which claims hold, and everything theory says of the runs.

    Opens offline, on a phone and on paper. Half a minute to a run at p = 23. Of a run with several
    seeds the first is looked at unless --seed is given.
    """
    check_new(out, (".html",))
    from grokode import nets
    from grokode.compare.common.claims import claims_table
    from grokode.compare.page.report import answers, judge, parts, write_answers

    opened = [nets.open_run(run) for run in runs]
    chosen = [run.select(run.seeds[0] if seed is None else seed) for run in opened]
    with counting_progress("writing", len(parts()) * len(chosen)) as count:
        given = [(run, answers(run, count)) for run in chosen]
        page = write_answers(given, out, count)
    if json:
        print_json(
            {
                "report": str(page),
                "runs": [str(run.path) for run in chosen],
                "verdicts": [
                    {"run": str(run.path)} | verdict.plain()
                    for run, of_run in given
                    for verdict in judge(of_run)
                ],
            }
        )
        return
    for run, of_run in given:
        note(f"{run}")
        print_table(claims_table(judge(of_run)))
    typer.echo(f"wrote {page}")
