"""What a phase of the check is given: the device, where results go, and the events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exatrkx_perf import EVENTS
from exatrkx_perf.events import FeatureArray, read_sample
from exatrkx_perf.gpu_check.bundle import PILE_UP_EVENTS

SMALL: Final = 1320
"""Spacepoints of a small event: what published services of this pipeline were measured with."""

SMALL_EVENT: Final = "small.csv"
"""The features of that event, for the compiled engine."""


@dataclass(frozen=True, slots=True)
class Check:
    """The device (cuda:N or cpu), the folder of results, and what `bundle.pack` wrote, where something is missing."""

    device: str
    output: Path
    bundle: Path | None

    def crowded(self) -> Path | None:
        """The bundle's events at high pile-up, where it has them."""
        path = self.bundle / PILE_UP_EVENTS if self.bundle else None
        return path if path and path.is_file() else None

    def arrays(self) -> tuple[FeatureArray, ...]:
        """Features of the 22 bundled events, then of the first at high pile-up."""
        crowded = self.crowded()
        bundled = read_sample([EVENTS.parent]).arrays
        return (*bundled, *read_sample([crowded], limit=1).arrays) if crowded else bundled


def small_and_large(arrays: tuple[FeatureArray, ...]) -> dict[str, FeatureArray]:
    """Two of them to time: the one nearest to `SMALL` spacepoints and the largest, by name."""
    small = min(arrays, key=lambda array: abs(len(array) - SMALL))
    return {f"{len(event)} spacepoints": event for event in (small, max(arrays, key=len))}
