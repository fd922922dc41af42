"""Fitted tracks of every event, with their errors, and what became of the candidates that have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import acts
import acts.examples as ex
import numpy as np
import numpy.typing as npt

from exatrkx.performance.intervals import Ratio
from exatrkx.performance.matching import MAJORITY
from exatrkx.simulation.detector import MEASUREMENT_PARTICLES, PARTICLE_MEASUREMENTS
from exatrkx_acts.fitting import SEEDED, TO_FIT, TrackNames
from exatrkx_acts.parameters import PARAMETERS

FITS: Final = ("fitted", "no seed", "no start", "failed", "not at the perigee")
"""What becomes of a candidate: it has a track; it has no three spacepoints to start a fit from; these give no
parameters; the fit ends with an error; or it does not get to the perigee."""

_KEYS: Final = tuple(p.key for p in PARAMETERS)
_COUNTS: Final = ("measurements", "holes", "outliers", "ndf")

TRACK: Final = np.dtype(
    [("event", "i8"), ("track", "i8"), ("candidate_measurements", "i8"), ("matched", "?"), ("fit", "i1")]
    + [(name, "i8") for name in _COUNTS]
    + [("chi2", "f8")]
    + [(key, "f8") for key in _KEYS]
    + [(f"{key}_error", "f8") for key in _KEYS]
)
"""A candidate and its fit: lengths in mm, angles in rad, q/p in 1/GeV; without a fit they are NaN and the counts 0.

`track` is its number in its event, `candidate_measurements` are those that were given to the fit, `matched` says
whether it and a particle to be found have more than half of these measurements of each other, `fit` is a place in
`FITS`."""

TrackArray = npt.NDArray[np.void]


class FittedTracks(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Keeps the candidates of every event, each with its fit, by the event's number.

    Args:
        names: of the fitted tracks on ACTS's whiteboard.
        selected: name of the particles to be found.
        proto_tracks: name of the candidates; none where every track is one, as the CKF's are.
    """

    def __init__(self, names: TrackNames, selected: str, proto_tracks: str | None = None) -> None:
        super().__init__(f"FittedTracks of {names.tracks}", acts.logging.ERROR)
        self._events: dict[int, TrackArray] = {}
        self._tracks = self._input(ex.ConstTrackContainer, names.tracks)
        self._particles = self._input(ex.SimParticleContainer, selected)
        self._of_measurement = self._input(ex.MeasurementParticlesMap, MEASUREMENT_PARTICLES)
        self._of_particle = self._input(ex.ParticleMeasurementsMap, PARTICLE_MEASUREMENTS)
        stages = (proto_tracks, SEEDED, TO_FIT) if proto_tracks else ()
        self._stages = [self._input(ex.ProtoTrackContainer, name) for name in stages]

    def execute(self, context: Any) -> Any:
        tracks = self._tracks(context.eventStore)
        found = list(tracks)
        fitted = [_measurements(track) for track in found]
        stages = [[list(one) for one in stage(context.eventStore)] for stage in self._stages]
        candidates = stages[0] if stages else fitted
        table = _without_fits(context.eventNumber, candidates)
        table["matched"] = self._matched(context, candidates)
        place = np.arange(len(found))
        if stages:
            candidate_of = {one: number for number, candidate in enumerate(candidates) for one in candidate}
            steps = [[candidate_of[one[0]] for one in stage] for stage in (*stages[1:], fitted)]
            table["fit"] = _fates(steps, len(candidates))
            place = np.asarray(steps[-1], np.int64)
        _fill(table, place, tracks, np.asarray([track.hasReferenceSurface for track in found], np.bool_))
        self._events[context.eventNumber] = table
        return ex.ProcessCode.SUCCESS

    def result(self) -> TrackArray:
        """[T] of `TRACK`, by event and number, after the run."""
        return np.concatenate([np.zeros(0, TRACK), *(self._events[number] for number in sorted(self._events))])

    def _input(self, kind: Any, name: str) -> Any:
        handle = ex.ReadDataHandle(self, kind, name)
        handle.initialize(name)
        return handle

    def _matched(self, context: Any, candidates: list[list[int]]) -> list[bool]:
        of_particle, of_measurement = (h(context.eventStore) for h in (self._of_particle, self._of_measurement))
        made = {
            _barcode(p.particleId): len(list(of_particle.valuesFor(p.particleId)))
            for p in self._particles(context.eventStore)
        }
        return [_is_of_one(one, of_measurement, made) for one in candidates]


def fit_ratio(tracks: TrackArray) -> Ratio:
    """Matched candidates that have a fitted track, of all matched ones."""
    matched = tracks[tracks["matched"]]
    return Ratio(int(np.count_nonzero(matched["fit"] == 0)), len(matched))


def unfitted(tracks: TrackArray) -> dict[str, int]:
    """How many candidates have no track, for each reason of `FITS`."""
    return {name: int(np.count_nonzero(tracks["fit"] == number)) for number, name in enumerate(FITS) if number}


def _without_fits(event: int, candidates: list[list[int]]) -> TrackArray:
    table = np.zeros(len(candidates), TRACK)
    table["event"], table["track"] = event, np.arange(len(candidates))
    table["candidate_measurements"] = [len(one) for one in candidates]
    for key in ("chi2", *_KEYS, *(f"{key}_error" for key in _KEYS)):
        table[key] = np.nan
    return table


def _fates(steps: list[list[int]], number: int) -> npt.NDArray[np.int8]:
    """[number] place in `FITS` of each candidate, from the candidates that each step of the fit left."""
    fates = np.zeros(number, np.int8)
    for fate, step in reversed(list(enumerate(steps, start=1))):  # the first step that a candidate fails counts
        gone = np.ones(number, np.bool_)
        gone[step] = False
        fates[gone] = fate
    return fates


def _fill(table: TrackArray, place: npt.NDArray[np.int64], tracks: Any, at_perigee: npt.NDArray[np.bool_]) -> None:
    """Put the tracks that are at the perigee into their rows."""
    table["fit"][place[~at_perigee]] = FITS.index("not at the perigee")
    rows = place[at_perigee]
    for name, values in zip(_COUNTS, (tracks.nMeasurements, tracks.nHoles, tracks.nOutliers, tracks.ndf), strict=True):
        table[name][rows] = np.asarray(values)[at_perigee]
    table["chi2"][rows] = np.asarray(tracks.chi2)[at_perigee]
    if not len(rows):
        return
    parameters = np.asarray(tracks.parameters)[at_perigee]
    variances = np.diagonal(np.asarray(tracks.covariance)[at_perigee], axis1=1, axis2=2)
    for axis, key in enumerate(_KEYS):  # in ACTS's order
        table[key][rows] = parameters[:, axis]
        table[f"{key}_error"][rows] = np.sqrt(variances[:, axis])


def _measurements(track: Any) -> list[int]:
    index = ex.IndexSourceLink.fromSourceLink
    return [index(s.uncalibratedSourceLink).index() for s in track.trackStatesReversed if s.typeFlags.isMeasurement]


def _is_of_one(candidate: Iterable[int], of_measurement: Any, made: dict[tuple[int, ...], int]) -> bool:
    """Whether the candidate and one of these particles have more than half of the measurements of each other."""
    distinct = set(candidate)
    owners = [{_barcode(barcode) for barcode in of_measurement.valuesFor(one)} for one in distinct]
    shares = Counter(barcode for of_one in owners for barcode in of_one)
    return any(
        shared > MAJORITY * len(distinct) and shared > MAJORITY * made[barcode]
        for barcode, shared in shares.items()
        if barcode in made
    )


def _barcode(barcode: Any) -> tuple[int, ...]:
    b = barcode
    return (b.vertexPrimary, b.vertexSecondary, b.particle, b.generation, b.subParticle)
