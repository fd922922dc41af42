"""The figures of merit that are counted in bins. What each one counts is defined in `exatrkx.performance.metrics`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from exatrkx.events.truth import require_truth
from exatrkx.performance.matching import Matching, found_particles
from exatrkx.performance.metrics import duplicates, fakes
from exatrkx.validation.binning import ETA, PT, RADIUS, Axis, BinnedRatio

if TYPE_CHECKING:
    from exatrkx.events.event import Event, FloatArray, IntArray
    from exatrkx.events.truth import BoolArray
    from exatrkx.performance.matching import Candidates

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

    def count_tracks(self, labels: IntArray, candidates: Candidates, selected: BoolArray, event: Event) -> None:
        """Count the track candidates of one event.

        Args:
            labels: [N] of the spacepoints.
            candidates: the same, matched.
            selected: [P] the particles that were to be found.
            event: N spacepoints with truth.
        """
        particles = require_truth(event).particles
        of_particles = {PT: particles.pt, ETA: particles.eta, RADIUS: particles.vr}
        for name, matching in MATCHINGS.items():
            found = found_particles(candidates, matching, len(selected))[selected]
            for axis, values in of_particles.items():
                self._count(Curve(Quantity.EFFICIENCY, name, axis), values[selected], found)
        self._count(Curve(Quantity.FAKE_RATE, "", ETA), candidate_eta(labels, candidates, event), fakes(candidates))
        particle, again = duplicates(candidates, selected)
        for axis in (PT, ETA):
            self._count(Curve(Quantity.DUPLICATE_RATE, "", axis), of_particles[axis][particle], again)

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


def candidate_eta(labels: IntArray, candidates: Candidates, event: Event) -> FloatArray:
    """[C] the mean η of each candidate's spacepoints, seen from the detector's centre."""
    on_candidate = labels >= 0
    place = np.searchsorted(candidates.label, labels[on_candidate])
    summed = np.bincount(place, weights=event.eta[on_candidate], minlength=len(candidates))
    eta: FloatArray = (summed / candidates.size).astype(np.float32)
    return eta
