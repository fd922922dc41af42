"""Derivatives and kinks of a helix against finite differences and against a particle that is walked along."""

from __future__ import annotations

import math

import helices
import numpy as np
import pytest

from exatrkx.fitting.helix import Array, Crossings, derivatives, kinks
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracks import true_tracks

CASES = [
    # d0, z0 in m, φ0, κ in 1/m, τ
    (0.0, 0.0, 0.3, 0.6, 0.5),
    (0.002, -0.05, -2.5, -0.6, -3.0),
    (-0.05, 0.1, 3.1, 2.0, 1.0),
    (0.01, 0.02, 1.0, 0.0, 0.4),
    (0.0, 0.0, 0.0, 1e-7, 0.0),
]


def column(case: tuple[float, ...]) -> Array:
    return np.array(case, dtype=np.float64)[:, None]


def place(helix: Array, arc: Array) -> tuple[Array, ...]:
    """x, y, z [n,1] after these arcs."""
    d0, z0, phi, kappa, tau = helix
    turn = kappa * arc
    chord = arc * np.sinc(turn / 2 / np.pi)
    middle = phi + turn / 2
    return -d0 * np.sin(phi) + chord * np.cos(middle), d0 * np.cos(phi) + chord * np.sin(middle), z0 + tau * arc


@pytest.mark.parametrize("case", CASES)
def test_arcs_are_found_and_points_on_the_helix_have_no_distance(case: tuple[float, ...]) -> None:
    arc = np.linspace(-0.1, 1.2, 14)[:, None]
    x, y, _ = place(column(case), arc)
    at = Crossings.of(column(case), x, y)
    np.testing.assert_allclose(at.arc, arc, atol=1e-12)
    np.testing.assert_allclose(at.distance, 0.0, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_distance_is_that_of_the_closest_point(case: tuple[float, ...]) -> None:
    helix = column(case)
    walked = np.linspace(-0.5, 2.0, 250_001)[:, None]
    px, py, _ = place(helix, walked)
    for x, y in ((0.5, 0.1), (-0.3, 0.4), (0.05, -0.02)):
        at = Crossings.of(helix, np.array([[x]]), np.array([[y]]))
        if 0.0 < at.arc < 1.5:
            assert abs(at.distance[0, 0]) == pytest.approx(np.hypot(px - x, py - y).min(), abs=1e-9)
            left = at.phi[0] * (y - place(helix, at.arc)[1]) - at.phi[1] * (x - place(helix, at.arc)[0])
            assert at.distance[0, 0] == pytest.approx(left[0, 0], abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_the_residuals(case: tuple[float, ...]) -> None:
    helix, arc = column(case), np.array([[0.03], [0.3], [1.0]])
    x, y, z = place(helix, arc)
    left, up = derivatives(helix, Crossings.of(helix, x, y))
    cos_dip = 1.0 / math.sqrt(1.0 + case[4] ** 2)
    for parameter in range(5):
        moved = []
        for step in (1e-6, -1e-6):
            other = helix.copy()
            other[parameter] += step
            at = Crossings.of(other, x, y)
            moved.append(np.stack((at.distance, cos_dip * (z - other[1] - at.arc * other[4]))))
        numeric = -(moved[0] - moved[1]) / 2e-6
        np.testing.assert_allclose(left[parameter], numeric[0], atol=1e-7)
        np.testing.assert_allclose(up[parameter], numeric[1], atol=1e-7)


@pytest.mark.parametrize("case", CASES[:3])
def test_a_kink_is_another_helix_through_the_same_point(case: tuple[float, ...]) -> None:
    """Turn a particle at a point of its way, and see where it seems to come from."""
    helix, settings = column(case), FitSettings()
    pt = settings.bending / abs(case[3])
    charge = -math.copysign(1.0, case[3])
    start = np.array([p[0, 0] for p in place(helix, np.zeros((1, 1)))]) * 1e3
    momentum = pt * np.array([math.cos(case[2]), math.sin(case[2]), case[4]])
    arc = 0.4
    there, then = helices.along(start, momentum, charge, arc * 1e3 * math.hypot(1.0, case[4]))
    phi, dip, p = math.atan2(then[1], then[0]), math.atan(case[4]), np.linalg.norm(then)
    found = kinks(helix, Crossings.of(helix, *(np.array([[one * 1e-3]]) for one in there[:2])))
    for kind, changed in enumerate(((1e-6, 0.0), (0.0, 1e-6))):
        seen = []
        for sign in (1.0, -1.0):
            f, d = phi + sign * changed[0], dip + sign * changed[1]
            turned = p * np.array([math.cos(d) * math.cos(f), math.cos(d) * math.sin(f), math.sin(d)])
            (track,) = true_tracks(there[:, None], turned[:, None], np.array([charge]), settings)
            kappa = -charge * settings.bending / track["pt"]
            seen.append(
                np.array([track["d0"] * 1e-3, track["z0"] * 1e-3, track["phi"], kappa, math.sinh(track["eta"])])
            )
        numeric = (seen[0] - seen[1]) / 2e-6
        np.testing.assert_allclose(found[kind][:, 0, 0], numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("field", [2.0, -3.8])
def test_a_particle_from_anywhere_is_seen_at_the_beam_line(field: float) -> None:
    random = np.random.default_rng(3)
    number = 12
    beam = (1.5, -0.7)
    place_ = random.normal(scale=(20.0, 20.0, 50.0), size=(number, 3)).T
    momentum = random.normal(scale=2.0, size=(number, 3)).T
    charge = random.choice([-1.0, 1.0, -2.0], number)
    seen = true_tracks(place_, momentum, charge, FitSettings(field=field, beam=beam))
    for k in range(number):
        length = np.linspace(-120.0, 120.0, 481)
        for _ in range(4):
            walked = [helices.along(place_[:, k], momentum[:, k], charge[k], float(one), field) for one in length]
            near = int(np.argmin([math.hypot(w[0][0] - beam[0], w[0][1] - beam[1]) for w in walked]))
            if not 0 < near < len(length) - 1:  # farther away than was walked
                break
            length = np.linspace(length[near - 1], length[near + 1], 41)
        else:
            where, p = walked[near]
            phi = math.atan2(p[1], p[0])
            d0 = -math.sin(phi) * (where[0] - beam[0]) + math.cos(phi) * (where[1] - beam[1])
            assert seen["d0"][k] == pytest.approx(d0, abs=1e-6)
            assert seen["z0"][k] == pytest.approx(where[2], abs=1e-3)
            assert math.remainder(seen["phi"][k] - phi, math.tau) == pytest.approx(0.0, abs=1e-5)
            assert seen["charge"][k] == np.sign(charge[k])
