"""Text tables of one event each, told apart by their header: TrackML, positions, or features without a header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exatrkx.events.event import Event
from exatrkx.events.readers.csv_files import POSITION, read_features
from exatrkx.events.readers.formats import Skipped, header_of
from exatrkx.events.readers.paths import beside, parts_of
from exatrkx.events.readers.truth_csv import read_acts, read_trackml


def read(file: Path, _skipped: Skipped) -> Iterator[Event]:
    """The event of a file."""
    header = header_of(file)
    if not header.has_names:
        yield read_features(file)
    elif "hit_id" in header.names:
        yield read_trackml(file)
    else:
        yield read_acts(file)


def count(_file: Path) -> int:
    """One."""
    return 1


def holds_spacepoints(file: Path) -> bool:
    """Whether there are values alone, or one of the columns of a position."""
    header = header_of(file)
    return not header.has_names or not {*POSITION}.isdisjoint(header.names)


def companions(file: Path) -> list[Path]:
    """The other files of the event that hold its truth."""
    return [other for part in parts_of(file) if (other := beside(file, part))]
