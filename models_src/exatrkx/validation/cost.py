"""Cost of the networks: multiply-accumulates (MACs), counted while a network runs, and bytes of weights.

Counted are the MACs of matrix products: linear layers, batched products, convolutions and attention, as
`torch.utils.flop_counter` sees them in eager calls, whose operations are two for each MAC. Not counted: sums,
normalisations, activations, what is gathered from and summed over edges, copies, and the traffic to memory; nor what
is between the networks, which are the neighbour search, the cuts and the track building. So it compares networks with
each other, and does not tell their time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from exatrkx.events.event import FloatArray, IntArray
    from exatrkx.pipeline import Network, Pipeline

_EDGES: Final = 64
_FLOPS_OF_MAC: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCost:
    """One network, and its call on one event.

    Attributes:
        name: of the served model.
        weights, weight_bytes: numbers in the network, and the memory that they take.
        per_spacepoint: MACs for each spacepoint more, at the same edges.
        per_edge: for each edge more that shares no spacepoint with another; None for a network that takes no edges.
        spacepoints, edges: of the event.
        event: MACs in the event.
    """

    name: str
    weights: int
    weight_bytes: int
    per_spacepoint: float
    per_edge: float | None
    spacepoints: int
    edges: int
    event: int

    @property
    def rest(self) -> float:
        """MACs of the event beyond those of its spacepoints and edges.

        0 where the work is linear in both; more where it is done for each pair of edges, say, or whatever the event.
        """
        return self.event - self.spacepoints * self.per_spacepoint - self.edges * (self.per_edge or 0.0)


def network_costs(pipeline: Pipeline, hits: FloatArray, graphs: dict[str, IntArray]) -> tuple[NetworkCost, ...]:
    """The cost of the three networks of a pipeline in one event.

    Args:
        pipeline: with networks in eager mode: what TorchScript does is not seen.
        hits: [N,3] features of the event.
        graphs: [2,E] edges after each stage, in the stages' order.
    """
    neighbour_edges, filtered_edges, *_ = graphs.values()
    networks: tuple[tuple[str, Network, IntArray | None], ...] = (
        ("embed", pipeline.embed, None),
        ("filter", pipeline.edge_filter, neighbour_edges),
        ("gnn", pipeline.gnn, filtered_edges),
    )
    return tuple(network_cost(name, network, hits, edges, pipeline.device) for name, network, edges in networks)


def network_cost(
    name: str, network: Network, hits: FloatArray, edge_index: IntArray | None, device: torch.device | None = None
) -> NetworkCost:
    """The cost of one network in one event.

    Args:
        name: of the network.
        network: in eager mode, called with the features and, unless `edge_index` is None, the edges.
        hits: [N,3] features of the event.
        edge_index: [2,E] its edges.
        device: where the network is; None for the CPU.
    """
    weights = network.state_dict().values() if isinstance(network, torch.nn.Module) else ()
    edges = None if edge_index is None else torch.from_numpy(edge_index).to(device)
    per_spacepoint, per_edge = _slopes(network, edge_index is not None, device)
    return NetworkCost(
        name=name,
        weights=sum(one.numel() for one in weights),
        weight_bytes=sum(one.numel() * one.element_size() for one in weights),
        per_spacepoint=per_spacepoint,
        per_edge=per_edge,
        spacepoints=len(hits),
        edges=0 if edges is None else edges.shape[1],
        event=count_macs(network, torch.from_numpy(hits).to(device), edges),
    )


def count_macs(network: Network, features: torch.Tensor, edge_index: torch.Tensor | None = None) -> int:
    """MACs of one call.

    Args:
        network: in eager mode, called with one argument where there are no edges, and with two where there are.
        features: [N,3].
        edge_index: [2,E].
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*(features,) if edge_index is None else (features, edge_index))
    return int(counter.get_total_flops()) // _FLOPS_OF_MAC


def _slopes(network: Network, takes_edges: bool, device: torch.device | None) -> tuple[float, float | None]:
    """MACs per spacepoint and per edge, by the difference of graphs in which no two edges meet."""
    small, large = 2 * _EDGES, 4 * _EDGES
    # A spacepoint of the features' range, and not one at the origin, of which a network may think anything.
    features = 0.1 + 0.8 * torch.rand((large, 3), generator=torch.Generator().manual_seed(1))
    features[:, 1] = 0.1  # at one φ: the filter's network sees no pair that is bent too much to be a track's
    pairs = torch.arange(large).reshape(-1, 2).T.flip(0)  # [2, large / 2]: (1, 0), (3, 2), …
    features, pairs = features.to(device), pairs.to(device)
    few, many = (pairs[:, :_EDGES].contiguous(), pairs.contiguous()) if takes_edges else (None, None)
    of_few = count_macs(network, features, few)
    per_spacepoint = (of_few - count_macs(network, features[:small], few)) / (large - small)
    if not takes_edges:
        return per_spacepoint, None
    return per_spacepoint, (count_macs(network, features, many) - of_few) / (pairs.shape[1] - _EDGES)
