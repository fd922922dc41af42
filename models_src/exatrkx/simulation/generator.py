"""Event generator: a hard scatter from Pythia 8, or particles of a gun, and pile-up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pythia8mc

from exatrkx.errors import SimulationError
from exatrkx.simulation.gun import Gun
from exatrkx.simulation.settings import (
    BEAM_SPOT,
    GUNS,
    MAX_ABS_ETA,
    PILE_UP,
    PYTHIA,
    SimulationSettings,
    event_stream,
)

ENERGY: Final = 14_000.0
"""Centre-of-mass energy of the proton–proton collisions in GeV."""

MIN_PT: Final = 0.15
"""Transverse momentum in GeV that a particle must have to be followed through the detector."""

MAX_VERTEX_R: Final = 1000.0
MAX_VERTEX_Z: Final = 2900.0
"""A particle must be born inside the tracker: within these distances in mm from its axis and its centre."""

PHOTON: Final = 22
MAX_PYTHIA_SEED: Final = 900_000_000
MAX_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class GeneratedParticle:
    """A final-state particle: position in mm (its time in mm of light), momentum and mass in GeV, charge in e.

    `collision` counts the proton–proton collisions of the event from 1, the hard scatter; `number` counts from 1 in it.
    """

    collision: int
    number: int
    pdg: int
    charge: float
    mass: float
    position: tuple[float, float, float, float]
    momentum: tuple[float, float, float]


class Generator:
    """Pythia 8 with its default (Monash 2013) tune, once for the hard scatter and once for pile-up.

    Particles with τ0 < 1000 mm/c decay here, K0S and Λ among them, and their products are generated particles too.
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self._settings = settings
        self._beam_spot = (*BEAM_SPOT[:2], settings.beam_spot_z)
        self._hard = Gun(settings) if settings.process in GUNS else _pythia(_hard_scatter(settings))
        self._soft = _pythia(PILE_UP) if settings.pileup > 0 else None

    def event(self, number: int) -> Iterator[GeneratedParticle]:
        """The particles of event `number` that are worth following through the detector, collision by collision.

        Raises:
            SimulationError: Pythia gives up.
        """
        random = event_stream(self._settings.seed, number)
        for pythia in (self._hard, self._soft):
            if pythia is not None and not isinstance(pythia, Gun):
                pythia.rndm.init(int(random.integers(1, MAX_PYTHIA_SEED, endpoint=True)))
        collisions = [self._hard]
        if self._soft is not None:
            collisions += [self._soft] * int(random.poisson(self._settings.pileup))
        for collision, pythia in enumerate(collisions, start=1):
            vertex = self._on_beam_line(*random.normal(scale=self._beam_spot).tolist())
            if isinstance(pythia, Gun):
                yield from _shot(pythia, random, collision, vertex)
                continue
            if not any(pythia.next() for _ in range(MAX_ATTEMPTS)):
                raise SimulationError(f"event {number}: Pythia failed {MAX_ATTEMPTS} times in a row")
            yield from _followed(pythia.event, collision, vertex)

    def _on_beam_line(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        beam = self._settings.detector
        slope_x, slope_y = beam.beam_tilt_x * 1e-3, beam.beam_tilt_y * 1e-3
        return x + beam.beam_x + slope_x * z, y + beam.beam_y + slope_y * z, z


def _hard_scatter(settings: SimulationSettings) -> tuple[str, ...]:
    of_jets = (f"PhaseSpace:pTHatMin = {settings.pt_hat_min}",) if settings.process == "dijet" else ()
    return PYTHIA[settings.process] + of_jets


def _pythia(process: tuple[str, ...]) -> Any:
    pythia = pythia8mc.Pythia("", False)
    for setting in ("Print:quiet = on", "Beams:idA = 2212", "Beams:idB = 2212", f"Beams:eCM = {ENERGY}", *process):
        if not pythia.readString(setting):
            raise SimulationError(f"Pythia refuses the setting {setting!r}")
    if not pythia.init():
        raise SimulationError(f"Pythia does not start with the settings {process}")
    return pythia


def _shot(
    gun: Gun, random: np.random.Generator, collision: int, vertex: tuple[float, float, float]
) -> Iterator[GeneratedParticle]:
    for number, shot in enumerate(gun.shots(random), start=1):
        x, y, z = (at + by for at, by in zip(vertex, shot.place, strict=True))
        if abs(z) <= MAX_VERTEX_Z:
            yield GeneratedParticle(collision, number, shot.pdg, shot.charge, shot.mass, (x, y, z, 0.0), shot.momentum)


def _followed(record: Any, collision: int, vertex: tuple[float, float, float]) -> Iterator[GeneratedParticle]:
    """The charged particles and photons that the cuts above keep: of others Fatras makes no hits."""
    dx, dy, dz = vertex
    number = 0
    for particle in record:
        if not particle.isFinal() or not (particle.isCharged() or particle.id() == PHOTON):
            continue
        if particle.pT() < MIN_PT or abs(particle.eta()) > MAX_ABS_ETA:
            continue
        x, y, z = particle.xProd() + dx, particle.yProd() + dy, particle.zProd() + dz
        if math.hypot(x, y) > MAX_VERTEX_R or abs(z) > MAX_VERTEX_Z:
            continue
        number += 1
        yield GeneratedParticle(
            collision,
            number,
            particle.id(),
            particle.charge(),
            particle.m(),
            (x, y, z, particle.tProd()),
            (particle.px(), particle.py(), particle.pz()),
        )
