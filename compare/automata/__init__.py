"""What the hidden states of a recurrent network are: clusters, the automaton they make, mergers."""

from grokode.compare.automata.clusters import (
    Clusters,
    count_conflicts,
    leaders,
    linked,
    squared_distances,
)
from grokode.compare.automata.machines import Extracted, equivalent, extract, minimal_states

__all__ = [
    "Clusters",
    "Extracted",
    "count_conflicts",
    "equivalent",
    "extract",
    "leaders",
    "linked",
    "minimal_states",
    "squared_distances",
]
