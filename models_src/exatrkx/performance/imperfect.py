"""Tracks that are found but not perfect: which spacepoints are too few or too many, why, and which stage lost them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx.events.truth import distinct_hits, edge_truth, require_truth
from exatrkx.performance.matching import MAJORITY, Matching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from exatrkx.events.event import Event, IntArray
    from exatrkx.events.truth import BoolArray
    from exatrkx.performance.matching import Candidates

OVERLAP_MM: Final = 25.0
"""Two spacepoints of a particle that are nearer than that lie on modules of one layer that overlap.

In the Generic detector these are up to 20 mm apart along a track, and layers at least 30 mm."""

INWARDS_MM: Final = 10.0
"""By how much the distance from the axis may fall along a track that goes outwards: what a strip's length hides."""

TRACK_BUILDING: Final = "track building"
"""The stage after the last graph."""


class Cause(StrEnum):
    """What a found but not perfect track has that may be the reason; any number of them.

    Attributes:
        BEGINNING, END, GAP: where along the particle's way something is too few: up to its first spacepoint, from some
            place to its last one, or between others.
        OVERLAP: all that is too few lies beside another of the particle's spacepoints, on one layer.
        IN_PIECES: something too few is on another candidate more than half of which the particle made.
        MERGED: something too few or too many was made by several particles.
        NOISE: something too many was made by none.
        CURLING: the particle's way leads inwards somewhere.
    """

    BEGINNING = "too few at its beginning"
    END = "too few at its end"
    GAP = "too few in between"
    OVERLAP = "all that is too few beside another of its spacepoints (overlap of modules)"
    IN_PIECES = "too few, which another candidate of the particle has (in pieces)"
    MERGED = "too few or too many of several particles (merged)"
    NOISE = "too many of noise"
    CURLING = "the particle turns inwards (curling)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImperfectTrack:
    """A particle that was found by the double majority, and not exactly.

    Attributes:
        particle: its index.
        held: [S] its spacepoints on the candidate, along its way.
        runs: its other spacepoints along its way, those together that follow one another.
        extra: [X] the candidate's spacepoints that it did not make.
        causes: what may be the reason.
    """

    particle: int
    held: IntArray
    runs: tuple[IntArray, ...]
    extra: IntArray
    causes: frozenset[Cause]

    @property
    def missing(self) -> IntArray:
        """[M] its spacepoints that the candidate lacks, along its way."""
        return np.concatenate([self.held[:0], *self.runs])

    @property
    def shape(self) -> str:
        """How many spacepoints are too few and too many, one of `SHAPES`."""
        few, many = sum(map(len, self.runs)), len(self.extra)
        if few and many:
            return "too few and too many"
        return f"{'one' if few + many == 1 else 'more'} too {'few' if few else 'many'}"


SHAPES: Final = ("one too few", "more too few", "one too many", "more too many", "too few and too many")
"""All shapes of imperfect tracks."""


def imperfect_tracks(
    labels: IntArray, candidates: Candidates, selected: BoolArray, event: Event
) -> list[ImperfectTrack]:
    """The selected particles that were found by the double majority and not perfectly, by rising candidate.

    Args:
        labels: [N] a candidate's label ≥ 0 for each spacepoint, negative for a spacepoint on no candidate.
        candidates: the same, matched.
        selected: [P] the particles that should have been found.
        event: N spacepoints with truth.
    """
    truth = require_truth(event)
    found = candidates.matched(Matching.DOUBLE_MAJORITY) & ~candidates.matched(Matching.PERFECT)
    wanted = np.flatnonzero(found)
    wanted = wanted[selected[candidates.particle[wanted]]]
    makers = np.bincount(distinct_hits(truth, len(event))[1], minlength=len(event))
    majority = np.full(len(event), -1, dtype=np.int64)  # the particle that made more than half of its candidate
    on_candidate = labels >= 0
    place = np.searchsorted(candidates.label, labels[on_candidate])
    majority[on_candidate] = np.where(candidates.purity > MAJORITY, candidates.particle, -1)[place]
    along = np.lexsort((truth.order, truth.particle))
    by_particle = truth.particle[along]
    tracks = []
    for particle, label in zip(candidates.particle[wanted].tolist(), candidates.label[wanted].tolist(), strict=True):
        first, last = np.searchsorted(by_particle, (particle, particle + 1))
        way = truth.spacepoint[along[first:last]]
        way = way[np.sort(np.unique(way, return_index=True)[1])]
        lacks = labels[way] != label
        extra = np.setdiff1d(np.flatnonzero(labels == label), way)
        causes = set(_of_way(way, lacks, event))
        if (majority[way[lacks]] == particle).any():
            causes.add(Cause.IN_PIECES)
        if (makers[np.append(way[lacks], extra)] > 1).any():
            causes.add(Cause.MERGED)
        if (makers[extra] == 0).any():
            causes.add(Cause.NOISE)
        runs = np.split(way, np.flatnonzero(np.diff(lacks)) + 1)[0 if lacks[0] else 1 :: 2]
        tracks.append(
            ImperfectTrack(particle=particle, held=way[~lacks], runs=tuple(runs), extra=extra, causes=frozenset(causes))
        )
    return tracks


def _of_way(way: IntArray, lacks: BoolArray, event: Event) -> Iterator[Cause]:
    """The causes that are to be seen along a particle's way.

    Args:
        way: its spacepoints in their order.
        lacks: which of them are too few.
        event: with their places.
    """
    held = np.flatnonzero(~lacks)
    if lacks[0]:
        yield Cause.BEGINNING
    if lacks[-1]:
        yield Cause.END
    if lacks[held[0] : held[-1]].any():
        yield Cause.GAP
    positions = np.stack((event.x[way], event.y[way], event.z[way]), axis=1).astype(np.float64)
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    near = (distance < OVERLAP_MM).sum(axis=1) > 1  # each is near itself
    if lacks.any() and near[lacks].all():
        yield Cause.OVERLAP
    if (np.diff(event.r[way]) < -INWARDS_MM).any():
        yield Cause.CURLING


def lost_by(tracks: Sequence[ImperfectTrack], graphs: Mapping[str, IntArray], num_spacepoints: int) -> list[str]:
    """The stage that lost each track's spacepoints; "" for a track that lacks none.

    What follows one another needs an edge to any spacepoint of the particle that the candidate holds. The stage is the
    first whose graph has none, or the track building where all graphs have one; of several such runs, the first stage.

    Args:
        tracks: of one event.
        graphs: [2,E] each stage's edges, in the order of the stages, each a part of the one before.
        num_spacepoints: N.
    """
    runs = [(number, run, track.held) for number, track in enumerate(tracks) for run in track.runs]
    if not runs:
        return [""] * len(tracks)
    needed = [np.stack([ends.ravel() for ends in np.meshgrid(run, held)]) for _, run, held in runs]
    run_of = np.repeat(np.arange(len(runs)), [pairs.shape[1] for pairs in needed])
    edges = np.concatenate(needed, axis=1)
    names = [*graphs, TRACK_BUILDING]
    stage = np.full(len(runs), len(graphs))
    for number, graph in reversed([*enumerate(graphs.values())]):
        kept = edge_truth(edges, graph, num_spacepoints)
        stage[np.bincount(run_of[kept], minlength=len(runs)) == 0] = number
    first = np.full(len(tracks), len(names))
    np.minimum.at(first, [number for number, _, _ in runs], stage)
    return ["" if number == len(names) else names[number] for number in first.tolist()]
