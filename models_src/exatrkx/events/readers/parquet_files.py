"""Parquet files: this project's, and any other table of spacepoints with a row for each event, or for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from exatrkx.errors import EventFormatError
from exatrkx.events import parquet
from exatrkx.events.columns import POSITION, ColumnMapping
from exatrkx.events.event import Event
from exatrkx.events.readers import colliderml
from exatrkx.events.readers.formats import Skipped
from exatrkx.events.readers.paths import tell
from exatrkx.events.readers.tables import USUAL, count_table, is_list, read_table

_ROWS: Final = 1 << 16
"""At a time, of tables with a row for each spacepoint; an event of lists comes alone."""


def read(file: Path, columns: ColumnMapping | None, skipped: Skipped) -> Iterator[Event]:
    """The events of a file."""
    with opened_table(file) as table:
        if columns is None and _is_own(table):
            yield from parquet.read_events(file, skipped=skipped)
        elif columns is None and colliderml.is_hits(table):
            with _particles(file) as particles:
                yield from colliderml.read_hits(file, table, particles, skipped)
        else:
            yield from read_table(file, table, columns or USUAL, skipped)


def count(file: Path, columns: ColumnMapping | None) -> int:
    """How many events a file has."""
    with opened_table(file) as table:
        if columns is None and _is_own(table):
            return parquet.count_events(file)
        return count_table(file, table, columns or USUAL)


def holds_spacepoints(file: Path) -> bool:
    """Whether it has one of the columns of a position."""
    with opened_table(file) as table:
        return not {*POSITION}.isdisjoint(table.names)


def companions(file: Path) -> list[Path]:
    """The particles of ColliderML's hits."""
    with opened_table(file) as table:
        particles = colliderml.particles_file(file) if colliderml.is_hits(table) else None
    return [] if particles is None else [particles]


@dataclass(frozen=True)
class ParquetTable:
    """An open Parquet file."""

    file: Path
    parquet: Any

    @property
    def names(self) -> Sequence[str]:
        """Its columns."""
        return list(self.parquet.schema_arrow.names)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """One row of lists at a time, or some thousand of spacepoints."""
        schema = self.parquet.schema_arrow
        size = 1 if any(is_list(schema.field(name).type) for name in names) else _ROWS
        try:
            for batch in self.parquet.iter_batches(size, columns=names, use_threads=False):
                yield pa.table(batch)
        except (OSError, pa.ArrowException) as error:
            raise EventFormatError(f"{self.file}: cannot be read: {str(error).splitlines()[0]}") from error


@contextmanager
def opened_table(file: Path) -> Iterator[ParquetTable]:
    """The table of a file.

    Raises:
        EventFormatError: it is no Parquet file.
    """
    try:
        opened = pq.ParquetFile(file, **parquet.STREAMED)
    except (OSError, pa.ArrowException) as error:
        raise EventFormatError(f"{file}: not a Parquet file: {str(error).splitlines()[0]}") from error
    with opened:
        yield ParquetTable(file, opened)


@contextmanager
def _particles(file: Path) -> Iterator[tuple[Path, ParquetTable] | None]:
    """The particles beside ColliderML's hits; None, and a line, where there are none."""
    other = colliderml.particles_file(file)
    if other is None:
        tell(f"{file}: no file of particles beside it: they are known by their hits alone")
        yield None
        return
    with opened_table(other) as table:
        yield other, table


def _is_own(table: ParquetTable) -> bool:
    return not {*parquet.HITS.values()}.isdisjoint(table.names)
