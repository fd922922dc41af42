"""Simulation chain: event generator and detector joined, in this process or in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing.process import BaseProcess
from typing import TypeVar

from exatrkx.errors import SimulationError
from exatrkx.events.event import Event
from exatrkx.simulation.detector import Detector, Further, no_more
from exatrkx.simulation.generator import Generator
from exatrkx.simulation.settings import SimulationSettings

T = TypeVar("T")


class Simulation:
    """Simulation of one process, generator and detector; it takes seconds to build, once.

    Args:
        settings: which events.
        further: algorithms and writers of ACTS that run on each event after its simulation.
    """

    def __init__(self, settings: SimulationSettings, further: Further = no_more) -> None:
        self._generator = Generator(settings)
        self._detector = Detector(settings.seed, further, settings.detector)

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
        max(min(workers, len(numbers)), 1), multiprocessing.get_context("spawn"), initializer=_prepare_worker
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


def _prepare_worker() -> None:
    """Leave it to the main process when this one ends: after its current event, or at once with a main process killed.

    Ctrl-C reaches every process of a terminal.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main = multiprocessing.parent_process()
    if main is not None:
        threading.Thread(target=_end_after, args=(main,), daemon=True).start()


def _end_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
