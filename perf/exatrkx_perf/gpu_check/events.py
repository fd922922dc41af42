"""The events of the check: the bundled ones, and one at high pile-up where the bundle has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx_perf import EVENTS
from exatrkx_perf.events import FeatureArray, Sample, read_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL: Final = 1320
"""Spacepoints of a small event: what published services of this pipeline were measured with."""


def read_events_of_check(pile_up_events: Path | None) -> Sample:
    """The 22 bundled events, and the first of `pile_up_events`."""
    bundled = read_sample([EVENTS.parent])
    if pile_up_events is None or not pile_up_events.is_file():
        return bundled
    crowded = read_sample([pile_up_events], limit=1)
    return Sample(f"{bundled.name}+{crowded.name}", (*bundled.arrays, *crowded.arrays))


def small_and_large(arrays: Sequence[FeatureArray]) -> dict[str, FeatureArray]:
    """Two of them to time: the one nearest to `SMALL` spacepoints and the largest, by name."""
    ordered = sorted(arrays, key=len)
    small = min(ordered, key=lambda array: abs(len(array) - SMALL))
    return {f"{len(event)} spacepoints": event for event in (small, ordered[-1])}
