"""Training graphs: what the stages before a network make of an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from exatrkx.networks.storage import hash_tensors
from exatrkx.stages.edges import fixed_radius_edges
from exatrkx.working_point import logit

if TYPE_CHECKING:
    from torch import Tensor

    from exatrkx.networks.mlp import EdgeFilter, Embedding

_MOST_EDGES: Final = 50_000_000


def radius_graph(points: Tensor, radius: float, max_neighbors: int) -> Tensor:
    """[2,E] edges of the pipeline's own neighbour search, from torch tensors and to them, on their device."""
    if points.device.type == "cpu":
        edges = fixed_radius_edges(points.numpy(), radius=radius, max_neighbors=max_neighbors, max_edges=_MOST_EDGES)
        return torch.from_numpy(edges)
    import cupy  # noqa: PLC0415 - only where there is a GPU

    points = cupy.from_dlpack(points)
    edges = fixed_radius_edges(points, radius=radius, max_neighbors=max_neighbors, max_edges=_MOST_EDGES)
    tensor: Tensor = torch.utils.dlpack.from_dlpack(edges)
    return tensor


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """Embedding and neighbours: the graphs that the filter sees."""

    embed: Embedding
    radius: float
    max_neighbors: int

    @property
    def settings(self) -> dict[str, str | float]:
        """What the graphs follow from: hashes of networks, by their kind, and numbers."""
        weights = hash_tensors(self.embed.state_dict())
        return {"embed": weights, "radius": self.radius, "max_neighbors": self.max_neighbors}

    @torch.no_grad()
    def __call__(self, features: Tensor) -> Tensor:
        return radius_graph(self.embed(features), self.radius, self.max_neighbors)


@dataclass(frozen=True, slots=True)
class FilteredGraph:
    """The same after the filter's cut: the graphs that the GNN sees."""

    neighbours: NeighbourGraph
    edge_filter: EdgeFilter
    cut: float

    @property
    def settings(self) -> dict[str, str | float]:
        """What the graphs follow from."""
        return {**self.neighbours.settings, "filter": hash_tensors(self.edge_filter.state_dict()), "cut": self.cut}

    @torch.no_grad()
    def __call__(self, features: Tensor) -> Tensor:
        edge_index = self.neighbours(features)
        return edge_index[:, self.edge_filter(features, edge_index) > logit(self.cut)]
