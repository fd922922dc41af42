"""CKF reconstruction of simulated events, in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from exatrkx.ckf.algorithms import Clock, TrackSink, ambiguity, finding, seeding
from exatrkx.ckf.measurements import Measured
from exatrkx.ckf.settings import CkfSettings
from exatrkx.errors import SimulationError
from exatrkx.events.event import Event, IntArray
from exatrkx.events.parquet import columns_of, event_of_columns
from exatrkx.journal import Arrays
from exatrkx.simulation.chain import Simulation, in_processes
from exatrkx.simulation.settings import SimulationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstructed:
    """An event with the tracks that were found in it.

    Attributes:
        event: N spacepoints with truth, those of `exatrkx.simulation`.
        labels: [N] see `exatrkx.ckf.labels`.
        seconds: CPU time of each stage, on one core.
    """

    event: Event
    labels: IntArray
    seconds: dict[str, float]


def packed(found: Reconstructed) -> Arrays:
    """An entry of a journal; `unpacked` gives it back."""
    seconds = {"stages": np.array(list(found.seconds)), "seconds": np.array(list(found.seconds.values()))}
    return {"event_id": np.int64(found.event.event_id), **columns_of(found.event), "labels": found.labels, **seconds}


def unpacked(entry: Arrays) -> Reconstructed:
    """What an entry of a journal was made of."""
    return Reconstructed(
        event=event_of_columns(int(entry["event_id"]), entry),
        labels=entry["labels"],
        seconds=dict(zip(entry["stages"].tolist(), entry["seconds"].tolist(), strict=True)),
    )


class Reconstruction:
    """Simulation and CKF of one process; it takes seconds to build, once."""

    def __init__(self, settings: SimulationSettings, ckf: CkfSettings) -> None:
        self._ckf = ckf
        self._measured = Measured(settings.detector)
        self._clock, self._sink = Clock(), TrackSink()
        self._simulation = Simulation(settings, self._algorithms)

    def event(self, number: int) -> Reconstructed:
        """The event of this number.

        Raises:
            SimulationError: the generator, the detector simulation or the reconstruction failed.
        """
        self._clock.take()  # of an event that failed
        event = self._simulation.event(number)
        labels = self._sink.take()
        if labels is None:
            raise SimulationError(f"event {number}: ACTS ended without tracks and without saying why")
        return Reconstructed(event=event, labels=labels, seconds=self._clock.take())

    def _algorithms(self, geometry: Any, field: Any) -> Iterator[Any]:
        yield from self._measured.algorithms()
        yield self._clock.end_of("what was before")
        yield from seeding(geometry, field, self._ckf, self._measured.all)
        yield self._clock.end_of("seeding")
        yield from finding(geometry, field, self._ckf, self._measured.all)
        yield self._clock.end_of("finding")
        yield from ambiguity(self._ckf)
        yield self._clock.end_of("ambiguity resolution")
        yield self._sink


def reconstruct(
    settings: SimulationSettings, ckf: CkfSettings, numbers: Sequence[int], workers: int = 1
) -> Iterator[Reconstructed]:
    """Simulate and reconstruct the events of these numbers, in their order, the same for any number of processes.

    Raises:
        SimulationError: an event failed, or a worker process died.
    """
    yield from in_processes(partial(_event, settings, ckf), numbers, workers)


def _event(settings: SimulationSettings, ckf: CkfSettings, number: int) -> Reconstructed:
    return _reconstruction(settings, ckf).event(number)


@lru_cache(maxsize=1)
def _reconstruction(settings: SimulationSettings, ckf: CkfSettings) -> Reconstruction:
    """The one that this process keeps."""
    return Reconstruction(settings, ckf)
