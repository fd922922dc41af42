"""Event readers: files of many formats as one stream of events, told apart by what is in them.

docs/formats.md has the formats and how each is recognised; `readers.formats` has their modules. Lengths are mm and
momenta GeV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.checks import check_lengths
from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event
from exatrkx.events.readers.formats import Skipped, made_events, reader_of
from exatrkx.events.readers.paths import AnyPath, event_files, input_files, tell_missing

if TYPE_CHECKING:
    from exatrkx.events.columns import ColumnMapping

__all__ = ["count_events", "event_files", "input_files", "read_events"]


def read_events(
    paths: AnyPath | Iterable[AnyPath],
    skipped: Skipped = None,
    columns: ColumnMapping | None = None,
) -> Iterator[Event]:
    """Read events one after the other, each only when it is asked for.

    Args:
        paths: a file, a folder, a pattern such as `data/event*-hits.csv`, or several of them.
        skipped: is told about each event, or whole file, that cannot be read, and the next one follows; without it
            that is an error.
        columns: how the columns are called; with it every file is read as a table, of whatever format.

    Raises:
        EventFormatError: a path leads to no events, or a file does not keep its format; the text names the file, the
            column and what is wrong with it. `UnitsError`: its lengths fit no detector, in cm, say.
    """
    files = event_files(paths)
    tell_missing(files)
    for file in files:
        try:
            read = reader_of(file).read(file, columns, skipped)
            yield from made_events(read, partial(_checked, file, columns), skipped)
        except EventFormatError as error:
            if skipped is None:
                raise
            skipped(error)


def count_events(paths: AnyPath | Iterable[AnyPath], columns: ColumnMapping | None = None) -> int:
    """How many events `read_events` will give, without reading their spacepoints.

    Raises:
        EventFormatError: a path leads to no events, or a file is not one of events.
    """
    return sum(reader_of(file).count(file, columns) for file in event_files(paths))


def _checked(file: Path, columns: ColumnMapping | None, event: Event) -> Event:
    """The event, which has lengths of a detector; another one is refused."""
    unit = "" if columns is None or columns.unit == "mm" else f", read with unit={columns.unit}"
    check_lengths(event.r, event.z, f"{file}: event {event.event_id}{unit}")
    return event
