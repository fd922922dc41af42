"""Results as a tidy CSV: one row for each measured point, added as it is measured."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from exatrkx_perf.errors import ResultsError
from exatrkx_perf.point import Point, point_columns, point_from_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

NAN: Final = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured at a point; NaN for what does not apply. perf/README.md explains each column."""

    events_per_s: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    requests: int
    request_ms: float = NAN
    queue_ms: float = NAN
    compute_input_ms: float = NAN
    compute_infer_ms: float = NAN
    compute_output_ms: float = NAN
    unexplained_ms: float = NAN
    cpu_ms_per_event: float = NAN
    busy_cores: float = NAN
    client_cpu_ms_per_event: float = NAN
    other_busy_cores: float = NAN
    rss_mib: float = NAN
    pss_mib: float = NAN
    processes: int = 0
    gpu_busy: float = NAN
    gpu_memory_mib: float = NAN
    ready_s: float = NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Under which a point was measured."""

    events: int
    spacepoints_mean: float
    spacepoints_min: int
    spacepoints_max: int
    machine: str
    server: str
    commit: str
    began: str


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the file."""

    point: Point
    figures: Figures
    circumstances: Circumstances

    def row(self) -> dict[str, str]:
        cells = asdict(self.point) | asdict(self.figures) | asdict(self.circumstances)
        return {name: cell(value) for name, value in cells.items()}


COLUMNS: Final = (
    *point_columns(),
    *(field.name for field in fields(Figures)),
    *(field.name for field in fields(Circumstances)),
)


def cell(value: object) -> str:
    """Text of a number with six digits, empty for NaN."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


class ResultsFile:
    """A results file that grows: rows that are in it are kept, new ones added one at a time.

    Args:
        path: made with its folder when the first row comes.

    Raises:
        ResultsError: there is a file that holds something else, or rows of another version of the columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = read_results(path) if path.exists() and path.stat().st_size else []
        self._done = {result.point.key() for result in self.results}
        self._drop_partial_row()

    def __contains__(self, point: Point) -> bool:
        return point.key() in self._done

    def check_machine(self, machine: str) -> None:
        """Refuse to mix the rows of two machines in one file.

        Raises:
            ResultsError: the file has rows of another one.
        """
        others = {result.circumstances.machine for result in self.results} - {machine}
        if others:
            raise ResultsError(f"{self.path} has results of another machine ({others.pop()}): name another --output")

    def add(self, result: Result) -> None:
        """Write one row, so that it stays whatever happens next."""
        add_row(self.path, COLUMNS, result.row())
        self.results.append(result)
        self._done.add(result.point.key())

    def _drop_partial_row(self) -> None:
        """Take away what a killed process left behind the last line end."""
        if self.path.exists():
            drop_partial_line(self.path)


def add_row(path: Path, columns: Iterable[str], row: dict[str, str]) -> None:
    """Append a row to a CSV file, with its header where the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        if stream.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
        stream.flush()
        os.fsync(stream.fileno())


def drop_partial_line(path: Path) -> None:
    """Cut a file after its last line end."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])


def read_results(path: Path) -> list[Result]:
    """Read a file of results; a last line that was cut off is left out.

    Raises:
        ResultsError: it is missing, or not such a file.
    """
    try:
        with path.open(newline="") as stream:
            complete = [line for line in stream if line.endswith("\n")]
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from error
    rows = csv.DictReader(complete)
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise ResultsError(f"{path}: no results of this tool, or of another version: no column {', '.join(missing)}")
    return [_result(row, f"{path}:{number}") for number, row in enumerate(rows, start=2)]


def _result(row: dict[str, str], place: str) -> Result:
    try:
        return Result(point_from_row(row), _typed(Figures, row), _typed(Circumstances, row))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{place}: not a row of results: {error}") from error


def _typed(kind: Any, row: dict[str, str]) -> Any:
    readers: dict[Any, Callable[[str], object]] = {
        "int": int,
        "float": lambda text: float(text) if text else NAN,
        "str": str,
    }
    return kind(**{field.name: readers[field.type](row[field.name]) for field in fields(kind)})
