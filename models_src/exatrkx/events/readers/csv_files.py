"""CSV readers of one event each: columns by name, ACTS spacepoints (x, y, z), and bare features (r, φ, z)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from exatrkx.checks import FEATURE_COLUMNS, check_features_range, quoted
from exatrkx.errors import EventFormatError
from exatrkx.events.columns import POSITION
from exatrkx.events.event import Event, positions
from exatrkx.events.readers.formats import Header, header_of, opened
from exatrkx.events.readers.whole_numbers import particle_numbers, whole_numbers

Columns = dict[str, npt.NDArray[np.generic]]


class Cell(StrEnum):
    """What the cells of a column hold."""

    FLOAT = "floating-point number"
    INTEGER = "int64"
    IDENTIFIER = "uint64"
    PARTICLE = "uint64, or of no particle"


FLOAT, INTEGER, IDENTIFIER, PARTICLE = Cell

_ARROW_TYPES: Final = {FLOAT: pa.float64(), INTEGER: pa.int64(), IDENTIFIER: pa.uint64()}
_BLANKS: Final = re.compile(rb"[ \t]+")


def read_columns(file: Path, required: Mapping[str, Cell], optional: Mapping[str, Cell]) -> Columns:
    """Read the named columns of a CSV file with a header; whatever else is in it is passed over.

    Args:
        file: the file, compressed or not.
        required: columns that must be there, and their types.
        optional: columns that are read when they are there.

    Returns:
        One array for each column found, all of one length.

    Raises:
        EventFormatError: a column is missing or there twice, a value is not of its type, a row has too many or too few
            values, or the file cannot be read.
    """
    header = header_of(file)
    missing = [name for name in required if name not in header.names]
    if missing:
        raise EventFormatError(f"{file}: column {quoted(missing)} is missing; found {quoted(header.names)}")
    types = dict(required) | {name: kind for name, kind in optional.items() if name in header.names}
    twice = [name for name in types if header.names.count(name) > 1]
    if twice:
        raise EventFormatError(f"{file}: column {quoted(twice)} is there more than once")
    return parse_columns(file, header, types, skip_rows=1)


def parse_columns(file: Path, header: Header, types: Mapping[str, Cell], skip_rows: int) -> Columns:
    """Read the columns in `types` of a text table; see `read_columns`."""
    try:
        table = pa_csv.read_csv(pa.BufferReader(_content(file, header)), **_options(header, types, skip_rows))
    except pa.ArrowException as error:
        raise EventFormatError(f"{file}: {_readable(str(error), header.names)}") from error
    return {name: _values(file, name, table.column(name), kind, skip_rows + 1) for name, kind in types.items()}


def _options(header: Header, types: Mapping[str, Cell], skip_rows: int) -> dict[str, Any]:
    # Whole numbers come as text, because they are written in several ways.
    read_as = {name: _ARROW_TYPES[kind] if kind is FLOAT else pa.string() for name, kind in types.items()}
    return {
        "parse_options": pa_csv.ParseOptions(delimiter=header.separator),
        # One thread, so that errors can name the row.
        "read_options": pa_csv.ReadOptions(column_names=header.names, skip_rows=skip_rows, use_threads=False),
        # An empty cell is an error, not a number.
        "convert_options": pa_csv.ConvertOptions(include_columns=list(types), column_types=read_as, null_values=[]),
    }


def _content(file: Path, header: Header) -> bytes:
    # Read whole: the parser reads ahead of a stream with a thread of its own, which takes longer than a small file.
    with opened(file) as stream:
        content = stream.read()
    if header.separator == " ":
        content = single_blanks(content)
    return content


def single_blanks(content: bytes) -> bytes:
    """A text with one blank in place of each row of them, and none at the ends of lines."""
    return b"\n".join(_BLANKS.sub(b" ", line.strip()) for line in content.splitlines())


def _values(file: Path, name: str, column: Any, kind: Cell, first_row: int) -> npt.NDArray[np.generic]:
    where = f"{file}: column '{name}'"
    if kind is FLOAT:
        return np.asarray(column)
    if kind is PARTICLE:
        return particle_numbers(column, where, first_row)
    return whole_numbers(column, _ARROW_TYPES[kind], where, first_row)


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


def read_features(file: Path) -> Event:
    """Read one event from three columns (r / 1000 mm, φ / π, z / 1000 mm) and no header.

    The event's number is the one in the file's name, 0 without any. There is no truth in such a file.

    Raises:
        EventFormatError: not three columns, a value that is not a finite number, or one that is no r, φ or z.
    """
    header = header_of(file)
    if (found := len(header.names)) != len(FEATURE_COLUMNS):
        raise EventFormatError(
            f"{file}: without a header there must be {len(FEATURE_COLUMNS)} columns "
            f"({', '.join(FEATURE_COLUMNS)}), found {found}"
        )
    columns = parse_columns(
        file, header._replace(names=list(FEATURE_COLUMNS)), dict.fromkeys(FEATURE_COLUMNS, FLOAT), skip_rows=0
    )
    require_finite(file, columns, FEATURE_COLUMNS, first_row=1)
    features = np.stack([columns[name] for name in FEATURE_COLUMNS], axis=1).astype(np.float32)
    check_features_range(features, str(file), first_row=1)
    x, y, z = positions(features)
    return Event(event_id=event_number(file), x=x, y=y, z=z)


def _readable(message: str, names: list[str]) -> str:
    """The first line of a parser's message, with columns by name instead of by number."""
    first = message.splitlines()[0]
    return re.sub(r"In CSV column #(\d+)", lambda found: f"column {quoted([names[int(found[1])]])}", first)
