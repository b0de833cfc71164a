"""The mechanism as a question: Observations 1 to 4 on the neurons of a run."""

from grokode.compare.common.sheets import Sheet
from grokode.compare.mechanism.claims import judge_mechanism
from grokode.compare.mechanism.measures import mechanism
from grokode.compare.mechanism.sheets import mechanism_sheets
from grokode.compare.mechanism.tables import mechanism_json, mechanism_table
from grokode.compare.question import Datasets, Question, Table, two_layers
from grokode.nets.runs import Run

__all__ = ["QUESTION", "measure"]

TITLE = "Observations 1 to 4"


def measure(run: Run, /, step: int | None = None) -> Datasets:
    """`grokode.compare.mechanism.measures.mechanism` of one checkpoint, the last if not given."""
    return mechanism(run, step)


def tables(measured: Datasets) -> list[Table]:
    """Every number beside what theory gives, what random weights have, and what was published."""
    text = "Every neuron is read at its winner, the frequency of its largest beta."
    return [Table(TITLE, mechanism_table(measured), text)]


def sheets(measured: Datasets) -> list[Sheet]:
    """Neurons, symmetry, harmonics."""
    return mechanism_sheets(measured, TITLE)


QUESTION = Question(
    "mechanism",
    "What did the neurons learn: one frequency each, phases doubled, evenly spread?",
    two_layers,
    measure,
    tables,
    sheets,
    judge_mechanism,
    mechanism_json,
)
