"""The three trained networks. All take the contract's feature columns and return logits or coordinates in FP32."""

from exatrkx.networks.edge_filter import EdgeFilter
from exatrkx.networks.embedding import Embedding
from exatrkx.networks.storage import Network, load_network, save_network
from exatrkx.networks.triplet_network import TripletNetwork

__all__ = ["EdgeFilter", "Embedding", "Network", "TripletNetwork", "load_network", "save_network"]
