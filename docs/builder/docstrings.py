"""Docstrings as they are written here: plain text in numpy's style, in which |z|^2 is a formula.

Of reStructuredText they use backticks, literal blocks and lists; bars and stars mean themselves.
"""

import inspect
import re
from typing import Any

UNTOUCHED = r"^\s*(>>>|\.\.\.).*|^\s*\*+\w+|``.+?``|`[^`]+`"
"""Lines of examples, names of arguments such as ``**settings``, and what stands in backticks."""
MARKS = re.compile(rf"(?P<untouched>{UNTOUCHED})|\|(?=\S)|(?<=\S)\||\*(?=\S)")


def setup(app: Any) -> dict[str, Any]:
    """Read every docstring before napoleon does, which has the usual priority of 500."""
    app.connect("autodoc-process-docstring", plain, priority=400)
    return {"parallel_read_safe": True}


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escape what has a meaning in reStructuredText only; drop what a type says of its values."""
    if what in ("data", "attribute") and "\n".join(lines).strip() == inspect.getdoc(type(thing)):
        lines.clear()
    told, indented = [], False
    for line in lines:
        # What a module's docstring indents is a table or a formula as it stands.
        began, indented = indented, what == "module" and line.startswith("    ")
        if indented and not began and not "".join(told[-2:]).endswith("::"):
            told += ["::", ""]
        indented |= began and not line
        told.append(line if indented else MARKS.sub(_escaped, line))
    lines[:] = told


def _escaped(found: re.Match[str]) -> str:
    return found["untouched"] or "\\" + found[0]
