"""The fit against SciPy's least squares of the same tracks, written as a particle that is walked through its kinks."""

from __future__ import annotations

import math
from itertools import pairwise

import helices
import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import brentq, least_squares

from exatrkx.events.readers import read_events
from exatrkx.events.truth import require_truth
from exatrkx.fitting.tracker import GENERIC, scattering_angle
from exatrkx.fitting.tracks import fit_tracks
from exatrkx.project_files import project_files

Array = npt.NDArray[np.float64]


class Surface:
    """A plane through a spacepoint, parallel to the beam or across it; or a tube without one."""

    def __init__(self, point: Array | None, radius: float = 0.0, thickness: float = 0.0) -> None:
        self.point, self.radius, self.thickness = point, radius, thickness
        self.scatters = True
        if point is None:
            return
        r = math.hypot(point[0], point[1])
        region = GENERIC.region_of(np.array([r]))
        self.barrel = bool(GENERIC.in_barrel(region, point[2:])[0])
        across, along = GENERIC.resolution(region, np.array([self.barrel]))
        self.sigma = float(across[0]), float(along[0])
        self.thickness = float(GENERIC.thickness(region, np.array([self.barrel]))[0])
        outward = np.array([point[0] / r, point[1] / r, 0.0])
        upward = np.array([0.0, 0.0, 1.0])
        self.normal, second = (outward, upward) if self.barrel else (upward, outward)
        self.axes = np.array([[-outward[1], outward[0], 0.0], second])

    def gap(self, place: Array) -> float:
        if self.point is None:
            return math.hypot(place[0], place[1]) - self.radius
        return float(self.normal @ (place - self.point))

    def slant(self, place: Array, momentum: Array) -> float:
        normal = np.array([*place[:2], 0.0]) / math.hypot(*place[:2]) if self.point is None else self.normal
        return abs(float(normal @ momentum)) / float(np.linalg.norm(momentum))


def walk(values: Array, surfaces: list[Surface], charge: float) -> tuple[list[tuple[Array, Array]], list[float]]:
    """Where a particle meets each surface, and the angles by which it may be scattered there."""
    d0, z0, phi, tau, q_over_pt = values[:5]
    pt = charge / q_over_pt
    place = np.array([-d0 * math.sin(phi), d0 * math.cos(phi), z0])
    momentum = pt * np.array([math.cos(phi), math.sin(phi), tau])
    met, angles = [], []
    for number, surface in enumerate(surfaces):
        reach = 60.0
        while surface.gap(place) * surface.gap(helices.along(place, momentum, charge, reach)[0]) > 0.0 and reach < 4e3:
            reach *= 1.25
        start = (place, momentum)

        def gap(length: float, start: tuple[Array, Array] = start, surface: Surface = surface) -> float:
            return surface.gap(helices.along(*start, charge, length)[0])

        place, momentum = helices.along(place, momentum, charge, brentq(gap, 0.0, reach, xtol=1e-10))
        met.append((place, momentum))
        p = float(np.linalg.norm(momentum))
        thickness = surface.thickness / surface.slant(place, momentum) if surface.scatters else 0.0
        angles.append(float(scattering_angle(np.array(thickness), np.array(1.0 / p))))
        kick = values[5 + 2 * number : 7 + 2 * number]
        direction = momentum / p
        side = np.cross([0.0, 0.0, 1.0], direction)
        side /= np.linalg.norm(side)
        turned = direction + math.tan(kick[0]) * side + math.tan(kick[1]) * np.cross(direction, side)
        momentum = p * turned / np.linalg.norm(turned)
    return met, angles


def residuals_of(values: Array, surfaces: list[Surface], charge: float, angles: list[float]) -> Array:
    """Distances on each plane and kinks, all by their standard deviations."""
    met, _ = walk(values, surfaces, charge)
    found = [
        (surface.axes @ (place - surface.point)) / surface.sigma
        for surface, (place, _p) in zip(surfaces, met, strict=True)
        if surface.point is not None
    ]
    return np.concatenate([*found, values[5:] / np.maximum(np.repeat(angles, 2), 1e-12)])


@pytest.mark.parametrize("case", [(3.0, 0.2, 1), (1.0, 0.6, -1), (0.7, 1.8, 1), (1.5, 2.2, -1)])
def test_the_same_minimum_and_the_same_errors(case: tuple[float, float, int]) -> None:
    points, charge = particle(*case)
    x, y, z = points.T
    (fit,) = fit_tracks(x, y, z, np.zeros(len(points), dtype=np.int64))

    surfaces = [Surface(point) for point in points]
    for inner, outer in pairwise(zip(surfaces, points, strict=True)):
        inner[0].scatters = float(np.linalg.norm(outer[1] - inner[1])) > GENERIC.overlap
    surfaces += [Surface(None, radius, thickness) for radius, thickness in GENERIC.tubes]
    surfaces.sort(key=lambda one: one.radius if one.point is None else math.hypot(*one.point[:2]))
    found = np.array([fit["d0"], fit["z0"], fit["phi"], math.sinh(fit["eta"]), fit["charge"] / fit["pt"]])
    start = np.concatenate((found, np.zeros(2 * len(surfaces))))
    _, angles = walk(start, surfaces, charge)
    secant = math.cosh(fit["eta"])
    our_errors = np.array(
        [
            *(fit[f"{name}_error"] for name in ("d0", "z0", "phi")),
            fit["eta_error"] * secant,
            fit["pt_error"] / fit["pt"] ** 2,
        ]
    )
    scale = np.concatenate((our_errors, np.maximum(np.repeat(angles, 2), 1e-9)))

    def residuals(steps: Array) -> Array:
        return residuals_of(start + steps * scale, surfaces, charge, angles)

    def jacobian(steps: Array) -> Array:
        here = residuals(steps)
        return np.stack([(residuals(steps + step) - here) / 1e-3 for step in 1e-3 * np.eye(len(steps))], axis=1)

    away = np.zeros(len(start))
    away[:5] = 2.0, -2.0, 2.0, -2.0, 2.0  # it must find the minimum by itself
    best = least_squares(residuals, away, jacobian, method="lm", xtol=1e-6)
    errors = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))[:5]
    assert fit["chi2"] == pytest.approx(2.0 * best.cost, rel=0.02, abs=0.02)
    np.testing.assert_allclose(best.x[:5], 0.0, atol=0.05)  # in our errors
    np.testing.assert_allclose(errors, 1.0, rtol=0.03)


def particle(low_pt: float, low_eta: float, charge: int) -> tuple[Array, int]:
    """Spacepoints [n,3] of the first one with its pT and |η| little above these, and its charge."""
    for event in read_events(project_files().events):
        p, labels = require_truth(event).particles, helices.true_labels(event, fewest=9)
        chosen = (p.pt > low_pt) & (p.pt < 1.5 * low_pt) & (p.charge == charge) & (p.vr < 5.0)
        chosen &= (abs(p.eta) > low_eta) & (abs(p.eta) < low_eta + 0.3) & np.isin(abs(p.pdg), (13, 211))
        chosen &= np.isin(np.arange(len(p)), labels)
        if chosen.any():
            points = np.stack((event.x, event.y, event.z), axis=1)[labels == chosen.argmax()].astype(np.float64)
            return points[np.argsort(np.linalg.norm(points, axis=1))], charge
    raise AssertionError("no such particle")
