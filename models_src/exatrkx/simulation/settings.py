"""What determines a simulated event, its number apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROCESSES: Final = {
    "ttbar": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "zmumu": ("WeakSingleBoson:ffbar2gmZ = on", "PhaseSpace:mHatMin = 60.", "23:onMode = off", "23:onIfAny = 13"),
    "minbias": ("SoftQCD:all = on",),
}
"""The hard scatters that can be asked for, as settings of Pythia."""

PILE_UP: Final = PROCESSES["minbias"]
"""Elastic collisions, a fifth of all, are among them and leave no hits: so it is in the samples of ACTS."""

MAX_MEAN_PILE_UP: Final = 1000.0
"""Five times what the High-Luminosity LHC expects; it keeps the number of a collision within its 12 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The same settings and event number give the same event, whatever was simulated before and elsewhere.

    Attributes:
        process: the hard scatter, a key of `PROCESSES`.
        pileup: µ, the mean of the Poisson distribution of the number of further collisions.
        seed: of everything random, not negative.

    Raises:
        ValueError: one of them is not as it must be.
    """

    process: str = "ttbar"
    pileup: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.process not in PROCESSES:
            raise ValueError(f"the process must be one of {', '.join(PROCESSES)}, found {self.process!r}")
        if not 0.0 <= self.pileup <= MAX_MEAN_PILE_UP:
            raise ValueError(f"the mean pile-up must be from 0 to {MAX_MEAN_PILE_UP:g}, found {self.pileup}")
        if self.seed < 0:
            raise ValueError(f"the seed must not be negative, found {self.seed}")
