"""Metric learning: training of the embedding with the hardest pairs that the embedding itself finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from exatrkx.training.graphs import radius_graph
from exatrkx.training.weighting import TARGET_PT, pt_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from exatrkx.networks.mlp import Embedding
    from exatrkx.training.events import TrainingEvent

SHARPNESS: Final = 4.0
"""How fast the odds of a pair change with its squared distance."""

NEGATIVE_RADIUS: Final = 1.25
"""Distance within which wrong pairs are looked for: those beyond are told apart well enough."""

NEGATIVE_NEIGHBOURS: Final = 100
"""Among so many nearest of a spacepoint wrong pairs are looked for."""

TRUE_WEIGHT: Final = 300.0
"""Of one true edge beside one wrong pair. So large that the surface of equal odds, at a distance of 1, has nearly every
true edge inside: an edge that the search loses is lost for good, a wrong one goes at the next stage."""

SPACEPOINT_SCALE: Final = 0.1
"""Keeps the loss, a sum over pairs for each spacepoint, near one."""

SCAN_RADII: Final = (0.8, 0.9, 1.0, 1.1, 1.2)


class EmbeddingTask:
    """Is a pair nearer than 1 a true edge? Cross-entropy with the logit `SHARPNESS` · (1 − squared distance).

    The metric learning of Ju et al., Eur. Phys. J. C 81 (2021) 876, section 3.1, with hard negatives. Its hinge loss
    pulls on the mean true edge; what a search by radius needs is that the farthest ones are not beyond it. At the same
    efficiency this loss leaves half as many edges at µ = 200.
    """

    def __init__(self, network: Embedding) -> None:
        self.network = network

    def loss(self, event: TrainingEvent) -> Tensor:
        points = self.network(event.features)
        positive = event.true_edges
        negative = radius_graph(points.detach(), NEGATIVE_RADIUS, NEGATIVE_NEIGHBOURS)
        negative = negative[:, event.gap(negative) == 0]
        weight = pt_weight(event.edge_pt(positive))
        inside = SHARPNESS * (1.0 - squared_distance(points, positive))
        outside = SHARPNESS * (squared_distance(points, negative) - 1.0)
        total = -TRUE_WEIGHT * (weight * logsigmoid(inside)).sum() - logsigmoid(outside).sum()
        return SPACEPOINT_SCALE * total / max(1, len(event))

    @torch.no_grad()
    def evaluate(self, events: Sequence[TrainingEvent]) -> dict[str, float]:
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
