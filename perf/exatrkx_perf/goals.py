"""Goals: figures that are to be reached, with what was measured and their bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exatrkx_perf.median_range import MedianRange
from exatrkx_perf.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def lower_goals(*figures: tuple[str, MedianRange | None, float | None, str]) -> list[Goal]:
    """The same with a lower bound, or with none."""
    return [replace(goal, at_least=True) for goal in measured_goals(*figures)]


def project_goals_text(goals: Iterable[Goal]) -> str:
    """A row for each figure of the project, all of which have an upper bound."""
    cells = []
    for goal in goals:
        measured = f"{goal.measured:.1f} {goal.unit}" if goal.unit else f"{goal.measured:.2f}"
        cells.append([goal.name, measured, goal.asked.removeprefix("at most "), goal.verdict])
    return table(["figure", "measured", "at most", "met"], cells)


def lower_goals_text(goals: Iterable[Goal]) -> str:
    """A row for each figure, whose bounds are lower ones."""
    cells = [[goal.name, f"{goal.measured:.3g} {goal.unit}".strip(), goal.asked, goal.verdict] for goal in goals]
    return table(["figure", "measured", "asked for", "met"], cells)
