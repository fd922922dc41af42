"""Windows of a measurement: what perf_analyzer prints of each with `-v`, and what the later ones say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from statistics import harmonic_mean
from typing import TYPE_CHECKING, Final

from exatrkx_perf.median_range import MedianRange

if TYPE_CHECKING:
    from collections.abc import Iterable

STABLE_PERCENT: Final = 10.0
"""perf_analyzer's own limit on how much the largest of three windows may exceed the smallest."""

_RECENT: Final = 3
_LEVEL: Final = re.compile(r"^(Request concurrency: \d+|Request Rate: [\d.e+]+)")
_WINDOW: Final = re.compile(r"^\s*Pass \[\d+\] throughput: ([\d.e+-]+) infer/sec\. (\w+) latency: (\d+) usec")


@dataclass(slots=True)
class Windows:
    """The windows that perf_analyzer measured at one load, as it printed them: answers per second, and latency in ms.

    Attributes:
        level: concurrency or request rate, in perf_analyzer's words.
        latency: which latency it printed: Avg, or a percentile.
    """

    level: str
    latency: str = ""
    per_s: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    @property
    def steady_per_s(self) -> float:
        """Answers per second without the first window, in which nothing is answered until the steps are full.

        Windows of as many requests each; 0 where there is no second one.
        """
        return harmonic_mean(self.per_s[1:]) if len(self.per_s) > 1 else 0.0

    def __str__(self) -> str:
        recent = (self.per_s[-_RECENT:], self.ms[-_RECENT:])
        per_s, ms = (MedianRange.of(values) for values in recent)
        if per_s is None or ms is None:
            return f"{self.level}: no window was measured"
        figures = f"{self.level}: throughput {per_s:.1f} infer/sec, {self.latency} latency {ms:.1f} ms; "
        if per_s.number < _RECENT:
            return f"{figures}{per_s.number} of {_RECENT} windows: too few to tell"
        percent = max(100.0 * (one.high / one.low - 1.0) if one.low > 0.0 else float("inf") for one in (per_s, ms))
        verdict = "stable" if percent <= STABLE_PERCENT else "not stable"
        return f"{figures}the largest of {_RECENT} windows exceeds the smallest by {percent:.0f} %: {verdict}"


def read_windows(lines: Iterable[str]) -> list[Windows]:
    """The windows of each load, from what perf_analyzer prints with `-v`."""
    found: list[Windows] = []
    for line in lines:
        if level := _LEVEL.match(line):
            found.append(Windows(level[1]))
        elif (window := _WINDOW.match(line)) and found:
            found[-1].per_s.append(float(window[1]))
            found[-1].latency = window[2]
            found[-1].ms.append(float(window[3]) / 1e3)
    return found
