"""Theory alone: the lottery, the proofs, and how fast it all is."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from grokode.commands.options import Json, check_new, draw
from grokode.console import counting_progress, note, print_json, print_numbers, print_table

__all__ = ["bench", "contour", "prove"]


class Quantity(StrEnum):
    """What a lottery contour shows."""

    blowup_time = "blowup_time"
    final_magnitude = "final_magnitude"


def contour(
    out: Annotated[Path, typer.Option(help="Figure to write (.png, .svg or .pdf).")],
    p: Annotated[int, typer.Option(help="Modulus, odd.")] = 23,
    size: Annotated[int, typer.Option(help="Grid points along each axis.")] = 400,
    smallest: Annotated[float, typer.Option(help="Smallest initial magnitude.")] = 0.001,
    largest: Annotated[float, typer.Option(help="Largest initial magnitude.")] = 0.1,
    quantity: Annotated[
        Quantity, typer.Option(help="Blow-up time, or final magnitude beta at a common saturation.")
    ] = Quantity.blowup_time,
    json: Json = False,
) -> None:
    """Draw the lottery over initial magnitude (alpha = beta) and misalignment.

    The ticket of a neuron that blows up first wins; it is the largest at the common saturation.
    """
    check_new(out)
    if not 0 < smallest < largest < float("inf"):
        raise ValueError(f"smallest must be positive and below largest, got {smallest}, {largest}")
    if size < 2:
        raise ValueError(f"size must be at least 2, got {size}")
    import numpy as np

    from grokode import theory
    from grokode.compare import figures

    lottery = theory.contour(
        p, np.geomspace(smallest, largest, size), np.linspace(-np.pi, np.pi, size)
    )
    draw(out, lambda ax: figures.contour(lottery, quantity.value, ax))
    times = lottery.blowup_time.where(np.isfinite(lottery.blowup_time))
    summary = {
        "p": p,
        "size": size,
        "shortest_blowup_time": float(times.min()),
        "longest_blowup_time": float(times.max()),
        "figure": str(out),
    }
    if json:
        print_json(summary)
    else:
        print_numbers("lottery contour", summary)


def prove(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Identities to prove, by the names of the table; all if not given.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Prove every identity in exact arithmetic, and refute the misprinted ones.

    Exit code 1 if a verdict is not the expected one. About a quarter of a minute for all.
    """
    from grokode.theory.identities import IDENTITIES
    from grokode.theory.identities import prove as prove_identities

    with counting_progress("proving", len(names or IDENTITIES)) as count:
        proofs = prove_identities(names or None, on_proved=lambda proof: count(proof.identity.name))
    if json:
        print_json(
            {
                "identities": [
                    {
                        "name": proof.identity.name,
                        "source": proof.identity.source,
                        "statement": proof.identity.statement,
                        "holds": proof.holds,
                        "expected": proof.identity.expected,
                        "counterexample": proof.counterexample,
                        "seconds": proof.seconds,
                    }
                    for proof in proofs
                ]
            }
        )
    else:
        verdict = {True: "holds", False: "fails"}
        rows = [["identity", "verdict", "expected", "seconds", "source"]]
        rows += [
            [
                proof.identity.name,
                verdict[proof.holds],
                verdict[proof.identity.expected],
                f"{proof.seconds:.2f}",
                proof.identity.source,
            ]
            for proof in proofs
        ]
        print_table(rows)
        for proof in proofs:
            if not proof.holds:
                note(f"{proof.identity.name}: {proof.counterexample}")
    raise typer.Exit(any(proof.holds != proof.identity.expected for proof in proofs))


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="ensemble, blowup, streaming, training, architectures, pairs, recurrent or flows; "
            "all if not given.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to keep the results in, as JSON.")
    ] = None,
    json: Json = False,
) -> None:
    """Time theory and networks beside their peers, in one run, with the error each achieves.

    Peers that are not installed are named with the reason; pip install 'grokode[bench]' has them.
    """
    from grokode import benchmarks

    with counting_progress("timing", len(names or benchmarks.NAMES)) as count:
        rows = []
        for name in names or benchmarks.NAMES:
            rows += benchmarks.run([name], out)
            count(name)
    if json:
        print_json(rows)
        return
    table = [["task", "ours", "peer", "theirs", "ratio", "error"]]
    for row in rows:
        theirs = row["theirs"]
        table.append(
            [
                row["name"],
                f"{row['ours']:.4g} {row['unit']}",
                row["peer"] or "",
                theirs if isinstance(theirs, str) else "" if theirs is None else f"{theirs:.4g}",
                "" if row["ratio"] is None else f"{row['ratio']:.3g}",
                "" if row["error"] is None else f"{row['error']:.1g}",
            ]
        )
    print_table(table)
