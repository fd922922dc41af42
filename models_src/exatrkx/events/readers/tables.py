"""Tables of spacepoints of any format, by a column mapping: a row for each event with lists, or for each spacepoint.

Formats give their columns as Arrow tables, some rows at a time; what the columns mean is said here, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exatrkx.errors import EventFormatError
from exatrkx.events.columns import EXTRA, MM, MOMENTUM, POSITION, ColumnMapping
from exatrkx.events.event import NOISE, Event, Truth, order_within, particle_table, take_momenta
from exatrkx.events.readers.csv_files import event_number
from exatrkx.events.readers.formats import Skipped, made_events
from exatrkx.events.readers.whole_numbers import particle_numbers, whole_numbers

USUAL: Final = ColumnMapping()

Values = dict[str, Any]
"""Arrow arrays of one event, by what they stand for."""


class Table(Protocol):
    """Columns of a file, read some rows at a time."""

    @property
    def names(self) -> Sequence[str]:
        """The columns that are there."""

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Arrow tables of these columns, one after the other, small enough for the memory."""


def read_table(file: Path, table: Table, columns: ColumnMapping, skipped: Skipped) -> Iterator[Event]:
    """The events of a table, each read only when it is asked for.

    A spacepoint belongs to the particle of its row, to none where that is 0, −1, empty or NaN. The order along a
    particle's way is that of the column `order`, else of the distance from the origin.

    Raises:
        EventFormatError: a column is missing or of another type, or an event's rows are not together.
    """
    found = columns.find(table.names, str(file))
    mm = MM[columns.unit]
    return made_events(
        rows_of_events(file, table, found),
        lambda row: event_of_values(f"{file}: event {row[0]}", *row, found, mm),
        skipped,
    )


def fitting_table(tables: Mapping[str, Table], columns: ColumnMapping, where: str) -> Table:
    """The first of several tables that has the columns of the position.

    Raises:
        EventFormatError: none has; the text has the columns of the one which has most.
    """
    needed = {columns.names.get(name, name) for name in POSITION}
    best = max(tables, key=lambda name: len(needed & {*tables[name].names}))
    if not needed <= {*tables[best].names}:
        columns.find(tables[best].names, f"{where}: {best}" if best else where)
    return tables[best]


def count_table(file: Path, table: Table, columns: ColumnMapping) -> int:
    """How many events a table has.

    Raises:
        EventFormatError: a column is missing.
    """
    found = columns.find(table.names, str(file))
    return sum(1 for _ in rows_of_events(file, table, {key: found[key] for key in ("x", "event") if key in found}))


def is_list(kind: Any) -> bool:
    """Whether a column has several values in a row."""
    return hasattr(kind, "value_type") and not pa.types.is_dictionary(kind)


def floats(column: Any, where: str) -> npt.NDArray[np.float64]:
    """[N] finite numbers of a column of numbers, or of their text.

    Raises:
        EventFormatError: an entry is none; the text has its place.
    """
    try:
        values = np.asarray(pc.cast(column, pa.float64()))
    except pa.ArrowException as error:
        raise EventFormatError(f"{where} must be of numbers: {str(error).splitlines()[0]}") from error
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise EventFormatError(f"{where} must be finite, found {values[bad[0]]} at {bad[0]}")
    return values


def rows_of_events(file: Path, table: Table, found: Mapping[str, str]) -> Iterator[tuple[int, Values]]:
    """Number and values of each event of a table.

    Args:
        file: what it is read from.
        table: a row for each event where the first of the columns has lists, else rows that belong together by `event`.
        found: the columns to read, by what they stand for.

    Raises:
        EventFormatError: the rows of an event are not together, or a column has no lists where the first one has.
    """
    rows, seen, first = 0, set[int](), next(iter(found.values()))
    parts: list[Any] = []
    current = event_number(file)
    for batch in table.batches([*dict.fromkeys(found.values())]):
        if is_list(batch[first].type):
            for row in range(len(batch)):
                yield _row(file, batch, row, rows + row, found)
            rows += len(batch)
            continue
        for number, run in _runs(file, batch, found.get("event"), current):
            if parts and number != current:
                yield current, _joined(parts, found)
                seen.add(current)
                parts = []
            if number in seen:
                raise EventFormatError(f"{file}: event {number}: its rows are not together: sort by {found['event']!r}")
            current = number
            parts.append(run)
    if parts or not (rows or "event" in found):
        yield current, _joined(parts, found)


def _row(file: Path, batch: Any, row: int, index: int, found: Mapping[str, str]) -> tuple[int, Values]:
    """An event of lists."""
    number = index
    if "event" in found:
        number = int(whole_numbers(batch[found["event"]].slice(row, 1), pa.int64(), f"{file}: {found['event']}")[0])
    values = {}
    for key, name in found.items():
        if key != "event":
            cell = batch[name][row]
            if not is_list(batch[name].type) or not cell.is_valid:
                raise EventFormatError(f"{file}: event {number}: column {name!r} must have a list, found {cell}")
            values[key] = cell.values
    return number, values


def _runs(file: Path, batch: Any, column: str | None, otherwise: int) -> Iterator[tuple[int, Any]]:
    """Rows of one event each, with its number."""
    if column is None or not len(batch):
        yield otherwise, batch
        return
    numbers = whole_numbers(batch[column], pa.int64(), f"{file}: column {column!r}")
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], len(batch)], strict=True):
        yield int(numbers[start]), batch.slice(start, end - start)


def _joined(parts: list[Any], found: Mapping[str, str]) -> Values:
    if not parts:
        return dict.fromkeys((key for key in found if key != "event"), pa.array([], pa.float64()))
    whole = pa.concat_tables(parts)
    return {key: whole[name].combine_chunks() for key, name in found.items() if key != "event"}


def event_of_values(where: str, number: int, values: Values, found: Mapping[str, str], mm: float = 1.0) -> Event:
    """The event of its columns, with truth where the particle is one of them.

    Raises:
        EventFormatError: a column is not of finite numbers, or has another length.
    """
    size = len(values["x"])
    for key, column in values.items():
        if len(column) != size:
            name = found.get(key, key)
            raise EventFormatError(f"{where}: column {name!r} has {len(column)} values, {found['x']!r} has {size}")
    place = np.stack([floats(values[key], f"{where}: column {found[key]!r}") * mm for key in POSITION], axis=1)
    x, y, z = place.T.astype(np.float32)
    truth = _truth(where, values, found, place) if "particle" in found else None
    extra = {
        key.removeprefix(EXTRA): floats(values[key], f"{where}: column {name!r}").astype(np.float32)
        for key, name in found.items()
        if key.startswith(EXTRA)
    }
    return Event(event_id=number, x=x, y=y, z=z, truth=truth, extra=extra)


def _truth(where: str, values: Values, found: Mapping[str, str], place: npt.NDArray[np.float64]) -> Truth:
    made = particle_numbers(values["particle"], f"{where}: column {found['particle']!r}")
    spacepoint = np.flatnonzero(made != NOISE)
    particles, particle = particle_table(None, made[spacepoint])
    key = np.linalg.norm(place, axis=1)
    if "order" in found:
        key = floats(values["order"], f"{where}: column {found['order']!r}")
    order = order_within(particle, key[spacepoint])
    if MOMENTUM[0] in found:
        momentum = [floats(values[key], f"{where}: column {found[key]!r}") for key in MOMENTUM]
        take_momenta(particles, particle, order, np.stack(momentum, axis=1)[spacepoint])
    return Truth(particles=particles, spacepoint=spacepoint, particle=particle, order=order)
