"""Results of a sweep: `results.csv` has a row for each measured point, `steps.csv` one for each of its steps."""

from __future__ import annotations

import csv
import io
import math
import os
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from exatrkx.files import named
from exatrkx_perf.errors import ResultsError
from exatrkx_perf.points import Point
from exatrkx_perf.run_metadata import RunMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

NAN: Final = math.nan

PARTS: Final = ("queue", "compute_input", "compute_infer", "compute_output")
"""Triton's names for the parts of serving one request, in their order."""

UNEXPLAINED: Final = "unexplained"
"""The name of the row for what an ensemble's requests took beyond the sum of their steps."""


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


@dataclass(frozen=True, slots=True)
class StepTime:
    """Mean times of one step, in ms for one request of the whole pipeline; perf/README.md explains the parts.

    Attributes:
        step: name of the served model; `UNEXPLAINED` for the rest.
        requests: how many the step answered.
        total_ms: what Triton counts for the step as a whole.
    """

    step: str
    requests: int
    queue_ms: float = 0.0
    compute_input_ms: float = 0.0
    compute_infer_ms: float = 0.0
    compute_output_ms: float = 0.0
    total_ms: float = 0.0

    @property
    def parts_ms(self) -> float:
        return self.queue_ms + self.compute_input_ms + self.compute_infer_ms + self.compute_output_ms


@dataclass(frozen=True, slots=True)
class Result:
    """A row of `results.csv`."""

    point: Point
    figures: Figures
    metadata: RunMetadata

    def row(self) -> dict[str, str]:
        return cells_of(self.point, self.figures, self.metadata)


@dataclass(frozen=True, slots=True)
class PointStep:
    """A row of `steps.csv`: one step at one point."""

    point: Point
    time: StepTime


class ResultsFolder:
    """A folder with both files, which grow: rows that are in them are kept, new ones added one point at a time.

    Args:
        path: made when the first row comes.

    Raises:
        ResultsError: `results.csv` holds something else, or rows of another version of the columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "results.csv"
        self.results = read_results(self.file) if self.file.exists() and self.file.stat().st_size else []
        self._done = {result.point.key() for result in self.results}
        drop_partial_line(self.file)

    def __contains__(self, point: Point) -> bool:
        return point.key() in self._done

    def check_machine(self, machine: str) -> None:
        """Refuse to mix the rows of two machines in one file.

        Raises:
            ResultsError: the file has rows of another one.
        """
        others = {result.metadata.machine for result in self.results} - {machine}
        if others:
            raise ResultsError(f"{self.file} has results of another machine ({others.pop()}): name another folder")

    def add(self, result: Result, steps: Iterable[StepTime] = ()) -> None:
        """Write the steps, then the point, which is measured again where it lacks."""
        if rows := [cells_of(result.point, step) for step in steps]:
            append_rows(self.path / "steps.csv", rows)
        append_rows(self.file, [result.row()])
        self.results.append(result)
        self._done.add(result.point.key())


def read_results(path: Path) -> list[Result]:
    """Read a `results.csv`.

    Raises:
        ResultsError: it is missing, or not such a file.
    """
    return [Result(*parts) for parts in read_rows(path, "results", Point, Figures, RunMetadata)]


def read_steps(path: Path) -> list[PointStep]:
    """Read a `steps.csv`. Of a point that is there twice, as a killed sweep may leave it, the last rows count.

    Raises:
        ResultsError: it is missing, or not such a file.
    """
    found = [PointStep(*parts) for parts in read_rows(path, "step times", Point, StepTime)]
    return list({(entry.point.key(), entry.time.step): entry for entry in found}.values())


def results_in(paths: Iterable[Path]) -> list[Result]:
    """The results of files, or of folders with a `results.csv`.

    Raises:
        ResultsError: one is missing or no such file, or there are no results at all.
    """
    found = [result for path in paths for result in read_results(path / "results.csv" if path.is_dir() else path)]
    if not found:
        raise ResultsError("no results: exatrkx perf sweep measures some")
    return found


def steps_in(paths: Iterable[Path]) -> list[PointStep]:
    """The step times beside the results; none where there is no `steps.csv`."""
    files = [(path if path.is_dir() else path.parent) / "steps.csv" for path in paths]
    return [entry for file in dict.fromkeys(files) if file.exists() for entry in read_steps(file)]


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
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        drop_partial_line(path)
        with path.open("ab") as stream:
            stream.write(rows_text(list(rows), header=stream.tell() == 0).encode())
            stream.flush()
            os.fsync(stream.fileno())


def rows_text(rows: Sequence[Mapping[str, str]], *, header: bool) -> str:
    """Rows as the lines of a CSV file, with the names of the columns above them or not."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([list(rows[0])] if rows and header else [])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def drop_partial_line(path: Path) -> None:
    """Cut a file after its last line end."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def read_rows(path: Path, what: str, *kinds: Any) -> list[tuple[Any, ...]]:
    """Read a file, each row as an instance of every dataclass; a last line that was cut off is left out.

    Args:
        path: the file.
        what: it should hold, for the error's text.
        kinds: dataclasses of str, int, float and bool.

    Raises:
        ResultsError: it is missing, or not such a file.
    """
    try:
        with path.open(newline="") as stream:
            rows = csv.DictReader([line for line in stream if line.endswith("\n")])
            names = rows.fieldnames
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{path}: not a file of {what}: {error}") from error
    missing = [column for column in columns_of(*kinds) if column not in (names or ())]
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
    "bool": "True".__eq__,
}


def _instance(kind: Any, row: dict[str, str]) -> Any:
    return kind(**{field.name: _READERS[field.type](row[field.name]) for field in fields(kind)})


COLUMNS: Final = columns_of(Point, Figures, RunMetadata)
"""Of `results.csv`."""
