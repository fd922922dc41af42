"""Training of the embedding: metric learning with the hardest pairs that the embedding itself finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from exatrkx.training.graphs import radius_graph
from exatrkx.training.weighting import TARGET_PT, pt_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from exatrkx.networks import Embedding
    from exatrkx.training.sample import Sample

MARGIN: Final = 1.0
"""Distance beyond which two spacepoints of different particles no longer push each other away."""

TRAINING_NEIGHBORS: Final = 30
NEGATIVE_WEIGHT: Final = 0.25
"""Of one wrong pair beside one right pair: there are several times as many."""

SCAN_RADII: Final = (0.4, 0.6, 0.8, 1.0, 1.2)


class EmbeddingTask:
    """Hinge loss: true edges are drawn together, other pairs within the margin are pushed apart.

    Source: Ju et al., Eur. Phys. J. C 81 (2021) 876, section 3.1; hard negatives as in its reference implementation.
    """

    def __init__(self, network: Embedding) -> None:
        self.network = network

    def loss(self, event: Sample) -> Tensor:
        points = self.network(event.features)
        positive = event.true_edges
        negative = radius_graph(points.detach(), MARGIN, TRAINING_NEIGHBORS)
        negative = negative[:, event.gap(negative) == 0]
        weight = pt_weight(event.edge_pt(positive))
        attraction = (weight * squared_distance(points, positive)).sum()
        distance = (squared_distance(points, negative) + 1e-12).sqrt()
        repulsion = (MARGIN - distance).clamp(min=0).square().sum()
        return (attraction + NEGATIVE_WEIGHT * repulsion) / max(1, positive.shape[1])

    @torch.no_grad()
    def evaluate(self, events: Sequence[Sample]) -> dict[str, float]:
        """Efficiency for true edges with pT > 1 GeV, and edges per spacepoint, at each of `SCAN_RADII`."""
        found = np.zeros((len(SCAN_RADII), 2))
        wanted = np.zeros(2)
        edges = np.zeros(len(SCAN_RADII))
        spacepoints = 0
        for event in events:
            points = self.network(event.features)
            distances = squared_distance(points, event.true_edges).sqrt()
            target = event.edge_pt(event.true_edges) > TARGET_PT
            wanted += (int(target.sum()), len(target))
            spacepoints += len(event)
            graph = radius_graph(points, SCAN_RADII[-1], 1000)
            reach = squared_distance(points, graph).sqrt()
            for i, radius in enumerate(SCAN_RADII):
                found[i] += (int((distances[target] < radius).sum()), int((distances < radius).sum()))
                edges[i] += int((reach < radius).sum())
        figures = {}
        for i, radius in enumerate(SCAN_RADII):
            figures[f"efficiency@{radius}"] = found[i, 0] / wanted[0]
            figures[f"efficiency_all@{radius}"] = found[i, 1] / wanted[1]
            figures[f"edges_per_spacepoint@{radius}"] = edges[i] / spacepoints
        return figures


def squared_distance(points: Tensor, edge_index: Tensor) -> Tensor:
    """[E] squared distances between the ends of each edge."""
    return (points.index_select(0, edge_index[0]) - points.index_select(0, edge_index[1])).square().sum(dim=1)
