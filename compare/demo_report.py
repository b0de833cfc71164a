"""The page of `grokode demo`: theory from a run's first checkpoint laid over what the network did.

Short, and fast enough to follow a training of half a minute; everything that can be said of a run
is on the page of `grokode.compare.run_report`. Numbers first (`compare_run`), then their figures
(`figures_of`), then one page (`write_report`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from grokode.compare import figures, tables
from grokode.compare.figures.sheets import blank_sheet, logit_sheet, trajectory_sheet
from grokode.compare.figures.style import save_figure
from grokode.compare.logits import logits
from grokode.compare.page import Section, write_page
from grokode.compare.trajectories import (
    PLATEAU_DROP,
    parting_step,
    trajectories,
    trajectory_errors,
)
from grokode.compare.winners import winners
from grokode.nets.runs import Run

__all__ = ["PLATEAU_CLAIM", "Comparison", "compare_run", "figures_of", "write_report"]

# Rungs that need not follow the training, which would double the time of the demo.
RANKING_RULES = ("chance", "misalignment", "blowup_time")

# Theory is asked to hold while the loss is on its plateau; beyond, it is told where it parts.
LEADER_AGREEMENT = 0.99
BETA_ERROR = 0.02
PLATEAU_CLAIM = (
    "while the loss is within 0.5% of log p, theory names the current leading frequency of at "
    "least 99% of the neurons, and all beta to 2%"
)


@dataclass(frozen=True)
class Comparison:
    """Everything `compare_run` measured on one run.

    Parameters
    ----------
    run : Run
    winners : Dataset
        From `grokode.compare.winners`.
    logits : Dataset
        From `grokode.compare.logits`, of the last checkpoint.
    pair, errors : Dataset or None
        From `grokode.compare.trajectories` and `trajectory_errors`; None where the flow's
        assumptions do not cover the run, and then ``outside`` says why.
    outside : str
    """

    run: Run
    winners: xr.Dataset
    logits: xr.Dataset
    pair: xr.Dataset | None
    errors: xr.Dataset | None
    outside: str = ""

    @property
    def holds_on_plateau(self) -> bool | None:
        """Whether theory holds at every checkpoint with the loss within 0.5% of log p.

        It holds if it names the leading frequency of at least 99% of the neurons and all beta to 2%
        (relative L2). None if no flow was laid over the run.
        """
        if self.errors is None:
            return None
        plateau = self.errors.sel(step=self.errors.loss_drop <= PLATEAU_DROP)
        return bool(
            (plateau.leader_agreement >= LEADER_AGREEMENT).all()
            and (plateau.beta_error <= BETA_ERROR).all()
        )

    def partings(self) -> str:
        """One sentence on where theory and network part."""
        if self.errors is None:
            return self.outside
        parts = []
        for tolerance in (0.01, 0.02, 0.05, 0.2):
            step = parting_step(self.errors, tolerance)
            if step is None:
                parts.append(f"never by {tolerance:.0%}")
                continue
            drop = float(self.errors.loss_drop.sel(step=step))
            parts.append(f"by {tolerance:.0%} at step {step} (loss {drop:.2%} below log p)")
        return "All beta of theory and network part " + ", ".join(parts) + "."


def compare_run(run: Run) -> Comparison:
    """Lay theory over the network of a run: winners, trajectories and logits.

    Parameters
    ----------
    run : Run
        At least two checkpoints.

    Raises
    ------
    ValueError
        If the run has a single checkpoint.
    """
    last = run.weights.isel(step=-1)
    config = run.config
    pair, errors, outside = None, None, ""
    if (config.optimizer, config.activation) == ("sgd", "quadratic"):
        pair = trajectories(run)
        errors = trajectory_errors(pair)
    else:
        outside = (
            "The four-variable flow assumes SGD and the quadratic activation; this run has "
            f"{config.optimizer} and {config.activation}, so no trajectory is laid over it."
        )
    return Comparison(
        run=run,
        winners=winners(run, RANKING_RULES),
        logits=logits(last.theta.values, last.xi.values, config.activation),
        pair=pair,
        errors=errors,
        outside=outside,
    )


def figures_of(comparison: Comparison) -> dict[str, tuple[Figure, str]]:
    """The figures of a comparison with their captions, by file name without ending."""
    result = {"winners": _winners_figure(comparison)}
    if comparison.pair is not None and comparison.errors is not None:
        result["trajectories"] = trajectory_sheet(comparison.pair)
        result["errors"] = _errors_figure(comparison.run, comparison.errors)
    result["logits"] = logit_sheet(comparison.logits)
    return result


def write_report(comparison: Comparison, out: Path) -> Path:
    """Write ``report.html`` and the figures (PNG) into a folder.

    Parameters
    ----------
    comparison : Comparison
    out : Path
        Folder, made if it is not there. An existing page is refused, not replaced, unless it is
        empty; figures that are there are kept.

    Returns
    -------
    Path of the page

    Raises
    ------
    FileExistsError
        If the folder already has a report.
    """
    page = out / "report.html"
    if page.is_file() and not page.is_symlink() and not page.stat().st_size:
        page.unlink()  # a full disk left it so
    if page.exists():
        raise FileExistsError(f"{page} exists; choose another folder or move it away")
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = figures_of(comparison)
    for name, (figure, _) in drawn.items():
        file = folder / f"{name}.png"
        if not file.exists():  # drawn before the command was interrupted, the same as now
            save_figure(figure, file, dpi=150, bbox_inches="tight")
    return write_page(page, "Theory beside the network", _sections(comparison, drawn))


def _sections(comparison: Comparison, drawn: dict[str, tuple[Figure, str]]) -> Sequence[Section]:
    flow = ""
    if comparison.holds_on_plateau is not None:
        verdict = "holds" if comparison.holds_on_plateau else "does not hold"
        flow = f"The four-variable flow {verdict} here: {PLATEAU_CLAIM}. "
    return [
        Section("The run", text=repr(comparison.run)),
        Section(
            "Who wins each neuron",
            "Winner: the frequency of largest beta in the last checkpoint, predicted from the "
            "first checkpoint alone.",
            tables.winners_table(comparison.winners),
            [drawn["winners"]],
        ),
        Section(
            "Theory over the network, step by step",
            flow + comparison.partings(),
            [] if comparison.errors is None else tables.errors_table(comparison.errors),
            [drawn[name] for name in ("trajectories", "errors") if name in drawn],
        ),
        Section(
            "Logits against Proposition 1",
            "Both sides are centred over the output, which softmax does not see.",
            tables.logits_table(comparison.logits),
            [drawn["logits"]],
        ),
    ]


def _winners_figure(comparison: Comparison) -> tuple[Figure, str]:
    rules = [rule for rule in comparison.winners.rule.values if rule != "chance"]
    figure, axes = blank_sheet((4.5 * (1 + len(rules)), 3.6), columns=1 + len(rules))
    figures.accuracy_by_rule(comparison.winners, axes[0])
    for rule, ax in zip(rules, axes[1:], strict=True):
        figures.winner_confusion(comparison.winners, str(rule), ax)
    return figure, "Winners predicted by each rung, and predicted against observed frequency."


def _errors_figure(run: Run, errors: xr.Dataset) -> tuple[Figure, str]:
    figure, axes = blank_sheet((11, 3.8), columns=2)
    figures.error_curves(errors, axes[0])
    figures.loss_curve(run.metrics, run.config.p, axes[1])
    return figure, "Error of theory over all tickets, and the loss of the network."
