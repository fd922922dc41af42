"""Worker processes for simulation, each with a generator and a detector of its own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from typing import TypeVar

from exatrkx.errors import SimulationError
from exatrkx.events.event import Event
from exatrkx.simulation.chain import Simulation
from exatrkx.simulation.settings import SimulationSettings

T = TypeVar("T")


def simulate(settings: SimulationSettings, numbers: Sequence[int], workers: int = 1) -> Iterator[Event]:
    """Simulate the events of these numbers, in their order, the same ones for any number of worker processes.

    Raises:
        SimulationError: the generator or the detector simulation failed, or a worker process died.
    """
    yield from in_processes(partial(_event, settings), numbers, workers)


def in_processes(of_event: Callable[[int], T], numbers: Sequence[int], workers: int) -> Iterator[T]:
    """What `of_event`, which must be picklable, returns for each of these event numbers, in their order.

    Raises:
        SimulationError: a worker process died; besides, whatever `of_event` raises.
    """
    executor = ProcessPoolExecutor(
        max(min(workers, len(numbers)), 1), multiprocessing.get_context("spawn"), initializer=_leave_interrupts
    )
    try:
        yield from executor.map(of_event, numbers)
    except BrokenProcessPool as error:
        raise SimulationError("a worker process died, perhaps for want of memory") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _event(settings: SimulationSettings, number: int) -> Event:
    return _simulation(settings).event(number)


@lru_cache(maxsize=1)
def _simulation(settings: SimulationSettings) -> Simulation:
    """The one that this process keeps."""
    return Simulation(settings)


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the main process ends the others, after their current event."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
