"""Particle gun: single particles flat in η, or pairs of pions from vertices far from the beam line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from exatrkx.simulation.settings import GUNS, MAX_ABS_ETA, SimulationSettings

MASSES: Final = {11: 0.00051100, 13: 0.10565837, 211: 0.13957039}
"""In GeV, by PDG code."""

PION: Final = 211

OPENING: Final = 0.1
"""Standard deviation in η and in φ of the directions of a pair about that of the vertex."""


class Shot(NamedTuple):
    """A particle of the gun: place from the collision in mm, momentum and mass in GeV, charge in e."""

    pdg: int
    charge: float
    mass: float
    place: tuple[float, float, float]
    momentum: tuple[float, float, float]


class Gun:
    """The particles of `settings.process`, a key of `GUNS`: uniform in φ and in η, of either charge."""

    def __init__(self, settings: SimulationSettings) -> None:
        self._settings, self._pdg = settings, GUNS[settings.process]

    def shots(self, random: np.random.Generator) -> Iterator[Shot]:
        """The particles of an event, `settings.particles` of them or, in pairs, twice as many."""
        limit = MAX_ABS_ETA
        for _ in range(self._settings.particles):
            eta, phi = random.uniform(-limit, limit), random.uniform(-math.pi, math.pi)
            sign = float(random.choice((-1.0, 1.0)))
            if self._settings.process != "displaced":
                yield self._shot(sign, eta, phi, (0.0, 0.0, 0.0))
                continue
            flown = random.uniform(0.0, self._settings.max_radius)
            place = (flown * math.cos(phi), flown * math.sin(phi), flown * math.sinh(eta))
            for charge in (sign, -sign):
                yield self._shot(charge, random.normal(eta, OPENING), random.normal(phi, OPENING), place)

    def _shot(self, charge: float, eta: float, phi: float, place: tuple[float, float, float]) -> Shot:
        pt = self._settings.pt
        # The negative lepton is the particle, and the positive pion.
        pdg = self._pdg if (charge > 0) == (self._pdg == PION) else -self._pdg
        momentum = (pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))
        return Shot(pdg, charge, MASSES[self._pdg], place, momentum)
