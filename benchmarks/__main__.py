"""Run benchmarks by name (all of them by default), print their rows and record them."""

import json
import sys

from . import NAMES, run
from .record import write

for name in sys.argv[1:] or NAMES:
    rows = run([name])
    print(json.dumps(rows, indent=1))
    print(f"wrote {write(name, rows)}", file=sys.stderr)
