"""The picture of the results kept."""

from pathlib import Path

from matplotlib.figure import Figure

from grokode.benchmarks import timings_figure as timings
from grokode.compare.common.style import figure_svg
from grokode.files import replace_file

from .record import read


def draw(folder: Path) -> Path:
    """Draw the latest records of a folder into ``timings.svg`` there; returns the file."""
    records = read(folder)
    bars = sum(row["ratio"] is not None for record in records for row in record["rows"])
    figure = Figure(figsize=(10, 1.2 + 0.5 * bars), layout="constrained")
    timings.draw(records, figure.subplots())
    path = folder / "timings.svg"
    text = figure_svg(figure) + "\n"
    replace_file(path, lambda file: file.write(text.encode()))
    return path
