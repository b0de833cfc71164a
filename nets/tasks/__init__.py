"""The tasks: what is asked of a network, and what the right answers are."""

from grokode.nets.tasks.automata import RandomAutomaton
from grokode.nets.tasks.base import Task
from grokode.nets.tasks.modular import (
    OPERATIONS,
    Modular,
    all_pairs,
    check_pairs,
    complement,
    split_pairs,
    table,
)
from grokode.nets.tasks.parity import Parity

__all__ = [
    "OPERATIONS",
    "TASKS",
    "Modular",
    "Parity",
    "RandomAutomaton",
    "Task",
    "all_pairs",
    "check_pairs",
    "complement",
    "split_pairs",
    "table",
]

TASKS: dict[str, type[Task]] = {
    "modular": Modular,
    "parity": Parity,
    "automaton": RandomAutomaton,
}
"""Every kind of task by name; a new one is a frozen record and a line here."""
