"""The page about runs: what they are, which claims hold, and what they answer to every question.

A question that a run cannot be asked says why in its place, so that a run that never learned still
gets its page. Only a measure's own refusal is told that way; any other error is a bug and comes
out.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from grokode.compare.common.arguments import check_file, check_run
from grokode.compare.common.claims import Verdict, claims_table
from grokode.compare.common.sheets import Sheet
from grokode.compare.common.style import save_figure
from grokode.compare.page.html import Section, write_page
from grokode.compare.page.parts import Answer, about, answer, training
from grokode.compare.question import Question
from grokode.compare.registry import QUESTIONS
from grokode.nets.runs import Run

__all__ = ["answers", "judge", "parts", "report", "write_answers"]

TITLE = "Theory beside the network"


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
        Called when a part of the page is done; `parts` of them to a run.

    Raises
    ------
    FileExistsError
        If the file exists.
    ValueError
        If a run holds several seeds and none is selected.
    """
    out = check_file("out", out)
    if not isinstance(runs, Sequence) or not runs:
        raise ValueError("runs must be a list of at least one Run")
    for run in runs:
        check_run(run, "each of runs")
    if out.exists():
        raise FileExistsError(f"{out} exists and is not overwritten; choose another name")
    for run in runs:
        if run.seed is None:
            raise ValueError(f"{run.path} holds the seeds {list(run.seeds)}; select one of them")
    return write_answers([(run, answers(run, on_part)) for run in runs], out, on_part)


def parts() -> list[str]:
    """Names of the parts of a page about one run, in order: the questions, then the writing."""
    return [*QUESTIONS, "page"]


def answers(
    run: Run,
    on_part: Callable[[str], object] = lambda name: None,
    questions: Mapping[str, Question] | None = None,
) -> dict[str, Answer]:
    """What a run answers to every question, by the question's name.

    Parameters
    ----------
    run : Run
        Of one seed.
    on_part : function (name), optional
        Called when a question is answered.
    questions : mapping, optional
        `grokode.compare.QUESTIONS` if not given.
    """
    given: dict[str, Answer] = {}
    for name, question in (QUESTIONS if questions is None else questions).items():
        given[name] = answer(question, run)
        on_part(name)
    return given


def judge(given: Mapping[str, Answer]) -> list[Verdict]:
    """The verdicts on every claim, question by question."""
    return [verdict for one in given.values() for verdict in one.verdicts]


def write_answers(
    given: Sequence[tuple[Run, Mapping[str, Answer]]],
    out: Path,
    on_part: Callable[[str], object] = lambda name: None,
    pictures: Path | None = None,
) -> Path:
    """Write the page of what runs answered.

    Parameters
    ----------
    given : sequence of (run, `answers` of it)
    out : Path
        File to write; it must not exist.
    on_part : function (name), optional
        Called when a run's part of the page is drawn.
    pictures : Path, optional
        Folder to write every figure into as well, as PNG.

    Raises
    ------
    FileExistsError
        If the file exists.
    """

    def drawn(sheet: Sheet) -> Figure:
        figure = sheet.draw()
        if pictures is not None:
            file = pictures / f"{sheet.name}.png"
            if not file.exists():  # drawn before the command was interrupted, the same as now
                save_figure(figure, file, dpi=150, bbox_inches="tight")
        return figure

    sections = []
    for run, of_run in given:
        sections += _sections(run, of_run, drawn)
        on_part(parts()[-1])
    return write_page(out, TITLE, sections)


def _sections(
    run: Run, given: Mapping[str, Answer], drawn: Callable[[Sheet], Figure]
) -> list[Section]:
    verdicts = Section(
        "Which claims hold",
        "Each claim of the papers with what was measured on this run, and the threshold at which "
        "it counts as holding, or holding partly.",
        claims_table(judge(given)),
    )
    sheet = training(run)
    curves = Section("The training", figures=[(drawn(sheet), sheet.caption)])
    told = [section for one in given.values() for section in one.sections(drawn)]
    return [about(run), verdicts, curves, *told]
