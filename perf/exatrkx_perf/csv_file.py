"""CSV files of results: rows of dataclasses, whose fields are the columns, added one at a time and read back."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from exatrkx_perf.errors import ResultsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path


def columns_of(*kinds: Any) -> tuple[str, ...]:
    """The fields of one dataclass after the other."""
    return tuple(field.name for kind in kinds for field in fields(kind))


def cells_of(*parts: Any, digits: str = ".6g") -> dict[str, str]:
    """One row: the fields of one dataclass's instance after the other, as text."""
    return {name: cell(value, digits) for part in parts for name, value in asdict(part).items()}


def cell(value: object, digits: str = ".6g") -> str:
    """Text of a value, of a float in the format `digits`; empty for NaN."""
    if isinstance(value, float):
        return "" if math.isnan(value) else format(value, digits)
    return str(value)


def append_rows(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Append rows to a file, with a header where it is new, so that they stay whatever happens next.

    What a killed process left behind the last line end is taken away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    drop_partial_line(path)
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for row in rows:
            if stream.tell() == 0:
                writer.writerow(row)
            writer.writerow(row.values())
        stream.flush()
        os.fsync(stream.fileno())


def drop_partial_line(path: Path) -> None:
    """Cut a file after its last line end."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])


def read_rows(path: Path, what: str, *kinds: Any) -> list[tuple[Any, ...]]:
    """Read a file, each row as an instance of every dataclass; a last line that was cut off is left out.

    Args:
        path: the file.
        what: it should hold, for the error's text.
        kinds: dataclasses of str, int and float.

    Raises:
        ResultsError: it is missing, or not such a file.
    """
    try:
        with path.open(newline="") as stream:
            rows = csv.DictReader([line for line in stream if line.endswith("\n")])
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from error
    missing = [column for column in columns_of(*kinds) if column not in (rows.fieldnames or ())]
    if missing:
        raise ResultsError(f"{path}: not a file of {what}, or of another version: no column {', '.join(missing)}")
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            found.append(tuple(_instance(kind, row) for kind in kinds))
        except (TypeError, ValueError) as error:
            raise ResultsError(f"{path}:{number}: not a row of {what}: {error}") from error
    return found


_READERS: dict[Any, Callable[[str], object]] = {
    "int": int,
    "float": lambda text: float(text) if text else math.nan,
    "str": str,
}


def _instance(kind: Any, row: dict[str, str]) -> Any:
    return kind(**{field.name: _READERS[field.type](row[field.name]) for field in fields(kind)})
