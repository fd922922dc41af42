"""Event readers: Parquet, TrackML CSV, ACTS spacepoint CSV and bare features, told apart by what is in the files.

| format | recognised by |
|---|---|
| this project's Parquet | its first bytes; see `exatrkx.events.parquet` |
| TrackML CSV: `-hits`, with `-truth` and `-particles` beside it where they are known | a column `hit_id` |
| ACTS CSV: `-spacepoint`, with truth where the files of `readers.truth_csv` are beside it | columns `x`, `y`, `z` |
| any CSV with positions in mm | columns `x`, `y`, `z` |
| features, three columns (r / 1000 mm, φ / π, z / 1000 mm) | no header |

CSV files may be compressed (`.csv.gz`). Lengths are mm and momenta GeV.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from exatrkx.checks import check_lengths
from exatrkx.errors import EventFormatError
from exatrkx.events import parquet
from exatrkx.events.event import Event
from exatrkx.events.readers.csv_files import beside, first_line, is_number, read_features
from exatrkx.events.readers.truth_csv import ACTS_PARTS, TRACKML_PARTS, read_acts, read_trackml

PARQUET_MAGIC: Final = b"PAR1"

__all__ = ["count_events", "event_files", "input_files", "read_events"]


AnyPath = str | os.PathLike[str]

SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
"""What is looked for in a folder."""

_EVENT_PART: Final = re.compile(r"(?P<event>event\d+)-(?P<part>[a-z_-]+)\.csv(\.gz)?$")
"""How TrackML and ACTS name the several files of one event."""

_POSITIONS: Final = ("spacepoint", "spacepoints", "hits")
"""Which of an event's files holds its spacepoints: the first that exists, as ACTS writes its simulated hits too."""


def read_events(
    paths: AnyPath | Iterable[AnyPath], skipped: Callable[[EventFormatError], object] | None = None
) -> Iterator[Event]:
    """Read events one after the other, each only when it is asked for.

    Args:
        paths: a file, a folder, a pattern such as `data/event*-hits.csv`, or several of them.
        skipped: is told about each event, or whole file, that cannot be read, and the next one follows; without it
            that is an error.

    Raises:
        EventFormatError: a path leads to no events, or a file does not keep its format; the text names the file, the
            column and what is wrong with it. `UnitsError`: its lengths fit no detector, in cm, say.
    """
    for file in event_files(paths):
        try:
            for event in _read_file(file, skipped):
                if _fits(file, event, skipped):
                    yield event
        except EventFormatError as error:
            if skipped is None:
                raise
            skipped(error)


def count_events(paths: AnyPath | Iterable[AnyPath]) -> int:
    """How many events `read_events` will give, without reading their spacepoints.

    Raises:
        EventFormatError: a path leads to no events, or a Parquet file is not one of events.
    """
    return sum(_count_file(file) for file in event_files(paths))


def event_files(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """The files to read, in the order in which they were named; within a folder or pattern by name, 2 before 10.

    Of the files of one event (`event000001000-hits.csv`, `-truth.csv`, …) only the one with the spacepoints is given:
    its reader finds the others.

    Args:
        paths: a file, a folder, a pattern with `*`, `?` or `[…]`, or several of them.

    Raises:
        EventFormatError: nothing is there, or nothing that holds spacepoints.
    """
    named = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found = [file for name in named for file in _expand(Path(name))]
    return _one_for_each_event(list(dict.fromkeys(found)))


def input_files(paths: AnyPath | Iterable[AnyPath]) -> list[Path]:
    """All files that `read_events` opens: those of `event_files`, and what belongs to an event of them.

    Raises:
        EventFormatError: as `event_files`.
    """
    files = event_files(paths)
    return files + [other for file in files for part in _parts(file) if (other := beside(file, part))]


def _parts(file: Path) -> tuple[str, ...]:
    return TRACKML_PARTS if "-hits.csv" in file.name else ACTS_PARTS


def _fits(file: Path, event: Event, skipped: Callable[[EventFormatError], object] | None) -> bool:
    """Whether the event has lengths of a detector; another one is refused, or skipped."""
    try:
        check_lengths(event.r, event.z, f"{file}: event {event.event_id}")
    except EventFormatError as error:
        if skipped is None:
            raise
        skipped(error)
        return False
    return True


def _read_file(file: Path, skipped: Callable[[EventFormatError], object] | None) -> Iterator[Event]:
    if _is_parquet(file):
        yield from parquet.read_events(file, skipped=skipped)
        return
    header = [name.strip() for name in first_line(file).split(",")]
    if all(is_number(name) for name in header):
        yield read_features(file)
    elif "hit_id" in header:
        yield read_trackml(file)
    else:
        yield read_acts(file)


def _count_file(file: Path) -> int:
    if _is_parquet(file):
        return parquet.count_events(file)
    return 1


def _is_parquet(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    except OSError as error:
        raise EventFormatError(f"{file}: {error.strerror}") from error


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in path.iterdir() if file.name.endswith(SUFFIXES)]
        if not found:
            raise EventFormatError(f"{path}: a folder without any {', '.join(SUFFIXES)} file")
        return sorted(found, key=_natural)
    if path.is_file():
        return [path]
    if path.exists():
        raise EventFormatError(f"{path}: a pipe or a device, of which nothing can be read twice; name a file")
    if not set("*?[") & set(str(path)):
        raise EventFormatError(f"{path}: no such file or folder")
    base = Path(path.anchor)
    found = [file for file in base.glob(str(path.relative_to(base))) if file.is_file()]
    if not found:
        raise EventFormatError(f"{path}: no file fits this pattern")
    return sorted(found, key=_natural)


def _one_for_each_event(files: list[Path]) -> list[Path]:
    parts = {file: match for file in files if (match := _EVENT_PART.search(file.name))}
    present = {(file.parent, match["event"], match["part"]) for file, match in parts.items()}
    chosen = []
    for file in files:
        match = parts.get(file)
        if match is None:
            chosen.append(file)
            continue
        with_positions = [part for part in _POSITIONS if (file.parent, match["event"], part) in present]
        if not with_positions:
            raise EventFormatError(
                f"{file}: holds no spacepoints; name the {match['event']}-hits.csv or -spacepoint.csv beside it"
            )
        if match["part"] == with_positions[0]:
            chosen.append(file)
    return chosen


def _natural(path: Path) -> list[tuple[int, str]]:
    """A sort key in which event 2 comes before event 10."""
    pieces = re.split(r"(\d+)", path.name)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]
