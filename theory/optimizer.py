"""The optimiser's settings: one record for theory's predictors and for training."""

from dataclasses import dataclass

from grokode.theory._checks import check_integer, check_number

__all__ = ["OptimizerRule"]


@dataclass(frozen=True, kw_only=True)
class OptimizerRule:
    """How weights move along the gradient.

    Parameters
    ----------
    optimizer : str
        The method.
    learning_rate : float
        Learning rate.
    warmup : int
        Updates over which the rate rises from 0: the update after s others has min(s / warmup, 1)
        of it. The code of arXiv:2602.16849 has 10.
    momentum : float
        SGD only; at least 0 and below 1.
    betas : tuple of float
        Adam and AdamW only; the published betas are (0.9, 0.98).
    eps : float
        Adam and AdamW only; not negative.
    weight_decay : float
        Decoupled for AdamW, added to the gradient for the others.
    decay_until : int, optional
        Step from which on there is no more weight decay.

    Raises
    ------
    TypeError
        If a step is no integer, or a rate no number.
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> OptimizerRule(learning_rate=0.5, warmup=10).rate(5)
    0.25
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    warmup: int = 0
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay_until: int | None = None

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_integer("warmup", self.warmup, least=0)
        check_number("momentum", self.momentum, least=0, below=1)
        if len(self.betas) != 2:
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")
        for beta in self.betas:
            check_number("betas", beta, least=0, below=1)
        check_number("eps", self.eps, least=0)
        check_number("weight_decay", self.weight_decay, least=0)
        if self.decay_until is not None:
            check_integer("decay_until", self.decay_until, least=1)

    def rate(self, step: int) -> float:
        """Learning rate of the update after `step` others."""
        return (
            self.learning_rate * min(step / self.warmup, 1) if self.warmup else self.learning_rate
        )
