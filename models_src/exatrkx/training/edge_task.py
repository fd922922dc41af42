"""Edge classification: training of the filter and of the GNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from exatrkx.training.weighting import TARGET_PT, edge_weight
from exatrkx.working_point import logit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from exatrkx.training.events import TrainingEvent

SCAN_CUTS: Final = (0.01, 0.05, 0.1, 0.3, 0.5, 0.7)


class EdgeTask:
    """Binary cross-entropy on the edges of a graph; an edge is right when one particle made both its spacepoints.

    Edges that skip a spacepoint count as right: they hold a track together where a sequential edge is lost.

    Args:
        network: features, edge_index -> logits.
        graph: features -> edge_index, what the stages before the network make of an event.
    """

    def __init__(self, network: nn.Module, graph: Callable[[Tensor], Tensor]) -> None:
        self.network = network
        self.graph = graph

    def loss(self, event: TrainingEvent) -> Tensor:
        edge_index = self.graph(event.features)
        gap = event.gap(edge_index)
        weight = edge_weight(event, edge_index, gap)
        scores = self.network(event.features, edge_index)
        # Per spacepoint, not per edge: a crowded event must not count less for being crowded.
        total = binary_cross_entropy_with_logits(scores, (gap > 0).float(), weight, reduction="sum")
        return total / max(1, len(event))

    @torch.no_grad()
    def evaluate(self, events: Sequence[TrainingEvent]) -> dict[str, float]:
        """Efficiency for sequential true edges with pT > 1 GeV, purity, and edges per spacepoint, at each cut.

        The efficiency is this network's own: true edges kept among those that the graph still has.
        Purity counts every edge between two spacepoints of one particle as right.
        """
        kept, right, targets = (np.zeros(len(SCAN_CUTS)) for _ in range(3))
        wanted = spacepoints = 0
        for event in events:
            edge_index = self.graph(event.features)
            scores = self.network(event.features, edge_index)
            gap = event.gap(edge_index)
            target = (gap == 1) & (event.edge_pt(edge_index) > TARGET_PT)
            same_particle = gap > 0
            wanted += int(target.sum())
            spacepoints += len(event)
            for i, cut in enumerate(SCAN_CUTS):
                passed = scores > logit(cut)
                kept[i] += int(passed.sum())
                right[i] += int((passed & same_particle).sum())
                targets[i] += int((passed & target).sum())
        figures = {}
        for i, cut in enumerate(SCAN_CUTS):
            figures[f"efficiency@{cut}"] = targets[i] / max(1, wanted)
            figures[f"purity@{cut}"] = right[i] / max(1, kept[i])
            figures[f"edges_per_spacepoint@{cut}"] = kept[i] / max(1, spacepoints)
        return figures
