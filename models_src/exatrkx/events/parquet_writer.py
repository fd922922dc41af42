"""Writer of Parquet event files; `exatrkx.events.parquet` reads them and says what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from exatrkx.events.event import Event
from exatrkx.events.parquet import SCHEMA, check_columns, columns_of
from exatrkx.files import whole_file


def write_events(path: str | Path, events: Iterable[Event]) -> int:
    """Write events to a Parquet file as they come; the file appears under its name only when all are in it.

    Returns:
        How many events were written.

    Raises:
        EventFormatError: an event's arrays differ in length, or an index points outside them.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    count = 0
    with whole_file(path) as file, _writer(file) as writer:
        for event in events:
            writer.write_table(_row(path, event), row_group_size=1)
            count += 1
    return count


def _writer(file: BinaryIO) -> Any:
    values = {field.name: field.type.value_type for field in SCHEMA if pa.types.is_list(field.type)}
    encodings = {
        f"{name}.list.element": "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else "DELTA_BINARY_PACKED"
        for name, kind in values.items()
        if not pa.types.is_boolean(kind)
    }
    return pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        compression_level=9,
        use_dictionary=False,
        write_statistics=False,
        column_encoding=encodings,
    )


def _row(path: Path, event: Event) -> Any:
    """The event as a table of one row."""
    values = columns_of(event)
    check_columns(path, event.event_id, values)
    columns = [pa.array([event.event_id], pa.int64())]
    for field in SCHEMA:
        if field.name != "event_id":
            value = values.get(field.name)
            flat = None if value is None else pa.array(value, field.type.value_type)
            columns.append(_list_of(flat, field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _list_of(flat: Any | None, kind: Any) -> Any:
    """One list, of these values or null."""
    if flat is None:
        return pa.array([None], kind)
    return pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)
