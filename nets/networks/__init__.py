"""The networks: parameters by name, starts, outputs and gradients."""

from grokode.nets.networks.base import Layout, Network
from grokode.nets.networks.recurrent import Recurrent
from grokode.nets.networks.two_layer import TwoLayer

__all__ = ["NETWORKS", "Layout", "Network", "Recurrent", "TwoLayer"]

NETWORKS: dict[str, type[Network]] = {"two_layer": TwoLayer, "recurrent": Recurrent}
"""Every architecture by name; a new one is a frozen record and a line here."""
