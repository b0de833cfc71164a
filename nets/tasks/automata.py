"""Random finite automata as tasks."""

from dataclasses import dataclass

from grokode.nets.records import check_least
from grokode.nets.tasks.machines import Machine, random_machine
from grokode.nets.tasks.sequences import SequenceTask

__all__ = ["RandomAutomaton"]


@dataclass(frozen=True)
class RandomAutomaton(SequenceTask):
    """The output of a random automaton after a sequence; every seed has one, see `random_machine`.

    Parameters
    ----------
    states : int
        At most this many; seven as published.
    new_state : float
        Probability that a transition leads to a new state, in [0, 1].
    length, train_fraction, batch, loss, test_sequences, test_length
        As `grokode.nets.tasks.parity.Parity`.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> RandomAutomaton(states=3, length=4).machine(seed=0).outputs
    (0, 0, 1)
    """

    states: int = 7
    new_state: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, 2, "states")
        if not 0 < self.new_state <= 1:
            raise ValueError(f"new_state must be in (0, 1], got {self.new_state}")

    def machine(self, seed: int) -> Machine:
        """The seed's automaton."""
        return random_machine(self.states, self.new_state, seed)
