"""How sphinx-gallery runs the examples, which write their figure where `--out` says."""

import re
import shutil
from pathlib import Path
from typing import Any

from recorded import LONG, UPPER
from sphinx_gallery.scrapers import figure_rst

EXECUTED = rf"/(?!(?:{'|'.join(LONG)})\.py)[^/]+\.py$"
"""Pattern of the paths of the examples that are run."""


def arguments(conf: dict[str, Any], script: dict[str, Any]) -> list[str]:
    """Command line of an example."""
    return ["--out", str(figure_path(conf))]


def figure_path(conf: dict[str, Any]) -> Path:
    """Where the figure of the example that is being run is written."""
    return Path(conf["src_dir"], "examples", "figure.png")


def figure_of_example(block: Any, variables: dict[str, Any], conf: dict[str, Any]) -> str:
    """Take the figure that an example wrote onto its page."""
    figure = figure_path(conf)
    if not figure.exists():
        return ""
    kept = next(variables["image_path_iterator"])
    shutil.move(figure, kept)
    return str(figure_rst([kept], conf["src_dir"]))


def recorded(app: Any, page: str, source: list[str]) -> None:
    """Show the recorded figure on the page of an example that was not run."""
    folder, _, name = page.rpartition("/")
    if folder == "examples" and name in LONG:
        upper = "; the upper rows of the figure" if name in UPPER else ""
        told = (
            f".. figure:: /images/{name}.png\n\n   Recorded{upper}. It takes {LONG[name]}, and "
            "was not run when this page was built.\n\n"
        )
        source[0] = re.sub(r"^Data: ", told + "Data: ", source[0], count=1, flags=re.MULTILINE)


def setup(app: Any) -> dict[str, Any]:
    """Listen to pages being read."""
    app.connect("source-read", recorded)
    return {"parallel_read_safe": True}
