"""ACTS's algorithms from proto-tracks to fitted tracks that know their particle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import acts
import acts.examples as ex

TRACKS: Final = "fitted_tracks"
TRACK_PARTICLES: Final = "track_particles"
PARTICLE_TRACKS: Final = "particle_tracks"
"""Names under which the whiteboard has the tracks in the end, and the maps between them and particles."""

_LEVEL: Final = acts.logging.ERROR


def starting(geometry: Any, field: Any, proto_tracks: str, spacepoints: str) -> Iterator[Any]:
    """Track parameters to start each fit from, of three spacepoints far apart; proto-tracks without them are dropped.

    ACTS's `ProtoTracksToParameters` does both steps in one, but with a covariance that cannot be set and is too small:
    the fit holds on to the three spacepoints, and on tt̄ events the pulls of d0, z0, φ and θ were 2.2 to 2.8 wide.
    `TrackParamsEstimationAlgorithm` starts from 1 mm, one degree and 10 % of pT.
    """
    yield ex.ProtoTracksToSeeds(
        level=_LEVEL,
        inputProtoTracks=proto_tracks,
        inputSpacePoints=spacepoints,
        outputSeeds="proto_track_seeds",
        outputProtoTracks="proto_tracks_with_seed",
    )
    yield ex.TrackParamsEstimationAlgorithm(
        level=_LEVEL,
        inputSeeds="proto_track_seeds",
        inputProtoTracks="proto_tracks_with_seed",
        outputSeeds="proto_track_estimated_seeds",
        outputProtoTracks="proto_tracks_to_fit",
        outputTrackParameters="start_parameters",
        # The first three, as is the default, are too close to each other: one fit in ten did not get to the perigee.
        spacePointSelection=ex.SeedSpacePointSelection.SpreadTriplet,
        trackingGeometry=geometry,
        magneticField=field,
    )


def fitting(geometry: Any, field: Any, measurements: str) -> Iterator[Any]:
    """ACTS's Kalman filter over the proto-tracks of `starting`, and its result at the perigee.

    The perigee is the point of closest approach to the z axis. Of several measurements on one surface the fit takes
    one, and none that the track does not reach.
    """
    yield ex.TrackFittingAlgorithm(
        level=_LEVEL,
        inputMeasurements=measurements,
        inputProtoTracks="proto_tracks_to_fit",
        inputInitialTrackParameters="start_parameters",
        inputClusters="",
        outputTracks=TRACKS,
        pickTrack=-1,
        fit=ex.makeKalmanFitterFunction(
            geometry,
            field,
            multipleScattering=True,
            energyLoss=True,
            # As ACTS sets it in its own chain: every track is smoothed, no measurement is an outlier.
            reverseFilteringMomThreshold=0.0,
            reverseFilteringCovarianceScaling=100.0,
            freeToBoundCorrection=ex.FreeToBoundCorrection(False),
            chi2Cut=float("inf"),
            useJosephFormulation=False,
            level=_LEVEL,
        ),
        calibrator=ex.makePassThroughCalibrator(),
        linkForward=False,
        referenceSurface=acts.Surface.createPerigee(acts.Vector3(0, 0, 0)),
    )


def matching(particles: str, measurement_particles: str) -> Iterator[Any]:
    """Double majority: a track and a particle have more than half of the measurements of each other."""
    yield ex.TrackTruthMatcher(
        level=_LEVEL,
        inputTracks=TRACKS,
        inputParticles=particles,
        inputMeasurementParticlesMap=measurement_particles,
        outputTrackParticleMatching=TRACK_PARTICLES,
        outputParticleTrackMatching=PARTICLE_TRACKS,
        doubleMatching=True,
    )
