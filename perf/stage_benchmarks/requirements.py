"""What the stages are asked to reach, judged from measured rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stage_benchmarks.growth import largest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage_benchmarks.rows import Row

OURS: Final = "exatrkx native"
_AT_LEAST, _AT_MOST, _STATED = "at least", "at most", "stated"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One figure: what was measured, and the bound on it; a figure without a bound is stated."""

    name: str
    measured: float
    kind: str
    bound: float = math.nan

    @property
    def asked(self) -> str:
        return self.kind if self.kind == _STATED else f"{self.kind} {self.bound:g}"

    @property
    def met(self) -> str:
        if self.kind == _STATED:
            return "–"
        good = self.measured >= self.bound if self.kind == _AT_LEAST else self.measured <= self.bound
        return "yes" if good else "no"


def requirements(rows: Sequence[Row]) -> list[Requirement]:
    """The figures of the largest event that the rows tell; every answer that differs is a figure not met."""
    last = {row.series: row for row in largest(rows)}
    threads = max((row.threads for row in last.values()), default=1)
    differing = sum(not row.same_answer for row in rows)
    found = [Requirement("answers that differ from the reference", differing, _AT_MOST, 0.0)]
    if search := last.get(("neighbours", OURS, threads)):
        at = f"neighbours, {search.spacepoints:,} spacepoints, {threads} threads"
        found += [
            Requirement(f"{at}: cKDTree.query_pairs / ours, time", search.speed_up, _AT_LEAST, 4.0),
            Requirement(f"{at}: time grows as N to the power", search.n_power, _AT_MOST, 1.2),
            Requirement(f"{at}: time grows as N + E to the power", search.size_power, _STATED),
            Requirement(f"{at}: N + E grows as N to the power", _size_growth(rows, search), _STATED),
        ]
    if components := last.get(("components", OURS, 1)):
        name = f"components, {components.spacepoints:,} spacepoints: ours / csgraph, time"
        found.append(Requirement(name, _inverse(components.speed_up), _AT_MOST, 2.0))
    for stage in ("filter", "gnn"):
        if network := last.get((stage, "network", 1)):
            name = f"{stage}, {network.edges:,} edges: products for every edge / for every node, time"
            found.append(Requirement(name, network.speed_up, _AT_LEAST, 1.0))
    peak = max((row.peak_mib for row in last.values() if row.method in (OURS, "network")), default=math.nan)
    found.append(Requirement("most memory of any stage of ours, MiB", peak, _STATED))
    return [one for one in found if not math.isnan(one.measured)]


def _size_growth(rows: Sequence[Row], search: Row) -> float:
    first = min((row for row in rows if row.series == search.series), key=lambda row: row.spacepoints)
    if first.spacepoints == search.spacepoints:
        return math.nan
    return math.log(search.size / first.size) / math.log(search.spacepoints / first.spacepoints)


def _inverse(value: float) -> float:
    return 1.0 / value if value > 0.0 else math.inf
