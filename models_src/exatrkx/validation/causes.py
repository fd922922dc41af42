"""Causes of imperfect tracks, counted over events, and how many of each every stage is to blame for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx.performance.imperfect import SHAPES, TRACK_BUILDING, Cause, imperfect_tracks, lost_by
from exatrkx.performance.layers import LAYER_KINDS, layer_kind
from exatrkx.performance.matching import Matching, found_particles
from exatrkx.reporting.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx.events.event import Event, IntArray
    from exatrkx.events.truth import BoolArray
    from exatrkx.performance.imperfect import ImperfectTrack
    from exatrkx.performance.matching import Candidates
    from exatrkx.validation.finders import Found

ALL: Final = "all that is not perfect"

ROWS: Final = (
    *(ALL, *SHAPES, *Cause),
    *(f"too {how} in {kind}" for how in ("few", "many") for kind in LAYER_KINDS),
)
"""Every cause, in the order of the report. Of the shapes each track has one; of the others it may have any number."""


@dataclass(slots=True)
class Causes:
    """Imperfect tracks by cause, summed over events.

    Attributes:
        found: selected particles that were found by the double majority, perfect ones too.
        tracks: of each of `ROWS`, how many found particles have it.
        lost: the same, of each cause and stage that lost what is too few; a track that lacks nothing is in none.
        stages: whose graphs were known, and the track building.
    """

    found: int = 0
    tracks: Counter[str] = field(default_factory=Counter)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    stages: tuple[str, ...] = ()

    def count(self, found: Found, candidates: Candidates, selected: BoolArray, event: Event) -> None:
        """Count the selected particles of one event, which must have truth."""
        self.found += int(found_particles(candidates, Matching.DOUBLE_MAJORITY, len(selected))[selected].sum())
        tracks = imperfect_tracks(found.labels, candidates, selected, event)
        if found.graphs:
            self.stages = (*found.graphs, TRACK_BUILDING)
        kinds = layer_kind(event)
        for track, stage in zip(tracks, lost_by(tracks, found.graphs, len(event)), strict=True):
            for cause in _causes(track, kinds):
                self.tracks[cause] += 1
                if stage:
                    self.lost[cause, stage] += 1

    def table(self) -> list[str]:
        """A row for each cause that there is, with a column for each stage that is known; nothing if there is none."""
        rows = []
        for cause in ROWS:
            number = self.tracks[cause]
            if number:
                lost = [str(self.lost[cause, stage] or "–") for stage in self.stages]
                rows.append((str(cause), str(number), f"{number / self.found:.4f}", *lost))
        columns = ("found, but not perfect", "tracks", "of all found", *(f"lost by {stage}" for stage in self.stages))
        return markdown_table(columns, rows) if rows else []


def _causes(track: ImperfectTrack, kinds: IntArray) -> Iterator[str]:
    """The rows that a track is counted in; `kinds` is the place of each spacepoint's layer in `LAYER_KINDS`."""
    yield ALL
    yield track.shape
    yield from track.causes
    for how, spacepoints in (("few", track.missing), ("many", track.extra)):
        yield from (f"too {how} in {LAYER_KINDS[kind]}" for kind in np.unique(kinds[spacepoints]).tolist())
