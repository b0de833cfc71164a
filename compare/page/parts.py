"""Parts of the page: what a run is, its training, and one part to every question."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure

from grokode.compare.cache import ask
from grokode.compare.common.cells import Rows
from grokode.compare.common.claims import Verdict
from grokode.compare.common.curves import accuracy_curve, loss_curve
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.sheets import Sheet, blank_sheet
from grokode.compare.page.html import Section
from grokode.compare.question import Datasets, Question
from grokode.nets.runs import Run

__all__ = ["Answer", "about", "answer", "training"]

_DESCRIBED = {"seeds", "p", "neurons", "task", "activation", "optimizer", "learning_rate"}
_DESCRIBED |= {"weight_decay", "initial", "scale", "training pairs", "test pairs", "checkpoints"}
_DESCRIBED |= {"train_loss", "test_loss", "train_accuracy", "test_accuracy", "trained on", "source"}


@dataclass(frozen=True)
class Answer:
    """What a run answers to a question.

    Parameters
    ----------
    question : Question
    measured : mapping of Datasets
        Empty if it cannot be asked, and then there is a reason.
    verdicts : list of Verdict
    reason : str
        Why the run cannot be asked, or ``""``.
    """

    question: Question
    measured: Datasets = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    reason: str = ""

    def sections(self, drawn: Callable[[Sheet], Figure]) -> list[Section]:
        """The answer's sections of the page, figures below the tables they belong to.

        Parameters
        ----------
        drawn : function (Sheet) -> Figure
        """
        name, asks = self.question.name.capitalize(), self.question.asks
        if self.reason:
            return [Section(name, f"{asks} Not measured: {self.reason}.")]
        sheets = self.question.sheets(self.measured)
        tables = self.question.tables(self.measured)
        titles = list(dict.fromkeys([*(t.title for t in tables), *(s.under for s in sheets)]))
        return [
            Section(
                f"{name}: {title}",
                " ".join(
                    [asks] * (title == titles[0])
                    + [table.text for table in tables if table.title == title]
                ),
                next((table.rows for table in tables if table.title == title), []),
                [(drawn(sheet), sheet.caption) for sheet in sheets if sheet.under == title],
            )
            for title in titles
        ]


def answer(question: Question, run: Run) -> Answer:
    """Ask a run a question; a run that cannot be asked answers with the reason.

    Parameters
    ----------
    question : Question
    run : Run
        Of one seed.
    """
    reason = question.needs(run)
    if reason is not None:
        return Answer(question, reason=reason)
    try:
        # Overflow on the way to a number that is not finite is told by that number.
        with np.errstate(all="ignore"):
            measured = ask(question, run)
            return Answer(question, measured, question.judge(measured))
    except NotMeasured as refusal:
        return Answer(question, reason=str(refusal))


def about(run: Run) -> Section:
    """What the run is."""
    wanted = set(_DESCRIBED)
    if not (run.knows_split and len(run.test_pairs)):
        wanted -= {"test_loss", "test_accuracy"}
    rows: Rows = [["", ""]]
    for name, value in run.describe().items():
        if name in wanted:
            rows.append([name, f"{value:.6g}" if isinstance(value, float) else str(value)])
    return Section(f"{run.path.name}: what the run is", f"{run}", rows)


def training(run: Run) -> Sheet:
    """Loss and accuracy over the steps."""

    def draw() -> Figure:
        figure, axes = blank_sheet((11, 3.6), 1, 2)
        metrics = run.metrics
        squares = run.config.loss == "mse"
        loss_curve(metrics, None if squares else run.config.data.classes, axes[0])
        accuracy_curve(metrics, axes[1])
        return figure

    return Sheet("training", "Loss and accuracy over the optimiser's steps.", draw)
