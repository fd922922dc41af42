"""Reading collision events from the formats in use, told apart by what is in the files.

| format | recognised by |
|---|---|
| this project's Parquet | its first bytes; see `exatrkx.event_file` |
| TrackML CSV: `-hits`, with `-truth` and `-particles` beside it where they are known | a column `hit_id` |
| ACTS spacepoint CSV, or any CSV with positions in mm | columns `x`, `y`, `z` |
| features, three columns (r / 1000 mm, φ / π, z / 1000 mm) | no header |

CSV files may be compressed (`.csv.gz`). Lengths are mm and momenta GeV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from exatrkx import event_file
from exatrkx.errors import EventFormatError
from exatrkx.event import Event
from exatrkx.readers.csv_columns import first_line
from exatrkx.readers.features import is_number, read_features
from exatrkx.readers.paths import AnyPath, event_files
from exatrkx.readers.spacepoints import read_spacepoints
from exatrkx.readers.trackml import read_trackml

PARQUET_MAGIC: Final = b"PAR1"

__all__ = ["count_events", "event_files", "read_events"]


def read_events(paths: AnyPath | Iterable[AnyPath]) -> Iterator[Event]:
    """Read events one after the other, each only when it is asked for.

    Args:
        paths: a file, a folder, a pattern such as `data/event*-hits.csv`, or several of them.

    Raises:
        EventFormatError: a path leads to no events, or a file does not keep its format; the text names the file, the
            column and what is wrong with it.
    """
    for file in event_files(paths):
        yield from _read_file(file)


def count_events(paths: AnyPath | Iterable[AnyPath]) -> int:
    """How many events `read_events` will give, without reading their spacepoints.

    Raises:
        EventFormatError: a path leads to no events, or a Parquet file is not one of events.
    """
    return sum(_count_file(file) for file in event_files(paths))


def _read_file(file: Path) -> Iterator[Event]:
    if _is_parquet(file):
        yield from event_file.read_events(file)
        return
    header = [name.strip() for name in first_line(file).split(",")]
    if all(is_number(name) for name in header):
        yield read_features(file)
    elif "hit_id" in header:
        yield read_trackml(file)
    else:
        yield read_spacepoints(file)


def _count_file(file: Path) -> int:
    if _is_parquet(file):
        return event_file.count_events(file)
    return 1


def _is_parquet(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    except OSError as error:
        raise EventFormatError(f"{file}: {error.strerror}") from error
