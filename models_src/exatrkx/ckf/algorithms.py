"""Chain of ACTS's algorithms from measurements to labels: seeding, CKF, ambiguity resolution, clocks between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import acts
import acts.examples as ex

from exatrkx.ckf.labels import label_spacepoints
from exatrkx.ckf.settings import CkfSettings
from exatrkx.events.event import IntArray
from exatrkx.simulation.collect import measurement_indices
from exatrkx.simulation.detector import FIELD, SPACEPOINTS

TRACKS: Final = "tracks"
"""Name under which ACTS's whiteboard has the tracks in the end."""

MIN_PT: Final = 0.5
"""Transverse momentum in GeV that seeds and tracks must have."""

MIN_SEED_STEP: Final = 1.0
MAX_SEED_STEP: Final = 200.0
"""Distances in r, in mm, of neighbouring spacepoints of a seed."""

MAX_VERTEX_Z: Final = 250.0
"""|z| in mm up to which a seed may point to the axis: 4.5 standard deviations of the beam spot."""

_MM: Final = acts.UnitConstants.mm
_GEV: Final = acts.UnitConstants.GeV
# A seed that leads nowhere is an error to ACTS.
_LEVEL: Final = acts.logging.FATAL
_OWN_LEVEL: Final = acts.logging.ERROR


def seeding(geometry: Any, field: Any, settings: CkfSettings, measurements: str) -> Iterator[Any]:
    """Triplets of spacepoints, and the track parameters that each of them gives; `measurements` is of a subset."""
    yield ex.SpacePointMaker(
        level=_LEVEL,
        inputMeasurements=measurements,
        outputSpacePoints="seed_spacepoints",
        trackingGeometry=geometry,
        geometrySelection=[acts.GeometryIdentifier(volume=volume) for volume in settings.seed_volumes],
    )
    yield ex.GridTripletSeedingAlgorithm(
        level=_LEVEL,
        inputSpacePoints="seed_spacepoints",
        outputSeeds="seeds",
        bFieldInZ=FIELD * acts.UnitConstants.T,
        minPt=MIN_PT * _GEV,
        impactMax=settings.max_impact * _MM,
        rMin=settings.seed_r[0] * _MM,
        rMax=settings.seed_r[1] * _MM,
        rMinMiddle=settings.middle_r[0] * _MM,
        rMaxMiddle=settings.middle_r[1] * _MM,
        zMin=-settings.seed_max_z * _MM,
        zMax=settings.seed_max_z * _MM,
        collisionRegionMin=-MAX_VERTEX_Z * _MM,
        collisionRegionMax=MAX_VERTEX_Z * _MM,
        **{f"deltaRMin{which}": MIN_SEED_STEP * _MM for which in ("", "Top", "Bottom")},
        **{f"deltaRMax{which}": MAX_SEED_STEP * _MM for which in ("", "Top", "Bottom")},
        maxSeedsPerSpM=settings.seeds_per_middle,
        radLengthPerSeed=0.1,
        sigmaScattering=settings.seed_scattering,
    )
    yield ex.TrackParamsEstimationAlgorithm(
        level=_LEVEL,
        inputSeeds="seeds",
        outputSeeds="estimated_seeds",
        outputTrackParameters="estimated_parameters",
        trackingGeometry=geometry,
        magneticField=field,
    )


def finding(geometry: Any, field: Any, settings: CkfSettings, measurements: str) -> Iterator[Any]:
    """The CKF, outwards from each seed and back inwards; `measurements` is of a subset."""
    cuts: tuple[list[float], ...] = ([], [settings.max_chi2], [settings.max_outlier_chi2], [settings.max_branches])
    tracking = ex.TrackFindingAlgorithm
    yield tracking(
        level=_LEVEL,
        inputMeasurements=measurements,
        inputSeeds="estimated_seeds",
        inputInitialTrackParameters="estimated_parameters",
        outputTracks="found_tracks",
        trackingGeometry=geometry,
        magneticField=field,
        findTracks=tracking.makeTrackFinderFunction(geometry, field, _LEVEL),
        measurementSelectorCfg=acts.MeasurementSelector.Config([(acts.GeometryIdentifier(), cuts)]),
        trackSelectorCfg=acts.TrackSelector.Config(
            ptMin=MIN_PT * _GEV,
            loc0Min=-settings.max_loc0 * _MM,
            loc0Max=settings.max_loc0 * _MM,
            minMeasurements=settings.min_measurements,
            maxHoles=settings.max_holes,
            maxOutliers=settings.max_outliers,
        ),
        twoWay=True,
        # A seed on a track that is already found is skipped, and a track keeps to its seed.
        seedDeduplication=True,
        stayOnSeed=True,
        recordMaterialStates=False,
    )


def ambiguity(settings: CkfSettings) -> Iterator[Any]:
    """Of tracks that share too many measurements only the better ones stay."""
    yield ex.GreedyAmbiguityResolutionAlgorithm(
        level=_LEVEL,
        inputTracks="found_tracks",
        outputTracks=TRACKS,
        maximumSharedHits=settings.max_shared,
        nMeasurementsMin=settings.min_measurements,
        maximumIterations=1_000_000,
    )


class Clock:
    """Reads the CPU time between stages."""

    def __init__(self) -> None:
        self._readings: list[tuple[str, float]] = []

    def end_of(self, stage: str) -> Any:
        """An algorithm that ends this stage and begins the next; what it ends first of all is none."""
        return _Reading(stage, self._readings)

    def take(self) -> dict[str, float]:
        """Seconds of each stage, once."""
        readings = list(self._readings)
        self._readings.clear()
        return {stage: now - before for (_, before), (stage, now) in pairwise(readings)}


class TrackSink(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Makes labels of the tracks that are on the whiteboard at the end of the chain."""

    def __init__(self) -> None:
        super().__init__("TrackSink", _OWN_LEVEL)
        self._labels: IntArray | None = None
        self._tracks = ex.ReadDataHandle(self, ex.ConstTrackContainer, "Tracks")
        self._tracks.initialize(TRACKS)
        self._spacepoints = ex.ReadDataHandle(self, acts.SpacePointContainer, "SpacePoints")
        self._spacepoints.initialize(SPACEPOINTS)

    def execute(self, context: Any) -> Any:
        measurements = measurement_indices(self._spacepoints(context.eventStore))
        spacepoint_of = {measurement: spacepoint for spacepoint, measurement in enumerate(measurements)}
        tracks = [
            [spacepoint_of[measurement] for measurement in _measurements(track)]
            for track in self._tracks(context.eventStore)
        ]
        self._labels = label_spacepoints(tracks, len(measurements))
        return ex.ProcessCode.SUCCESS

    def take(self) -> IntArray | None:
        """[N] the labels, once."""
        labels, self._labels = self._labels, None
        return labels


class _Reading(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    def __init__(self, stage: str, readings: list[tuple[str, float]]) -> None:
        super().__init__(f"Clock {stage}", _OWN_LEVEL)
        self._stage, self._readings = stage, readings

    def execute(self, _context: Any) -> Any:
        self._readings.append((self._stage, time.process_time()))
        return ex.ProcessCode.SUCCESS


def _measurements(track: Any) -> Iterator[int]:
    """The measurements that the track was fitted to: holes and outliers are none."""
    for state in track.trackStatesReversed:
        if state.typeFlags.isMeasurement:
            yield ex.IndexSourceLink.fromSourceLink(state.uncalibratedSourceLink).index()
