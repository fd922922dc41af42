"""perf_analyzer's own CSV file (`-f`, `--verbose-csv`), read by the names of its columns."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exatrkx_perf.errors import MeasurementError

if TYPE_CHECKING:
    from pathlib import Path

_US_PER_MS: Final = 1e3


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw at one concurrency.

    Attributes:
        concurrency: requests in flight.
        events_per_s: answers per second.
        mean_ms, p50_ms, p90_ms, p95_ms, p99_ms: from sending a request to its answer; NaN where the file lacks one.
    """

    concurrency: int
    events_per_s: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float


def read_loads(path: Path) -> list[Load]:
    """Read every line of the file.

    Raises:
        MeasurementError: the file is missing, empty, or not perf_analyzer's.
    """
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise MeasurementError(f"perf_analyzer wrote no {path.name}: {error.strerror}") from error
    if not rows:
        raise MeasurementError(f"{path}: no measurement in it")
    return [_load(row, path) for row in rows]


def _load(row: dict[str, str], path: Path) -> Load:
    try:
        concurrency, throughput = int(row["Concurrency"]), float(row["Inferences/Second"])
    except (KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"{path}: no line of perf_analyzer's: {error}; found {row}") from error
    columns = ("Avg latency", "p50 latency", "p90 latency", "p95 latency", "p99 latency")
    return Load(concurrency, throughput, *(_number(row.get(column)) / _US_PER_MS for column in columns))


def _number(text: str | None) -> float:
    """A number of µs; NaN for an absent or empty field, which perf_analyzer leaves where it has nothing to say."""
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
