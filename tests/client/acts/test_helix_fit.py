"""The helix fit beside ACTS's Kalman filter, on the same candidates of simulated events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.events.event import IntArray, features
from exatrkx.fitting.tracks import fit_tracks, true_tracks
from exatrkx.performance.matching import Matching
from exatrkx.performance.metrics import match_labels
from exatrkx.performance.selection import ParticleSelection
from exatrkx.simulation.settings import SimulationSettings
from exatrkx_client import Retry, TrackingClient
from exatrkx_client.answer import FeatureArray
from exatrkx_server import free_ports

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

from exatrkx.simulation.chain import Simulation
from exatrkx_acts.chain import NETWORKS, PROTO_TRACKS, run_chain
from exatrkx_acts.finding import ServedTrackFinding

pytestmark = pytest.mark.simulation

SETTINGS = SimulationSettings(seed=19)
EVENTS = range(8)
PARAMETERS = ("d0", "z0", "phi", "theta", "qop")
Columns = dict[str, npt.NDArray[np.float64]]


def as_acts(fits: npt.NDArray[np.void]) -> Columns:
    """Our fits by ACTS's parameters, with their errors where they have some."""
    theta = 2.0 * np.arctan(np.exp(-fits["eta"]))
    p = fits["pt"] / np.sin(theta)
    qop = fits["charge"] / p
    # p is pT cosh η: the error of q/p takes that of η as independent, which it nearly is.
    relative = np.hypot(fits["pt_error"] / fits["pt"], np.cos(theta) * fits["eta_error"])
    columns = {"d0": fits["d0"], "z0": fits["z0"], "phi": fits["phi"], "theta": theta, "qop": qop}
    errors = {name: fits[f"{name}_error"] for name in ("d0", "z0", "phi")}
    errors |= {"theta": np.sin(theta) * fits["eta_error"], "qop": np.abs(qop) * relative}
    return columns | {f"{name}_error": error for name, error in errors.items()}


def width(values: npt.NDArray[np.float64]) -> float:
    low, high = np.quantile(values, (0.158655, 0.841345))
    return float(high - low) / 2.0


@pytest.fixture(scope="module")
def compared() -> tuple[Columns, Columns, Columns]:
    """Ours, ACTS's and true parameters of the candidates that match a particle above 1 GeV and that ACTS has fitted."""
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415 - imports torch

    pipeline, simulation = Pipeline.from_weights(), Simulation(SETTINGS)

    def find(hits: FeatureArray) -> IntArray:
        labels: IntArray = pipeline(hits).labels
        return labels

    nowhere = f"127.0.0.1:{free_ports('127.0.0.1').grpc}"
    with TrackingClient(nowhere, timeout_s=1.0, retry=Retry(attempts=1)) as nobody:
        finding = ServedTrackFinding(nobody, outputProtoTracks=PROTO_TRACKS, fallback=find)
        acts_tracks = run_chain(SETTINGS, finding, EVENTS)[NETWORKS].tracks
    ours, theirs, truth = [], [], []
    for number in EVENTS:
        event = simulation.event(number)
        labels = find(features(event))
        candidates = match_labels(labels, event)
        selected = ParticleSelection(electrons="drop").mask(event)
        mine = fit_tracks(event.x, event.y, event.z, labels)
        of_acts = acts_tracks[acts_tracks["event"] == number]
        assert len(of_acts) == len(mine) == len(candidates)
        matched = candidates.matched(Matching.DOUBLE_MAJORITY)
        chosen = matched & selected[candidates.particle] & (of_acts["fit"] == 0)
        assert (mine["ndf"][chosen] > 0).all()
        p = event.truth.particles  # type: ignore[union-attr]  # simulated
        of = candidates.particle[chosen]
        position, momentum = (np.stack(one)[:, of] for one in ((p.vx, p.vy, p.vz), (p.px, p.py, p.pz)))
        ours.append(mine[chosen])
        theirs.append(of_acts[chosen])
        truth.append(true_tracks(position, momentum, p.charge[of]))
    acts_columns = {name: np.concatenate(theirs)[name] for name in (*PARAMETERS, *(f"{p}_error" for p in PARAMETERS))}
    with np.errstate(invalid="ignore"):
        return as_acts(np.concatenate(ours)), acts_columns, as_acts(np.concatenate(truth))


@pytest.mark.parametrize("name", PARAMETERS)
def test_as_good_as_the_kalman_filter(compared: tuple[Columns, Columns, Columns], name: str) -> None:
    ours, theirs, true = compared
    assert len(ours[name]) > 300

    def difference(one: Columns, other: Columns) -> npt.NDArray[np.float64]:
        apart = one[name] - other[name]
        return np.mod(apart + np.pi, 2.0 * np.pi) - np.pi if name == "phi" else apart

    residuals, its_residuals = difference(ours, true), difference(theirs, true)
    errors, its_errors = ours[f"{name}_error"], theirs[f"{name}_error"]
    assert width(residuals) < 1.1 * width(its_residuals)
    assert 0.8 < width(residuals / errors) < 1.2
    assert abs(np.median(residuals / errors)) < 0.2
    assert 0.85 < np.median(errors / its_errors) < 1.25
    # They differ by less than they err: both have seen the same spacepoints.
    assert width(difference(ours, theirs) / its_errors) < 0.35
