"""Particle selection: which particles the denominator of an efficiency counts."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    min_pt: float = 1.0
    max_abs_eta: float = 3.0
    min_spacepoints: int = 7
    primary: bool = True
    charged: bool = True
    electrons: Electrons = "keep"

    def __str__(self) -> str:
        kind = f"{'charged ' if self.charged else ''}{'primaries' if self.primary else 'particles'}"
        electrons = {"keep": "", "drop": ", no electrons", "only": ", electrons only"}[self.electrons]
        cuts = f"pT > {self.min_pt:g} GeV, |η| < {self.max_abs_eta:g}, ≥ {self.min_spacepoints} spacepoints"
        return f"{kind} with {cuts}{electrons}"

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
