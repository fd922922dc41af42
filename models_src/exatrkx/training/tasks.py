"""Training tasks: metric learning of the embedding, and classification of edges and triplets, each with its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from exatrkx.training.graphs import radius_graph
from exatrkx.working_point import logit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from exatrkx.networks.mlp import Embedding
    from exatrkx.networks.triplet_network import TripletNetwork
    from exatrkx.training.events import TrainingEvent

TARGET_PT: Final = 1.0
"""GeV: what the figures of merit count begins here."""

FULL_WEIGHT_PT: Final = 0.5
"""GeV: from here on true edges count fully."""

LOWEST_WEIGHT: Final = 0.05
"""Softer particles still count: their edges, if lost, become fragments and fakes."""

SKIPPING_WEIGHT: Final = 0.5
"""Of an edge that joins two spacepoints of a particle but skips one or more: a spare link, not a needed one."""


def pt_weight(pt: Tensor) -> Tensor:
    """Weight of a true edge by its particle's pT in GeV: rising as its square to 1 at 0.5 GeV, never below 0.05."""
    return torch.clamp((pt / FULL_WEIGHT_PT).square(), LOWEST_WEIGHT, 1.0)


def edge_weight(event: TrainingEvent, edge_index: Tensor, gap: Tensor) -> Tensor:
    """[E] weights for classification: true edges by pT and by what they skip, wrong edges 1."""
    true = pt_weight(event.edge_pt(edge_index)) * torch.where(gap > 1, SKIPPING_WEIGHT, 1.0)
    return torch.where(gap > 0, true, 1.0)


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

    shown = ("efficiency@1.0", "edges_per_spacepoint@1.0")

    def __init__(self, network: Embedding) -> None:
        self.network = network

    def losses(self, event: TrainingEvent, parts: int) -> Iterator[Tensor]:
        """The event's loss, as often as it is asked for."""
        for _ in range(parts):
            yield self._loss(event)

    def _loss(self, event: TrainingEvent) -> Tensor:
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


SCAN_CUTS: Final = (0.01, 0.05, 0.1, 0.3, 0.5, 0.7)


FILTERED_TRUE_WEIGHT: Final = 30.0
"""Of a true edge beside a wrong one in the filter, which is to drop what it can and still keep nearly all true ones:
the surface of equal odds then lies where it cuts. At the same efficiency this leaves four fifths of the edges."""

FILTERED_SCALE: Final = 0.2
"""Keeps its loss near that of equal weights, and its gradients from being clipped."""


class EdgeTask:
    """Binary cross-entropy on the edges of a graph; an edge is right when one particle made both its spacepoints.

    Edges that skip a spacepoint count as right: they hold a track together where a sequential edge is lost.

    Args:
        network: features, edge_index -> logits.
        graph: features -> edge_index, what the stages before the network make of an event.
    """

    shown = ("efficiency@0.5", "purity@0.5")

    def __init__(self, network: nn.Module, graph: Callable[[Tensor], Tensor]) -> None:
        self.network = network
        self.graph = graph

    def losses(self, event: TrainingEvent, parts: int) -> Iterator[Tensor]:
        """The loss of each part of the event's edges, of every `parts`-th one, on the scale of all of them."""
        edge_index = self.graph(event.features)
        gap = event.gap(edge_index)
        right, weight = (gap > 0).float(), edge_weight(event, edge_index, gap) * FILTERED_SCALE
        weight = torch.where(gap > 0, FILTERED_TRUE_WEIGHT * weight, weight)
        for begin in range(parts):
            scores = self.network(event.features, edge_index[:, begin::parts].contiguous())
            # Per spacepoint, not per edge: a crowded event must not count less for being crowded.
            yield parts * _summed(scores, right[begin::parts], weight[begin::parts]) / max(1, len(event))

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

    def losses(self, event: TrainingEvent, parts: int) -> Iterator[Tensor]:
        """The event's loss, as often as it is asked for: its edges belong together."""
        edge_index = self.graph(event.features)
        for _ in range(parts):
            yield self._loss(event, edge_index)

    def _loss(self, event: TrainingEvent, edge_index: Tensor) -> Tensor:
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
