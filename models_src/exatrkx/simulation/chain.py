"""Simulation chain: event generator and detector, joined."""

from __future__ import annotations

from exatrkx.events.event import Event
from exatrkx.simulation.detector import Detector, Further, no_more
from exatrkx.simulation.generator import Generator
from exatrkx.simulation.settings import SimulationSettings


class Simulation:
    """Simulation of one process, generator and detector; it takes seconds to build, once.

    Args:
        settings: which events.
        further: algorithms and writers of ACTS that run on each event after its simulation.
    """

    def __init__(self, settings: SimulationSettings, further: Further = no_more) -> None:
        self._generator = Generator(settings)
        self._detector = Detector(settings.seed, further)

    def event(self, number: int) -> Event:
        """The event of this number.

        Raises:
            SimulationError: the generator or the detector simulation failed.
        """
        return self._detector.event(number, self._generator.event(number))

    def run(self, numbers: range, threads: int = 1) -> None:
        """Simulate the events of these numbers in one run of ACTS, for the sake of what follows the simulation.

        Raises:
            SimulationError: the generator or the detector simulation failed; besides, what a Python algorithm raised.
        """
        self._detector.run(numbers, self._generator.event, threads)
