"""Picture of the recorded benchmarks."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes

from grokode.compare.common.style import CHANCE, NETWORK, plain_log

__all__ = ["draw"]


def draw(records: Iterable[Mapping[str, Any]], ax: Axes) -> Axes:
    """How many times faster than each peer, on a logarithmic axis, with machine and date below.

    Beside each bar: the ratio, our time, and the errors achieved, ours | theirs.

    Parameters
    ----------
    records : iterable of mappings
        As `grokode.benchmarks` keeps them: ``name``, ``date``, ``machine`` and ``rows`` with
        ``name, ours, peer, theirs, ratio, unit, error, their_error``. Rows without a ratio are left
        out.
    ax : Axes

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If no row has a ratio.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"name": "step", "ours": 2.0, "peer": "loop", "theirs": 8.0, "ratio": 4.0}
    >>> row |= {"unit": "ms", "error": 1e-7, "their_error": None}
    >>> record = {"name": "training", "date": "2026-01-31T12:00:00+00:00", "rows": [row]}
    >>> record |= {"machine": {"cpu": "a CPU"}}
    >>> draw([record], Figure().subplots()).get_xscale()
    'log'
    """
    records = list(records)
    rows = [row for record in records for row in record["rows"] if row["ratio"] is not None]
    if not rows:
        raise ValueError("records hold no ratio to draw; run the benchmarks with peers installed")
    places = range(len(rows))
    # Bars grow from 1, as fast as the peer, to the right if faster and to the left if slower.
    bars = ax.barh(
        places, [row["ratio"] - 1 for row in rows], left=1, height=0.55, color=NETWORK["color"]
    )
    ax.set_xscale("log")
    ax.bar_label(bars, [_numbers(row) for row in rows], padding=3, fontsize="small")
    ax.set_yticks(
        places, [f"{row['name']}\nbeside {row['peer']}" for row in rows], fontsize="small"
    )
    ax.axvline(1, **CHANCE)
    least, most = min(row["ratio"] for row in rows), max(row["ratio"] for row in rows)
    # Room for the labels beyond the bars, in decades.
    ax.set_xlim(min(least, 1) / 1.2, max(most, 1) * (max(most, 1) / min(least, 1)) ** 0.9 * 2)
    plain_log(ax.xaxis)
    ax.set_xticks([tick for tick in ax.get_xticks() if least / 10 <= tick <= 10 * most])
    ax.set_xlabel("times faster than the peer (one run, one core)")
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    ax.annotate(
        "\n".join(_captions(records)),
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -42),
        textcoords="offset points",
        va="top",
        fontsize="small",
        color="0.4",
    )
    return ax


def _numbers(row: Mapping[str, Any]) -> str:
    text = f"{_short(row['ratio'])}×, {_short(row['ours'])} {row['unit']}"
    errors = [f"{row[key]:.0e}" for key in ("error", "their_error") if row[key] is not None]
    return f"{text}, error {' | '.join(errors)}" if errors else text


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _captions(records: list[Mapping[str, Any]]) -> list[str]:
    """Machine and date, with the benchmarks they hold for."""
    held: dict[tuple[str, str], list[str]] = {}
    for record in records:
        machine = record["machine"].get("card", record["machine"]["cpu"])
        held.setdefault((machine, record["date"][:10]), []).append(record["name"])
    return [f"{cpu}, {date}: {', '.join(names)}" for (cpu, date), names in held.items()]
