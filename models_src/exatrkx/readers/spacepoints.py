"""CSV files of spacepoints with their positions, as ACTS writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from exatrkx.event import Event
from exatrkx.readers.csv_columns import FLOAT, read_columns, require_finite
from exatrkx.readers.paths import event_number

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
