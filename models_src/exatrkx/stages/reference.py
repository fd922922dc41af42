"""Reference form of the stages: k-d tree and connected components of SciPy, contraction and completion in Python.

What runs where no compiled form is at hand, and what the fast forms are tested against.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from exatrkx.checks import too_large
from exatrkx.contract import FRNN, NOISE_LABEL

if TYPE_CHECKING:
    from exatrkx.working_point import WorkingPoint

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

_BLOCK: Final = 2048
"""Points whose neighbours are looked up together."""
_CHUNK: Final = 2_000_000
"""Candidate pairs held at once: the bound on working memory."""
_SLACK: Final = 1 + 1e-9
"""The tree rounds distances in its own way: it looks a little further, and the exact distance decides."""


def fixed_radius_edges(
    embedding: npt.NDArray[np.float32], *, radius: float, max_neighbors: int, max_edges: int
) -> IntArray:
    """[2,E] edges; see `exatrkx.stages.edges.fixed_radius_edges`, which has checked the arguments."""
    num_nodes = len(embedding)
    pairs = np.empty(0, dtype=np.int64)
    if num_nodes > 1:
        points = embedding.astype(np.float64)
        found, directed = [], 0
        for pair in _directed_pairs(points, radius, max_neighbors):
            found.append(pair)
            directed += len(pair)
            if directed > 2 * max_edges:  # each edge is found at most twice: once from either end
                raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges, -(-directed // 2))
        pairs = np.unique(np.concatenate(found))
    if len(pairs) > max_edges:
        raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges, len(pairs))
    return np.stack(np.divmod(pairs, max(num_nodes, 1)))


def _directed_pairs(points: npt.NDArray[np.float64], radius: float, max_neighbors: int) -> Iterator[IntArray]:
    """For each point those that it keeps, block by block, each pair as larger · N + smaller."""
    tree = cKDTree(points)
    reach = min(radius, 1e40) * _SLACK  # no two FP32 points are further apart than 1e40 in fewer than 10^3 dimensions
    # In the tree's order a block's points lie close together, and so do their neighbours.
    blocks = [tree.indices[start : start + _BLOCK] for start in range(0, len(points), _BLOCK)]
    while blocks:
        block = blocks.pop()
        block_tree = cKDTree(points[block])
        near = reach
        if block_tree.count_neighbors(tree, near) > len(block) * (max_neighbors + 1):
            near = _nearest_reach(tree, points[block], near, max_neighbors)
        if len(block) > 1 and block_tree.count_neighbors(tree, near) > _CHUNK:
            blocks += [block[: len(block) // 2], block[len(block) // 2 :]]
            continue
        candidates = block_tree.sparse_distance_matrix(tree, near, output_type="ndarray")
        one, other = block[candidates["i"]], candidates["j"]
        kept = _kept(points, one, other, radius, max_neighbors)
        one, other = one[kept], other[kept]
        yield np.maximum(one, other) * np.int64(len(points)) + np.minimum(one, other)


def _nearest_reach(tree: cKDTree, block: npt.NDArray[np.float64], reach: float, max_neighbors: int) -> float:
    """A radius within which each point of the block has its `max_neighbors` nearest, or `reach` if that is less."""
    nth = min(max_neighbors + 1, tree.n)  # the first is the point itself
    distances, _ = tree.query(block, k=[nth], distance_upper_bound=reach)
    return min(reach, float(distances.max()) * _SLACK)


def _kept(
    points: npt.NDArray[np.float64], one: IntArray, other: IntArray, radius: float, max_neighbors: int
) -> IntArray:
    """Which candidate pairs `one` keeps: positions in the arrays given."""
    squared = np.zeros(len(one))
    for column in np.ascontiguousarray(points.T):
        difference = column[one] - column[other]
        squared += difference * difference
    within = np.flatnonzero((squared < radius * radius) & (one != other))
    order = within[np.lexsort((squared[within], one[within]))]
    sorted_one, sorted_squared = one[order], squared[order]
    starts = np.flatnonzero(np.diff(sorted_one, prepend=-1))
    sizes = np.diff(starts, append=len(order))
    last = starts + np.minimum(sizes, max_neighbors) - 1
    # All that are as far as the last one kept are kept too.
    kept: IntArray = order[sorted_squared <= np.repeat(sorted_squared[last], sizes)]
    return kept


def label_components(edge_index: IntArray, num_nodes: int, min_hits: int) -> IntArray:
    """[N] labels of the components that the edges [2,E'] make; see `exatrkx.stages.track_building.label_components`."""
    if num_nodes == 0:
        return np.empty(0, dtype=np.int64)
    ones = np.ones(edge_index.shape[1], dtype=np.int8)
    graph = coo_array((ones, (edge_index[0], edge_index[1])), shape=(num_nodes, num_nodes))
    _, component = connected_components(graph, directed=False)
    _, first, size = np.unique(component, return_index=True, return_counts=True)
    tracks = np.flatnonzero(size >= min_hits)
    tracks = tracks[np.argsort(first[tracks])]
    label_of = np.full(len(size), NOISE_LABEL, dtype=np.int64)
    label_of[tracks] = np.arange(len(tracks))
    labels: IntArray = label_of[component]
    return labels


LARGEST_WEIGHT: Final = 1e6

Links = dict[int, dict[int, float]]
"""Node to node to the weight between them."""


def label_clusters(
    edge_index: IntArray, scores: FloatArray, num_nodes: int, threshold: float, min_hits: int
) -> IntArray:
    """[N] labels; see `exatrkx.stages.track_building.label_clusters`, which has checked the arguments."""
    joined = scores > threshold
    if math.isfinite(threshold):
        component = label_components(edge_index[:, joined], num_nodes, 1)
        row, col = edge_index
        inside = (component[row] == component[col]) & (row != col)
        weight = np.clip(scores.astype(np.float64) - threshold, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        pairs = _contract(_links(edge_index[:, inside], weight[inside]))
    else:
        pairs = edge_index[:, joined]
    return label_components(pairs, num_nodes, min_hits)


def _links(edge_index: IntArray, weight: npt.NDArray[np.float64]) -> Links:
    """The weights by node; those of edges that come several times add up, the smallest first."""
    links: Links = defaultdict(dict)
    low, high = edge_index.min(axis=0, initial=2**62), edge_index.max(axis=0, initial=-1)
    for i in np.lexsort((weight, high, low)).tolist():
        a, b = int(low[i]), int(high[i])
        links[a][b] = links[b][a] = links[a].get(b, 0.0) + float(weight[i])
    return links


def _contract(links: Links) -> IntArray:
    """[2,M] the clusters that were joined, each by its smallest node at that time."""
    heap = [(-weight, a, b) for a, others in links.items() for b, weight in others.items() if a < b and weight > 0]
    heapq.heapify(heap)
    pairs = []
    while heap:
        negative, a, b = heapq.heappop(heap)
        if links[a].get(b) != -negative:
            continue  # one of the two has changed since
        pairs.append((a, b))
        del links[a][b]
        gone = links.pop(b)
        del gone[a]
        for other, weight in gone.items():
            total = weight + links[a].get(other, 0.0)
            del links[other][b]
            links[a][other] = links[other][a] = total
            if total > 0:
                heapq.heappush(heap, (-total, min(a, other), max(a, other)))
        links[b] = {}
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


# The track completion. Every sum and product is in the order of backends/exatrkx/stages/local_helix.hpp and
# completion.hpp, and sine and cosine are the C library's: both give the same bits.

Reals = npt.NDArray[np.float64]
Number = Any
"""A float, or an array of them: the same arithmetic for one hit and for many."""

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
PIXEL_LENGTH: Final = 3.0
"""Of a pixel, along the beam to across."""
STRIP_TILT: Final = 0.1
"""Of strips on a disc to its radius: how much of them lies across a track."""
SHORTEST_CHORD: Final = 1e-3
"""mm"""
SINGULAR: Final = 1e-9
"""Of a determinant, relative to its first term."""


@dataclass(frozen=True, slots=True)
class LocalHelix:
    """A parabola in the transverse plane and a line in z along its arc, in mm.

    Attributes:
        origin: x, y, z of the hits' mean.
        direction: x, y of the unit vector from the first hit to the last.
        chord: their distance in the transverse plane.
        parabola: a, b, c of y = a + b x + c x², x along the chord and y across.
        line: z at the arc's beginning, and its slope.
        stretch: length of the track for its length in the transverse plane.
    """

    origin: tuple[float, float, float]
    direction: tuple[float, float]
    chord: float
    parabola: tuple[float, float, float]
    line: tuple[float, float] = (0.0, 0.0)
    stretch: float = 1.0

    @classmethod
    def fit(cls, hits: Reals) -> LocalHelix | None:
        """Least squares through [n,3] hits, n ≥ 3; None where they are on a line along the beam, or on two places."""
        points: list[list[float]] = hits.tolist()
        count = float(len(points))
        total = [0.0, 0.0, 0.0]
        for point in points:
            total = [sum_ + value for sum_, value in zip(total, point, strict=True)]
        origin = (total[0] / count, total[1] / count, total[2] / count)
        ux, uy = points[-1][0] - points[0][0], points[-1][1] - points[0][1]
        chord = math.sqrt(ux * ux + uy * uy)
        if not chord > SHORTEST_CHORD:
            return None
        direction = (ux / chord, uy / chord)
        parabola = _parabola(points, origin, direction, chord)
        if parabola is None:
            return None
        curve = cls(origin, direction, chord, parabola)
        line = curve._line(points)
        return None if line is None else replace(curve, line=line, stretch=math.sqrt(1.0 + line[1] * line[1]))

    def along(self, x: Number, y: Number) -> Number:
        """Position along the chord."""
        return (x - self.origin[0]) * self.direction[0] + (y - self.origin[1]) * self.direction[1]

    def across(self, x: Number, y: Number) -> Number:
        """Position across the chord."""
        return (y - self.origin[1]) * self.direction[0] - (x - self.origin[0]) * self.direction[1]

    def slope(self, along: Number) -> Number:
        _, b, c = self.parabola
        return b + 2.0 * c * along

    def distances(self, x: Number, y: Number, z: Number) -> tuple[Number, Number]:
        """Of points from the helix: in the transverse plane, and perpendicular to the track beside that."""
        a, b, c = self.parabola
        along = self.along(x, y)
        slope = self.slope(along)
        transverse = (self.across(x, y) - (a + along * (b + c * along))) / np.sqrt(1.0 + slope * slope)
        longitudinal = (z - (self.origin[2] + self.line[0] + self.line[1] * self._arc(along))) / self.stretch
        return transverse, longitudinal

    def spread(self, distance: Number, r: Number, cuts: WorkingPoint) -> tuple[Number, Number, Number]:
        """Variances in mm², transverse and longitudinal, at a distance along the chord from the nearest hit.

        The third is the standard deviation in mm of the coarse coordinate alone.

        Args:
            distance: in mm.
            r: how far that hit, or the place itself, is from the beam at most, in mm.
            cuts: the working point.
        """
        q, metres = distance / self.chord, r / 1000.0
        angle = cuts.scattering_length * 2.0 * abs(self.parabola[2]) / self.stretch
        scattered, strip = angle * distance * self.stretch, cuts.strip_resolution * (metres * metres)
        turned = STRIP_TILT * strip * abs(self.line[1]) / self.stretch
        t = cuts.hit_resolution * (1.0 + q * (4.0 + 6.0 * q))
        l = PIXEL_LENGTH * cuts.hit_resolution * (1.0 + 2.0 * q)  # noqa: E741 - beside t
        return t * t + scattered * scattered + turned * turned, l * l + scattered * scattered + strip * strip, strip

    def _arc(self, along: Number) -> Number:
        _, b, c = self.parabola
        return along * (1.0 + b * b / 2.0 + along * (b * c + along * (2.0 * c * c / 3.0)))

    def _line(self, points: list[list[float]]) -> tuple[float, float] | None:
        count = float(len(points))
        s1 = s2 = z0 = z1 = 0.0
        for x, y, height in points:
            s, z = self._arc(self.along(x, y)) / self.chord, height - self.origin[2]
            s1, s2, z0, z1 = s1 + s, s2 + s * s, z0 + z, z1 + s * z
        determinant = count * s2 - s1 * s1
        if not determinant > SINGULAR * count * s2:
            return None
        return (s2 * z0 - s1 * z1) / determinant, (count * z1 - s1 * z0) / determinant / self.chord


def _parabola(
    points: list[list[float]], origin: tuple[float, float, float], direction: tuple[float, float], chord: float
) -> tuple[float, float, float] | None:
    """Cramer's rule, with the cofactors of a symmetric matrix."""
    count, (ux, uy) = float(len(points)), direction
    x1 = x2 = x3 = x4 = y0 = y1 = y2 = 0.0
    for px, py, _ in points:
        dx, dy = px - origin[0], py - origin[1]
        x, y = (dx * ux + dy * uy) / chord, dy * ux - dx * uy
        x1, x2, x3, x4 = x1 + x, x2 + x * x, x3 + x * x * x, x4 + x * x * x * x
        y0, y1, y2 = y0 + y, y1 + x * y, y2 + x * x * y
    c00, c01, c02 = x2 * x4 - x3 * x3, x2 * x3 - x1 * x4, x1 * x3 - x2 * x2
    c11, c12, c22 = count * x4 - x2 * x2, x1 * x2 - count * x3, count * x2 - x1 * x1
    determinant = count * c00 + x1 * c01 + x2 * c02
    if not determinant > SINGULAR * count * x2 * x4:
        return None
    return (
        (c00 * y0 + c01 * y1 + c02 * y2) / determinant,
        (c01 * y0 + c11 * y1 + c12 * y2) / determinant / chord,
        (c02 * y0 + c12 * y1 + c22 * y2) / determinant / (chord * chord),
    )


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
        for track in self.tracks:
            self._drop_outliers(track)
        free = np.flatnonzero(self.labels < 0).tolist()
        self.free = float(len(free))
        ends = {hit for track in self.tracks if track for hit in (track[0], track[-1])}
        self.findable = np.array(sorted(ends.union(free)), dtype=np.int64)

    def run(self) -> None:
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
        x, y, z = self.points[track[place]]
        _, transverse, longitudinal, strip = self._place(segment, x, y)
        t, l = segment.helix.distances(x, y, z)  # noqa: E741 - beside t
        across = ACROSS * strip
        with np.errstate(divide="ignore", invalid="ignore"):
            chi2 = float(t * t / (transverse + across * across) + l * l / longitudinal)
        return 0.0 if math.isnan(chi2) else chi2

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
    kept = [track for track in completion.tracks if len(track) >= max(1, cuts.min_track_hits)]
    result = np.full(len(labels), NOISE_LABEL, dtype=np.int64)
    for number, track in enumerate(sorted(kept, key=min)):
        result[track] = number
    return result


def _position(r: float, phi: float, z: float) -> tuple[float, float, float]:
    radius, angle = 1000.0 * r, math.pi * phi
    return radius * math.cos(angle), radius * math.sin(angle), 1000.0 * z
