"""Prometheus metrics of a client: who answered, how fast, what was sent again and what failed, in a file.

The node exporter's textfile collector reads `*.prom` files of a folder, so the metrics of runs that come and go are
kept where Prometheus finds them.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from exatrkx.errors import OutputError
from exatrkx.files import write_files
from exatrkx.reporting.prometheus import Family, exposition

if TYPE_CHECKING:
    from pathlib import Path

    from exatrkx.reporting.prometheus import Sample
    from exatrkx_client.answer import TrackResult

BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Upper ends of the histogram's buckets."""

_WRITE_EVERY_S: Final = 10.0

_logger = logging.getLogger(__name__)


class ClientMetrics:
    """Counts of one run, written every ten seconds while events come, and at its end. Threads may share it.

    Args:
        path: the file; its name without the suffix is the label `run`, which tells runs of one machine apart.
        model: which one is asked.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._labels = {"run": path.stem, "model": model}
        self._seconds: dict[str, float] = {}
        self._buckets: dict[str, list[int]] = {}
        self._retries = 0
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._due = time.monotonic() + _WRITE_EVERY_S

    def answered(self, result: TrackResult) -> None:
        """Count an answer."""
        who = result.answered_by
        with self._lock:
            buckets = self._buckets.setdefault(who, [0] * (len(BUCKETS_S) + 1))
            buckets[bisect_left(BUCKETS_S, result.seconds)] += 1
            self._seconds[who] = self._seconds.get(who, 0.0) + result.seconds
            self._retries += max(result.attempts - 1, 0)
        self._write_if_due()

    def failed(self, error: Exception) -> None:
        """Count an event that stays without an answer."""
        with self._lock:
            self._failures[type(error).__name__] += 1
        self._write_if_due()

    def text(self) -> str:
        """Prometheus's text format."""
        with self._lock:
            seconds: dict[str, list[Sample]] = {"_bucket": [], "_sum": [], "_count": []}
            for who, counts in self._buckets.items():
                labels, below = {**self._labels, "answered_by": who}, list(accumulate(counts))
                ends = zip((*BUCKETS_S, math.inf), below, strict=True)
                seconds["_bucket"] += [
                    ({**labels, "le": f"{end:g}" if end < math.inf else "+Inf"}, count) for end, count in ends
                ]
                seconds["_sum"].append((labels, self._seconds[who]))
                seconds["_count"].append((labels, below[-1]))
            retries = {"": [(self._labels, self._retries)]}
            failures = {"": [({**self._labels, "error": name}, count) for name, count in self._failures.items()]}
        return exposition(
            [
                Family("exatrkx_client_event_seconds", "histogram", "Last attempt at an answered event.", seconds),
                Family("exatrkx_client_retries_total", "counter", "Requests sent again.", retries),
                Family("exatrkx_client_failures_total", "counter", "Events without an answer.", failures),
            ]
        )

    def write(self) -> None:
        """Write the file, whole. Where it cannot be, that is said, and the run goes on: its tracks matter more."""
        try:
            write_files({self._path: self.text().encode()})
        except OutputError as error:
            _logger.warning("metrics: %s", error)

    def _write_if_due(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._due:
                return
            self._due = now + _WRITE_EVERY_S
        self.write()
