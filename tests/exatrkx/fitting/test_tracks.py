"""Helix fit of candidates: pulls against the truth of the bundled events, and what is no track."""

from __future__ import annotations

import math

import helices
import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.errors import ContractError
from exatrkx.events.event import Event
from exatrkx.events.readers import read_events
from exatrkx.events.truth import require_truth
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracks import MOST, STRAIGHTEST, TRACK_FIT, VALUES, TrackFits, fit_tracks, true_tracks
from exatrkx.performance.selection import ParticleSelection
from exatrkx.project_files import project_files

LAYERS = np.array([32.0, 72.0, 116.0, 172.0, 260.0, 360.0, 500.0, 660.0, 820.0, 1020.0])
ALL = [name for name in TRACK_FIT.names or () if name != "label"]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(read_events(project_files().events))


def fits_of(*points: npt.NDArray[np.float64], settings: FitSettings | None = None) -> TrackFits:
    """Of one candidate after the other, each [3,n]."""
    labels = np.repeat(np.arange(len(points)), [one.shape[1] for one in points])
    x, y, z = np.concatenate(points, axis=1)
    return fit_tracks(x, y, z, labels, settings)


def helix_points(
    pt: float, eta: float, phi: float, charge: float, start: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> npt.NDArray[np.float64]:
    """[3,10] where a particle meets the layers of the barrel, to some µm."""
    momentum = pt * np.array([math.cos(phi), math.sin(phi), math.sinh(eta)])
    points = []
    for radius in LAYERS:
        low, high = 0.0, 3000.0 * math.cosh(eta)
        for _ in range(60):
            middle = (low + high) / 2.0
            place, _p = helices.along(np.array(start), momentum, charge, middle)
            low, high = (middle, high) if math.hypot(place[0], place[1]) < radius else (low, middle)
        points.append(place)
    return np.array(points).T


def width(values: npt.NDArray[np.float64]) -> float:
    low, high = np.quantile(values, (0.158655, 0.841345))
    return float(high - low) / 2.0


def pulls_of(event: Event, fits: TrackFits, settings: FitSettings | None = None) -> dict[str, npt.NDArray[np.float64]]:
    """Of fits labelled by their particle; of q/pT in place of pT."""
    p = require_truth(event).particles
    of = fits["label"]
    position, momentum = (np.stack(one)[:, of] for one in ((p.vx, p.vy, p.vz), (p.px, p.py, p.pz)))
    true = true_tracks(position, momentum, p.charge[of], settings)
    pulls = {name: (fits[name] - true[name]) / fits[f"{name}_error"] for name in ("eta", "d0", "z0")}
    pulls["phi"] = (np.mod(fits["phi"] - true["phi"] + np.pi, 2 * np.pi) - np.pi) / fits["phi_error"]
    curvature = fits["charge"] / fits["pt"] - true["charge"] / true["pt"]
    return {**pulls, "q/pt": curvature / (fits["pt_error"] / fits["pt"] ** 2)}


@pytest.mark.parametrize(
    ("selection", "fitted", "narrowest", "widest"),
    [
        (ParticleSelection(electrons="drop"), 0.999, 0.82, 1.12),
        (ParticleSelection(electrons="drop", max_pt=2.0), 0.999, 0.8, 1.15),
        (ParticleSelection(electrons="drop", min_pt=4.0), 0.999, 0.75, 1.25),
        (ParticleSelection(electrons="drop", min_pt=0.5, max_pt=1.0), 0.99, 0.8, 1.2),
    ],
)
def test_the_errors_are_those_of_true_tracks(
    events: list[Event], selection: ParticleSelection, fitted: float, narrowest: float, widest: float
) -> None:
    pulls: dict[str, list[npt.NDArray[np.float64]]] = {}
    chi2, wanted = [], 0
    for event in events:
        fits = fit_tracks(event.x, event.y, event.z, helices.true_labels(event))
        fits = fits[selection.mask(event)[fits["label"]]]
        wanted += len(fits)
        fits = fits[fits["ndf"] > 0]
        chi2.append(fits["chi2"] / fits["ndf"])
        for name, values in pulls_of(event, fits).items():
            pulls.setdefault(name, []).append(values)
    number = len(np.concatenate(chi2))
    assert number >= 250
    assert number / wanted >= fitted
    assert 0.9 < np.concatenate(chi2).mean() < 1.15
    for name, parts in pulls.items():
        values = np.concatenate(parts)
        assert narrowest < width(values) < widest, (name, width(values))
        assert abs(np.median(values)) < 0.15, (name, np.median(values))
        assert np.mean(np.abs(values) > 4.0) < 0.02, name


def test_an_exact_helix_is_found_exactly() -> None:
    for pt, eta, phi, charge in ((1.0, 0.5, 0.3, 1.0), (30.0, -1.0, -3.1, -1.0), (0.6, 0.0, 2.0, -1.0)):
        start = (0.1 * math.sin(phi), -0.1 * math.cos(phi), 20.0)
        (fit,) = fits_of(helix_points(pt, eta, phi, charge, start))
        assert fit["charge"] == charge
        assert fit["pt"] == pytest.approx(pt, rel=1e-6)
        assert (fit["eta"], fit["phi"]) == pytest.approx((eta, phi), abs=1e-6)
        assert (fit["d0"], fit["z0"]) == pytest.approx((-0.1, 20.0), abs=1e-5)
        assert fit["chi2"] < 1e-6
        assert fit["ndf"] == 15


def test_field_and_beam_line() -> None:
    points = helix_points(5.0, 0.4, 1.0, 1.0)
    (fit,) = fits_of(points)
    (other,) = fits_of(points, settings=FitSettings(field=-1.0))
    assert (other["charge"], other["pt"]) == (-1, pytest.approx(fit["pt"] / 2.0, rel=1e-3))
    (there,) = fits_of(points, settings=FitSettings(beam=(3.0, -2.0)))
    assert there["d0"] == pytest.approx(3.0 * math.sin(1.0) + 2.0 * math.cos(1.0), abs=0.01)
    turn = 1e-3 * helices.LIGHT * 1e3 * 2.0 / 5.0  # rad per mm
    assert math.remainder(there["phi"] - fit["phi"], math.tau) == pytest.approx(
        -turn * (3.0 * math.cos(1.0) - 2.0 * math.sin(1.0)), rel=0.02
    )
    for field, beam in ((0.0, (0.0, 0.0)), (math.nan, (0.0, 0.0)), (2.0, (0.0, math.inf))):
        with pytest.raises(ValueError, match="must be"):
            FitSettings(field=field, beam=beam)


def test_one_candidate_does_not_depend_on_others_nor_on_the_order(events: list[Event]) -> None:
    event = events[0]
    labels = helices.true_labels(event)
    fits = fit_tracks(event.x, event.y, event.z, labels)
    shuffled = np.random.default_rng(5).permutation(len(event))
    again = fit_tracks(event.x[shuffled], event.y[shuffled], event.z[shuffled], labels[shuffled])
    assert again.tobytes() == fits.tobytes()
    for number in np.random.default_rng(6).choice(len(fits), 20):
        mine = labels == fits["label"][number]
        (alone,) = fit_tracks(event.x[mine], event.y[mine], event.z[mine], labels[mine])
        for name in ALL:
            assert alone[name] == pytest.approx(fits[name][number], rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("number", [0, 1, 2, MOST + 1])
def test_too_few_and_too_many_spacepoints_have_no_fit(number: int) -> None:
    points = np.repeat(helix_points(5.0, 0.4, 1.0, 1.0), 13, axis=1)[:, :number]
    points[0] += 1e-3 * np.arange(number)
    good = helix_points(3.0, 0.4, 1.0, 1.0)
    found = fits_of(good, points, good)
    assert len(found) == 3 - (number == 0)
    assert found[[0, -1]]["ndf"].tolist() == [15, 15]
    if number:
        assert (found["charge"][1], found["ndf"][1]) == (0, 0)
        assert all(math.isnan(found[name][1]) for name in ALL if name not in {"charge", "ndf"})


def test_nothing_at_all() -> None:
    none = np.zeros(0)
    assert fit_tracks(none, none, none, none.astype(np.int64)).shape == (0,)
    points = helix_points(5.0, 0.4, 1.0, 1.0)
    assert fit_tracks(points[0], points[1], points[2], np.full(10, -1)).shape == (0,)


def test_three_spacepoints_are_enough() -> None:
    (fit,) = fits_of(helix_points(2.0, 0.4, 1.0, -1.0)[:, [0, 4, 8]])
    assert (fit["charge"], fit["ndf"]) == (-1, 1)
    assert fit["pt"] == pytest.approx(2.0, rel=1e-4)
    assert 0.0 < fit["pt_error"] < 0.2


def test_a_straight_track_has_a_finite_momentum() -> None:
    straight = [np.stack((LAYERS * math.cos(phi), LAYERS * math.sin(phi), 0.5 * LAYERS)) for phi in (0.0, 0.7, -2.0)]
    for points in (*straight, straight[0][:, :3]):
        (fit,) = fits_of(points)
        assert all(math.isfinite(fit[name]) for name in ALL)
        assert 1e3 < fit["pt"] <= STRAIGHTEST
        assert fit["pt_error"] > fit["pt"] / 10.0
        assert fit["eta"] == pytest.approx(math.asinh(0.5), abs=1e-6)
        assert abs(fit["d0"]) < 1e-6


def test_a_spacepoint_that_is_there_twice_counts_once() -> None:
    points = helix_points(2.0, 0.4, 1.0, 1.0) + np.random.default_rng(1).normal(scale=0.01, size=(3, 10))
    once, twice, pair = fits_of(points, np.repeat(points, 2, axis=1), np.repeat(points[:, :2], 3, axis=1))
    for name in ALL:
        assert twice[name] == once[name]
    assert pair["ndf"] == 0


@pytest.mark.parametrize(
    "points",
    [
        np.stack((np.full(5, 100.0), np.zeros(5), np.arange(5.0))),
        np.stack((100.0 * np.cos(np.arange(9.0)), 100.0 * np.sin(np.arange(9.0)), np.arange(9.0) ** 2)),
        np.stack((np.zeros(3), np.zeros(3), np.arange(3.0))),
        np.random.default_rng(4).normal(scale=400.0, size=(3, 60)),
        np.random.default_rng(4).normal(scale=1e300, size=(3, 6)),
        np.random.default_rng(4).normal(scale=1e-300, size=(3, 6)),
    ],
    ids=["along the beam", "a ring about it", "on it", "a cloud", "far away", "at the origin"],
)
def test_what_is_no_track_is_nan_or_finite_and_hurts_no_other(points: npt.NDArray[np.float64]) -> None:
    good = helix_points(3.0, 0.4, 1.0, 1.0)
    first, odd, last = fits_of(good, points, good)
    assert np.isfinite([odd[name] for name in ALL]).all() == (odd["ndf"] > 0)
    for name in ALL:
        assert first[name] == last[name]
    assert first["pt"] == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_coordinate_that_is_no_number_is_refused(value: float) -> None:
    x, y, z = helix_points(3.0, 0.4, 1.0, 1.0)
    y[4] = value
    with pytest.raises(ContractError, match=r"y: entries must be finite, found -?(nan|inf) at spacepoint 4"):
        fit_tracks(x, y, z, np.zeros(10, dtype=np.int64))
    with pytest.raises(ContractError, match=r"x: expected the shape of the labels, \(9,\), found \(10,\)"):
        fit_tracks(x, y, z, np.zeros(9, dtype=np.int64))


def test_labels_may_be_any_numbers() -> None:
    points = np.concatenate([helix_points(pt, 0.4, 1.0, 1.0) for pt in (2.0, 3.0, 4.0)], axis=1)
    labels = np.repeat(np.array([2**40, 3, 17]), 10)
    found = fit_tracks(points[0], points[1], points[2], labels)
    assert found["label"].tolist() == [3, 17, 2**40]
    assert found["pt"] == pytest.approx([3.0, 4.0, 2.0], rel=1e-5)
    assert list(TRACK_FIT.names or ())[2:7] == list(VALUES)
