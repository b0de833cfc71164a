"""How a question's answer is told on the terminal: tables, verdicts, JSON, a figure in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokode.console import note, print_json, print_table

if TYPE_CHECKING:
    from grokode.compare.question import Datasets, Question
    from grokode.nets import Run

__all__ = ["ask", "draw_sheet", "tell"]


def ask(name: str, run: "Run", **options: Any) -> "tuple[Question, Datasets]":
    """A question by its name, and what a run answers."""
    from grokode import compare

    question = compare.QUESTIONS[name]
    return question, compare.ask(question, run, **options)


def tell(question: "Question", measured: "Datasets", json: bool) -> None:
    """Print every table and the verdicts, or all of it as one JSON object."""
    from grokode.compare.common.claims import claims_table

    verdicts = question.judge(measured)
    if json:
        plain = [verdict.plain() for verdict in verdicts]
        print_json(question.plain(measured) | {"verdicts": plain})
        return
    for table in question.tables(measured):
        if table.rows:
            print_table(table.rows)
        else:
            note(table.text)
    if verdicts:
        print_table(claims_table(verdicts))


def draw_sheet(question: "Question", measured: "Datasets", name: str, path: Path) -> None:
    """Write one of a question's sheets to a file."""
    from grokode.compare.common.style import save_figure

    sheets = question.sheets(measured)
    sheet = next((sheet for sheet in sheets if sheet.name == name), None)
    if sheet is None:
        raise ValueError(f"there is nothing to draw; grokode's {question.name} has no numbers here")
    save_figure(sheet.draw(), path, dpi=150)
    note(f"wrote {path}")
