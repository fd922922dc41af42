"""Median and range of a figure that was measured several times, and the ratio of two such figures."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class MedianRange:
    """Median, smallest and largest of `number` values."""

    median: float
    low: float
    high: float
    number: int

    @classmethod
    def of(cls, values: Iterable[float]) -> MedianRange | None:
        """Median and range of the values that are numbers; None where there is none."""
        numbers = [value for value in values if value == value]  # noqa: PLR0124 - all but NaN
        if not numbers:
            return None
        return cls(statistics.median(numbers), min(numbers), max(numbers), len(numbers))

    def __format__(self, spec: str) -> str:
        """`format(figure, ".2f")`: the median, and the range where there is more than one value."""
        median = format(self.median, spec)
        if self.number == 1:
            return median
        return f"{median} ({format(self.low, spec)} – {format(self.high, spec)})"


def ratio(numerator: Mapping[int, float], denominator: Mapping[int, float], *, paired: bool) -> MedianRange | None:
    """The ratio of two figures, each keyed by its repeat.

    Args:
        numerator: the figure of each repeat.
        denominator: the same of what it is compared with.
        paired: the same repeats of both were measured right after each other. Their ratios are then taken pair by pair,
            so that a slow drift of the machine cancels; else every value is taken with every other.

    Returns:
        None where one of them was not measured.
    """
    common = sorted(numerator.keys() & denominator.keys())
    if paired and common:
        return MedianRange.of(numerator[repeat] / denominator[repeat] for repeat in common)
    return MedianRange.of(above / below for above in numerator.values() for below in denominator.values())
