"""Streaming parity: whether a sequence of zeros and ones has an odd number of ones."""

from dataclasses import dataclass

from grokode.nets.tasks.machines import PARITY, Machine
from grokode.nets.tasks.sequences import SequenceTask

__all__ = ["Parity"]


@dataclass(frozen=True)
class Parity(SequenceTask):
    """Parity of the ones of a sequence, learned from sequences up to a length.

    Trained on as van Rossem and Saxe do (arXiv:2507.09897): an epoch goes through the lengths from
    1 up, each in random batches, so that a step sees sequences of one length.

    Parameters
    ----------
    length : int
        The longest training sequences.
    train_fraction : float
        Of the 2^n sequences of every length n a binomial number with this probability is trained
        on, in (0, 1]; the numbers are the same for every seed, the sequences its own.
    batch : int
        The most sequences of a step.
    loss : {"mse", "cross_entropy"}
        Mean square over examples and both outputs, to one-hot answers; or cross-entropy.
    test_sequences, test_length : int
        Number and length of the random sequences tested on, the same for every seed.

    Raises
    ------
    ValueError
        For a value out of range, naming it.

    Examples
    --------
    >>> task = Parity(length=3, test_sequences=5, test_length=8)
    >>> task.inputs.shape, task.answers(0)[:6].tolist()
    ((19, 8), [0, 1, 0, 1, 1, 0])
    """

    def machine(self, seed: int) -> Machine:
        """The automaton of two states, whatever the seed."""
        return PARITY
