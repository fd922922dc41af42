"""What the pipeline finds in events whose truth is known, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exatrkx.edges import select_edges
from exatrkx.features import features
from exatrkx.metrics import EdgeMetrics, TrackMetrics, edge_metrics, track_metrics
from exatrkx.selection import TARGET, ParticleSelection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exatrkx.event import Event
    from exatrkx.pipeline import Pipeline

STAGES = ("neighbours", "filter", "GNN")


@dataclass(slots=True)
class StageFigures:
    """A graph summed over events: its quality, and how many edges it had."""

    edges: EdgeMetrics = field(default_factory=EdgeMetrics.zero)
    count: int = 0


@dataclass(slots=True)
class Validation:
    """Figures summed over events.

    Attributes:
        selection: the particles that were to be found.
        events, spacepoints, candidates: how many there were.
        stages: of each graph, after the neighbour search, after the filter's cut and after the GNN's cut.
        tracks: of the track candidates.
    """

    selection: ParticleSelection = TARGET
    events: int = 0
    spacepoints: int = 0
    candidates: int = 0
    stages: dict[str, StageFigures] = field(default_factory=lambda: {name: StageFigures() for name in STAGES})
    tracks: TrackMetrics = field(default_factory=TrackMetrics.zero)

    def add(self, pipeline: Pipeline, event: Event) -> None:
        """Run one event, which must have truth, and count.

        Raises:
            ValueError: the event has no truth.
            ContractError, GraphTooLargeError: as the pipeline does.
        """
        found = pipeline(features(event))
        joined = select_edges(found.edge_index, found.edge_scores, cut=pipeline.working_point.gnn_cut)
        for name, edge_index in zip(STAGES, (found.neighbour_edges, found.edge_index, joined), strict=True):
            stage = self.stages[name]
            stage.edges += edge_metrics(edge_index, event, self.selection)
            stage.count += edge_index.shape[1]
        self.tracks += track_metrics(found.labels, event, self.selection)
        self.events += 1
        self.spacepoints += len(event)
        self.candidates += int(found.labels.max(initial=-1)) + 1


def validate(pipeline: Pipeline, events: Iterable[Event], selection: ParticleSelection = TARGET) -> Validation:
    """Run every event through the pipeline and sum the figures.

    Raises:
        ValueError: an event has no truth.
    """
    total = Validation(selection)
    for event in events:
        total.add(pipeline, event)
    return total
