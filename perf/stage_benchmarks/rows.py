"""One measurement of one stage by one method, beside the reference of that stage; and the CSV file of them."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from stage_benchmarks.inputs import Input
    from stage_benchmarks.stopwatch import Measurement

    AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and with what: the machine, the versions of the libraries, the commit of the source."""

    machine: str
    versions: str
    commit: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table and of the CSV file.

    Attributes:
        stage, method, threads: what was measured; the first method of a stage is what the others are compared with.
        spacepoints, dims, radius: N of the event, and of its embedding the dimensions and the edges' longest distance.
        edges: E of the graph that the stage makes (`neighbours`) or reads (all that come after it); 0 for `embed`.
        repeats, wall_ms, cpu_ms, best_ms, peak_mib: see `Measurement`.
        same_answer: whether the answer is the reference's.
        speed_up: the reference's wall_ms divided by this one's.
        n_power, size_power: how time grows from the smallest event; see `with_growth`. NaN for the smallest.
        input: file and event.
        machine, versions, commit, load: under which circumstances; `load` is the 1-minute load average.
    """

    stage: str
    method: str
    threads: int
    spacepoints: int
    dims: int
    radius: float
    edges: int
    repeats: int
    wall_ms: float
    cpu_ms: float
    best_ms: float
    peak_mib: float
    same_answer: bool
    speed_up: float
    n_power: float
    size_power: float
    input: str
    machine: str
    versions: str
    commit: str
    load: float

    @property
    def series(self) -> tuple[str, str, int]:
        """What is the same for events of all sizes."""
        return self.stage, self.method, self.threads

    @property
    def size(self) -> int:
        """N + E: points and edges, each of which the stage has to read or to write."""
        return self.spacepoints + self.edges


class Comparison:
    """The methods of one stage on one event, each beside the first."""

    def __init__(self, event: Input, stage: str, same: Callable[[Any, Any], bool], where: Circumstances) -> None:
        self.event = event
        self.stage = stage
        self.same = same
        self.where = where
        self.reference: tuple[Measurement, AnyArray] | None = None

    def row(self, method: str, threads: int, edges: int, measured: Measurement, answer: AnyArray) -> Row:
        """The row of a method; that of the first call becomes the reference."""
        self.reference = self.reference or (measured, answer)
        return Row(
            stage=self.stage,
            method=method,
            threads=threads,
            spacepoints=len(self.event.embedding),
            dims=self.event.embedding.shape[1],
            radius=round(self.event.radius, 5),
            edges=edges,
            **{name: round(value, 4) for name, value in asdict(measured).items()},
            same_answer=self.same(answer, self.reference[1]),
            speed_up=round(self.reference[0].wall_ms / measured.wall_ms, 2),
            n_power=math.nan,
            size_power=math.nan,
            input=self.event.source,
            **asdict(self.where),
            load=round(os.getloadavg()[0], 2),
        )


def show(row: Row) -> str:
    """One line of what is printed while it is measured."""
    return (
        f"{row.stage:11} {row.method:21} {row.threads:7d} {row.spacepoints:11,d} {row.edges:10,d} {row.wall_ms:10.2f} "
        f"{row.cpu_ms:10.2f} {row.peak_mib:9.1f} {row.speed_up:8.2f} {'yes' if row.same_answer else 'NO':>5}"
    )


HEADER = (
    f"{'stage':11} {'method':21} {'threads':>7} {'spacepoints':>11} {'edges':>10} {'wall ms':>10} {'cpu ms':>10} "
    f"{'peak MiB':>9} {'speed-up':>8} {'same':>5}"
)


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """The rows as tidy CSV: one measurement a line, an empty cell where there is no number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns())
        writer.writeheader()
        for row in rows:
            writer.writerow({name: "" if _is_nan(value) else value for name, value in asdict(row).items()})


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def columns() -> Sequence[str]:
    """The file's columns."""
    return [*Row.__slots__]
