"""Binned efficiencies and rates: ratios counted in bins of a variable (pT, η, vertex, ΔR to the nearest).

What each figure counts is defined in `exatrkx.performance.metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from exatrkx.events.truth import require_truth
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.isolation import distance_to_nearest
from exatrkx.performance.matching import Matching, found_particles
from exatrkx.performance.metrics import duplicates, fakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx.events.event import Event, FloatArray, IntArray
    from exatrkx.events.truth import BoolArray
    from exatrkx.performance.matching import Candidates
    from exatrkx.performance.selection import ParticleSelection


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


PT: Final = Axis("pt", "pT", "GeV", (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 15.0, 25.0, 50.0, 100.0, 200.0))
ETA: Final = Axis("eta", "η", "", tuple(float(edge) for edge in np.linspace(-4.0, 4.0, 17)))
RADIUS: Final = Axis("radius", "production radius", "mm", (0.0, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 200.0, 300.0))
VERTEX_Z: Final = Axis(
    "vertex_z", "|z| of the vertex", "mm", (0.0, 25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 200.0, 300.0)
)
DISTANCE: Final = Axis(
    "distance", "ΔR to the nearest particle", "", (0.0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 10.0)
)
"""Distance to the nearest other particle that leaves a track, see `exatrkx.performance.isolation`."""


def selection_in_bins(selection: ParticleSelection, axis: Axis) -> ParticleSelection:
    """The particles that bins of a variable count: the selection, without its cut on that variable itself.

    So the bins of pT and η show what the cut leaves out, too.
    """
    if axis == PT:
        return replace(selection, min_pt=min(selection.min_pt, PT.edges[0]))
    if axis == ETA:
        return replace(selection, max_abs_eta=max(selection.max_abs_eta, ETA.edges[-1]))
    return selection


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


MATCHINGS: Final = {
    "double majority": Matching.DOUBLE_MAJORITY,
    "LHC": Matching.LHC,
    "perfect": Matching.PERFECT,
}
"""The matchings by the names that people read, in the order of the report."""


class Quantity(StrEnum):
    """A figure of merit, and what its bins are bins of.

    Attributes:
        EFFICIENCY: of tracks, by the particle.
        EDGE_EFFICIENCY: of a stage's graph, by the particle whose edge it is; of several that share it, the first.
        FAKE_RATE: by `candidate_eta`, as a fake has no particle, and for the same reason not by pT.
        DUPLICATE_RATE: by the particle that was found more than once.
    """

    EFFICIENCY = "track efficiency"
    EDGE_EFFICIENCY = "edge efficiency"
    FAKE_RATE = "fake rate"
    DUPLICATE_RATE = "duplicate rate"


class Curve(NamedTuple):
    """One line of a plot: a quantity, its matching or stage (or nothing), and the variable."""

    quantity: Quantity
    kind: str
    axis: Axis


@dataclass(slots=True)
class BinnedFigures:
    """Binned ratios summed over events.

    Attributes:
        ratios: of each curve of which something was counted.
    """

    ratios: dict[Curve, BinnedRatio] = field(default_factory=dict)

    def __add__(self, other: BinnedFigures) -> BinnedFigures:
        total = BinnedFigures(dict(self.ratios))
        for curve, ratio in other.ratios.items():
            total._add(curve, ratio)
        return total

    def kinds(self, quantity: Quantity, axis: Axis) -> dict[str, BinnedRatio]:
        """All matchings or stages of a quantity, with their ratios in bins of the axis."""
        return {
            curve.kind: ratio
            for curve, ratio in self.ratios.items()
            if curve.quantity is quantity and curve.axis == axis
        }

    def count_tracks(
        self, labels: IntArray, candidates: Candidates, selection: ParticleSelection, event: Event
    ) -> None:
        """Count the track candidates of one event.

        Args:
            labels: [N] of the spacepoints.
            candidates: the same, matched.
            selection: the particles that were to be found, but for the cut on the variable of the bins.
            event: N spacepoints with truth.
        """
        particles = require_truth(event).particles
        found = {name: found_particles(candidates, matching, len(particles)) for name, matching in MATCHINGS.items()}
        for axis in (PT, ETA, RADIUS, VERTEX_Z, DISTANCE):
            selected = selection_in_bins(selection, axis).mask(event)
            values = np.full(len(particles), np.nan, dtype=np.float32)
            values[selected] = _values(axis, selected, event)
            for name, flags in found.items():
                self._count(Curve(Quantity.EFFICIENCY, name, axis), values[selected], flags[selected])
            particle, again = duplicates(candidates, selected)
            self._count(Curve(Quantity.DUPLICATE_RATE, "", axis), values[particle], again)
        self._count(Curve(Quantity.FAKE_RATE, "", ETA), candidate_eta(labels, candidates, event), fakes(candidates))

    def count_edges(self, stage: str, particle: IntArray, kept: BoolArray, event: Event) -> None:
        """Count the true edges of one event.

        Args:
            stage: whose graph it is.
            particle: [T] whose edge each true edge is.
            kept: [T] whether the graph has it.
            event: with truth.
        """
        particles = require_truth(event).particles
        for axis, values in ((PT, particles.pt), (ETA, particles.eta)):
            self._count(Curve(Quantity.EDGE_EFFICIENCY, stage, axis), values[particle], kept)

    def _count(self, curve: Curve, values: FloatArray, flags: BoolArray) -> None:
        self._add(curve, BinnedRatio.count(curve.axis, values, flags))

    def _add(self, curve: Curve, ratio: BinnedRatio) -> None:
        self.ratios[curve] = self.ratios.get(curve, BinnedRatio.zero(curve.axis)) + ratio


def _values(axis: Axis, particles: BoolArray, event: Event) -> FloatArray:
    """[K] the variable of each chosen particle of the event."""
    if axis == DISTANCE:
        return distance_to_nearest(event, particles)
    every = require_truth(event).particles
    values: FloatArray = {PT: every.pt, ETA: every.eta, RADIUS: every.vr, VERTEX_Z: np.abs(every.vz)}[axis]
    return values[particles]


def candidate_eta(labels: IntArray, candidates: Candidates, event: Event) -> FloatArray:
    """[C] the mean η of each candidate's spacepoints, seen from the detector's centre."""
    on_candidate = labels >= 0
    place = np.searchsorted(candidates.label, labels[on_candidate])
    summed = np.bincount(place, weights=event.eta[on_candidate], minlength=len(candidates))
    eta: FloatArray = (summed / candidates.size).astype(np.float32)
    return eta
