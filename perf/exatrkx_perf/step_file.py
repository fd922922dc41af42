"""The times of the steps of each measured point, as a tidy CSV: one row for each step."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final

from exatrkx_perf.errors import ResultsError
from exatrkx_perf.point import Point, point_columns, point_from_row, point_row
from exatrkx_perf.results import add_row, cell, drop_partial_line
from exatrkx_perf.step_times import StepTime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS: Final = (*point_columns(), *(field.name for field in fields(StepTime)))


@dataclass(frozen=True, slots=True)
class PointStep:
    """One step at one point."""

    point: Point
    time: StepTime


def add_steps(path: Path, point: Point, steps: Iterable[StepTime]) -> None:
    """Add a row for each step."""
    if path.exists():
        drop_partial_line(path)
    for step in steps:
        add_row(path, COLUMNS, {name: cell(value) for name, value in (point_row(point) | asdict(step)).items()})


def read_steps(path: Path) -> list[PointStep]:
    """Read them all. Of a point that is there twice, as a killed sweep may leave it, the last rows count.

    Raises:
        ResultsError: it is missing, or not such a file.
    """
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(line for line in stream if line.endswith("\n")))
        found = [_point_step(row) for row in rows]
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path}: not a file of step times: {error}") from error
    return list({(entry.point.key(), entry.time.step): entry for entry in found}.values())


def _point_step(row: dict[str, str]) -> PointStep:
    numbers = {field.name: row[field.name] for field in fields(StepTime)}
    step, requests = numbers.pop("step"), int(numbers.pop("requests"))
    return PointStep(point_from_row(row), StepTime(step, requests, **{name: float(v) for name, v in numbers.items()}))
