"""Many events at once: worker processes, each with its own generator and detector."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exatrkx.event import Event

CHUNK: Final = 4
"""Events handed to a worker at a time: enough to hide the hand-over, few enough to share the work evenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What determines an event, its number apart.

    Attributes:
        process: the hard scatter, a key of `exatrkx.simulation.generator.PROCESSES`.
        pileup: µ, the mean number of further collisions, which is Poisson-distributed.
        seed: of everything random.
    """

    process: str = "ttbar"
    pileup: float = 0.0
    seed: int = 1


class Simulation:
    """Generator and detector, joined."""

    def __init__(self, settings: Settings) -> None:
        # Imported here so that a command's help and its errors come without the seconds that ACTS takes to load.
        from exatrkx.simulation.detector import Detector
        from exatrkx.simulation.generator import Generator

        self._generator = Generator(settings.process, settings.pileup, settings.seed)
        self._detector = Detector(settings.seed)

    def events(self, first: int, count: int) -> list[Event]:
        """The events numbered `first`, …, `first + count − 1`."""
        return self._detector.events(first, count, self._generator.event)


_simulation: Simulation | None = None


def _start(settings: Settings) -> None:
    global _simulation  # noqa: PLW0603  # a worker process has one
    _simulation = Simulation(settings)


def _work(chunk: tuple[int, int]) -> list[Event]:
    assert _simulation is not None
    return _simulation.events(*chunk)


def simulate(settings: Settings, first: int, count: int, workers: int = 1) -> Iterator[Event]:
    """Simulate events in worker processes; they come in the order of their numbers, the same for any number of workers.

    Args:
        settings: what to simulate.
        first: number of the first event.
        count: how many.
        workers: processes.

    Raises:
        SimulationError: the generator or the detector simulation failed.
    """
    chunks = [(start, min(CHUNK, first + count - start)) for start in range(first, first + count, CHUNK)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, max(len(chunks), 1)), _start, (settings,)) as pool:
        for events in pool.imap(_work, chunks):
            yield from events
