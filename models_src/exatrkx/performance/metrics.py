"""Tracking metrics: efficiency, fake, duplicate and unmatched rate, edge efficiency and purity, each defined once.

All of them are pooled over events by adding: numerators to numerators, denominators to denominators.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from exatrkx.events.event import Event, IntArray
from exatrkx.events.truth import BoolArray, edge_truth, require_truth, true_edges
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.matching import MAJORITY, Candidates, Matching, found_particles, match_candidates
from exatrkx.performance.selection import TARGET, ParticleSelection


class Pooled:
    """A dataclass of ratios and counts that are added field by field."""

    __slots__ = ()

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]  # subclasses are dataclasses
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class TrackMetrics(Pooled):
    """Track metrics: how good candidates are. A candidate is all spacepoints of one label ≥ 0.

    Attributes:
        efficiency_perfect: selected particles with at least one PERFECT candidate / selected particles.
        efficiency_lhc: selected particles with at least one LHC candidate / selected particles.
        efficiency_double_majority: selected particles with at least one DOUBLE_MAJORITY candidate / selected particles.
        fake_rate: candidates in which no particle made more than half of the spacepoints / candidates.
        unmatched_rate: candidates that match no particle at all, selected or not, by double majority / candidates. It
            counts incomplete pieces of a particle too, and is never below the fake rate.
        duplicate_rate: of the candidates more than half of whose spacepoints one selected particle made, those beyond
            the first of each particle / all of them.

    The matchings are those of `exatrkx.performance.matching.Matching`.
    """

    efficiency_perfect: Ratio
    efficiency_lhc: Ratio
    efficiency_double_majority: Ratio
    fake_rate: Ratio
    unmatched_rate: Ratio
    duplicate_rate: Ratio

    @classmethod
    def zero(cls) -> TrackMetrics:
        """Nothing counted yet: what a sum over events starts from."""
        return cls(*(Ratio(0, 0) for _ in fields(cls)))


@dataclass(frozen=True, slots=True)
class EdgeMetrics(Pooled):
    """Edge metrics: how good a graph is.

    Attributes:
        efficiency: true edges of selected particles that the graph has / all true edges of selected particles.
        purity: edges of the graph that are a true edge of any charged particle / edges of the graph.

    A true edge joins consecutive spacepoints of one particle: see `exatrkx.events.truth.true_edges`.
    """

    efficiency: Ratio
    purity: Ratio

    @classmethod
    def zero(cls) -> EdgeMetrics:
        """Nothing counted yet: what a sum over events starts from."""
        return cls(Ratio(0, 0), Ratio(0, 0))


def track_metrics(labels: IntArray, event: Event, selection: ParticleSelection = TARGET) -> TrackMetrics:
    """Score the track candidates of one event.

    Args:
        labels: [N] a candidate's label ≥ 0 for each spacepoint, negative for a spacepoint on no candidate.
        event: N spacepoints with truth.
        selection: the particles that should have been found.

    Raises:
        ValueError: the event has no truth, or `labels` is not one integer for each spacepoint.
    """
    return score_candidates(match_labels(labels, event), selection.mask(event))


def match_labels(labels: IntArray, event: Event) -> Candidates:
    """The candidates of one event, each with its majority particle.

    Args:
        labels: [N] a candidate's label ≥ 0 for each spacepoint, negative for a spacepoint on no candidate.
        event: N spacepoints with truth.

    Raises:
        ValueError: the event has no truth, or `labels` is not one integer for each spacepoint.
    """
    truth = require_truth(event)
    if labels.shape != (len(event),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"event {event.event_id}: labels must be one integer for each of {len(event)} spacepoints, "
            f"found {labels.dtype} {list(labels.shape)}"
        )
    return match_candidates(labels, truth)


def score_candidates(candidates: Candidates, selected: BoolArray) -> TrackMetrics:
    """Score the matched candidates of one event.

    Args:
        candidates: as `match_labels` gives them.
        selected: [P] the particles that should have been found.
    """
    found = {matching: found_particles(candidates, matching, len(selected))[selected] for matching in Matching}
    return TrackMetrics(
        efficiency_perfect=share(found[Matching.PERFECT]),
        efficiency_lhc=share(found[Matching.LHC]),
        efficiency_double_majority=share(found[Matching.DOUBLE_MAJORITY]),
        fake_rate=share(fakes(candidates)),
        unmatched_rate=share(~candidates.matched(Matching.DOUBLE_MAJORITY)),
        duplicate_rate=share(duplicates(candidates, selected)[1]),
    )


def fakes(candidates: Candidates) -> BoolArray:
    """[C] whether no particle made more than half of the candidate."""
    return candidates.purity <= MAJORITY


def duplicates(candidates: Candidates, selected: BoolArray) -> tuple[IntArray, BoolArray]:
    """The candidates that a duplicate rate counts, and which of them are duplicates.

    Args:
        candidates: as `match_labels` gives them.
        selected: [P] the particles that should have been found.

    Returns:
        [D] the selected particle of each candidate more than half of which it made, by rising label, and [D] whether
        an earlier candidate has the same particle.
    """
    of_a_particle = candidates.particle[candidates.purity > MAJORITY]
    of_selected = of_a_particle[selected[of_a_particle]]
    again = np.ones(len(of_selected), dtype=np.bool_)
    again[np.unique(of_selected, return_index=True)[1]] = False
    return of_selected, again


def edge_metrics(edge_index: IntArray, event: Event, selection: ParticleSelection = TARGET) -> EdgeMetrics:
    """Score the graph of one event.

    Args:
        edge_index: [2,E] each unordered pair once.
        event: N spacepoints with truth.
        selection: the particles whose edges the efficiency counts.

    Raises:
        ValueError: the event has no truth.
    """
    truth = require_truth(event)
    wanted = true_edges(truth, len(event), selection.mask(event))
    return score_edges(
        edge_truth(wanted, edge_index, len(event)), edge_truth(edge_index, true_edges(truth, len(event)), len(event))
    )


def score_edges(kept: BoolArray, true: BoolArray) -> EdgeMetrics:
    """Score a graph that was compared with the true edges.

    Args:
        kept: for each true edge of a selected particle, whether the graph has it.
        true: [E] for each edge of the graph, whether it is a true edge of any charged particle.
    """
    return EdgeMetrics(efficiency=share(kept), purity=share(true))


def share(flags: BoolArray) -> Ratio:
    """How many are True, of how many there are."""
    return Ratio(int(np.count_nonzero(flags)), len(flags))
