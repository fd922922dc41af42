"""Rows of the stages' benchmark: one stage measured by one method on one event, how time grows, and the report.

From the smallest event of a series to another one, time t grows as the power p = ln(t / t₀) / ln(x / x₀) of a size x:
of N, the spacepoints, and of N + E, the points and edges that the stage must read or write; see perf/README.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from exatrkx_perf.goals import Goal
from exatrkx_perf.median_range import MedianRange
from exatrkx_perf.results import cells_of, rows_text
from exatrkx_perf.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


OURS: Final = "exatrkx native"
OF_OURS: Final = (OURS, "network", "in one block")
PIPELINE: Final = "pipeline"


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
        operators, waits, gflop, gbyte: what was asked for, see `Budget`; NaN where nobody counted.
        product_gflop_s, copy_gbyte_s: what the machine reaches with as many threads; see `MachineLimits`.
        input: file and event.
        machine, versions, commit, load: run metadata; `load` is the 1-minute load average.
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
    operators: float
    waits: float
    gflop: float
    gbyte: float
    product_gflop_s: float
    copy_gbyte_s: float
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
    def gflop_s(self) -> float:
        return 1e3 * self.gflop / self.wall_ms

    @property
    def gbyte_s(self) -> float:
        return 1e3 * self.gbyte / self.wall_ms

    @property
    def size(self) -> int:
        """N + E: points and edges, each of which the stage has to read or to write."""
        return self.spacepoints + self.edges


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


def csv_of(rows: Iterable[Row]) -> bytes:
    """The rows as a CSV file, with every digit of their rounded numbers."""
    return rows_text([cells_of(row, digits="") for row in rows], header=True).encode()


def with_growth(rows: Sequence[Row]) -> list[Row]:
    """The rows with `n_power` and `size_power`, each from the smallest event of its series to its own."""
    smallest: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        first = smallest.setdefault(row.series, row)
        if row.spacepoints < first.spacepoints:
            smallest[row.series] = row
    return [
        replace(
            row,
            n_power=power(row.wall_ms, smallest[row.series].wall_ms, row.spacepoints, smallest[row.series].spacepoints),
            size_power=power(row.wall_ms, smallest[row.series].wall_ms, row.size, smallest[row.series].size),
        )
        for row in rows
    ]


def power(much: float, little: float, large: int, small: int) -> float:
    """The power of the size by which something grows; NaN where the size does not, or something took no time."""
    if large <= small or small < 1 or min(much, little) <= 0.0:
        return math.nan
    return round(math.log(much / little) / math.log(large / small), 3)


def report(rows: Sequence[Row]) -> str:
    """Everything that was measured, for a reader."""
    stages = dict.fromkeys(row.stage for row in rows)
    sections = [
        metadata_text(rows),
        stage_goals_text(rows),
        *(stage_text(stage, [row for row in rows if row.stage == stage]) for stage in stages),
        limits_text(rows),
        growth_text(rows),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def metadata_text(rows: Sequence[Row]) -> str:
    """Where, with what, on what; more than one of a kind is said."""
    lines = [
        f"- {label}: {'; '.join(dict.fromkeys(str(getattr(row, name)) for row in rows))}"
        for name, label in (("machine", "machine"), ("versions", "versions"), ("commit", "commit"), ("input", "events"))
    ]
    loads = [row.load for row in rows]
    lines.append(f"- load average while measuring: {min(loads):.2f} to {max(loads):.2f}")
    lines.append("- figures: medians of repeated calls, each method in a process of its own")
    return "\n".join(lines)


def stage_text(stage: str, rows: Sequence[Row]) -> str:
    """Every method of a stage on every event."""
    cells = [
        {
            "spacepoints": f"{row.spacepoints:,}",
            "method": row.method,
            "threads": str(row.threads),
            "edges": f"{row.edges:,}",
            "ms": f"{row.wall_ms:.2f}",
            "CPU ms": f"{row.cpu_ms:.2f}",
            "peak MiB": f"{row.peak_mib:.1f}",
            "reference / this": f"{row.speed_up:.2f}",
            "same answer": "yes" if row.same_answer else "NO",
        }
        for row in rows
    ]
    every = table(list(cells[0]), [list(one.values()) for one in cells])
    return f"## {stage}\n\nReference: {rows[0].method}.\n\n{every}"


def limits_text(rows: Sequence[Row]) -> str:
    """What each stage of ours does in a second, beside the machine's limits; empty where nobody counted."""
    cells = [
        [
            row.stage,
            f"{row.spacepoints:,}",
            row.method,
            str(row.threads),
            *(_number(value, digits) for value, digits in ((row.operators, 0), (row.waits, 0), (row.gflop, 2))),
            *(_number(value, 1) for value in (row.gflop_s, row.product_gflop_s)),
            _number(row.gflop_s / row.product_gflop_s, 2),
            _number(row.gbyte, 3),
            *(_number(value, 1) for value in (row.gbyte_s, row.copy_gbyte_s)),
            _number(row.gbyte_s / row.copy_gbyte_s, 2),
        ]
        for row in rows
        if row.method in OF_OURS and row.gbyte == row.gbyte
    ]
    if not cells:
        return ""
    header = ["stage", "spacepoints", "method", "threads", "operators", "waits", "GFLOP", "GFLOP/s", "products alone"]
    header += ["share", "GB", "GB/s", "copy alone", "share"]
    text = (
        "FLOPs are those of matrix products, and beside them stand the same products alone. Bytes are those that a\n"
        "network's operators read and write, or the arrays of another stage; beside them stands a copy of as many as\n"
        "one operator writes."
    )
    return f"## Beside the machine's limits\n\n{text}\n\n{table(header, cells)}"


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


def growth_text(rows: Sequence[Row]) -> str:
    """By which powers time grows, from the smallest event to the largest; empty with events of one size."""
    cells = [
        [row.stage, row.method, str(row.threads), f"{row.n_power:.2f}", f"{row.size_power:.2f}"]
        for row in largest(rows)
        if row.n_power == row.n_power  # not NaN
    ]
    if not cells:
        return ""
    few, many = (choose(row.spacepoints for row in rows) for choose in (min, max))
    text = (
        f"Time from {few:,} to {many:,} spacepoints grows as these powers of the spacepoints N, and of N + E, the\n"
        "points and edges that a stage reads or writes. At a fixed radius edges grow faster than N; beyond its fixed\n"
        "costs no algorithm grows with less than the first power of N + E."
    )
    return f"## Growth\n\n{text}\n\n{table(['stage', 'method', 'threads', 'power of N', 'power of N + E'], cells)}"


def stage_goals_text(rows: Sequence[Row]) -> str:
    """A row for each figure of the stages."""
    cells = [[goal.name, f"{goal.measured:.2f}", goal.asked, goal.verdict] for goal in stage_goals(rows)]
    return table(["figure", "measured", "asked", "met"], cells)


def stage_goals(rows: Sequence[Row]) -> list[Goal]:
    """The figures of the largest event that the rows tell; every answer that differs is a figure not met."""
    last = {row.series: row for row in largest(rows)}
    threads = max((row.threads for row in last.values()), default=1)
    found: list[Goal] = []

    def add(name: str, value: float, bound: float | None = None, *, at_least: bool = False) -> None:
        if (measured := MedianRange.of([value])) is not None:
            found.append(Goal(name, measured, bound, at_least=at_least))

    add("answers that differ from the reference", sum(not row.same_answer for row in rows), 0.0)
    if search := last.get(("neighbours", OURS, threads)):
        at = f"neighbours, {search.spacepoints:,} spacepoints, {threads} threads"
        add(f"{at}: cKDTree.query_pairs / ours, time", search.speed_up, 4.0, at_least=True)
        add(f"{at}: time grows as N to the power", search.n_power, 1.2)
        add(f"{at}: time grows as N + E to the power", search.size_power)
        add(f"{at}: N + E grows as N to the power", _size_growth(rows, search))
    if components := last.get(("components", OURS, 1)):
        name = f"components, {components.spacepoints:,} spacepoints: ours / csgraph, time"
        add(name, 1.0 / components.speed_up if components.speed_up > 0.0 else math.inf, 2.0)
    for stage in ("filter", "gnn"):
        if network := last.get((stage, "network", 1)):
            at = f"{stage}, {network.edges:,} edges"
            add(f"{at}: all edges at once / as it is, time", network.speed_up, 1.0, at_least=True)
            share = network.gflop_s / network.product_gflop_s
            add(f"{at}: FLOP/s / those of its matrix products alone", share, 0.4, at_least=True)
    if pipeline := last.get((PIPELINE, "direct", 1)):
        add(f"{PIPELINE}, {pipeline.spacepoints:,} spacepoints: time grows as N to the power", pipeline.n_power, 1.25)
    peak = max((row.peak_mib for row in last.values() if row.method in OF_OURS[:2]), default=math.nan)
    add("most memory of any stage of ours, MiB", peak)
    return found


def largest(rows: Sequence[Row]) -> list[Row]:
    """Of each series the row of the largest event."""
    found: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        if row.series not in found or row.spacepoints > found[row.series].spacepoints:
            found[row.series] = row
    return list(found.values())


def _size_growth(rows: Sequence[Row], search: Row) -> float:
    first = min((row for row in rows if row.series == search.series), key=lambda row: row.spacepoints)
    if first.spacepoints == search.spacepoints:
        return math.nan
    return math.log(search.size / first.size) / math.log(search.spacepoints / first.spacepoints)
