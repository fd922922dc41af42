"""The whole chain in one sequencer of ACTS: simulate, find the tracks on the server, fit them, score them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from exatrkx.simulation.chain import Simulation
from exatrkx.simulation.detector import (
    MEASUREMENT_CONTAINER,
    MEASUREMENT_PARTICLES,
    PARTICLE_MEASUREMENTS,
    PARTICLES,
    SPACEPOINTS,
)
from exatrkx.simulation.settings import SimulationSettings
from exatrkx_acts.finding import ServedTrackFinding
from exatrkx_acts.fitting import fitting, matching, starting
from exatrkx_acts.performance import Performance, PerformanceWriters

PROTO_TRACKS: Final = "found_proto_tracks"
"""Name under which the chain's whiteboard has what the server found."""


def run_chain(
    settings: SimulationSettings, finding: ServedTrackFinding, numbers: range, threads: int = 1
) -> Performance:
    """Simulate the events of these numbers, those of `exatrkx.simulation`, and do the rest with them.

    `finding` reads `SPACEPOINTS` and writes `PROTO_TRACKS`; as many events as threads are on their way to the server.

    Raises:
        SimulationError: a step of the chain failed.
        ExatrkxError: no tracks were found in an event; see `ServedTrackFinding`.
    """
    writers = PerformanceWriters(PARTICLES, PARTICLE_MEASUREMENTS)

    def further(geometry: Any, field: Any) -> Iterator[Any]:
        yield finding
        yield from starting(geometry, field, PROTO_TRACKS, SPACEPOINTS)
        yield from fitting(geometry, field, MEASUREMENT_CONTAINER)
        yield from matching(PARTICLES, MEASUREMENT_PARTICLES)
        yield from writers.elements()

    Simulation(settings, further).run(numbers, threads)
    return writers.result()
