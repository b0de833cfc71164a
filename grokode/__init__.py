"""grokode: the theory of learning modular addition beside really trained networks.

`grokode.theory` predicts, `grokode.nets` trains, `grokode.compare` lays one over the other::

    from grokode import theory, nets, compare
"""

from importlib.metadata import version
from pathlib import Path

__version__ = version("grokode")

# In a checkout the wings lie beside this folder, which Python finds first when it is run there:
# they are those of the checkout too, so that no two versions are ever mixed.
_root = Path(__file__).parent.parent
if (_root / "theory" / "__init__.py").is_file() and (_root / "pyproject.toml").is_file():
    __path__ = [*__path__, str(_root)]
del _root
