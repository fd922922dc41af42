"""Identifiers as other programs write them: integers of any width, text, floating-point numbers, and noise as −1."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from exatrkx.errors import EventFormatError
from exatrkx.events.event import NOISE

EXACT: Final = 2**53
"""From here on a floating-point number may stand for several whole ones."""

_NO_PARTICLE: Final = frozenset(("", "-1", "nan", "null", "none", str(2**64 - 1)))
"""What programs write for a hit of no particle: −1 signed or unsigned, an empty cell, what pandas makes of it."""


def whole_numbers(
    column: pa.Array | pa.ChunkedArray, kind: pa.DataType, where: str, first_row: int = 0
) -> npt.NDArray[Any]:
    """[N] integers of `kind` of a column of integers, of floating-point numbers without a fraction, or of their text.

    Args:
        column: N entries of any such type.
        kind: int64 or uint64.
        where: file and column, for errors.
        first_row: the number of its first row, as its source counts them.

    Raises:
        EventFormatError: an entry is none, or may have lost digits as a floating-point number; the text has its row.
    """
    try:
        if pa.types.is_integer(column.type) and not column.null_count:
            return np.asarray(pc.cast(column, kind))
        if pa.types.is_string(column.type):
            return np.asarray(pc.cast(pc.utf8_trim_whitespace(column), kind))
    except pa.ArrowInvalid:
        pass  # one by one, for the number of the row
    least, most = (0, 2**64 - 1) if pa.types.is_unsigned_integer(kind) else (-(2**63), 2**63 - 1)
    values = np.empty(len(column), dtype=np.uint64 if least == 0 else np.int64)
    for row, entry in enumerate(column.to_pylist()):
        try:
            values[row] = _whole(entry, least, most)
        except ValueError as error:
            raise EventFormatError(f"{where}: Row #{row + first_row}: {error}, found {entry!r}") from error
    return values


def particle_numbers(column: pa.Array | pa.ChunkedArray, where: str, first_row: int = 0) -> npt.NDArray[np.uint64]:
    """[N] particle of each entry, as `whole_numbers` reads them; `NOISE` for one of no particle: −1, empty, NaN, null.

    Raises:
        EventFormatError: as `whole_numbers`.
    """
    if pa.types.is_unsigned_integer(column.type) and not column.null_count:
        numbers = np.asarray(pc.cast(column, pa.uint64()))
    else:
        text = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(_texts(column), "")))
        text = pc.replace_substring_regex(text, r"^-1\.0*$", "-1")
        noise = pc.is_in(text, value_set=pa.array(sorted(_NO_PARTICLE)))
        numbers = whole_numbers(pc.if_else(noise, str(NOISE), text), pa.uint64(), where, first_row)
    return np.where(numbers == np.uint64(2**64 - 1), np.uint64(NOISE), numbers)


def _texts(column: Any) -> Any:
    return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())


def _whole(entry: object, least: int, most: int) -> int:
    text = str(entry).strip()
    if re.fullmatch(r"[+-]?\d+", text):
        value = int(text)
    else:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number.is_integer():
            raise ValueError("must be a whole number")
        if abs(number) >= EXACT:
            raise ValueError("a floating-point number of this size has lost digits: write it as a whole number")
        value = int(number)
    if not least <= value <= most:
        raise ValueError(f"must be in {least} … {most}")
    return value
