"""The circuit as a question: whether a network adds by waves, how, and since when."""

from typing import Any

from grokode.compare.circuit.claims import judge_circuit, judge_phases
from grokode.compare.circuit.measures import circuit
from grokode.compare.circuit.observe import (
    ARCHITECTURES,
    SUMS,
    computations,
    last_computation,
    training_pairs,
)
from grokode.compare.circuit.progress import Phase, phases, progress
from grokode.compare.circuit.sheets import circuit_sheet, progress_sheet
from grokode.compare.circuit.tables import (
    ablations_table,
    circuit_json,
    keys_table,
    overview_table,
    phases_table,
)
from grokode.compare.common.claims import Verdict
from grokode.compare.common.missing import NotMeasured
from grokode.compare.common.sheets import Sheet
from grokode.compare.question import Datasets, Question, Table
from grokode.nets.runs import Run

__all__ = ["QUESTION", "measure", "needs"]

CIRCUIT, PHASES = "the circuit", "phases of training"


def needs(run: Run) -> str | None:
    """Why a run cannot be asked: it is no network that adds or subtracts pairs mod p."""
    task = getattr(run.config.data, "task", type(run.config.data).__name__)
    if task not in SUMS:
        return f"the circuit is about {' and '.join(SUMS)} mod p; {run.path} has task {task}"
    if type(run.config.network) not in ARCHITECTURES:
        known = ", ".join(kind.__name__ for kind in ARCHITECTURES)
        return (
            f"the circuit is measured in {known}; {run.path} is a "
            f"{type(run.config.network).__name__}"
        )
    return None


def measure(run: Run, /, step: int | None = None, history: bool = True) -> Datasets:
    """The circuit at one checkpoint, and progress measures over all of them.

    Parameters
    ----------
    run : Run
        Of one seed.
    step : int, optional
        A step that has a checkpoint; the last one if not given.
    history : bool
        Whether to go over every checkpoint.

    Returns
    -------
    dict of Datasets
        ``circuit`` and, if asked for and the training pairs are known, ``progress``.

    Raises
    ------
    NotMeasured
        If the run is no such network, no checkpoint of it is finite, or its logits are constant.
    """
    reason = needs(run)
    if reason:
        raise NotMeasured(reason)
    last = last_computation(run, step)
    if last is None:
        raise NotMeasured(f"no checkpoint of {run.path} has finite weights")
    at, computation = last
    numbers = circuit(computation).assign_attrs(step=at, no_progress="")
    if not numbers.sizes["key"]:
        raise NotMeasured(f"the logits of {run.path} at step {at} hold no wave of any frequency")
    if training_pairs(run) is None:
        numbers.attrs["no_progress"] = "the training pairs are not known"
    elif run.parameters.sizes["step"] < 3:
        numbers.attrs["no_progress"] = "the run has fewer than three checkpoints"
    elif not history:
        numbers.attrs["no_progress"] = "not asked for"
    if numbers.attrs["no_progress"]:
        return {"circuit": numbers}
    keys = numbers.key.values.tolist()
    return {"circuit": numbers, "progress": progress(computations(run), keys)}


def tables(measured: Datasets) -> list[Table]:
    """The numbers, the keys, the ablations and the phases."""
    numbers = measured["circuit"]
    told = _phases(measured)
    return [
        Table(
            CIRCUIT,
            overview_table(numbers),
            f"At step {numbers.attrs['step']}. Key frequencies: {numbers.attrs['key_rule']}. "
            "Losses are over the p residues; a class for '=' is left out.",
        ),
        Table("key frequencies", keys_table(numbers)),
        Table("ablations", ablations_table(numbers)),
        Table(
            PHASES,
            [["phases"], [told]] if isinstance(told, str) else phases_table(told),
        ),
    ]


def sheets(measured: Datasets) -> list[Sheet]:
    """The circuit, and progress over training where it was followed."""
    drawn = [circuit_sheet(measured["circuit"], CIRCUIT)]
    told = _phases(measured)
    if not isinstance(told, str):
        drawn.append(progress_sheet(measured["progress"], told, PHASES))
    return drawn


def judge(measured: Datasets) -> list[Verdict]:
    """The published claims."""
    numbers = measured["circuit"]
    return [*judge_circuit(numbers), judge_phases(numbers, _phases(measured))]


def plain(measured: Datasets) -> dict[str, Any]:
    """The numbers, null with a reason where one is missing."""
    return circuit_json(measured["circuit"], _phases(measured))


def _phases(measured: Datasets) -> dict[str, Phase] | str:
    if "progress" not in measured:
        return str(measured["circuit"].attrs["no_progress"])
    return phases(measured["progress"])


QUESTION = Question(
    "circuit",
    "Does the network add by waves of a few frequencies, in which way, and since when?",
    needs,
    measure,
    tables,
    sheets,
    judge,
    plain,
)
