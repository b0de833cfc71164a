"""Draw the pictures of the examples that the site does not run, into docs/images.

Run it: python docs/builder/pictures.py [NAME ...] [--runs FOLDER]

They run as they are, which takes hours if runs are to be trained. With --runs FOLDER the run or
runs of an example are looked for in FOLDER/NAME, and kept there.
"""

import argparse
import importlib.util
import inspect
import tempfile
from pathlib import Path

import matplotlib as mpl
from PIL import Image
from recorded import LONG, UPPER

EXAMPLES = Path(__file__).parents[2] / "examples"
DPI = 110
WIDEST = 1430  # pixels, 13 inches
MOST = 80_000  # bytes


def draw(path: Path, out: Path, runs: Path | None) -> None:
    """Run one example and write its figure, small enough for a repository."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"example must be a Python file, got {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = {}
    for name in {"run", "runs"} & set(inspect.signature(module.main).parameters):
        if runs is not None and (name == "runs" or (runs / path.stem).exists()):
            arguments[name] = runs / path.stem
    with tempfile.TemporaryDirectory() as folder:
        figure = Path(folder) / "figure.png"
        module.main(out=figure, **arguments)
        shrink(figure, out, UPPER.get(path.stem, 1.0))


def shrink(figure: Path, out: Path, upper: float) -> None:
    """Write the upper part of a figure at `DPI`, with a palette, in at most `MOST` bytes.

    With fewer colours, then smaller, until it fits. Colours are not dithered: flat areas stay
    flat, which is what makes the file small.
    """
    with Image.open(figure) as image:
        dpi = image.info["dpi"][0]
        full = image.convert("RGB").crop((0, 0, image.width, round(upper * image.height)))
    width = min(WIDEST, round(full.width * DPI / dpi))
    colours = 256
    while True:
        size = (width, round(full.height * width / full.width))
        small = full.resize(size, Image.Resampling.LANCZOS)
        small.quantize(colours, dither=Image.Dither.NONE).save(out, optimize=True, dpi=(DPI, DPI))
        if out.stat().st_size <= MOST:
            return
        if colours > 64:
            colours //= 2
        else:
            width = round(0.95 * width)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="examples; all long ones if not given")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--runs", type=Path)
    given = parser.parse_args()
    mpl.use("Agg")
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or LONG:
        draw(EXAMPLES / f"{name}.py", given.out / f"{name}.png", given.runs)
