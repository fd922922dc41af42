"""The whole chain in one sequencer of ACTS: simulate, find the tracks on the server, fit them, score them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import acts
import acts.examples as ex

from exatrkx.ckf.algorithms import TRACKS, ambiguity, seeding
from exatrkx.ckf.algorithms import finding as ckf_finding
from exatrkx.ckf.measurements import Measured
from exatrkx.ckf.settings import CkfSettings
from exatrkx.simulation.chain import Simulation
from exatrkx.simulation.detector import MEASUREMENT_PARTICLES, PARTICLE_MEASUREMENTS, PARTICLES, SPACEPOINTS
from exatrkx.simulation.settings import SimulationSettings
from exatrkx_acts.finding import ServedTrackFinding
from exatrkx_acts.fitted import FittedTracks, TrackArray
from exatrkx_acts.fitting import FITTED, TrackNames, fitting, matching, perigee, starting
from exatrkx_acts.performance import SELECTED, Performance, PerformanceWriters, selecting

PROTO_TRACKS: Final = "found_proto_tracks"
"""Name under which the chain's whiteboard has what the server found."""

NETWORKS: Final = "networks"
CKF: Final = "CKF"
"""What finds tracks."""

_CKF_TRACKS: Final = TrackNames("ckf_tracks")


@dataclass(frozen=True, slots=True)
class Fits:
    """The tracks of one finder.

    Attributes:
        performance: what ACTS makes of them.
        tracks: [T] each of its candidates, with its fit; see `exatrkx_acts.fitted`.
    """

    performance: Performance
    tracks: TrackArray


def run_chain(
    settings: SimulationSettings,
    finding: ServedTrackFinding,
    numbers: range,
    threads: int = 1,
    ckf: CkfSettings | None = None,
) -> dict[str, Fits]:
    """Simulate the events of these numbers, those of `exatrkx.simulation`, and do the rest with them.

    `finding` reads `SPACEPOINTS` and writes `PROTO_TRACKS`; as many events as threads are on their way to the server.
    With `ckf`, ACTS's CKF finds tracks in the same events, which it fits itself.

    Returns:
        By `NETWORKS` and, where it was asked for, `CKF`.

    Raises:
        SimulationError: a step of the chain failed.
        ExatrkxError: no tracks were found in an event; see `ServedTrackFinding`.
    """
    beam = (settings.detector.beam_x, settings.detector.beam_y)
    measured = Measured(settings.detector)
    finders = {NETWORKS: (FITTED, FittedTracks(FITTED, SELECTED, PROTO_TRACKS))}
    if ckf is not None:
        finders[CKF] = (_CKF_TRACKS, FittedTracks(_CKF_TRACKS, SELECTED))
    writers = {name: PerformanceWriters(names, PARTICLE_MEASUREMENTS) for name, (names, _) in finders.items()}

    def further(geometry: Any, field: Any) -> Iterator[Any]:
        yield finding
        yield from measured.algorithms()
        yield from starting(geometry, field, PROTO_TRACKS, SPACEPOINTS)
        yield from fitting(geometry, field, measured.container, beam)
        if ckf is not None:
            yield from _ckf_tracks(geometry, field, ckf, measured.all, beam)
        yield from selecting(PARTICLES, PARTICLE_MEASUREMENTS, beam)
        for name, (names, fitted) in finders.items():
            yield from matching(names, PARTICLES, MEASUREMENT_PARTICLES)
            yield fitted
            yield from writers[name].elements()

    Simulation(settings, further).run(numbers, threads)
    return {name: Fits(writers[name].result(), fitted.result()) for name, (_, fitted) in finders.items()}


def _ckf_tracks(
    geometry: Any, field: Any, settings: CkfSettings, measurements: str, beam: tuple[float, float]
) -> Iterator[Any]:
    """The CKF's tracks at the perigee of the beam line; its own is that of the z axis."""
    yield from seeding(geometry, field, settings, measurements)
    yield from ckf_finding(geometry, field, settings, measurements)
    yield from ambiguity(settings)
    yield ex.TrackExtrapolationAlgorithm(
        level=acts.logging.ERROR,
        inputTracks=TRACKS,
        outputTracks=_CKF_TRACKS.tracks,
        trackingGeometry=geometry,
        magneticField=field,
        strategy=ex.TrackExtrapolationStrategy.first,
        targetSurface=perigee(beam),
    )
