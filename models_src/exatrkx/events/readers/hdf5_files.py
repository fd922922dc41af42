"""HDF5 files by h5py: datasets of one length, one of records, lists of any length, or a group for each event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pyarrow as pa

from exatrkx.checks import quoted
from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION, ColumnMapping
from exatrkx.events.event import Event
from exatrkx.events.readers.formats import Skipped
from exatrkx.events.readers.tables import USUAL, Table, count_table, fitting_table, read_table

_ROWS: Final = 1 << 16
_LISTS: Final = 64
"""At a time."""
_NUMBER: Final = "event"
"""The column of the number in the name of an event's group."""


def read(file: Path, columns: ColumnMapping | None, skipped: Skipped) -> Iterator[Event]:
    """The events of a file."""
    with opened_file(file) as root:
        yield from read_table(file, _table(file, root, columns or USUAL), columns or USUAL, skipped)


def count(file: Path, columns: ColumnMapping | None) -> int:
    """How many events a file has."""
    with opened_file(file) as root:
        return count_table(file, _table(file, root, columns or USUAL), columns or USUAL)


def holds_spacepoints(file: Path) -> bool:
    """Whether some of its datasets have the names of a position."""
    with opened_file(file) as root:
        return any({*POSITION} <= {*table.names} for table in _tables(file, root).values())


def companions(_file: Path) -> list[Path]:
    """None."""
    return []


@contextmanager
def opened_file(file: Path) -> Iterator[Any]:
    """The root group of a file.

    Raises:
        EventFormatError: it is damaged; within the `with`, too.
    """
    try:
        with h5py.File(file) as root:
            yield root
    except (OSError, RuntimeError) as error:
        raise EventFormatError(f"{file}: not an HDF5 file that can be read: {str(error).splitlines()[0]}") from error


@dataclass(frozen=True)
class Datasets:
    """One-dimensional datasets of a group, or the fields of one dataset of records."""

    columns: Mapping[str, Any]

    @property
    def names(self) -> Sequence[str]:
        """The datasets, those of groups within the group by their path."""
        return list(self.columns)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Some thousand entries at a time."""
        columns = {name: self.columns[name] for name in names}
        size = len(columns[names[0]])
        step = _LISTS if any(h5py.check_vlen_dtype(column.dtype) for column in columns.values()) else _ROWS
        for start in range(0, size, step):
            yield pa.table({name: _arrow(column[start : start + step]) for name, column in columns.items()})


@dataclass(frozen=True)
class Groups:
    """A group for each event."""

    file: Path
    groups: Mapping[str, Mapping[str, Any]]

    @property
    def names(self) -> Sequence[str]:
        """The datasets of the first event, and the number of the event as its group's name has it."""
        return [*next(iter(self.groups.values())), _NUMBER]

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """One event at a time."""
        for place, (group, datasets) in enumerate(self.groups.items()):
            columns = {}
            for name in names:
                if name == _NUMBER and name not in datasets:
                    digits = re.findall(r"\d+", group)
                    columns[name] = pa.array([int(digits[-1]) if digits else place])
                elif name not in datasets:
                    raise EventFormatError(
                        f"{self.file}: group {group!r}: no dataset {name!r}, found {quoted(datasets)}"
                    )
                elif name == _NUMBER or not datasets[name].shape:
                    columns[name] = pa.array([np.ravel(datasets[name][()])[0].item()])
                else:
                    column = _arrow(datasets[name][()])
                    columns[name] = pa.ListArray.from_arrays(pa.array([0, len(column)], pa.int32()), column)
            yield pa.table(columns)


class _Field:
    """A field of a dataset of records, as a dataset."""

    def __init__(self, records: Any, name: str) -> None:
        self._records, self._name = records, name
        self.dtype = records.dtype[name]

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, rows: Any) -> Any:
        return self._records[rows][self._name]


def _table(file: Path, root: Any, columns: ColumnMapping) -> Table:
    """The group or dataset that a mapping names, or the first one that has what is needed."""
    if columns.table is not None:
        if columns.table not in root:
            raise EventFormatError(f"{file}: no group or dataset {columns.table!r} in it, found {quoted(_all(root))}")
        root = root[columns.table]
    return fitting_table(_tables(file, root), columns, str(file))


def _tables(file: Path, root: Any) -> dict[str, Table]:
    """What a group or dataset can be read as: its own datasets, those of one of its members, a group for each event."""
    if isinstance(root, h5py.Dataset):
        return {root.name: Datasets(_fields(root))}
    found: dict[str, Table] = {root.name: Datasets(_datasets(root))}
    groups = {name: root[name] for name in sorted(root, key=_natural) if isinstance(root[name], h5py.Group)}
    records = [one for one in root.values() if isinstance(one, h5py.Dataset) and one.dtype.names]
    found |= {one.name: Datasets(_fields(one)) for one in records}
    if len(groups) == 1:
        return found | _tables(file, next(iter(groups.values())))
    if groups:
        found["groups"] = Groups(file, {name: _datasets(group, all_of_it=True) for name, group in groups.items()})
    return found | {group.name: Datasets(_datasets(group)) for group in groups.values()}


def _datasets(group: Any, *, all_of_it: bool = False) -> dict[str, Any]:
    """The one-dimensional datasets of a group by their paths; single numbers, too, where all are asked for."""
    found = {}
    for name in _all(group):
        one = group[name]
        if isinstance(one, h5py.Dataset) and not one.dtype.names and (one.ndim == 1 or (all_of_it and not one.ndim)):
            found[name] = one
    return found


def _all(group: Any) -> list[str]:
    if isinstance(group, h5py.Dataset):
        return list(group.dtype.names or ())
    found: list[str] = []
    group.visit(found.append)
    return found


def _fields(records: Any) -> dict[str, Any]:
    return {name: _Field(records, name) for name in records.dtype.names or ()}


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _arrow(values: Any) -> Any:
    if values.dtype == object:
        return pa.array([one.decode() if isinstance(one, bytes) else one for one in values])
    return pa.array(values.astype(values.dtype.newbyteorder("=")))
