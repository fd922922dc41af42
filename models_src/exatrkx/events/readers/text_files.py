"""Text tables, told apart by their header: TrackML, positions, or features without a header; any, with a mapping."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION, ColumnMapping
from exatrkx.events.event import Event
from exatrkx.events.readers.csv_files import read_features, single_blanks
from exatrkx.events.readers.formats import Skipped, header_of, opened
from exatrkx.events.readers.paths import beside, parts_of
from exatrkx.events.readers.tables import count_table, read_table
from exatrkx.events.readers.truth_csv import read_acts, read_trackml


def read(file: Path, columns: ColumnMapping | None, skipped: Skipped) -> Iterator[Event]:
    """The event of a file; with a mapping that names a column of events, or one `event_id`, those of a file."""
    if columns is not None:
        yield from read_table(file, TextTable(file), columns, skipped)
        return
    header = header_of(file)
    if not header.has_names:
        yield read_features(file)
    elif "hit_id" in header.names:
        yield read_trackml(file)
    else:
        yield read_acts(file)


def count(file: Path, columns: ColumnMapping | None) -> int:
    """One, unless a mapping says which events a row is of."""
    return 1 if columns is None else count_table(file, TextTable(file), columns)


def holds_spacepoints(file: Path) -> bool:
    """Whether there are values alone, or one of the columns of a position."""
    header = header_of(file)
    return not header.has_names or not {*POSITION}.isdisjoint(header.names)


def companions(file: Path) -> list[Path]:
    """The other files of the event that hold its truth."""
    return [other for part in parts_of(file) if (other := beside(file, part))]


@dataclass(frozen=True)
class TextTable:
    """A text table with a header, of cells that are read as text."""

    file: Path

    @property
    def names(self) -> Sequence[str]:
        """The header."""
        return header_of(self.file).names

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Some thousand rows at a time."""
        header = header_of(self.file)
        read_as = pa_csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string()))
        rows = pa_csv.ReadOptions(column_names=header.names, skip_rows=1, use_threads=False)
        try:
            with opened(self.file) as stream:
                source = stream if header.separator != " " else io.BytesIO(single_blanks(stream.read()))
                parse = pa_csv.ParseOptions(delimiter=header.separator)
                for batch in pa_csv.open_csv(source, rows, parse, read_as):
                    yield pa.table(batch)
        except pa.ArrowException as error:
            raise EventFormatError(f"{self.file}: {str(error).splitlines()[0]}") from error
