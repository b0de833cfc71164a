"""Run benchmarks by name (all of them by default), print their rows and keep them; or draw."""

import argparse
import json
import sys
from pathlib import Path

from . import NAMES, run
from .record import RESULTS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(NAMES)}; or draw, for a picture of the results kept; or gpu, for all "
        "tests and benchmarks that need a card",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--limit", type=float, default=540, help="seconds that gpu may take")
    arguments = parser.parse_args()
    if arguments.names == ["gpu"]:
        from .card import main as run_card

        sys.exit(run_card(arguments.out, arguments.limit))
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
