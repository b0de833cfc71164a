"""A run and everything it answers: what `grokode demo` shows on the terminal and in a folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from grokode.compare.common.arguments import check_file
from grokode.compare.common.claims import HOLDS, Verdict
from grokode.compare.lottery.claims import FLOW
from grokode.compare.lottery.trajectories import parting_step, trajectories
from grokode.compare.page.parts import Answer
from grokode.compare.page.report import answers, judge, write_answers
from grokode.nets.runs import Run

__all__ = ["Comparison", "compare_run", "write_report"]


@dataclass(frozen=True)
class Comparison:
    """Everything a run answered.

    Parameters
    ----------
    run : Run
    answers : dict of Answer
        By the name of the question, from `grokode.compare.page.report.answers`.
    """

    run: Run
    answers: dict[str, Answer]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on every claim."""
        return judge(self.answers)

    @property
    def winners(self) -> xr.Dataset:
        """From `grokode.compare.winners`, of the whole ladder."""
        return self.answers["lottery"].measured["winners"]

    @property
    def logits(self) -> xr.Dataset:
        """From `grokode.compare.logits`, of the last checkpoint."""
        return self.answers["logits"].measured["fit"]

    @property
    def errors(self) -> xr.Dataset | None:
        """From `grokode.compare.trajectory_errors` of the four-variable flow; None outside it."""
        errors = self.answers["lottery"].measured.get("errors")
        if self.outside or errors is None or "ticket_flow" not in errors.predictor:
            return None
        return errors.sel(predictor="ticket_flow")

    @property
    def pair(self) -> xr.Dataset | None:
        """From `grokode.compare.trajectories`; None where the flow does not cover the run."""
        return None if self.errors is None else trajectories(self.run)

    @property
    def outside(self) -> str:
        """Why no trajectory of the four-variable flow is laid over the run, or ``""``."""
        config = self.run.config
        if (config.optimizer, config.activation) == ("sgd", "quadratic"):
            return ""
        return (
            "The four-variable flow assumes SGD and the quadratic activation; this run has "
            f"{config.optimizer} and {config.activation}, so no trajectory is laid over it."
        )

    @property
    def holds_on_plateau(self) -> bool | None:
        """Whether the claim on the plateau holds; None if no flow was laid over the run."""
        if self.errors is None:
            return None
        judged = next(verdict for verdict in self.verdicts if verdict.claim is FLOW)
        return judged.verdict == HOLDS

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


def compare_run(run: Run, on_part: Callable[[str], object] = lambda name: None) -> Comparison:
    """Ask a run every question.

    Parameters
    ----------
    run : Run
        At least two checkpoints.
    on_part : function (name), optional
        Called when a question is answered.

    Raises
    ------
    ValueError
        If the run has a single checkpoint.
    """
    return Comparison(run, answers(run, on_part))


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
    if not isinstance(comparison, Comparison):
        raise TypeError(f"comparison must be that of compare_run, got {comparison!r}")
    page = check_file("out", out) / "report.html"
    if page.is_file() and not page.is_symlink() and not page.stat().st_size:
        page.unlink()  # a full disk left it so
    if page.exists():
        raise FileExistsError(f"{page} exists; choose another folder or move it away")
    pictures = out / "figures"
    pictures.mkdir(parents=True, exist_ok=True)
    given = [(comparison.run, comparison.answers)]
    return write_answers(given, page, pictures=pictures)
