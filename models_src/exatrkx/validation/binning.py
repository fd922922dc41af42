"""Ratios counted in bins of a variable."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from exatrkx.performance.intervals import Ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx.events.event import FloatArray, IntArray
    from exatrkx.events.truth import BoolArray


@dataclass(frozen=True, slots=True)
class Axis:
    """A variable and its bins, each with its lower edge and without its upper one.

    Attributes:
        name: in the names of files and columns.
        title: for people.
        unit: of the edges; empty for a number without one.
        edges: rising, one more than there are bins.
    """

    name: str
    title: str
    unit: str
    edges: tuple[float, ...]

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} / {self.unit}" if self.unit else self.title

    @property
    def bins(self) -> Iterator[tuple[float, float]]:
        """Lower and upper edge of each bin."""
        return pairwise(self.edges)

    def counts(self, values: FloatArray) -> IntArray:
        """[B] how many of the values are in each bin; those outside all bins, NaN too, are in none."""
        place = np.searchsorted(np.asarray(self.edges), values.astype(np.float64), side="right")
        counts: npt.NDArray[np.int64] = np.bincount(place, minlength=len(self.edges) + 1)[1:-1].astype(np.int64)
        return counts


PT: Final = Axis("pt", "pT", "GeV", (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 15.0, 25.0, 50.0, 100.0, 200.0))
ETA: Final = Axis("eta", "η", "", tuple(float(edge) for edge in np.linspace(-4.0, 4.0, 17)))
RADIUS: Final = Axis("radius", "production radius", "mm", (0.0, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 400.0))


@dataclass(frozen=True, slots=True)
class BinnedRatio:
    """One ratio for each bin of an axis. Adding two pools their events."""

    axis: Axis
    ratios: tuple[Ratio, ...]

    @classmethod
    def zero(cls, axis: Axis) -> BinnedRatio:
        """Nothing counted yet."""
        return cls(axis, tuple(Ratio(0, 0) for _ in axis.bins))

    @classmethod
    def count(cls, axis: Axis, values: FloatArray, flags: BoolArray) -> BinnedRatio:
        """Count things: all of them in the denominators, those with the flag in the numerators.

        Args:
            axis: the bins.
            values: [K] the variable of each thing.
            flags: [K] whether it has the property.
        """
        counted = zip(axis.counts(values[flags]).tolist(), axis.counts(values).tolist(), strict=True)
        return cls(axis, tuple(Ratio(*ratio) for ratio in counted))

    def __add__(self, other: BinnedRatio) -> BinnedRatio:
        if self.axis != other.axis:
            raise ValueError(f"bins of {self.axis.label} cannot be added to bins of {other.axis.label}")
        pairs = zip(self.ratios, other.ratios, strict=True)
        return BinnedRatio(self.axis, tuple(mine + its for mine, its in pairs))

    @property
    def total(self) -> Ratio:
        """What all bins count together."""
        return sum(self.ratios, Ratio(0, 0))
