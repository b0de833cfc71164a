"""Every view of the explorer, by name: one line to each."""

from grokode.compare.explorer.view import View
from grokode.compare.explorer.views.circuit import VIEW as CIRCUIT
from grokode.compare.explorer.views.configuration import VIEW as LOG
from grokode.compare.explorer.views.contour import VIEW as CONTOUR
from grokode.compare.explorer.views.grid import VIEW as GRID
from grokode.compare.explorer.views.ladder import VIEW as WINNERS
from grokode.compare.explorer.views.logits import VIEW as LOGITS
from grokode.compare.explorer.views.overview import VIEW as OVERVIEW
from grokode.compare.explorer.views.phases import VIEW as PHASES
from grokode.compare.explorer.views.race import VIEW as RACE
from grokode.compare.explorer.views.scores import VIEW as SCORES
from grokode.compare.explorer.views.states import VIEW as STATES
from grokode.compare.explorer.views.weights import VIEW as WEIGHTS

__all__ = ["VIEWS"]

_ALL = (OVERVIEW, RACE, WINNERS, CONTOUR, WEIGHTS, PHASES, LOGITS, GRID, SCORES, CIRCUIT)

VIEWS: dict[str, View] = {view.name: view for view in (*_ALL, STATES, LOG)}
"""In the order of the page; a view of your own is added by its name."""
