"""The graphs that the stages after the neighbour search see, with their scores: a real event's, or a stand-in's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from exatrkx.stages.edges import select_edges
from exatrkx.stages.neighbours import fixed_radius_edges
from exatrkx.working_point import WorkingPoint
from stage_benchmarks.network_methods import NetworkCall, run

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from stage_benchmarks.inputs import Input

NO_CAP: Final = 2**40

_STAND_IN_CUT: Final = 0.5
_STAND_IN_MEAN: Final = -1.2816
"""Of normal scores: a tenth of them is above the cut."""


class ScoredGraph(NamedTuple):
    """[2,E] edges, [E] logits, and the cut on them as a probability."""

    edge_index: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    cut: float


class EventGraphs(NamedTuple):
    """What the filter's cut selects from, and what the tracks are built of."""

    neighbours: ScoredGraph
    filtered: ScoredGraph


def graphs_of(event: Input, weights: Path, threads: int, seed: int) -> EventGraphs:
    """The event's graphs at the working point of `weights`; for a stand-in, its neighbours with random scores."""
    cuts = WorkingPoint.load(weights / "working_point.json")
    neighbours = fixed_radius_edges(
        event.embedding, radius=event.radius, max_neighbors=cuts.max_neighbors, max_edges=NO_CAP
    )
    if event.features is None:
        random = np.random.default_rng(seed).normal(_STAND_IN_MEAN, 1.0, size=neighbours.shape[1])
        stand_in = ScoredGraph(neighbours, random.astype(np.float32), _STAND_IN_CUT)
        return EventGraphs(stand_in, stand_in)
    scores = run(NetworkCall(weights, "filter", threads), event.features, neighbours)
    kept = select_edges(neighbours, scores, cut=cuts.filter_cut)
    logits = run(NetworkCall(weights, "gnn", threads), event.features, kept)
    return EventGraphs(ScoredGraph(neighbours, scores, cuts.filter_cut), ScoredGraph(kept, logits, cuts.gnn_cut))
