"""How the time of a stage grows with the event, by two measures of what an event is.

From the smallest event of a series to another one, time t grows as the power p = ln(t / t₀) / ln(x / x₀) of a size x:

- x = N, the spacepoints: what a user has. At a fixed radius the embedding of a busier event is denser, so the graph has
  more edges for each point, and even a search that did no more than write its answer would grow faster than N.
- x = N + E, the points and edges that the stage must read or write: beyond its fixed costs no algorithm grows with less
  than the power 1. What is above 1 is what the algorithm adds (a search tree its logarithm), and caches that larger
  events do not fit.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stage_benchmarks.rows import Row


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


def largest(rows: Sequence[Row]) -> list[Row]:
    """Of each series the row of the largest event."""
    found: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        if row.series not in found or row.spacepoints > found[row.series].spacepoints:
            found[row.series] = row
    return list(found.values())
