"""Parquet event files of this project: one file per event set, one row and one row group per event.

| column | type | what |
|---|---|---|
| `event_id` | int64 | number of the event in its sample |
| `x`, `y`, `z` | list of float32 | [N] spacepoints in mm |
| `hit_spacepoint`, `hit_particle`, `hit_order` | list of int32 | [H] `exatrkx.events.event.Truth` |
| `particle_id`, `particle_pdg`, … | list, by field | [P] the fields of `Particles` there, mm, GeV and e |
| `extra_NAME`, if any | list of float32 | [N] `Event.extra`, which networks may take beside the position |

The `hit_` and `particle_` columns are null where nothing is known of an event's particles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, Particles, Truth
from exatrkx.events.readers.formats import Skipped, made_events

FORMAT: Final = "exatrkx-events"
VERSION: Final = "1"

POSITIONS: Final = ("x", "y", "z")
HITS: Final = {"spacepoint": "hit_spacepoint", "particle": "hit_particle", "order": "hit_order"}
"""Fields of `Truth`, and the column that each is in."""

STREAMED: Final = {"buffer_size": 1 << 20, "pre_buffer": False}
"""Read so many bytes of a column at a time, and not all of a row group, which another program may make a large one."""

_FIELD_TYPES: Final = {
    "particle_id": pa.uint64(),
    "pdg": pa.int32(),
    "primary": pa.bool_(),
}
EXTRA: Final = "extra_"
"""Begins the names of columns that networks may take beside the position."""

PARTICLES: Final = {
    field.name: field.name if field.name.startswith("particle_") else f"particle_{field.name}"
    for field in fields(Particles)
}
"""Fields of `Particles`, and the column that each is in."""

SCHEMA: Final = pa.schema(
    [
        pa.field("event_id", pa.int64(), nullable=False),
        *(pa.field(name, pa.list_(pa.float32()), nullable=False) for name in POSITIONS),
        *(pa.field(column, pa.list_(pa.int32())) for column in HITS.values()),
        *(pa.field(column, pa.list_(_FIELD_TYPES.get(name, pa.float32()))) for name, column in PARTICLES.items()),
    ],
    metadata={"format": FORMAT, "version": VERSION, "length": "mm", "momentum": "GeV", "charge": "e"},
)


def schema_of(names: Iterable[str]) -> Any:
    """The schema of a file with these columns: `SCHEMA`, and those of `Event.extra` among them."""
    extra = [pa.field(name, pa.list_(pa.float32()), nullable=False) for name in names if name.startswith(EXTRA)]
    return pa.schema([*SCHEMA, *extra], metadata=SCHEMA.metadata)


def read_events(
    path: str | Path,
    indices: Sequence[int] | None = None,
    skipped: Skipped = None,
) -> Iterator[Event]:
    """Read events one after the other, each only when it is asked for.

    Args:
        path: a file that `exatrkx.events.parquet_writer` wrote.
        indices: places of the wanted events in the file, from 0, in the order in which they are wanted; all of them
            unless given.
        skipped: is told about each event that cannot be read, and the next one follows; without it that is an error.

    Raises:
        EventFormatError: the file is not one of events, or there is no event of that index.
    """
    with _open(path) as file:
        # One event per row group as written here; another tool may have put several in one.
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        if indices is None and max(sizes, default=1) > 1:
            yield from _streamed(path, file, skipped)
            return
        ends, count = np.cumsum(sizes), file.metadata.num_rows

        def made(index: int) -> Event:
            group = int(np.searchsorted(ends, index, side="right"))
            rows = _row_group(path, file, group)
            return _event(path, rows.slice(index - ends[group] + len(rows), 1))

        def wanted() -> Iterator[int]:
            for index in range(count) if indices is None else indices:
                if not 0 <= index < count:
                    raise EventFormatError(f"{path}: no event of index {index}: the file has {count} events, from 0")
                yield index

        yield from made_events(wanted(), made, skipped)


def count_events(path: str | Path) -> int:
    """How many events a file has.

    Raises:
        EventFormatError: the file is not one of events.
    """
    with _open(path) as file:
        return int(file.metadata.num_rows)


@contextmanager
def _open(path: str | Path) -> Iterator[Any]:
    if not Path(path).is_file():
        raise EventFormatError(f"{path}: no such file")
    try:
        file = pq.ParquetFile(path, **STREAMED)
    except (OSError, pa.ArrowException) as error:
        raise EventFormatError(f"{path}: not a Parquet file: {error}") from error
    with file:
        _check_schema(path, file.schema_arrow)
        yield file


def _check_schema(path: str | Path, schema: Any) -> None:
    for field in schema_of(schema.names):
        if field.name not in schema.names:
            raise EventFormatError(f"{path}: no column {field.name!r}, found {', '.join(schema.names)}")
        found = schema.field(field.name).type
        if not _alike(found, field.type):
            raise EventFormatError(f"{path}: column {field.name!r} must be of type {field.type}, found {found}")


def _alike(found: Any, wanted: Any) -> bool:
    """Whether a type is the wanted one but for the width of numbers and of lists' offsets."""
    if pa.types.is_list(wanted):
        return hasattr(found, "value_type") and _alike(found.value_type, wanted.value_type)
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return found == wanted or any(is_one(found) and is_one(wanted) for is_one in checks)


def _streamed(path: str | Path, file: Any, skipped: Skipped) -> Iterator[Event]:
    """All events of a file with several in a row group, which may be larger than the memory."""
    try:
        rows = file.iter_batches(1, columns=schema_of(file.schema_arrow.names).names, use_threads=False)
        yield from made_events(rows, partial(_event, path), skipped)
    except (OSError, pa.ArrowException) as error:
        raise EventFormatError(f"{path}: cannot be read: {error}") from error


def _row_group(path: str | Path, file: Any, group: int) -> Any:
    try:
        return file.read_row_group(group, columns=schema_of(file.schema_arrow.names).names, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise EventFormatError(f"{path}: row group {group} cannot be read: {error}") from error


def _event(path: str | Path, row: Any) -> Event:
    event_id = row["event_id"][0].as_py()
    if event_id is None:
        raise EventFormatError(f"{path}: column 'event_id' has a null")
    values: dict[str, Any] = {}
    for field in schema_of(row.schema.names):
        try:
            cell = row[field.name].cast(field.type)[0]
        except pa.ArrowException as error:
            raise EventFormatError(f"{path}: event {event_id}: column {field.name!r}: {error}") from error
        if field.name != "event_id" and cell.is_valid:
            if cell.values.null_count:
                raise EventFormatError(f"{path}: event {event_id}: column {field.name!r} has nulls among its values")
            values[field.name] = cell.values.to_numpy(zero_copy_only=False)
    check_columns(path, event_id, values)
    return event_of_columns(event_id, values)


def columns_of(event: Event) -> dict[str, Any]:
    """The arrays of an event by the names of their columns; those of its truth only where it is known."""
    values: dict[str, Any] = {name: getattr(event, name) for name in POSITIONS}
    values |= {EXTRA + name: column for name, column in event.extra.items()}
    if event.truth is not None:
        values |= {column: getattr(event.truth, name) for name, column in HITS.items()}
        values |= {column: getattr(event.truth.particles, name) for name, column in PARTICLES.items()}
    return values


def event_of_columns(event_id: int, values: Mapping[str, Any]) -> Event:
    """The event whose arrays these are; see `columns_of`."""
    truth = None
    if HITS["order"] in values:
        truth = Truth(
            particles=Particles(**{name: values[column] for name, column in PARTICLES.items()}),
            **{name: values[column].astype(np.int64) for name, column in HITS.items()},
        )
    extra = {name.removeprefix(EXTRA): column for name, column in values.items() if name.startswith(EXTRA)}
    return Event(event_id=event_id, **{name: values[name] for name in POSITIONS}, truth=truth, extra=extra)


def check_columns(path: str | Path, event_id: int, values: Mapping[str, Any]) -> None:
    """Raise EventFormatError unless lengths agree, indices point at something, and truth is all there or all null."""
    where = f"{path}: event {event_id}"
    known = [name for name in (*HITS.values(), *PARTICLES.values()) if name in values]
    places = (*POSITIONS, *(name for name in values if name.startswith(EXTRA)))
    for group in (places, tuple(HITS.values()), tuple(PARTICLES.values())):
        for name in group:
            if name not in values and (known or group is places):
                raise EventFormatError(f"{where}: column {name!r} is null, and {(known or ['x'])[0]!r} is not")
            if name in values and len(values[name]) != len(values[group[0]]):
                raise EventFormatError(
                    f"{where}: column {name!r} has {len(values[name])} values, {group[0]!r} has {len(values[group[0]])}"
                )
    if not known:
        return
    for name, count in (("hit_spacepoint", len(values["x"])), ("hit_particle", len(values["particle_id"]))):
        index = values[name]
        if len(index) and (index.min() < 0 or index.max() >= count):
            raise EventFormatError(
                f"{where}: column {name!r} points outside 0 … {count - 1}: found {index.min()} … {index.max()}"
            )
