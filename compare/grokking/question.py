"""Grokking as a question: the stages of a training, and theory beside them."""

from typing import Any

from grokode.compare.common.claims import Verdict
from grokode.compare.common.events import GENERALISED, why_none_held_out
from grokode.compare.common.sheets import Sheet
from grokode.compare.grokking.claims import judge_stages
from grokode.compare.grokking.delay import delay
from grokode.compare.grokking.perturbed import perturbed_lottery
from grokode.compare.grokking.sheets import stage_sheets
from grokode.compare.grokking.stages import Stages, stages
from grokode.compare.grokking.tables import (
    boundaries_table,
    delay_json,
    delay_table,
    grokking_json,
    stages_table,
    theory_table,
)
from grokode.compare.question import Datasets, Question, Table, two_layers_of_addition
from grokode.nets.runs import Run

__all__ = ["QUESTION", "measure"]

STAGES, THEORY, MEMORY = "stages", "theory beside the stages", "memorisation"
DELAY = "how long from memorising to generalising"


def needs(run: Run) -> str | None:
    """Two layers of addition, and pairs held out."""
    reason = two_layers_of_addition(run)
    if reason is None and not run.knows_split:
        return f"{run.path} does not say which pairs it was trained on"
    return reason or why_none_held_out(run.train_pairs, run.test_pairs) or None


def measure(run: Run, /, threshold: float = GENERALISED, affordable: float = 20.0) -> Datasets:
    """Stages of a training, and the lottery perturbed by its missing pairs.

    Parameters
    ----------
    run : Run
    threshold : float
        Test accuracy from which on the network has generalised.
    affordable : float
        Seconds of a core for the checkpoints, see `grokode.compare.grokking.stages.stages`; if the
        harmonic flow takes longer it is left out.

    Returns
    -------
    dict of Datasets
        ``series`` and ``pairs`` of `grokode.compare.grokking.stages.Stages`, ``lottery`` and
        ``delay``.
    """
    staged = stages(run, threshold, affordable=affordable)
    return {
        "series": staged.series,
        "pairs": staged.pairs,
        "lottery": perturbed_lottery(run, staged),
        "delay": delay(run, staged, threshold, affordable=affordable),
    }


def tables(measured: Datasets) -> list[Table]:
    """Boundaries, means of each stage, theory, and the delay."""
    staged = _staged(measured)
    return [
        Table(
            STAGES,
            boundaries_table(staged),
            "Boundaries as defined; those that are not found are not invented.",
        ),
        Table("stage by stage", stages_table(staged), _looked_at(staged)),
        Table(
            THEORY,
            theory_table(staged, measured["lottery"]),
            "The lottery with pairs missing and decay, what decay alone would do to the "
            "frequencies that did not win (1), and how far the missing pairs couple frequencies.",
        ),
        Table(
            DELAY,
            delay_table(measured["delay"]),
            "Nothing is fitted. The published law is log(norm ratio) / (rate decay) of the norms "
            "on memorisation and on grokking; forces are held as they are on memorisation; the "
            "harmonic flow is told the first checkpoint alone.",
        ),
    ]


def _looked_at(staged: Stages) -> str:
    looked, all_ = staged.series.sizes["step"], staged.series.attrs["checkpoints"]
    return f"Looked at {looked} of {all_} checkpoints, evenly spread." if looked < all_ else ""


def sheets(measured: Datasets) -> list[Sheet]:
    """Stages, theory, memorisation."""
    return stage_sheets(_staged(measured), measured["lottery"], (STAGES, THEORY, MEMORY))


def judge(measured: Datasets) -> list[Verdict]:
    """What comes free of the symmetry, and whether it generalises."""
    return judge_stages(_staged(measured))


def plain(measured: Datasets) -> dict[str, Any]:
    """All numbers."""
    numbers = grokking_json(_staged(measured), measured["lottery"])
    return numbers | {"predicted_delay": delay_json(measured["delay"])}


def _staged(measured: Datasets) -> Stages:
    return Stages(measured["series"], measured["pairs"])


QUESTION = Question(
    "grokking",
    "When does the network memorise, when does it generalise, and what differs?",
    needs,
    measure,
    tables,
    sheets,
    judge,
    plain,
)
