"""What the protons make: a hard scatter and its pile-up, from Pythia 8."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pythia8mc

from exatrkx.errors import SimulationError

ENERGY: Final = 14_000.0
"""Centre-of-mass energy of the proton–proton collisions in GeV."""

BEAM_SPOT: Final = (0.0125, 0.0125, 55.5)
"""Standard deviations in mm of the collision vertices in x, y and z, about the detector's centre."""

PROCESSES: Final = {
    "ttbar": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "zmumu": ("WeakSingleBoson:ffbar2gmZ = on", "23:onMode = off", "23:onIfAny = 13"),
    "minbias": ("SoftQCD:all = on",),
}
"""The hard scatters that can be asked for, as Pythia settings."""

PILE_UP: Final = PROCESSES["minbias"]
"""Elastic collisions, a fifth of all, are among them and leave no hits: so it is in the samples of ACTS."""

MIN_PT: Final = 0.15
"""Transverse momentum in GeV that a particle must have to be followed through the detector."""

MAX_ABS_ETA: Final = 4.0
"""|η| that it must stay below; the Generic detector ends near 3.5, and vertices are spread along z."""

MAX_VERTEX_R: Final = 1000.0
MAX_VERTEX_Z: Final = 2900.0
"""A particle must be born inside the tracker: within these distances in mm from its axis and its centre."""

GENERATOR_STREAM: Final = 0
DETECTOR_STREAM: Final = 1
"""What keeps the random numbers of the generator and of the detector apart under one seed."""

PHOTON: Final = 22
MAX_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class GeneratedParticle:
    """A final-state particle: vertex in mm (time in mm of light), momentum in GeV, charge in e.

    `vertex` counts the proton–proton collisions of the event from 1, the hard scatter; `number` counts from 1 within.
    """

    vertex: int
    number: int
    pdg: int
    charge: float
    mass: float
    position: tuple[float, float, float, float]
    momentum: tuple[float, float, float]


class Generator:
    """Pythia 8 with the Monash tune, once for the hard scatter and once for pile-up.

    Particles with τ0 < 1000 mm/c decay here, K0S and Λ among them; the products are final-state particles.
    Each event has a random stream of its own, so that it does not depend on which events were made before it.
    """

    def __init__(self, process: str, pileup: float, seed: int) -> None:
        self._pileup = pileup
        self._seed = seed
        self._hard = _pythia(PROCESSES[process])
        self._soft = _pythia(PILE_UP) if pileup > 0 else None

    def event(self, number: int) -> Iterator[GeneratedParticle]:
        """The particles of event `number` that are worth following through the detector.

        Raises:
            SimulationError: Pythia gives up.
        """
        random = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(GENERATOR_STREAM, number)))
        collisions = [self._hard]
        self._hard.rndm.init(_pythia_seed(random))
        if self._soft is not None:
            self._soft.rndm.init(_pythia_seed(random))
            collisions += [self._soft] * int(random.poisson(self._pileup))
        for vertex, pythia in enumerate(collisions, start=1):
            shift = random.normal(scale=BEAM_SPOT)
            _next(pythia, number)
            yield from _followed(pythia.event, vertex, shift)


def _pythia(settings: tuple[str, ...]) -> Any:
    pythia = pythia8mc.Pythia("", False)
    for setting in ("Print:quiet = on", "Beams:idA = 2212", "Beams:idB = 2212", f"Beams:eCM = {ENERGY}", *settings):
        if not pythia.readString(setting):
            raise SimulationError(f"Pythia refuses the setting {setting!r}")
    if not pythia.init():
        raise SimulationError(f"Pythia does not start with the settings {settings}")
    return pythia


def _pythia_seed(random: np.random.Generator) -> int:
    """A seed in the range that Pythia takes: 1 to 900,000,000."""
    return int(random.integers(1, 900_000_000, endpoint=True))


def _next(pythia: Any, number: int) -> None:
    for _ in range(MAX_ATTEMPTS):
        if pythia.next():
            return
    raise SimulationError(f"event {number}: Pythia failed {MAX_ATTEMPTS} times in a row")


def _followed(record: Any, vertex: int, shift: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[GeneratedParticle]:
    """The charged particles and photons of one collision that the cuts above keep; others leave no hits in Fatras."""
    dx, dy, dz = shift.tolist()
    number = 0
    for particle in record:
        if not particle.isFinal() or particle.pT() < MIN_PT or abs(particle.eta()) > MAX_ABS_ETA:
            continue
        if not particle.isCharged() and particle.id() != PHOTON:
            continue
        x, y, z = particle.xProd() + dx, particle.yProd() + dy, particle.zProd() + dz
        if math.hypot(x, y) > MAX_VERTEX_R or abs(z) > MAX_VERTEX_Z:
            continue
        number += 1
        yield GeneratedParticle(
            vertex,
            number,
            particle.id(),
            particle.charge(),
            particle.m(),
            (x, y, z, particle.tProd()),
            (particle.px(), particle.py(), particle.pz()),
        )
