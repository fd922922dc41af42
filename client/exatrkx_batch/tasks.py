"""Task of one file of events: its tracks and their figures, unless they are there."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from exatrkx.contract import NOISE_LABEL
from exatrkx.errors import EventFormatError
from exatrkx.events.readers import read_events
from exatrkx.events.tracks import TracksWriter
from exatrkx.files import whole_file
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx_batch.manifest import changed, sha256_of
from exatrkx_client.arguments import client_of
from exatrkx_client.errors import ServedModelError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from exatrkx.events.columns import ColumnMapping
    from exatrkx.events.event import Event, IntArray
    from exatrkx_batch.manifest import EventFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was found in a file, or in several added up.

    Attributes:
        events, spacepoints, tracks: how many there are.
        metrics: of the events that have truth.
    """

    events: int = 0
    spacepoints: int = 0
    tracks: int = 0
    metrics: TrackMetrics = field(default_factory=TrackMetrics.zero)

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            events=self.events + other.events,
            spacepoints=self.spacepoints + other.spacepoints,
            tracks=self.tracks + other.tracks,
            metrics=self.metrics + other.metrics,
        )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made."""
        metrics = {name: Ratio(**ratio) for name, ratio in values["metrics"].items()}
        return cls(**{**values, "metrics": TrackMetrics(**metrics)})


@dataclass(frozen=True, slots=True)
class Task:
    """All that a worker needs to know of one file.

    Attributes:
        file: of events.
        folder: of the batch, absolute.
        options: of the command, from which the client is made.
        service: what the manifest says of it.
        columns: what the file's columns are called, where they are named.
    """

    file: EventFile
    folder: Path
    options: argparse.Namespace
    service: Mapping[str, str]
    columns: ColumnMapping | None

    @property
    def tracks_file(self) -> Path:
        return self.folder / "tracks" / f"{self.file.name}.parquet"

    @property
    def figures_file(self) -> Path:
        return self.folder / "figures" / f"{self.file.name}.json"


def run(task: Task) -> tuple[Figures, Counter[str] | None]:
    """The figures of a file, and who answered how many of its events; None where they were there.

    Raises:
        EventFormatError: the file cannot be read, has an event twice, or is not what it was.
        ClientError: the server refuses an event, or fails.
        OutputError: an artefact cannot be written.
    """
    if (figures := finished(task)) is not None:
        return figures, None
    return find_tracks(task)


def finished(task: Task) -> Figures | None:
    """The figures of a file whose artefacts are there and belong together; None of any other."""
    try:
        found = json.loads(task.figures_file.read_bytes())
        if found.pop("tracks_sha256") != sha256_of(task.tracks_file):
            return None
        return Figures.from_mapping(found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def find_tracks(task: Task) -> tuple[Figures, Counter[str]]:
    """Find the tracks of all events of a file, and their figures on the way: the file is read once."""
    total, answered_by, seen = Figures(), Counter[str](), set[int]()
    with client_of(task.options, task.options.fall_back) as client, TracksWriter(task.tracks_file) as writer:
        _require(client.identity(), task.service)
        events = read_events(task.file.path, columns=task.columns)
        for event, result in client.find_tracks_many(events, task.options.in_flight):
            if event.event_id in seen:
                raise EventFormatError(f"{task.file.path}: event {event.event_id} comes twice: its rows would be mixed")
            seen.add(event.event_id)
            writer.write(event, result.labels)
            total += figures_of(event, result.labels)
            answered_by[result.answered_by] += 1
        task.file.require_unchanged()
        _require(client.identity(), task.service)
    with whole_file(task.figures_file) as stream:
        content = {**asdict(total), "tracks_sha256": sha256_of(task.tracks_file)}
        stream.write(f"{json.dumps(content, indent=1)}\n".encode())
    return total, answered_by


def figures_of(event: Event, labels: IntArray) -> Figures:
    """Figures of one event and its labels [N]."""
    metrics = track_metrics(labels, event) if event.truth is not None else TrackMetrics.zero()
    tracks = int(labels.max(initial=NOISE_LABEL)) + 1
    return Figures(events=1, spacepoints=len(event), tracks=tracks, metrics=metrics)


def _require(now: Mapping[str, str], service: Mapping[str, str]) -> None:
    """Raises ServedModelError where the service is not the manifest's any more."""
    if told := changed(service, now):
        raise ServedModelError(f"the service has changed since the batch began: {told}")
