"""The explorer as a document: every run's rooms laid out, and one file that opens anywhere."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bokeh.document import Document
from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.embed.elements import html_page_for_render_items
from bokeh.embed.util import OutputDocumentFor, standalone_docs_json_and_render_items
from bokeh.events import DocumentReady
from bokeh.models import (
    AbstractButton,
    AbstractSlider,
    CustomJS,
    Div,
    InputWidget,
    Paragraph,
    UIElement,
)
from bokeh.resources import INLINE

from grokode.compare.explorer.material import PAGE, Material
from grokode.compare.explorer.rooms import Room, Shown, rooms
from grokode.compare.explorer.template import TEMPLATE
from grokode.files import create_file
from grokode.nets.runs import Run
from grokode.text import visible

__all__ = ["TITLE", "fill", "write_explorer"]

TITLE = "grokode explorer"

_KINDS = {
    AbstractSlider: "slider",
    AbstractButton: "button",
    Paragraph: "told",
    Div: "table",
    InputWidget: "input",
}
"""How the page lays out what is no figure, by its model."""


def write_explorer(
    runs: Sequence[Run], out: Path, on_view: Callable[[str], object] = lambda name: None
) -> Path:
    """Write one self-contained page that explores runs without a network.

    Parameters
    ----------
    runs : sequence of Run
        Each of one seed.
    out : Path
        File to write; it must not exist.
    on_view : function (name), optional
        Called when a view of a run is built.

    Raises
    ------
    FileExistsError
        If the file exists.
    """
    document = Document()
    variables = fill(document, [rooms(Material(run, PAGE), False, on_view=on_view) for run in runs])
    create_file(out, lambda file: file.write(_html(document, variables).encode()))
    return out


def fill(
    document: Document,
    shown: Sequence[Shown],
    links: Sequence[str] = (),
    panel: Sequence[UIElement] = (),
) -> dict[str, Any]:
    """Put runs into a document; returns what the template needs to lay them out.

    Parameters
    ----------
    document : Document
    shown : sequence of Shown
    links : sequence of str
        Names of all runs of a server, where one is shown at a time.
    panel : sequence of figures and widgets
        To train with, above the first run.
    """
    laid_out = []
    # A document looks for all its models anew after every root, unless it is told to wait.
    with document.models.freeze():
        for place, one in enumerate(shown):
            laid_out.append(_run(document, one, f"run{place}", panel if place == 0 else ()))
    for one in shown:
        for script in one.at_start:
            document.js_on_event(DocumentReady, CustomJS(args=script.args, code=script.code))
    document.title = TITLE
    document.template = TEMPLATE
    variables = {"runs": laid_out, "links": [visible(name) for name in links]}
    document.template_variables.update(variables)
    return variables


def _run(document: Document, one: Shown, key: str, panel: Sequence[UIElement]) -> dict[str, Any]:
    run = one.material.run
    return {
        "key": key,
        "name": visible(run.path.name),
        "about": visible(f"{run}."),
        "left_out": one.material.left_out,
        "panel": _add(document, panel, f"{key}-panel"),
        "controls": _add(document, one.controls, f"{key}-control"),
        "rooms": [_laid_out(document, room, key) for room in one.rooms],
    }


def _laid_out(document: Document, room: Room, key: str) -> dict[str, Any]:
    roots = _add(document, room.parts, f"{key}-{room.view.name}-part")
    return {
        "name": room.view.name,
        "title": room.view.title,
        "text": room.view.text,
        "reason": visible(room.reason),
        "parts": roots,
    }


def _add(document: Document, parts: Sequence[UIElement], prefix: str) -> list[dict[str, str]]:
    """Make roots of models; name and kind of each."""
    added = []
    for place, part in enumerate(parts):
        part.name = f"{prefix}-{place}"
        document.add_root(part)
        kind = next((kind for model, kind in _KINDS.items() if isinstance(part, model)), "figure")
        added.append({"name": part.name, "kind": kind})
    return added


def _html(document: Document, variables: dict[str, Any]) -> str:
    with OutputDocumentFor(document.roots, always_new=False):
        docs, items = standalone_docs_json_and_render_items(
            document.roots, suppress_callback_warning=True
        )
        bundle = bundle_for_objs_and_resources(document.roots, INLINE)
        return html_page_for_render_items(bundle, docs, items, TITLE, TEMPLATE, variables)
