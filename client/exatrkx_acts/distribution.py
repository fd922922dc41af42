"""A histogram, with centre and width that tails do not move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SIDE = 0.158655
"""Share of a Gaussian beyond one standard deviation, on one side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Counts in B bins. What lies beyond the first and the last is not known here.

    Attributes:
        edges: [B+1] of the bins, rising.
        counts: [B]
        total: of all values, those beyond the bins included.
    """

    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    total: int

    @property
    def within(self) -> int:
        """How many values the bins have."""
        return round(float(self.counts.sum()))

    @property
    def centre(self) -> float:
        """Their median; NaN where there are none."""
        return self._quantile(0.5)

    @property
    def width(self) -> float:
        """Half of the central 68.27 %: the standard deviation of a Gaussian, whatever its tails; NaN without values."""
        return (self._quantile(1.0 - _SIDE) - self._quantile(_SIDE)) / 2.0

    @property
    def width_error(self) -> float:
        """Standard error of the width, were the values a Gaussian's; NaN without values."""
        # A quantile p has the variance p (1 − p) / (n f²) and p with 1 − p the covariance p² / (n f²), f the density
        # at p, 0.242 / width: of half the difference, 2 p (1 − 2 p) / (4 n f²) = (0.962 width)² / n.
        return 0.962 * self.width / math.sqrt(self.within) if self.within else math.nan

    def _quantile(self, share: float) -> float:
        if not self.within:
            return math.nan
        up_to = np.concatenate([[0.0], np.cumsum(self.counts)]) / self.counts.sum()
        # Empty bins make steps of no height: of a step's two ends, `interp` must not choose one by chance.
        rising = np.concatenate([[True], np.diff(up_to) > 0])
        low = np.searchsorted(up_to[rising], share, side="left")
        upper = np.flatnonzero(rising)[low]
        return float(np.interp(share, (up_to[upper - 1], up_to[upper]), (self.edges[upper - 1], self.edges[upper])))
