"""Reference form of the track completion, which `exatrkx.stages.track_building.complete_tracks` describes.

Every sum and product is in the order of segments.hpp, surroundings.hpp and wrong_hits.hpp in backends/exatrkx/stages,
and sine and cosine are the C library's: both give the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from exatrkx.contract import NOISE_LABEL
from exatrkx.stages.local_helix import LocalHelix, Number, Reals

if TYPE_CHECKING:
    from exatrkx.working_point import WorkingPoint

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

FITTED: Final = 5
"""Hits of a local helix."""
FEWEST: Final = 3
MOST: Final = 100
"""Hits of a candidate that is completed: this many at least, and at most."""
STEEPEST: Final = 1.0
"""Slope of a helix to the chord of its hits."""
WIDEST: Final = 10.0
"""Transverse standard deviation in mm: more says nothing."""
OVERLAP: Final = 15.0
"""Of modules, in mm."""
OUTLIER: Final = 8.0
"""Standard deviations."""
ACROSS: Final = 0.5
"""The part of a coarse coordinate that may lie across a track, on a disc."""
DISPLACED: Final = 0.05
"""mm, of modules from where they are taken to be."""
ALONG_BEAM: Final = 1.64
"""Stretch of tracks that cross discs: |η| > 1.1."""
FLAT: Final = 0.01
"""mm along the beam, of a disc's module."""
THICK: Final = 0.3
"""mm along a track in the transverse plane, of a barrel's module."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a track: between two of its hits, or from its first or last one on (`NOISE_LABEL` for no hit)."""

    helix: LocalHelix
    before: int
    after: int
    begin: float
    end: float


class TrackCompletion:
    """The state of one event: positions, the label of each spacepoint, and the hits of each track from the beam on."""

    def __init__(self, features: FloatArray, labels: IntArray, cuts: WorkingPoint) -> None:
        self.cuts = cuts
        self.points = np.array([_position(*row) for row in features.tolist()]).reshape(-1, 3)
        self.labels = labels.copy()
        order = np.lexsort((np.arange(len(labels)), features[:, 1], features[:, 2], features[:, 0]))
        self.rank = np.empty(len(labels), dtype=np.int64)
        self.rank[order] = np.arange(len(labels))
        self.tracks: list[list[int]] = [[] for _ in range(int(labels.max(initial=-1)) + 1)]
        for hit in order.tolist():
            if labels[hit] >= 0:
                self.tracks[labels[hit]].append(hit)
        self.free = 0.0
        self.findable = np.zeros(0, dtype=np.int64)

    def run(self) -> None:
        for track in self.tracks:
            self._drop_second_hits(track)
            self._drop_outliers(track)
        ends = {hit for track in self.tracks if track for hit in (track[0], track[-1])}
        self._complete(ends.union(np.flatnonzero(self.labels < 0).tolist()))
        short = [track for track in self.tracks if len(track) < self.cuts.min_track_hits]
        freed = {hit for track in short for hit in track}
        for track in short:
            track.clear()
        self.labels[list(freed)] = NOISE_LABEL
        self._complete(freed)

    def _complete(self, hits: set[int]) -> None:
        """Look around all tracks for these hits, then around those that this changes, until none does."""
        self.free = float(np.count_nonzero(self.labels < 0))
        self.findable = np.array(sorted(hits), dtype=np.int64)
        changed = list(range(len(self.tracks)))
        while changed:
            found = [match for number in changed for match in self._around(number)]
            changed = self._apply(
                sorted(match[1:] for match in found if match[0]), sorted(match[1:] for match in found if not match[0])
            )

    def _around(self, number: int) -> list[tuple[bool, float, int, int]]:
        """(whether it is a merge, score, track, other track or spacepoint) of all that fits one track."""
        track, matches = self.tracks[number], []
        for place in range(len(track) + 1):
            segment = self._segment(track, place)
            if segment is None:
                continue
            hits, scores = self._fitting(segment, self.findable)
            extensions = []
            for hit, score in zip(hits.tolist(), scores.tolist(), strict=True):
                label = int(self.labels[hit])
                if label < 0:
                    extensions.append((False, score, number, hit))
                elif label != number and (back := self._fits_back(segment, hit)) is not None:
                    matches.append((True, score * back, min(number, label), max(number, label)))
            matches += [min(extensions)] if extensions else []
        return matches

    def _segment(self, track: list[int], place: int) -> Segment | None:
        if not FEWEST <= len(track) <= MOST:
            return None
        fitted = min(len(track), FITTED)
        first = min(max(place - FITTED // 2, 0), len(track) - fitted)
        helix = LocalHelix.fit(self.points[track[first : first + fitted]])
        if helix is None:
            return None
        reach = self.cuts.completion_reach / helix.stretch
        before = NOISE_LABEL if place == 0 else track[place - 1]
        after = NOISE_LABEL if place == len(track) else track[place]
        begin, end = (helix.along(*self.points[hit, :2].tolist()) if hit >= 0 else 0.0 for hit in (before, after))
        begin, end = begin if before >= 0 else end - reach, end if after >= 0 else begin + reach
        return Segment(helix, before, after, begin, end) if end - begin <= 2.0 * reach else None

    def _drop_second_hits(self, track: list[int]) -> None:
        """Of two hits on one module take the one off a track that is farther from the helix of the others."""
        first = 0
        while first + 1 < len(track) >= FITTED:
            segment = self._segment(track[:first] + track[first + 2 :], first)
            one, other = track[first : first + 2]
            if segment is None or not self._on_one_module(segment.helix, self.points[one], self.points[other]):
                first += 1
                continue
            farther = self._outlying(segment, one) > self._outlying(segment, other)
            self.labels[track.pop(first if farther else first + 1)] = NOISE_LABEL
            first = 0

    @staticmethod
    def _on_one_module(helix: LocalHelix, a: Reals, b: Reals) -> Any:
        """Whether [...,3] hits near a helix may be on one module: a disc where it runs along the beam, else barrel."""
        if helix.stretch > ALONG_BEAM:
            return abs(a[..., 2] - b[..., 2]) < FLAT
        return abs(helix.along(a[..., 0], a[..., 1]) - helix.along(b[..., 0], b[..., 1])) < THICK

    def _drop_outliers(self, track: list[int]) -> None:
        """Take hits off a track that are far from the helix of the others, the farthest first."""
        while FITTED <= len(track) <= MOST:
            chi2 = [self._without(track, place) for place in range(len(track))]
            worst = int(np.argmax(chi2))
            if not chi2[worst] > OUTLIER * OUTLIER:
                return
            self.labels[track.pop(worst)] = NOISE_LABEL

    def _without(self, track: list[int], place: int) -> float:
        """χ² of a track's hit on the helix of the others; 0 where they make none."""
        segment = self._segment(track[:place] + track[place + 1 :], place)
        if segment is None:
            return 0.0
        chi2 = self._outlying(segment, track[place])
        return 0.0 if math.isnan(chi2) else chi2

    def _outlying(self, segment: Segment, hit: int) -> float:
        """χ² of a hit on a segment, where it may lie a little off it."""
        x, y, z = self.points[hit]
        _, transverse, longitudinal, strip = self._place(segment, x, y)
        t, l = segment.helix.distances(x, y, z)  # noqa: E741 - beside t
        across, moved = ACROSS * strip, DISPLACED * DISPLACED
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(t * t / (transverse + across * across + moved) + l * l / (longitudinal + moved))

    def _place(self, segment: Segment, x: Number, y: Number) -> tuple[Reals, Number, Number, Number]:
        """At places along a segment: the nearer of its hits, and what its helix expects at the distance from that."""
        along = segment.helix.along(x, y)
        first = self._near_begin(segment, along)
        nodes = self.points[np.where(first, segment.before, segment.after)]
        distance = np.maximum(np.where(first, along - segment.begin, segment.end - along), 0.0)
        nx, ny = nodes[..., 0], nodes[..., 1]
        farthest = np.sqrt(np.maximum(x * x + y * y, nx * nx + ny * ny))
        return nodes, *segment.helix.spread(distance, farthest, self.cuts)

    def _fitting(self, segment: Segment, hits: IntArray) -> tuple[IntArray, Reals]:
        """Those of [H] hits that fit a segment, and how well: the smaller the better."""
        helix, cuts = segment.helix, self.cuts
        x, y, z = self.points[hits].T
        along = helix.along(x, y)
        kept = (along >= segment.begin) & (along <= segment.end) & (abs(helix.slope(along)) <= STEEPEST)
        hits, x, y, z = hits[kept], x[kept], y[kept], z[kept]
        nodes, transverse, longitudinal, _ = self._place(segment, x, y)
        t, l = helix.distances(x, y, z)  # noqa: E741 - beside t
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            chi2 = t * t / transverse + l * l / longitudinal
            area = np.sqrt(transverse * longitudinal) * (1.0 + chi2)
            chance = self.free / (x * x + y * y) * area
        kept = (nodes[:, 0] * x + nodes[:, 1] * y > 0.0) & (transverse <= WIDEST * WIDEST)
        kept &= (chi2 <= cuts.completion_sigmas * cuts.completion_sigmas) & (chance <= cuts.max_chance)
        kept &= ~self._on_one_module(helix, self.points[hits], nodes)
        return hits[kept], area[kept]

    def _near_begin(self, segment: Segment, along: Number) -> Any:
        """Whether the hit before is nearer than the one after."""
        if segment.before < 0 or segment.after < 0:
            return np.full(np.shape(along), segment.after < 0)
        return along - segment.begin <= segment.end - along

    def _fits_back(self, segment: Segment, end: int) -> float | None:
        """How well the segment's nearest hit fits the track whose end was found, all of which is in the segment."""
        other = self.tracks[self.labels[end]]
        if end not in (other[0], other[-1]):
            return None
        far = segment.helix.along(*self.points[other[-1] if end == other[0] else other[0], :2].tolist())
        if segment.before >= 0 and not far >= segment.begin - OVERLAP:
            return None
        if segment.after >= 0 and not far <= segment.end + OVERLAP:
            return None
        theirs = self._segment(other, 0 if end == other[0] else len(other))
        if theirs is None:
            return None
        along = segment.helix.along(*self.points[end, :2].tolist())
        node = segment.before if self._near_begin(segment, along) else segment.after
        _, score = self._fitting(theirs, np.array([node]))
        return float(score[0]) if len(score) else None

    def _apply(self, merges: list[Any], extensions: list[Any]) -> list[int]:
        """Take the best merges and extensions; the tracks that they change."""
        merged: set[int] = set()
        changed: set[int] = set()
        for _, track, other in merges:
            if track not in merged and other not in merged:
                merged |= {track, other}
                changed.add(track)
                self.labels[self.tracks[other]] = track
                self.tracks[track] += self.tracks[other]
                self.tracks[other] = []
        for _, track, hit in extensions:
            if track not in merged and self.labels[hit] < 0:
                self.labels[hit] = track
                self.tracks[track].append(hit)
                changed.add(track)
        for track in changed:
            self.tracks[track].sort(key=self.rank.__getitem__)
        return sorted(changed)


def complete_tracks(features: FloatArray, labels: IntArray, cuts: WorkingPoint) -> IntArray:
    """[N] labels; see `exatrkx.stages.track_building.complete_tracks`, which has checked the arguments."""
    completion = TrackCompletion(features, labels, cuts)
    completion.run()
    kept = [track for track in completion.tracks if track]
    result = np.full(len(labels), NOISE_LABEL, dtype=np.int64)
    for number, track in enumerate(sorted(kept, key=min)):
        result[track] = number
    return result


def _position(r: float, phi: float, z: float) -> tuple[float, float, float]:
    radius, angle = 1000.0 * r, math.pi * phi
    return radius * math.cos(angle), radius * math.sin(angle), 1000.0 * z
