"""Ratios with their 95 % Wilson confidence intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ratio of counts: `numerator` of `denominator` things had a property. Adding two pools their events.

    Attributes:
        numerator: things that had it, 0 ≤ numerator ≤ denominator.
        denominator: all things that were counted.
    """

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if not 0 <= self.numerator <= self.denominator:
            raise ValueError(f"a ratio counts part of a whole, found {self.numerator} of {self.denominator}")

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.numerator + other.numerator, self.denominator + other.denominator)

    @property
    def value(self) -> float:
        """The fraction itself; NaN when nothing was counted."""
        return self.numerator / self.denominator if self.denominator else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval; (0, 1) when nothing was counted."""
        return wilson_interval(self.numerator, self.denominator)

    def __str__(self) -> str:
        if not self.denominator:
            return "undefined (0 of 0)"
        low, high = self.interval
        return f"{self.value:.4f} [{low:.4f}, {high:.4f}] ({self.numerator} of {self.denominator})"


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a binomial proportion, useful down to 0 successes and 1 trial.

    Args:
        successes: k, 0 ≤ k ≤ n.
        trials: n; with 0 trials nothing is known and the interval is (0, 1).
        level: coverage, strictly between 0 and 1.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1.0 + level) / 2.0)
    share = successes / trials
    scale = 1.0 + z * z / trials
    centre = (share + z * z / (2.0 * trials)) / scale
    half = z / scale * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    # The ends are exactly 0 and 1 there; rounding must not move them.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return low, high


def standard_deviations_below(one: Ratio, other: Ratio) -> float:
    """How far one ratio is below another, in standard deviations of their difference; NaN where that says nothing.

    The two are taken as independent, with the common fraction in both variances (two-proportion z test). Finders that
    are compared on the same events have much in common, so that the true deviation is smaller than this one, and what
    is found here is found with more certainty, not with less.
    """
    trials = (one.denominator, other.denominator)
    if not all(trials):
        return math.nan
    common = (one + other).value
    variance = common * (1.0 - common) * sum(1.0 / number for number in trials)
    return (other.value - one.value) / math.sqrt(variance) if variance else math.nan
