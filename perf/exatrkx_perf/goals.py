"""Goals: the figures that this project and its stages are to reach, with what was measured and their bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exatrkx_perf.median_range import MedianRange
from exatrkx_perf.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exatrkx_perf.stage_rows import Row

OURS: Final = "exatrkx native"


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure.

    Attributes:
        bound: what it is to be at most, or at least; None for a figure that is only stated.
        unit: of both.
        at_least: whether the bound is the lower one.
    """

    name: str
    measured: MedianRange
    bound: float | None = None
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the bound; None without one."""
        if self.bound is None:
            return None
        return self.measured.median >= self.bound if self.at_least else self.measured.median <= self.bound

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "no", None: "–"}[self.met]

    @property
    def asked(self) -> str:
        if self.bound is None:
            return "stated"
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g} {self.unit}".strip()


def measured_goals(*figures: tuple[str, MedianRange | None, float | None, str]) -> list[Goal]:
    """Figures with an upper bound: name, what was measured, bound and unit; none for what was not measured."""
    return [Goal(name, measured, bound, unit) for name, measured, bound, unit in figures if measured is not None]


def project_goals_text(goals: Iterable[Goal]) -> str:
    """A row for each figure of the project, all of which have an upper bound."""
    cells = []
    for goal in goals:
        measured = f"{goal.measured:.1f} {goal.unit}" if goal.unit else f"{goal.measured:.2f}"
        cells.append([goal.name, measured, goal.asked.removeprefix("at most "), goal.verdict])
    return table(["figure", "measured", "at most", "met"], cells)


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
            name = f"{stage}, {network.edges:,} edges: products for every edge / for every node, time"
            add(name, network.speed_up, 1.0, at_least=True)
    peak = max((row.peak_mib for row in last.values() if row.method in (OURS, "network")), default=math.nan)
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
