"""One page about runs: what they are, which claims hold, and everything theory says of them.

Each part is measured, put into tables and drawn by itself; one that cannot be had says why in its
place, so that a run that never learned still gets its page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from grokode.compare import claims, logit_tables, mechanism_tables, stage_tables, tables
from grokode.compare.alignment import scores
from grokode.compare.budget import budget_over_steps, logit_budget
from grokode.compare.figures import alignment as alignment_figures
from grokode.compare.figures import budget as budget_figures
from grokode.compare.figures import logits as logit_figures
from grokode.compare.figures import mechanism as mechanism_figures
from grokode.compare.figures import phases as phase_figures
from grokode.compare.figures import stages as stage_figures
from grokode.compare.figures import trajectories as trajectory_figures
from grokode.compare.figures import winners as winner_figures
from grokode.compare.figures.sheets import blank_sheet, logit_sheet, trajectory_sheet
from grokode.compare.logits import logits
from grokode.compare.mechanism import mechanism
from grokode.compare.observe import check_addition, checkpoint_accuracy
from grokode.compare.page import Section, write_page
from grokode.compare.perturbed import perturbed_lottery
from grokode.compare.rungs import Ladder, ladder
from grokode.compare.stages import stages
from grokode.compare.statistics import score_statistics, statistics_table
from grokode.compare.trajectories import partings, rung_errors, trajectories
from grokode.compare.winners import winners
from grokode.nets.runs import Run

__all__ = ["PARTS", "report"]


@dataclass
class _Page:
    """What the parts of a page leave for each other and for its end."""

    run: Run
    verdicts: list[claims.Verdict] = field(default_factory=list)


def report(
    runs: Sequence[Run], out: Path, on_part: Callable[[str], object] = lambda name: None
) -> Path:
    """Write one self-contained page about one or several runs.

    Parameters
    ----------
    runs : sequence of Run
        Each of one seed.
    out : Path
        File to write.
    on_part : function (name), optional
        Called when a part of the page is done; `PARTS` of them to a run.

    Raises
    ------
    FileExistsError
        If the file exists.
    ValueError
        If a run holds several seeds and none is selected.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists and is not overwritten; choose another name")
    for run in runs:
        if run.seed is None:
            raise ValueError(f"{run.path} holds the seeds {list(run.seeds)}; select one of them")
    sections = [section for run in runs for section in _about(run, on_part)]
    return write_page(out, "Theory beside the network", sections)


def _about(run: Run, on_part: Callable[[str], object]) -> list[Section]:
    page = _Page(run)
    parts = []
    for title, part in PARTS.items():
        parts += _part(title, part, page)
        on_part(title)
    verdicts = Section(
        "Which claims hold",
        "Each claim of the papers with what was measured on this run, and the threshold at which "
        "it counts as holding, or holding partly.",
        claims.claims_table(page.verdicts),
    )
    head = Section(f"{run.path.name}: what the run is", f"{run}", _description(run))
    return [head, verdicts, *parts]


def _part(title: str, part: Callable[[_Page], list[Section]], page: _Page) -> list[Section]:
    try:
        with np.errstate(all="ignore"):
            return [
                replace(section, title=f"{title}: {section.title}" if section.title else title)
                for section in part(page)
            ]
    except ValueError as error:
        return [Section(title, f"Not measured: {error}.")]


def _description(run: Run) -> list[list[str]]:
    wanted = {"seeds", "p", "neurons", "task", "activation", "optimizer", "learning_rate"}
    wanted |= {"weight_decay", "initial", "scale", "training pairs", "test pairs", "checkpoints"}
    wanted |= {"train_loss", "test_loss", "train_accuracy", "test_accuracy", "trained on", "source"}
    if not len(run.test_pairs):
        wanted -= {"test_loss", "test_accuracy"}
    about = ((name, value) for name, value in run.describe().items() if name in wanted)
    return [
        ["", ""],
        *([name, f"{v:.6g}" if isinstance(v, float) else str(v)] for name, v in about),
    ]


def _training(page: _Page) -> list[Section]:
    figure, axes = blank_sheet((11, 3.6), 1, 2)
    metrics = page.run.metrics
    trajectory_figures.loss_curve(metrics, page.run.config.p, axes[0])
    trajectory_figures.accuracy_curve(metrics, axes[1])
    return [Section("", figures=[(figure, "Loss and accuracy over the optimiser's steps.")])]


def _lottery(page: _Page) -> list[Section]:
    climbed = ladder(page.run)
    found = winners(page.run, climbed=climbed)
    errors = _errors(page.run, climbed)
    page.verdicts += claims.flow_claims(found, errors)
    figure, axes = blank_sheet((13, 4.2), 1, 2)
    winner_figures.accuracy_by_rule(found, axes[0])
    winner_figures.leader_agreement(found, axes[1])
    best = str(found.rule[int(np.nanargmax(found.accuracy.values))].item())
    second, axes = blank_sheet((11, 4.2), 1, 2)
    winner_figures.winner_confusion(found, best, axes[0])
    winner_figures.final_magnitude(found, best, axes[1])
    sections = [
        Section(
            "who wins each neuron",
            "Winner: the frequency of largest beta in the last checkpoint, predicted from the "
            "first checkpoint alone. Rungs marked * are outside their assumption.",
            tables.winners_table(found),
            [
                (figure, "Winners named by each rung, and agreement on the current leader."),
                (second, f"The best rung, {best.replace('_', ' ')}, neuron by neuron."),
            ],
        )
    ]
    if errors is None:
        return [
            *sections,
            Section("step by step", "No rung follows this training: its steps are no flow time."),
        ]
    return [*sections, _trajectories(page.run, climbed, errors)]


def _trajectories(run: Run, climbed: Ladder, errors: xr.Dataset) -> Section:
    rule = "ticket_flow" if "ticket_flow" in errors.rule else str(errors.rule[0].item())
    pair = trajectories(run, rule, climbed=climbed)
    by_rung, ax = blank_sheet((7.5, 4))
    trajectory_figures.errors_by_rung(errors, ax)
    return Section(
        "step by step",
        f"Theory ({rule.replace('_', ' ')}) over the network, from the same first checkpoint.",
        tables.partings_table(partings(errors)),
        [trajectory_sheet(pair), (by_rung, "Relative error of all beta, rung by rung.")],
    )


def _logits(page: _Page) -> list[Section]:
    run = page.run
    check_addition(run)
    last = run.weights.isel(step=-1)
    fit = logits(last.theta.values, last.xi.values, run.config.activation)
    page.verdicts += claims.logit_claims(fit)
    if fit.attrs["reason"]:
        raise ValueError(fit.attrs["reason"])
    second, axes = blank_sheet((15, 4), 1, 3)
    logit_figures.peak_heights(fit, axes[0])
    logit_figures.frequency_scales(fit, axes[1])
    logit_figures.margin_histogram(fit, axes[2])
    budget = logit_budget(last.theta.values, last.xi.values, run.config.activation)
    third, axes = blank_sheet((13, 4.2), 1, 2)
    budget_figures.budget_bars(budget, axes[0])
    budget_figures.budget_history(budget_over_steps(run), axes[1])
    return [
        Section(
            "against Proposition 1",
            "Both sides are centred over the output, which softmax does not see.",
            logit_tables.fits_table(fit),
            [
                logit_sheet(fit),
                (second, "Peaks, scales by frequency and margins, with what theory gives."),
            ],
        ),
        Section("peaks and margins", table=logit_tables.peaks_table(fit)),
        Section(
            "what they consist of",
            "The exact split of the logits' variance; parts and covariances sum to the whole.",
            logit_tables.budget_table(budget),
            [(third, "The budget of the last checkpoint, and over the steps.")],
        ),
    ]


def _mechanism(page: _Page) -> list[Section]:
    found = mechanism(page.run)
    page.verdicts += claims.mechanism_claims(found)
    if found.reason:
        raise ValueError(found.reason)
    parts = found.parts
    first, axes = blank_sheet((18, 3.8), 1, 4)
    neuron = int(parts["fits"].neuron[0])
    mechanism_figures.weights_with_cosine(parts["fits"], neuron, "theta", axes[0])
    mechanism_figures.weights_with_cosine(parts["fits"], neuron, "xi", axes[1])
    mechanism_figures.participation_histogram(parts["sparsity"], axes[2])
    phase_figures.phase_doubling_scatter(parts["doubling"], axes[3])
    second, axes = blank_sheet((18, 3.8), 1, 4)
    mechanism_figures.basis_heatmap(parts["coefficients"], "theta", axes[0])
    phase_figures.frequency_bars(parts["balance"], axes[1])
    phase_figures.resultant_bars(parts["uniformity"], axes[2])
    phase_figures.magnitude_strips(parts["doubling"], parts["homogeneity"], "theta", axes[3])
    third, axes = blank_sheet((15, 3.8), 1, 3)
    mechanism_figures.leakage_bars(parts["leakage"], "theta", axes[0])
    mechanism_figures.preservation_curves(found.history, axes[1])
    mechanism_figures.activation_swap_bars(parts["swap"], axes[2])
    return [
        Section(
            "Observations 1 to 4",
            "Every neuron is read at its winner, the frequency of its largest beta.",
            mechanism_tables.mechanism_table(found),
            [
                (first, "A neuron's weights with their cosine; sparsity; output phase against 2φ."),
                (second, "Weights in the Fourier basis; winners, phases and magnitudes."),
                (third, "Harmonics, the first frequency over steps, and other activations."),
            ],
        )
    ]


def _grokking(page: _Page) -> list[Section]:
    run = page.run
    if not len(run.test_pairs):
        raise ValueError("the run holds out no pairs, so nothing shows whether it generalises")
    found, statistics = stages(run), score_statistics(run)
    page.verdicts += claims.grokking_claims(found, statistics)
    first, axes = blank_sheet((13, 7.6), 2, 2)
    stage_figures.loss_curves(found, axes[0, 0])
    stage_figures.accuracy_curves(found, axes[0, 1])
    stage_figures.misalignment_curve(found, axes[1, 0])
    stage_figures.force_balance(found, axes[1, 1])
    for ax in axes.flat:
        stage_figures.shade_stages(found, ax)
    sections = [
        Section(
            "stages",
            "Boundaries as defined; those that are not found are not invented.",
            stage_tables.boundaries_table(found),
            [(first, "Loss, accuracy by kind of pair, phases and forces, with the stages shaded.")],
        ),
        Section("stage by stage", table=stage_tables.stages_table(found)),
        Section(
            "theory beside the stages",
            "The lottery with pairs missing and decay, what decay alone would do to the "
            "frequencies that did not win (1), and how far the missing pairs couple frequencies.",
            stage_tables.theory_table(found, perturbed_lottery(run, found)),
        ),
    ]
    if found.memorised.step is None:
        return [*sections, _alignment(run, statistics)]
    second, axes = blank_sheet((12, 4.6), 1, 2)
    stage_figures.accuracy_grid(found, found.checkpoint(found.memorised.step) or 0, axes[0])
    stage_figures.common_to_rare(found, axes[1])
    grids = Section(
        "memorisation",
        figures=[(second, "Answers at the end of memorisation; common and rare pairs on the way.")],
    )
    return [*sections, grids, _alignment(run, statistics)]


def _alignment(run: Run, found: dict[str, Any]) -> Section:
    figure, ax = blank_sheet((7.5, 4.2))
    alignment_figures.score_curves(
        scores(run), checkpoint_accuracy(run), ax, t_grok=found["t_grok"]
    )
    return Section(
        "alignment scores",
        f"Grokking step: {found['t_grok']}. Correlations with test accuracy are {found['kind']}.",
        statistics_table(found),
        [(figure, "Alignment scores and test accuracy over the steps.")],
    )


def _errors(run: Run, climbed: Ladder) -> xr.Dataset | None:
    try:
        return rung_errors(run, climbed=climbed)
    except ValueError:
        return None


PARTS: dict[str, Callable[[_Page], list[Section]]] = {
    "The training": _training,
    "The lottery": _lottery,
    "Logits": _logits,
    "Mechanism": _mechanism,
    "Grokking": _grokking,
}
