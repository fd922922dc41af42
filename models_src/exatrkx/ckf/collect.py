"""Collection of tracks and of each stage's CPU time from ACTS's sequencer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import acts
import acts.examples as ex

from exatrkx.ckf.algorithms import TRACKS
from exatrkx.ckf.labels import label_spacepoints
from exatrkx.events.event import IntArray
from exatrkx.simulation.collect import measurement_indices
from exatrkx.simulation.detector import SPACEPOINTS

_LEVEL: Final = acts.logging.ERROR


class Clock:
    """Reads the CPU time between stages."""

    def __init__(self) -> None:
        self._readings: list[tuple[str, float]] = []

    def start(self) -> Any:
        """An algorithm that begins the first stage."""
        return _Reading("start", self._readings)

    def end_of(self, stage: str) -> Any:
        """An algorithm that ends this stage and begins the next."""
        return _Reading(stage, self._readings)

    def take(self) -> dict[str, float]:
        """Seconds of each stage, once."""
        readings = list(self._readings)
        self._readings.clear()
        return {stage: now - before for (_, before), (stage, now) in pairwise(readings)}


class TrackSink(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Makes labels of the tracks that are on the whiteboard at the end of the chain."""

    def __init__(self) -> None:
        super().__init__("TrackSink", _LEVEL)
        self._labels: IntArray | None = None
        self._tracks = ex.ReadDataHandle(self, ex.ConstTrackContainer, "Tracks")
        self._tracks.initialize(TRACKS)
        self._spacepoints = ex.ReadDataHandle(self, acts.SpacePointContainer, "SpacePoints")
        self._spacepoints.initialize(SPACEPOINTS)

    def execute(self, context: Any) -> Any:
        measurements = measurement_indices(self._spacepoints(context.eventStore))
        spacepoint_of = {measurement: spacepoint for spacepoint, measurement in enumerate(measurements)}
        tracks = [
            [spacepoint_of[measurement] for measurement in _measurements(track)]
            for track in self._tracks(context.eventStore)
        ]
        self._labels = label_spacepoints(tracks, len(measurements))
        return ex.ProcessCode.SUCCESS

    def take(self) -> IntArray | None:
        """[N] the labels, once."""
        labels, self._labels = self._labels, None
        return labels


class _Reading(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    def __init__(self, stage: str, readings: list[tuple[str, float]]) -> None:
        super().__init__(f"Clock {stage}", _LEVEL)
        self._stage, self._readings = stage, readings

    def execute(self, _context: Any) -> Any:
        self._readings.append((self._stage, time.process_time()))
        return ex.ProcessCode.SUCCESS


def _measurements(track: Any) -> Iterator[int]:
    """The measurements that the track was fitted to: holes and outliers are none."""
    for state in track.trackStatesReversed:
        if state.typeFlags.isMeasurement:
            yield ex.IndexSourceLink.fromSourceLink(state.uncalibratedSourceLink).index()
