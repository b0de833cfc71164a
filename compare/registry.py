"""Every question that a run can be asked, by name: one line to each."""

from grokode.compare.alignment.question import QUESTION as ALIGNMENT
from grokode.compare.automata.question import QUESTION as AUTOMATON
from grokode.compare.grokking.question import QUESTION as GROKKING
from grokode.compare.logits.question import QUESTION as LOGITS
from grokode.compare.lottery.question import QUESTION as LOTTERY
from grokode.compare.mechanism.question import QUESTION as MECHANISM
from grokode.compare.question import Question

__all__ = ["QUESTIONS"]

QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (LOTTERY, LOGITS, MECHANISM, GROKKING, ALIGNMENT, AUTOMATON)
}
"""In the order in which the page asks them; a question of your own is added by its name."""
