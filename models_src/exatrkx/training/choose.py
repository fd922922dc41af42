"""Choice of the working point on held-out events, from what each network must not lose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.progress import bar
from exatrkx.stages.track_building import label_tracks
from exatrkx.training.tasks import TARGET_PT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from exatrkx.events.event import Event
    from exatrkx.networks.mlp import EdgeFilter, Embedding
    from exatrkx.networks.triplet_network import TripletNetwork
    from exatrkx.training.events import TrainingEvent
    from exatrkx.training.recipes import Goals
    from exatrkx.working_point import WorkingPoint

CUT_SCAN: Final = tuple(round(0.05 * step, 2) for step in range(2, 20))
"""Probabilities tried for the GNN's cut."""

EFFICIENCY_WEIGHT: Final = 2.0
"""Of the efficiency beside the rates of fakes and duplicates: what a fit makes nothing of can be dropped after it, a
track that was not found is lost."""


@torch.no_grad()
def choose_radius(embed: Embedding, events: Sequence[TrainingEvent], goals: Goals) -> float:
    """The distance within which the wanted part of the true edges lies."""
    distances = []
    for event in bar(events, desc="radius", leave=False):
        ends = embed(event.features)[event.true_edges]  # [2,T,D]
        target = event.edge_pt(event.true_edges) > TARGET_PT
        distances.append((ends[0] - ends[1]).norm(dim=1)[target].cpu().numpy())
    return round(float(np.quantile(np.concatenate(distances), goals.radius)), 4)


@torch.no_grad()
def choose_filter_cut(
    edge_filter: EdgeFilter, graph: Callable[[Tensor], Tensor], events: Sequence[TrainingEvent], goals: Goals
) -> float:
    """The probability above which the wanted part of the true edges scores."""
    scores = []
    for event in bar(events, desc="filter's cut", leave=False):
        edge_index = graph(event.features)
        target = (event.gap(edge_index) == 1) & (event.edge_pt(edge_index) > TARGET_PT)
        scores.append(edge_filter(event.features, edge_index)[target].cpu().numpy())
    lowest = np.quantile(np.concatenate(scores), 1.0 - goals.filter_cut)
    return round(float(1.0 / (1.0 + np.exp(-lowest))), 4)


@torch.no_grad()
def choose_gnn_cut(
    gnn: TripletNetwork,
    graph: Callable[[Tensor], Tensor],
    samples: Sequence[Sequence[tuple[Event, TrainingEvent]]],
    point: WorkingPoint,
) -> tuple[float, list[TrackMetrics]]:
    """The cut with the best balance of tracks found and tracks invented, and the figures of each sample there.

    The balance is 2 · efficiency (double majority) − fake rate − duplicate rate; each sample, such as one for each µ,
    counts the same. A cut without a balance, because a sample has no candidates or no particles to be found, is not
    chosen; if none has one, it is 0.5, and the figures are of nothing.

    Args:
        gnn: what scores the edges.
        graph: features [N,3] to edge_index [2,E], what the stages before the GNN make of an event.
        samples: of each the events, as they are and as tensors.
        point: the working point, of which the GNN's cut is to be chosen.
    """
    scored = [[_scored(gnn, graph, event) for _, event in events] for events in samples]
    best = (-np.inf, 0.5, [TrackMetrics.zero() for _ in samples])
    for cut in bar(CUT_SCAN, desc="GNN's cut", unit="cut", leave=False):
        figures = []
        for events, graphs in zip(samples, scored, strict=True):
            total = TrackMetrics.zero()
            for (truth, event), (edges, logits) in zip(events, graphs, strict=True):
                features = event.features.cpu().numpy()
                labels = label_tracks(edges, logits, len(truth), replace(point, gnn_cut=cut), features)
                total += track_metrics(labels, truth)
            figures.append(total)
        best = max(best, (sum(map(_balance, figures)), cut, figures), key=lambda candidate: candidate[0])
    return best[1], best[2]


def _scored(
    gnn: TripletNetwork, graph: Callable[[Tensor], Tensor], event: TrainingEvent
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    edge_index = graph(event.features)
    return edge_index.cpu().numpy(), gnn(event.features, edge_index).cpu().numpy()


def _balance(figures: TrackMetrics) -> float:
    efficiency = figures.efficiency_double_majority.value
    return EFFICIENCY_WEIGHT * efficiency - figures.fake_rate.value - figures.duplicate_rate.value
