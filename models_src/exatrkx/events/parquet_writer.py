"""Writer of Parquet event files; `exatrkx.events.parquet` reads them and says what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from exatrkx.checks import quoted
from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event
from exatrkx.events.parquet import EXTRA, check_columns, columns_of, schema_of
from exatrkx.files import whole_file


def write_events(path: str | Path, events: Iterable[Event]) -> int:
    """Write events to a Parquet file as they come; the file appears under its name only when all are in it.

    Returns:
        How many events were written.

    Raises:
        EventFormatError: an event's arrays differ in length, or an index points outside them; or it has other `extra`
            columns than the first one.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    count = 0
    left = iter(events)
    first = [*islice(left, 1)]
    schema = schema_of(EXTRA + name for event in first for name in event.extra)
    with whole_file(path) as file, _writer(file, schema) as writer:
        for event in chain(first, left):
            writer.write_table(_row(path, event, schema), row_group_size=1)
            count += 1
    return count


def _writer(file: BinaryIO, schema: Any) -> Any:
    values = {field.name: field.type.value_type for field in schema if pa.types.is_list(field.type)}
    encodings = {
        f"{name}.list.element": "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else "DELTA_BINARY_PACKED"
        for name, kind in values.items()
        if not pa.types.is_boolean(kind)
    }
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=9,
        use_dictionary=False,
        write_statistics=False,
        column_encoding=encodings,
    )


def _row(path: Path, event: Event, schema: Any) -> Any:
    """The event as a table of one row."""
    values = columns_of(event)
    check_columns(path, event.event_id, values)
    columns = [pa.array([event.event_id], pa.int64())]
    expected = {name.removeprefix(EXTRA) for name in schema.names if name.startswith(EXTRA)}
    if event.extra.keys() != expected:
        found = f"expected {quoted(sorted(expected)) or 'none'}, found {quoted(sorted(event.extra)) or 'none'}"
        raise EventFormatError(
            f"{path}: event {event.event_id}: extra columns must be those of the first event: {found}"
        )
    for field in schema:
        if field.name != "event_id":
            value = values.get(field.name)
            flat = None if value is None else pa.array(value, field.type.value_type)
            columns.append(_list_of(flat, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _list_of(flat: Any | None, kind: Any) -> Any:
    """One list, of these values or null."""
    if flat is None:
        return pa.array([None], kind)
    return pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)
