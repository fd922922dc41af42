"""When two ways of running the pipeline give the same answer, and what alone may excuse them where they do not.

Sums in another order differ in their last digits. Where such a difference takes an edge's score across a cut, the edge
is kept in one answer and not in the other. That is named, edge by edge and with its distance from the cut; nothing
else is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exatrkx.stages.track_building import label_tracks
from exatrkx.working_point import WorkingPoint, logit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Array = npt.NDArray[Any]

TOLERANCE: Final = 1e-4
"""Largest distance, in logit, between a score and the cut that it crosses, and between two scores of one edge."""

Edge = tuple[int, int]


@dataclass(frozen=True)
class Answer:
    """What one way of running the pipeline says of an event: the outputs of `exatrkx.contract.ENSEMBLE`.

    Of the reference also the event's features, where there is track completion.
    """

    labels: Array
    edge_index: Array
    edge_scores: Array
    features: Array | None = None

    def scores(self) -> dict[Edge, float]:
        return dict(zip(edges_of(self.edge_index), self.edge_scores.tolist(), strict=True))


@dataclass(frozen=True)
class Crossing:
    """An edge whose score is above a cut in one answer and not in the other."""

    network: str
    edge: Edge
    distance: float
    """From the score furthest from the cut to the cut, in logit."""

    def __str__(self) -> str:
        return f"{self.network}: the score of edge {self.edge} crosses the cut, by {self.distance:.2e} in logit"


def edges_of(edge_index: Array) -> list[Edge]:
    return list(zip(*edge_index.tolist(), strict=True))


def assert_same_answer(
    expected: Answer, found: Answer, filter_scores: Mapping[Edge, float], cuts: WorkingPoint
) -> list[Crossing]:
    """Fail unless the answers are the same but for crossings within `TOLERANCE`, which are returned.

    Args:
        expected: the reference.
        found: what is compared with it.
        filter_scores: the reference's score of every edge that the filter saw.
        cuts: the working point of both.
    """
    crossings = _filter_crossings(expected, found, filter_scores, cuts) + _gnn_crossings(expected, found, cuts)
    too_far = [str(crossing) for crossing in crossings if crossing.distance > TOLERANCE]
    assert not too_far, "; ".join(too_far)
    if crossings:
        labels = label_tracks(found.edge_index, found.edge_scores, len(found.labels), cuts, expected.features)
        np.testing.assert_array_equal(found.labels, labels, "the labels are not those of the answer's own edges")
        return crossings
    np.testing.assert_array_equal(found.edge_index, expected.edge_index)
    np.testing.assert_allclose(found.edge_scores, expected.edge_scores, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(found.labels, expected.labels)
    return []


def _filter_crossings(
    expected: Answer, found: Answer, filter_scores: Mapping[Edge, float], cuts: WorkingPoint
) -> list[Crossing]:
    different = set(edges_of(expected.edge_index)) ^ set(edges_of(found.edge_index))
    unknown = sorted(different - set(filter_scores))
    assert not unknown, f"edges that the neighbour search of the reference did not find: {unknown[:5]}"
    return [Crossing("filter", edge, abs(filter_scores[edge] - logit(cuts.filter_cut))) for edge in sorted(different)]


def _gnn_crossings(expected: Answer, found: Answer, cuts: WorkingPoint) -> list[Crossing]:
    cut = logit(cuts.gnn_cut)
    one, other = expected.scores(), found.scores()
    return [
        Crossing("gnn", edge, max(abs(one[edge] - cut), abs(other[edge] - cut)))
        for edge in sorted(one.keys() & other.keys())
        if (one[edge] > cut) != (other[edge] > cut)
    ]
