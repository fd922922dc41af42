"""CSV readers of one event each: columns by name, ACTS spacepoints (x, y, z), and bare features (r, φ, z)."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from exatrkx.checks import FEATURE_COLUMNS, check_features_range
from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, positions

Columns = dict[str, npt.NDArray[np.generic]]

FLOAT: Final = pa.float64()
INTEGER: Final = pa.int64()
IDENTIFIER: Final = pa.uint64()

_EVENT: Final = re.compile(r".*(?=-[a-z]+\.csv(\.gz)?$)")
"""What the names of an event's files have in common, in TrackML and in ACTS."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_SHOWN: Final = 60
"""Most characters of a name that is no text."""


def first_line(file: Path) -> str:
    """The first line of a text file that may be compressed.

    Raises:
        EventFormatError: the file cannot be read, or is empty.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8", errors="replace") as stream:
            line = str(stream.readline()).removeprefix(_BYTE_ORDER_MARK)
    except (OSError, EOFError, zlib.error) as error:
        raise EventFormatError(f"{file}: cannot be read: {error}") from error
    if not line.strip():
        raise EventFormatError(f"{file}: no header and no rows on the first line, found an empty one")
    return line


def read_columns(file: Path, required: Mapping[str, pa.DataType], optional: Mapping[str, pa.DataType]) -> Columns:
    """Read the named columns of a CSV file with a header; whatever else is in it is passed over.

    Args:
        file: the file, compressed when it ends in `.gz`.
        required: columns that must be there, and their types.
        optional: columns that are read when they are there.

    Returns:
        One array for each column found, all of one length.

    Raises:
        EventFormatError: a column is missing or there twice, a value is not of its type, a row has too many or too few
            values, or the file cannot be read.
    """
    names = [name.strip().strip('"') for name in first_line(file).split(",")]
    missing = [name for name in required if name not in names]
    if missing:
        raise EventFormatError(f"{file}: column {_quoted(missing)} is missing; found {_quoted(names)}")
    types = dict(required) | {name: kind for name, kind in optional.items() if name in names}
    twice = [name for name in types if names.count(name) > 1]
    if twice:
        raise EventFormatError(f"{file}: column {_quoted(twice)} is there more than once")
    return parse_columns(file, names, types, skip_rows=1)


def parse_columns(file: Path, names: list[str], types: Mapping[str, pa.DataType], skip_rows: int) -> Columns:
    """Read the columns in `types` of a CSV file whose columns, in order, are `names`; see `read_columns`."""
    try:
        table = pa_csv.read_csv(
            file,
            # One thread, so that errors can name the row.
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=skip_rows, use_threads=False),
            # An empty cell is an error, not a number.
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(types), column_types=dict(types), null_values=[]
            ),
        )
    except (pa.ArrowException, OSError) as error:
        raise EventFormatError(f"{file}: {_readable(str(error), names)}") from error
    return {name: table.column(name).to_numpy() for name in types}


def require_finite(file: Path, columns: Columns, names: Iterable[str], first_row: int = 2) -> None:
    """Refuse a column that holds NaN or an infinity.

    Args:
        file: where the columns come from.
        columns: all columns that were read.
        names: the columns that must be finite.
        first_row: number of the first row of values: 2 below a header, 1 without.

    Raises:
        EventFormatError: names the column, the row and the value.
    """
    for name in names:
        bad = np.flatnonzero(~np.isfinite(columns[name].astype(np.float64)))
        if bad.size:
            raise EventFormatError(
                f"{file}: column '{name}' must be finite, found {columns[name][bad[0]]} in row {bad[0] + first_row}"
            )


def require_unique(name: str, known: npt.NDArray[np.generic], file: Path) -> None:
    """Refuse a column in which a value is there twice.

    Raises:
        EventFormatError: names the column and the value.
    """
    values, first = np.unique(known, return_index=True)
    if len(values) < len(known):
        repeated = known[np.setdiff1d(np.arange(len(known)), first)[0]]
        raise EventFormatError(f"{file}: {name} {repeated} is there more than once")


def event_number(file: Path, otherwise: int = 0) -> int:
    """The event's number as its file's name has it: the digits after `event`, else the last ones."""
    stem = file.name.split(".")[0]
    numbers = re.findall(r"event(\d+)", stem) or re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else otherwise


def beside(file: Path, part: str) -> Path | None:
    """The file of the same event with another part of it, compressed or not; None where there is none."""
    event = _EVENT.match(file.name)
    if event is None:
        return None
    candidates = (file.with_name(f"{event[0]}-{part}.csv{suffix}") for suffix in ("", ".gz"))
    return next((other for other in candidates if other.exists()), None)


POSITION: Final = ("x", "y", "z")
"""Columns of the position in mm; z along the beam."""


def read_spacepoints(file: Path) -> Event:
    """Read one event from columns `x`, `y`, `z` in mm; others (`measurement_id_1`, `geo_id_1`, …) are passed over.

    The event's number is the one in the file's name, 0 without any. There is no truth in such a file.

    Raises:
        EventFormatError: a column is missing, or a value is not a finite number.
    """
    columns = read_columns(file, required=dict.fromkeys(POSITION, FLOAT), optional={})
    require_finite(file, columns, POSITION)
    x, y, z = (columns[name].astype(np.float32) for name in POSITION)
    return Event(event_id=event_number(file), x=x, y=y, z=z)


def is_number(text: str) -> bool:
    """Whether a cell of the first line is a value and so not the name of a column."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_features(file: Path) -> Event:
    """Read one event from three columns (r / 1000 mm, φ / π, z / 1000 mm) and no header.

    The event's number is the one in the file's name, 0 without any. There is no truth in such a file.

    Raises:
        EventFormatError: not three columns, a value that is not a finite number, or one that is no r, φ or z.
    """
    found = first_line(file).count(",") + 1
    if found != len(FEATURE_COLUMNS):
        raise EventFormatError(
            f"{file}: without a header there must be {len(FEATURE_COLUMNS)} columns "
            f"({', '.join(FEATURE_COLUMNS)}), found {found}"
        )
    columns = parse_columns(file, list(FEATURE_COLUMNS), dict.fromkeys(FEATURE_COLUMNS, FLOAT), skip_rows=0)
    require_finite(file, columns, FEATURE_COLUMNS, first_row=1)
    features = np.stack([columns[name] for name in FEATURE_COLUMNS], axis=1).astype(np.float32)
    check_features_range(features, str(file), first_row=1)
    x, y, z = positions(features)
    return Event(event_id=event_number(file), x=x, y=y, z=z)


def _quoted(names: Iterable[str]) -> str:
    # A broken file's bytes are no names, and must not steer a terminal.
    return ", ".join(f"'{name}'" if name.isprintable() else ascii(name[:_SHOWN]) for name in names)


def _readable(message: str, names: list[str]) -> str:
    """The first line of a parser's message, with columns by name instead of by number."""
    first = message.splitlines()[0]
    return re.sub(r"In CSV column #(\d+)", lambda found: f"column {_quoted([names[int(found[1])]])}", first)
