"""Bare CSV files of the network's three input columns, without a header."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from exatrkx.errors import EventFormatError
from exatrkx.event import Event
from exatrkx.features import positions
from exatrkx.readers.csv_columns import FLOAT, Columns, first_line, parse_columns, require_finite
from exatrkx.readers.paths import event_number

R, PHI, Z = NAMES = ("r / 1000 mm", "φ / π", "z / 1000 mm")

_TURN: Final = 1.0 + 1e-5
"""|φ / π| of half a turn, and room for the rounding of printed numbers."""


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
        EventFormatError: not three columns, a value that is not a finite number, or one that is no r or no φ.
    """
    found = first_line(file).count(",") + 1
    if found != len(NAMES):
        raise EventFormatError(
            f"{file}: without a header there must be {len(NAMES)} columns ({', '.join(NAMES)}), found {found}"
        )
    columns = parse_columns(file, list(NAMES), dict.fromkeys(NAMES, FLOAT), skip_rows=0)
    require_finite(file, columns, NAMES, first_row=1)
    _require_cylindrical(file, columns)
    x, y, z = positions(np.stack([columns[name] for name in NAMES], axis=1).astype(np.float32))
    return Event(event_id=event_number(file), x=x, y=y, z=z)


def _require_cylindrical(file: Path, columns: Columns) -> None:
    """Refuse x, y, z in mm, the likely mistake: it would be read without complaint, and give no tracks."""
    for name, wrong, range_ in (
        (R, columns[R].astype(np.float64) < 0.0, "≥ 0"),
        (PHI, np.abs(columns[PHI].astype(np.float64)) > _TURN, "within [-1, 1]"),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            raise EventFormatError(
                f"{file}: column '{name}' must be {range_}, found {columns[name][rows[0]]} in row {rows[0] + 1}; "
                "positions in mm need a header that names x, y and z"
            )
