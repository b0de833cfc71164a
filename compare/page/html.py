"""A self-contained HTML page: tables and figures that open offline, on a phone and on paper."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from grokode.compare.common.style import figure_svg
from grokode.files import create_file
from grokode.text import visible

__all__ = ["Section", "escape", "table_html", "write_page"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: left; }
td { font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; break-inside: avoid; overflow-x: auto; }
svg { width: 100%; min-width: 42rem; height: auto; } @media print { svg { min-width: 0; } }
figcaption { color: #555; }
"""


@dataclass(frozen=True)
class Section:
    """One section of a page.

    Parameters
    ----------
    title : str
    text : str
        One paragraph.
    table : rows of cells, the first row being the header; may be empty
    figures : pairs of (figure, caption)
    """

    title: str
    text: str = ""
    table: Sequence[Sequence[str]] = ()
    figures: Sequence[tuple[Figure, str]] = ()


def write_page(path: Path, title: str, sections: Sequence[Section]) -> Path:
    """Write the sections as one HTML file with inline figures and no outside reference.

    The file appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    title : str
    sections : sequence of Section

    Raises
    ------
    FileExistsError
        If the file exists.
    """
    body = "\n".join(_section_html(section) for section in sections)
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
    create_file(path, lambda file: file.write(page.encode()))
    return path


def escape(text: str) -> str:
    """Text as HTML that shows it, markup and control characters included."""
    return html.escape(visible(text))


def table_html(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, header first, as an HTML table that shows them as they are."""
    header, *body = rows
    head = "<table><thead>" + _row_html(header, "th") + "</thead><tbody>"
    return "\n".join([head, *(_row_html(row, "td") for row in body), "</tbody></table>"])


def _section_html(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    if section.text:
        parts.append(f"<p>{escape(section.text)}</p>")
    if section.table:
        parts.append(table_html(section.table))
    parts.extend(
        f"<figure>{figure_svg(figure)}<figcaption>{escape(caption)}</figcaption></figure>"
        for figure, caption in section.figures
    )
    return "\n".join(parts)


def _row_html(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
