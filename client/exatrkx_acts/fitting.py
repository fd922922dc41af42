"""ACTS's algorithms from proto-tracks to fitted tracks that know their particle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import acts
import acts.examples as ex

SEEDED: Final = "proto_tracks_with_seed"
TO_FIT: Final = "proto_tracks_to_fit"
"""Names under which the whiteboard has the proto-tracks that give three spacepoints to start from, and of these those
that give the parameters."""

_LEVEL: Final = acts.logging.ERROR
# A fit that fails is an error to ACTS; `exatrkx_acts.fitted` counts them.
_FIT_LEVEL: Final = acts.logging.FATAL


@dataclass(frozen=True, slots=True)
class TrackNames:
    """Names under which the whiteboard has tracks, and the maps between them and particles."""

    tracks: str

    @property
    def particles(self) -> str:
        """Of the map from tracks to particles."""
        return f"{self.tracks}_particles"

    @property
    def of_particles(self) -> str:
        """Of the map from particles to tracks."""
        return f"{self.tracks}_of_particles"


FITTED: Final = TrackNames("fitted_tracks")
"""The tracks in the end."""


def perigee(beam: tuple[float, float] = (0.0, 0.0)) -> Any:
    """Perigee surface, where tracks have their parameters: closest to the line along z through this x and y in mm."""
    return acts.Surface.createPerigee(acts.Vector3(beam[0] * acts.UnitConstants.mm, beam[1] * acts.UnitConstants.mm, 0))


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
        outputProtoTracks=SEEDED,
    )
    yield ex.TrackParamsEstimationAlgorithm(
        level=_LEVEL,
        inputSeeds="proto_track_seeds",
        inputProtoTracks=SEEDED,
        outputSeeds="proto_track_estimated_seeds",
        outputProtoTracks=TO_FIT,
        outputTrackParameters="start_parameters",
        # The first three, as is the default, are too close to each other: one fit in ten did not get to the perigee.
        spacePointSelection=ex.SeedSpacePointSelection.SpreadTriplet,
        trackingGeometry=geometry,
        magneticField=field,
    )


def fitting(geometry: Any, field: Any, measurements: str, beam: tuple[float, float] = (0.0, 0.0)) -> Iterator[Any]:
    """ACTS's Kalman filter over the proto-tracks of `starting`, and its result at the `perigee`.

    Of several measurements on one surface the fit takes one, and none that the track does not reach.
    """
    yield ex.TrackFittingAlgorithm(
        level=_FIT_LEVEL,
        inputMeasurements=measurements,
        inputProtoTracks=TO_FIT,
        inputInitialTrackParameters="start_parameters",
        inputClusters="",
        outputTracks=FITTED.tracks,
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
        referenceSurface=perigee(beam),
    )


def matching(names: TrackNames, particles: str, measurement_particles: str) -> Iterator[Any]:
    """Double majority as ACTS has it: a track and a particle have at least half of the measurements of each other."""
    yield ex.TrackTruthMatcher(
        level=_LEVEL,
        inputTracks=names.tracks,
        inputParticles=particles,
        inputMeasurementParticlesMap=measurement_particles,
        outputTrackParticleMatching=names.particles,
        outputParticleTrackMatching=names.of_particles,
        doubleMatching=True,
    )
