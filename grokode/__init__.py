"""grokode: the theory of learning modular addition beside really trained networks.

`grokode.theory` predicts, `grokode.nets` trains, `grokode.compare` lays one over the other::

    from grokode import theory, nets, compare
"""

from importlib.metadata import version

__version__ = version("grokode")
