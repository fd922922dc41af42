"""Table of results that `find_tracks.py` prints: one line for each event, and a total."""

from __future__ import annotations

from collections import Counter

from exatrkx.contract import NOISE_LABEL
from exatrkx.events.event import Event
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.performance.selection import TARGET
from exatrkx_client.answer import TrackResult


class Report:
    """Counts as events come in; every method that makes lines of the table returns text without a line end.

    Args:
        with_truth: whether efficiency and fake rate have columns; an event without truth has a dash in them.
        in_flight: requests on their way at once, which decides what the time of one means.
        several: whether more than one could answer, so that it is said who did.
    """

    def __init__(self, *, with_truth: bool, in_flight: int, several: bool = False) -> None:
        self._with_truth = with_truth
        self._in_flight = in_flight
        self._several = several
        self._answered_by: Counter[str] = Counter()
        self._sent_again = self._most_attempts = 0
        self._events = 0
        self._spacepoints = 0
        self._tracks = 0
        self._seconds = 0.0
        self._metrics = TrackMetrics.zero()

    def header(self) -> str:
        figures = f"{'efficiency':>12}{'fake rate':>11}" if self._with_truth else ""
        return f"{'event':>10}{'spacepoints':>13}{'tracks':>9}{figures}{'ms':>10}"

    def add(self, event: Event, result: TrackResult) -> str:
        """Count one event, and give its line."""
        tracks = int(result.labels.max(initial=NOISE_LABEL)) + 1
        metrics = track_metrics(result.labels, event) if event.truth is not None else TrackMetrics.zero()
        self._events += 1
        self._spacepoints += len(event)
        self._tracks += tracks
        self._seconds += result.seconds
        self._metrics += metrics
        self._answered_by[result.answered_by] += 1
        self._sent_again += result.attempts > 1
        self._most_attempts = max(self._most_attempts, result.attempts)
        return self._line(str(event.event_id), len(event), tracks, metrics, result.seconds)

    def total(self, elapsed_s: float) -> str:
        """The last line, and below it what its figures mean; `elapsed_s` is from the first event to the last answer."""
        mean = self._seconds / max(self._events, 1)
        lines = [self._line("total", self._spacepoints, self._tracks, self._metrics, mean), ""]
        if self._with_truth:
            lines += [
                f"efficiency: {self._metrics.efficiency_double_majority}, double majority, of {TARGET}",
                f"fake rate:  {self._metrics.fake_rate}, candidates without a majority particle",
            ]
        alone = self._in_flight == 1
        meaning = "one at a time" if alone else f"up to {self._in_flight} at once, so waiting for each other included"
        lines.append(f"ms:         from sending a request to its decoded answer, {meaning}; in the total their mean")
        lines.append(f"events:     {self._events} in {elapsed_s:.2f} s")
        if self._several and self._answered_by:
            who = ", ".join(f"{name} {events}" for name, events in self._answered_by.most_common())
            lines.append(f"answered:   {who}")
        if self._sent_again:
            lines.append(
                f"sent again: {self._sent_again} of {self._events} events, up to {self._most_attempts} attempts"
            )
        return "\n".join(lines)

    def _line(self, name: str, spacepoints: int, tracks: int, metrics: TrackMetrics, seconds: float) -> str:
        figures = ""
        if self._with_truth:
            efficiency, fakes = metrics.efficiency_double_majority, metrics.fake_rate
            figures = f"{_fraction(efficiency.value):>12}{_fraction(fakes.value):>11}"
        return f"{name:>10}{spacepoints:>13,}{tracks:>9,}{figures}{1000.0 * seconds:>10.1f}"


def _fraction(value: float) -> str:
    """Three decimals, or a dash where nothing was counted."""
    return "–" if value != value else f"{value:.3f}"  # noqa: PLR0124 - true for NaN alone
