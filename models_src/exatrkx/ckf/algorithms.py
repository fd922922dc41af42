"""Chain of ACTS's algorithms from measurements to tracks: seeding, CKF, ambiguity resolution."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import acts
import acts.examples as ex

from exatrkx.ckf.settings import CkfSettings
from exatrkx.simulation.detector import FIELD, MEASUREMENTS

TRACKS: Final = "tracks"
"""Name under which ACTS's whiteboard has the tracks in the end."""

MIN_PT: Final = 0.5
"""Transverse momentum in GeV that seeds and tracks must have."""

MAX_CHI2: Final = 15.0
MAX_OUTLIER_CHI2: Final = 25.0
"""χ² up to which a measurement belongs to the track, and up to which it is at least an outlier and no hole."""

MAX_SHARED: Final = 3
"""Measurements that a track may share with others."""

MIN_SEED_STEP: Final = 1.0
MAX_SEED_STEP: Final = 200.0
"""Distances in r, in mm, of neighbouring spacepoints of a seed."""

MAX_VERTEX_Z: Final = 250.0
"""|z| in mm up to which a seed may point to the axis: 4.5 standard deviations of the beam spot."""

_MM: Final = acts.UnitConstants.mm
_GEV: Final = acts.UnitConstants.GeV
# A seed that leads nowhere is an error to ACTS.
_LEVEL: Final = acts.logging.FATAL


def seeding(geometry: Any, field: Any, settings: CkfSettings) -> Iterator[Any]:
    """Triplets of spacepoints, and the track parameters that each of them gives."""
    yield ex.SpacePointMaker(
        level=_LEVEL,
        inputMeasurements=MEASUREMENTS,
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
        # Of all triplets with one middle spacepoint the best; scattering as of 0.1 radiation lengths, five times over.
        maxSeedsPerSpM=1,
        radLengthPerSeed=0.1,
        sigmaScattering=5.0,
    )
    yield ex.TrackParamsEstimationAlgorithm(
        level=_LEVEL,
        inputSeeds="seeds",
        outputSeeds="estimated_seeds",
        outputTrackParameters="estimated_parameters",
        trackingGeometry=geometry,
        magneticField=field,
    )


def finding(geometry: Any, field: Any, settings: CkfSettings) -> Iterator[Any]:
    """The CKF, outwards from each seed and back inwards."""
    cuts: tuple[list[float], ...] = ([], [MAX_CHI2], [MAX_OUTLIER_CHI2], [settings.max_branches])
    tracking = ex.TrackFindingAlgorithm
    yield tracking(
        level=_LEVEL,
        inputMeasurements=MEASUREMENTS,
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
            maxHoles=2,
            maxOutliers=2,
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
        maximumSharedHits=MAX_SHARED,
        nMeasurementsMin=settings.min_measurements,
        maximumIterations=1_000_000,
    )
