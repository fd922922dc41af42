"""Fitted tracks against the particles that were shot, and the reasons of candidates without one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from exatrkx.events.event import IntArray
from exatrkx.simulation.profile import DetectorProfile
from exatrkx.simulation.settings import SimulationSettings
from exatrkx_client import Retry, TrackingClient
from exatrkx_client.answer import FeatureArray
from exatrkx_server import free_ports

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

from acts_cases import Particles, muon, shoot

from exatrkx.ckf.settings import SETTINGS
from exatrkx.simulation.generator import GeneratedParticle
from exatrkx_acts.chain import CKF, NETWORKS, PROTO_TRACKS, Fits, run_chain
from exatrkx_acts.finding import ServedTrackFinding
from exatrkx_acts.fitted import FITS, fit_ratio, unfitted

pytestmark = pytest.mark.simulation

__all__ = ["shoot"]  # a fixture

Shoot = Callable[[Particles], None]
BEAM = DetectorProfile(beam_x=5.0, beam_y=-3.0, misalignment=0.01)
DIRECTIONS = [(math.cos(phi), math.sin(phi), 0.4 * k - 1.0) for k, phi in enumerate(np.linspace(-2.9, 2.9, 6))]


def quadrants(features: FeatureArray) -> IntArray:
    """A candidate for each sixth of φ: that of a muon of 50 GeV from the axis."""
    phi = math.pi * features[:, 1].astype(np.float64)
    of_muon = [math.atan2(y, x) for x, y, _ in DIRECTIONS]
    labels: IntArray = np.abs(np.subtract.outer(phi, of_muon)).argmin(axis=1).astype(np.int64)
    return labels


def fitted(find: Callable[[FeatureArray], IntArray], detector: DetectorProfile, events: int = 1) -> dict[str, Fits]:
    """With this finder in place of a server."""
    nowhere = f"127.0.0.1:{free_ports('127.0.0.1').grpc}"
    with TrackingClient(nowhere, timeout_s=1.0, retry=Retry(attempts=1)) as nobody:
        finding = ServedTrackFinding(nobody, outputProtoTracks=PROTO_TRACKS, fallback=find)
        return run_chain(SimulationSettings(detector=detector), finding, range(events), ckf=SETTINGS["tuned"])


def six_muons(_number: int) -> list[GeneratedParticle]:
    """Of 50 GeV, from where the beam is."""
    at = (BEAM.beam_x, BEAM.beam_y, 20.0, 0.0)
    return [
        muon(k, momentum=(50.0 * x, 50.0 * y, 50.0 * z), position=at) for k, (x, y, z) in enumerate(DIRECTIONS, start=1)
    ]


def test_the_tracks_are_those_of_the_muons(shoot: Shoot) -> None:
    shoot(six_muons)
    found = fitted(quadrants, BEAM, events=10)
    for finder, fits in found.items():
        tracks = fits.tracks
        assert len(tracks) == 60
        assert fit_ratio(tracks).value == 1.0, finder
        assert sorted(set(tracks["event"].tolist())) == list(range(10))
        pulls: dict[str, list[float]] = {key: [] for key in ("d0", "z0", "phi", "theta", "qop")}
        for track in tracks:
            x, y, z = min(
                DIRECTIONS, key=lambda d: abs(math.remainder(math.atan2(d[1], d[0]) - track["phi"], math.tau))
            )
            theta = math.atan2(1.0, z)
            truth = {"d0": 0.0, "z0": 20.0, "phi": math.atan2(y, x), "theta": theta, "qop": -math.sin(theta) / 50.0}
            for key, true in truth.items():
                pulls[key].append((track[key] - true) / track[f"{key}_error"])
        for key, values in pulls.items():
            # Of 60 values: 0.13 is the statistical error of a mean of Gaussians, 0.09 that of their width.
            assert abs(np.mean(values)) < 0.6, (finder, key)
            assert 0.6 < np.std(values) < 1.5, (finder, key)
        assert np.all(tracks["chi2"] / tracks["ndf"] < 5.0)


def test_a_candidate_of_two_spacepoints_has_no_fit(shoot: Shoot) -> None:
    shoot(six_muons)

    def halved(features: FeatureArray) -> IntArray:
        labels = quadrants(features)
        short = np.flatnonzero(labels == 2)
        labels[short[2:]] = -1
        return labels

    tracks = fitted(halved, BEAM)[NETWORKS].tracks
    (lost,) = np.flatnonzero(tracks["fit"] != 0)
    assert tracks["candidate_measurements"][lost] == 2
    assert not tracks["matched"][lost]
    assert FITS[tracks["fit"][lost]] in {"no seed", "no start"}
    assert sum(unfitted(tracks).values()) == 1
    assert math.isnan(tracks["d0"][lost])
    assert tracks["measurements"][lost] == 0


def test_nothing_found(shoot: Shoot) -> None:
    shoot(six_muons)
    found = fitted(lambda features: np.full(len(features), -1, dtype=np.int64), BEAM)
    assert len(found[NETWORKS].tracks) == 0
    assert fit_ratio(found[NETWORKS].tracks).denominator == 0
    assert len(found[CKF].tracks) == 6
