"""The networks: parameters by name, starts, outputs and gradients."""

from grokode.nets.networks.base import Layout, Network
from grokode.nets.networks.recurrent import Recurrent
from grokode.nets.networks.summed_embeddings import SummedEmbeddings
from grokode.nets.networks.transformer import Transformer
from grokode.nets.networks.two_layer import TwoLayer

__all__ = [
    "NETWORKS",
    "Layout",
    "Network",
    "Recurrent",
    "SummedEmbeddings",
    "Transformer",
    "TwoLayer",
]

NETWORKS: dict[str, type[Network]] = {
    "two_layer": TwoLayer,
    "transformer": Transformer,
    "summed_embeddings": SummedEmbeddings,
    "recurrent": Recurrent,
}
"""Every architecture by name; a new one is a frozen record and a line here."""
