"""Scene of an event display: track candidates as lines, what truth says of them, missed particles, colours.

What every picture of an event draws: the figure (`event_figure`), the page (`event_page`) and Phoenix's (`phoenix`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx.events.tracks import group_by_label
from exatrkx.events.truth import distinct_hits
from exatrkx.performance.matching import NO_PARTICLE, Matching, found_particles
from exatrkx.performance.metrics import fakes, match_labels
from exatrkx.performance.selection import LEAVES_A_TRACK, TARGET, leaves_track

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx.events.event import Event, IntArray, Truth
    from exatrkx.performance.matching import Candidates

KINDS: Final = {
    "candidates": "nothing is known of the particles",
    "found": "more than half of the candidate is of one particle, and it has more than half of that particle",
    "incomplete": "more than half of the candidate is of one particle, but it has no more than half of that particle",
    "fake": "no particle made more than half of the candidate",
    "missed": f"particles of which no candidate is found, of {TARGET}",
    "missed, others": f"charged particles beyond that selection, with {LEAVES_A_TRACK} spacepoints or more",
}
"""Kinds of tracks in a scene and what they mean; of an event without truth there is the first alone."""

_GOLDEN: Final = 0.618033988749895
_NAMES: Final = tuple(KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTracks:
    """The tracks of a scene: C candidates by rising label, and after them M missed particles; T in all.

    Attributes:
        label: [C] of each candidate.
        ways: T arrays of spacepoints, those of a candidate outwards, those of a particle along its way.
        kind: [T] place in `KINDS`.
        particle: [T] index of the candidate's majority particle, or of the missed one; `NO_PARTICLE` for none.
        shared: [T] how many of the spacepoints that particle made.
        made: [T] how many spacepoints it made in all.
    """

    label: IntArray
    ways: list[IntArray]
    kind: IntArray
    particle: IntArray
    shared: IntArray
    made: IntArray

    def __len__(self) -> int:
        return len(self.ways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is to be seen of an event of N spacepoints.

    Attributes:
        event: the event.
        tracks: its candidates and missed particles.
        maker: [N] the particle that made each spacepoint, or `NO_PARTICLE`; of several that of the spacepoint's
            candidate, if it is one of them, else the one with the smallest index.
        found: selected particles that were found, and all that are selected; None where nothing is known of them.
    """

    event: Event
    tracks: SceneTracks
    maker: IntArray
    found: tuple[int, int] | None


def scene_of(event: Event, labels: IntArray) -> Scene:
    """The scene of an event of N spacepoints.

    Args:
        event: with truth or without.
        labels: [N] the number of the spacepoint's track, or a negative one for none.
    """
    names, ways = outward_ways(event, labels)
    truth = event.truth
    if truth is None:
        count = len(names)
        nothing = np.zeros(count, dtype=np.int64)
        tracks = SceneTracks(
            label=names, ways=ways, kind=nothing, particle=nothing + NO_PARTICLE, shared=nothing, made=nothing
        )
        return Scene(event=event, tracks=tracks, maker=np.full(len(event), NO_PARTICLE), found=None)
    candidates = match_labels(labels, event)
    found = found_particles(candidates, Matching.DOUBLE_MAJORITY, len(truth.particles))
    selected = TARGET.mask(event)
    other = leaves_track(event) & (truth.particles.charge != 0)
    missed = np.flatnonzero((selected | other) & ~found)
    missed_ways = _ways(truth, missed)
    lengths = np.asarray([len(way) for way in missed_ways], dtype=np.int64)
    missed_kind = np.where(selected[missed], _NAMES.index("missed"), _NAMES.index("missed, others"))
    tracks = SceneTracks(
        label=names,
        ways=ways + missed_ways,
        kind=np.concatenate([_kinds(candidates), missed_kind]),
        particle=np.concatenate([candidates.particle, missed]),
        shared=np.concatenate([candidates.shared, lengths]),
        made=np.concatenate([candidates.particle_size, lengths]),
    )
    return Scene(
        event=event,
        tracks=tracks,
        maker=_makers(labels, truth, candidates),
        found=(int(np.count_nonzero(found & selected)), int(np.count_nonzero(selected))),
    )


def outward_ways(event: Event, labels: IntArray) -> tuple[IntArray, list[IntArray]]:
    """The labels ≥ 0 in rising order, and the spacepoints of each in the order of their distance from the centre.

    Tracks go outwards, so a line through them in that order is the track.
    """
    names, groups = group_by_label(labels)
    distance = np.hypot(event.r, event.z)
    return names, [group[np.argsort(distance[group], kind="stable")] for group in groups]


def colours(count: int) -> npt.NDArray[np.float64]:
    """[count,3] RGB from 0 to 1 that differ most between neighbours in number; never too pale to see on white."""
    number = np.arange(count)[:, None]
    hue = (number * _GOLDEN) % 1.0
    saturation = 0.65 + 0.3 * (number % 3) / 2
    value = 0.55 + 0.3 * (number // 3 % 3) / 2
    sector = (np.array([5.0, 3.0, 1.0]) + hue * 6.0) % 6.0  # of the hue circle, as seen from red, green and blue
    rgb: npt.NDArray[np.float64] = value * (1.0 - saturation * np.clip(np.minimum(sector, 4.0 - sector), 0.0, 1.0))
    return rgb


def _kinds(candidates: Candidates) -> IntArray:
    found = candidates.matched(Matching.DOUBLE_MAJORITY)
    kind: IntArray = np.select(
        [found, fakes(candidates)], [_NAMES.index("found"), _NAMES.index("fake")], _NAMES.index("incomplete")
    )
    return kind


def _ways(truth: Truth, particles: IntArray) -> list[IntArray]:
    """Spacepoints of each of these particles along its way, each once."""
    hits = np.lexsort((truth.order, truth.particle))
    starts, stops = (np.searchsorted(truth.particle[hits], particles, side) for side in ("left", "right"))
    ways = (truth.spacepoint[hits[start:stop]] for start, stop in zip(starts, stops, strict=True))
    return [way[np.sort(np.unique(way, return_index=True)[1])] for way in ways]


def _makers(labels: IntArray, truth: Truth, candidates: Candidates) -> IntArray:
    particle, spacepoint = distinct_hits(truth, len(labels))
    maker = np.full(len(labels), NO_PARTICLE, dtype=np.int64)
    maker[spacepoint[::-1]] = particle[::-1]  # sorted by particle: what is written last is the smallest
    majority = np.full(len(labels), NO_PARTICLE, dtype=np.int64)
    majority[labels >= 0] = candidates.particle[np.searchsorted(candidates.label, labels[labels >= 0])]
    own = majority[spacepoint] == particle
    maker[spacepoint[own]] = particle[own]
    return maker
