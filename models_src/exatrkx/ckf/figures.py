"""Efficiencies and rates of the CKF, summed over events, and their report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exatrkx.ckf.reconstruction import Reconstructed
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.performance.selection import TARGET
from exatrkx.reporting.markdown import markdown_table
from exatrkx.reporting.tables import code_line, particles_line, track_table


@dataclass(slots=True)
class CkfFigures:
    """Sums over events.

    Attributes:
        events, spacepoints, candidates: how many there were.
        tracks: how good the candidates are.
        seconds: CPU time of each stage.
    """

    events: int = 0
    spacepoints: int = 0
    candidates: int = 0
    tracks: TrackMetrics = field(default_factory=TrackMetrics.zero)
    seconds: Counter[str] = field(default_factory=Counter)

    def add(self, found: Reconstructed) -> None:
        """Count one event."""
        self.events += 1
        self.spacepoints += len(found.event)
        self.candidates += int(found.labels.max(initial=-1)) + 1
        self.tracks += track_metrics(found.labels, found.event)
        self.seconds.update(found.seconds)

    def markdown(self, title: str) -> str:
        """The report: what was run, the tracks with 95 % intervals, the time."""
        events = max(1, self.events)
        lines = [
            f"- {title}",
            f"- Events: {self.events}, {self.spacepoints / events:.0f} spacepoints and "
            f"{self.candidates / events:.0f} track candidates each",
            particles_line(TARGET),
            code_line(),
            "",
            *track_table(self.tracks),
            "",
            *markdown_table(
                ("stage", "CPU time per event"),
                [
                    (stage, f"{1000 * seconds / events:.1f} ms")
                    for stage, seconds in (*self.seconds.items(), ("all", self.seconds.total()))
                ],
            ),
        ]
        return "\n".join(lines) + "\n"
