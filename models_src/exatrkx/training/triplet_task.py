"""Edge and triplet classification: training of the GNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from exatrkx.training.edge_task import EdgeTask
from exatrkx.training.weighting import edge_weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from exatrkx.networks.triplet_network import TripletNetwork
    from exatrkx.training.events import TrainingEvent

EARLY_WEIGHT: Final = 0.2
"""Of the scores before each round beside the last ones: every round is to be useful by itself."""

TRIPLET_WEIGHT: Final = 0.2
"""Of the triplets' scores. Without a loss of their own they learn to count the wrong ones, and nothing more."""

WRONG_TRIPLET_WEIGHT: Final = 0.3
"""Of one wrong triplet beside one right one: there are many more."""


class TripletTask(EdgeTask):
    """Cross-entropy on the edges, as in `EdgeTask`, after every round, and on the triplets.

    A triplet is right when one particle made all of its spacepoints.
    """

    def __init__(self, network: TripletNetwork, graph: Callable[[Tensor], Tensor]) -> None:
        super().__init__(network, graph)
        self.triplet_network = network

    def loss(self, event: TrainingEvent) -> Tensor:
        edge_index = self.graph(event.features)
        gap = event.gap(edge_index)
        right, weight = (gap > 0).float(), edge_weight(event, edge_index, gap)
        found = self.triplet_network.evidence(event.features, edge_index)
        early = torch.stack([_summed(scores, right, weight) for scores in found.early]).mean()
        both = right[found.first] * right[found.second]
        triplet_weight = torch.where(both > 0, weight[found.first], WRONG_TRIPLET_WEIGHT)
        triplets = _summed(found.triplets, both, triplet_weight)
        total = _summed(found.scores, right, weight) + EARLY_WEIGHT * early + TRIPLET_WEIGHT * triplets
        return total / max(1, len(event))


def _summed(scores: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(scores, right, weight, reduction="sum")
