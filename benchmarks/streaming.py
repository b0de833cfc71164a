"""Ticket winners streamed to disk at p = 997: time a ticket, its growth, and memory."""

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from grokode.theory.streaming import stream_winners

from .record import row

P = 997
TICKETS = (P - 1) // 2


def rows(neurons: int = 100_000) -> list[dict[str, Any]]:
    """Nanoseconds a ticket and core, the exponent of its growth, and MB at the highest.

    Processor time, since a stream is long enough for other processes to come between.
    """
    sizes = np.array([neurons // 4, neurons // 2, neurons])
    with tempfile.TemporaryDirectory() as folder:
        stream_winners(P, 1, 0.1, 0, Path(folder) / "warm-up.zarr")
        times = []
        for n in sizes:
            start = time.process_time()
            stream_winners(P, int(n), 0.1, 0, Path(folder) / f"{n}.zarr")
            times.append(time.process_time() - start)
    exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return [
        row(
            f"stream of {neurons * TICKETS:.1e} tickets",
            float(times[-1] / neurons / TICKETS * 1e9),
            "ns/ticket",
        ),
        row("stream, exponent of time over tickets", float(exponent), "1"),
        row("stream, memory at the highest", memory, "MB"),
    ]
