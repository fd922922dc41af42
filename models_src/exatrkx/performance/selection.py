"""Particle selection: which particles the denominator of an efficiency counts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, Literal

import numpy as np

from exatrkx.events.event import Event, Particles
from exatrkx.events.truth import BoolArray, require_truth, spacepoints_per_particle

ELECTRON: Final = 11
"""PDG code of the electron; the positron's is −11."""

Electrons = Literal["keep", "drop", "only"]


def is_electron(particles: Particles) -> BoolArray:
    """[P] True for electrons and positrons."""
    found: BoolArray = np.abs(particles.pdg) == ELECTRON
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticleSelection:
    """The target particles: what the denominator of an efficiency counts.

    Attributes:
        min_pt: transverse momentum in GeV that a particle must exceed.
        max_abs_eta: |η| that it must stay below.
        min_spacepoints: distinct spacepoints that it must have made at least.
        primary: only particles that the generator made.
        charged: only particles with a charge.
        electrons: "drop" leaves out electrons and positrons, which lose energy by bremsstrahlung; "only" takes no
            others.
        max_pt: transverse momentum in GeV that it must not exceed.
        min_radius, max_radius: distance in mm of its production vertex from the beam axis, which must be at least the
            first and below the second; a vertex that is not known passes where both are left as they are.
    """

    min_pt: float = 1.0
    max_abs_eta: float = 3.0
    min_spacepoints: int = 7
    primary: bool = True
    charged: bool = True
    electrons: Electrons = "keep"
    max_pt: float = inf
    min_radius: float = 0.0
    max_radius: float = inf

    def __str__(self) -> str:
        kind = f"{'charged ' if self.charged else ''}{'primaries' if self.primary else 'particles'}"
        electrons = {"keep": "", "drop": ", no electrons", "only": ", electrons only"}[self.electrons]
        cuts = f"pT > {self.min_pt:g} GeV, |η| < {self.max_abs_eta:g}, ≥ {self.min_spacepoints} spacepoints"
        most = f", pT ≤ {self.max_pt:g} GeV" if self.max_pt < inf else ""
        where = f", produced {self.min_radius:g} – {self.max_radius:g} mm from the axis" if self._by_radius else ""
        return f"{kind} with {cuts}{most}{where}{electrons}"

    @property
    def _by_radius(self) -> bool:
        return (self.min_radius, self.max_radius) != (0.0, inf)

    def mask(self, event: Event) -> BoolArray:
        """[P] True for each particle of the event that is selected.

        Raises:
            ValueError: the event has no truth.
        """
        truth = require_truth(event)
        particles = truth.particles
        # Of the two momenta that have no η, one along the beam gives ±∞ and none at all NaN: both fail the cut.
        chosen = (particles.pt > self.min_pt) & (np.abs(particles.eta) < self.max_abs_eta)
        chosen &= spacepoints_per_particle(truth, len(event)) >= self.min_spacepoints
        if self.max_pt < inf:
            chosen &= particles.pt <= self.max_pt
        if self._by_radius:
            chosen &= (particles.vr >= self.min_radius) & (particles.vr < self.max_radius)
        if self.primary:
            chosen &= particles.primary
        if self.charged:
            chosen &= particles.charge != 0
        if self.electrons != "keep":
            chosen &= is_electron(particles) == (self.electrons == "only")
        result: BoolArray = chosen
        return result


TARGET: Final = ParticleSelection()
"""Charged primaries with pT > 1 GeV, |η| < 3 and at least 7 spacepoints: what the published figures refer to."""

SELECTIONS: Final = {
    "standard": TARGET,
    "soft": ParticleSelection(min_pt=0.5, max_pt=1.0),
    "displaced": ParticleSelection(min_radius=30.0, max_radius=300.0),
    "electrons": ParticleSelection(electrons="only"),
}
"""Particles of which a report tells how well they are found, by the names that people read."""

LEAVES_A_TRACK: Final = 5
"""Distinct spacepoints of a particle from which on a candidate of its own is expected."""


def leaves_track(event: Event) -> BoolArray:
    """[P] whether each particle of the event has at least `LEAVES_A_TRACK` spacepoints, whatever particle it is.

    Raises:
        ValueError: the event has no truth.
    """
    left: BoolArray = spacepoints_per_particle(require_truth(event), len(event)) >= LEAVES_A_TRACK
    return left
