"""Simulation settings: what determines an event, its number apart; and the random streams that follow from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from exatrkx.simulation.profile import IDEAL, DetectorProfile

PYTHIA: Final = {
    "ttbar": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "zmumu": ("WeakSingleBoson:ffbar2gmZ = on", "PhaseSpace:mHatMin = 60.", "23:onMode = off", "23:onIfAny = 13"),
    "minbias": ("SoftQCD:all = on",),
    "dijet": ("HardQCD:all = on",),
}
"""The hard scatters that can be asked for, as settings of Pythia."""

GUNS: Final = {"muon": 13, "pion": 211, "electron": 11, "displaced": 211}
"""What can be shot in place of a hard scatter, and its PDG code; `displaced` are pairs from vertices off the axis."""

PROCESSES: Final = (*PYTHIA, *GUNS)

MAX_ABS_ETA: Final = 4.0
"""|η| that a particle must not exceed; the Generic detector sees a little beyond it."""

PILE_UP: Final = PYTHIA["minbias"]
"""Elastic collisions, a fifth of all, are among them and leave no hits: so it is in the samples of ACTS."""

MAX_MEAN_PILE_UP: Final = 1000.0
"""Five times what the High-Luminosity LHC expects; it keeps the number of a collision within its 12 bits."""

MAX_BEAM_SPOT_Z: Final = 1000.0
"""A third of the detector's half length: hardly a vertex is outside."""

BEAM_SPOT: Final = (0.0125, 0.0125, 55.5)
"""Standard deviations in mm of the collision vertices in x, y and z, about the detector's centre."""


_LIMITS: Final = {
    "pt_hat_min": (10.0, 5000.0, " GeV"),
    "particles": (1, 10_000, ""),
    "pt": (0.15, 1000.0, " GeV"),
    "max_radius": (0.0, 1000.0, " mm"),
}
"""Least and most that makes sense: collisions of 14 TeV, and vertices inside the tracker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """Simulation settings: with the event number they determine the event, whatever was simulated before and elsewhere.

    Attributes:
        process: the hard scatter, one of `PROCESSES`.
        pt_hat_min: least pT in GeV of the two partons of `dijet`.
        particles: how many a gun shoots; of `displaced` how many pairs.
        pt: transverse momentum in GeV of each of them.
        max_radius: greatest distance in mm of a `displaced` vertex from the axis, up to which they are uniform.
        pileup: µ, the mean of the Poisson distribution of the number of further collisions.
        seed: of everything random, not negative.
        beam_spot_z: standard deviation in mm of the vertices along the beam. Networks that learn from wider spread
            vertices than there will be know the rare ones too.
        detector: its faults and those of the beam's place.

    Raises:
        ValueError: one of them is not as it must be.
    """

    process: str = "ttbar"
    pt_hat_min: float = 100.0
    particles: int = 1
    pt: float = 10.0
    max_radius: float = 300.0
    pileup: float = 0.0
    seed: int = 1
    beam_spot_z: float = BEAM_SPOT[2]
    detector: DetectorProfile = IDEAL

    def __post_init__(self) -> None:
        if self.process not in PROCESSES:
            raise ValueError(f"the process must be one of {', '.join(PROCESSES)}, found {self.process!r}")
        for name, (least, most, unit) in _LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} must be from {least:g} to {most:g}{unit}, found {value}")
        if not 0.0 <= self.pileup <= MAX_MEAN_PILE_UP:
            raise ValueError(f"the mean pile-up must be from 0 to {MAX_MEAN_PILE_UP:g}, found {self.pileup}")
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative, found {self.seed}")
        if not 0.0 <= self.beam_spot_z <= MAX_BEAM_SPOT_Z:
            raise ValueError(
                f"the beam spot's length must be from 0 to {MAX_BEAM_SPOT_Z:g} mm, found {self.beam_spot_z}"
            )


# Streams depend on the seed and on what they are for, and on nothing that was drawn before.
_GENERATOR: Final = 0
_DETECTOR: Final = 1
_FAULTS: Final = 2


def event_stream(seed: int, number: int) -> np.random.Generator:
    """The random numbers with which event `number` is generated."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_GENERATOR, number)))


def detector_seed(seed: int) -> int:
    """64 bits from which ACTS derives a stream for each event and each of its algorithms."""
    return int(np.random.SeedSequence(seed, spawn_key=(_DETECTOR,)).generate_state(1, np.uint64)[0])


def fault_stream(seed: int, *number: int) -> np.random.Generator:
    """The random numbers of the detector's faults: those of all events, or those of event `number`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_FAULTS, *number)))
