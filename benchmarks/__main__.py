"""Run benchmarks by name (all of them by default), print their rows and keep them; or draw."""

import argparse
import json
from pathlib import Path

from . import NAMES, run
from .record import RESULTS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(NAMES)}; or draw, for a picture of the results kept",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    try:
        if arguments.names == ["draw"]:
            from .draw import draw

            print(f"wrote {draw(arguments.out)}")
        else:
            print(json.dumps(run(arguments.names or None, arguments.out), indent=1))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
