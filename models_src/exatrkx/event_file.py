"""The project's own event format: one Parquet file for a set of events, one row for an event.

Columns are lists, so that awkward-array, pandas or polars read a file as it is. Positions are mm, momenta GeV. Each
event is a row group of its own: any one of them is read without the others.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from exatrkx.errors import EventFormatError
from exatrkx.event import Event, Particles, Truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FORMAT_VERSION: Final = "1"
_METADATA: Final = {"exatrkx.events": FORMAT_VERSION, "units": "mm, GeV, e"}

_POSITIONS: Final = ("x", "y", "z")
_HITS: Final = {"hit_spacepoint": "spacepoint", "hit_particle": "particle", "hit_order": "order"}
_PARTICLE_TYPES: Final[dict[str, pa.DataType]] = {
    "particle_id": pa.uint64(),
    "pdg": pa.int32(),
    "charge": pa.float32(),
    **dict.fromkeys(("vx", "vy", "vz", "px", "py", "pz"), pa.float32()),
    "primary": pa.bool_(),
}
_PARTICLES: Final = {f"particle_{name.removeprefix('particle_')}": name for name in _PARTICLE_TYPES}

SCHEMA: Final = pa.schema(
    [
        pa.field("event_id", pa.int64(), nullable=False),
        *(pa.field(name, pa.list_(pa.float32()), nullable=False) for name in _POSITIONS),
        # Null where nothing is known of the particles.
        *(pa.field(name, pa.list_(pa.int32())) for name in _HITS),
        *(pa.field(column, pa.list_(_PARTICLE_TYPES[name])) for column, name in _PARTICLES.items()),
    ],
    metadata=_METADATA,
)


def write_events(path: Path, events: Iterable[Event]) -> int:
    """Write events as they come, and return how many; the file is there only once it is whole."""
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd", compression_level=9) as writer:
            for event in events:
                writer.write_batch(pa.RecordBatch.from_pylist([_row(event)], schema=SCHEMA))
                count += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def read_events(path: Path, indices: Sequence[int] | None = None) -> Iterator[Event]:
    """Read the events of a file, or those at `indices` (places in the file, from 0), each when it is asked for.

    Raises:
        EventFormatError: the file is no Parquet file of events, or an event in it contradicts itself.
        IndexError: there is no event at one of the indices.
    """
    with _open(path) as file:
        for place in range(file.num_row_groups) if indices is None else indices:
            if not 0 <= place < file.num_row_groups:
                raise IndexError(f"{path}: there is no event at {place}, only {file.num_row_groups} events")
            yield _event(path, file.read_row_group(place))


def count_events(path: Path) -> int:
    """How many events a file holds.

    Raises:
        EventFormatError: the file is no Parquet file of events.
    """
    with _open(path) as file:
        count: int = file.num_row_groups
        return count


def _row(event: Event) -> dict[str, Any]:
    row: dict[str, Any] = {"event_id": event.event_id, **{name: getattr(event, name) for name in _POSITIONS}}
    if event.truth is not None:
        row |= {column: getattr(event.truth, name) for column, name in _HITS.items()}
        row |= {column: getattr(event.truth.particles, name) for column, name in _PARTICLES.items()}
    return row


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise EventFormatError(f"{path}: no Parquet file: {error}") from error
    for field in SCHEMA:
        place = file.schema_arrow.get_field_index(field.name)
        if place < 0:
            raise EventFormatError(
                f"{path}: column {field.name} is missing; found {', '.join(file.schema_arrow.names)}"
            )
        found = file.schema_arrow.field(place).type
        if found != field.type:
            raise EventFormatError(f"{path}: column {field.name} must be {field.type}, found {found}")
    if any(file.metadata.row_group(i).num_rows != 1 for i in range(file.num_row_groups)):
        raise EventFormatError(f"{path}: each row group must hold one event")
    return file


def _event(path: Path, table: pa.Table) -> Event:
    event_id = table["event_id"][0].as_py()
    where = f"{path}, event {event_id}"
    x, y, z = (_column(table, name, where) for name in _POSITIONS)
    _same_length(where, {"x": x, "y": y, "z": z})
    truth = _truth(table, len(x), where) if table["hit_spacepoint"][0].is_valid else None
    return Event(event_id=event_id, x=x, y=y, z=z, truth=truth)


def _truth(table: pa.Table, num_spacepoints: int, where: str) -> Truth:
    hits = {name: _column(table, column, where).astype(np.int64) for column, name in _HITS.items()}
    properties = {name: _column(table, column, where) for column, name in _PARTICLES.items()}
    _same_length(where, hits)
    _same_length(where, properties)
    _in_range(where, "hit_spacepoint", hits["spacepoint"], num_spacepoints)
    _in_range(where, "hit_particle", hits["particle"], len(properties["particle_id"]))
    particles = Particles(**{field.name: properties[field.name] for field in fields(Particles)})
    return Truth(particles=particles, **hits)


def _column(table: pa.Table, name: str, where: str) -> Any:
    value = table[name][0]
    if not value.is_valid:
        raise EventFormatError(f"{where}: column {name} is null")
    return value.values.to_numpy(zero_copy_only=False)


def _same_length(where: str, columns: dict[str, Any]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise EventFormatError(f"{where}: columns must have one length, found {lengths}")


def _in_range(where: str, name: str, values: Any, size: int) -> None:
    bad = (values < 0) | (values >= size)
    if bad.any():
        raise EventFormatError(f"{where}: column {name} must be in [0, {size}), found {int(values[bad.argmax()])}")
