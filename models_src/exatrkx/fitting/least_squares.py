"""Least squares of helices: distances of spacepoints across the track, and the angles by which layers scatter it.

Spacepoints are ordered along their helix, and the parameters are those before all scattering. Minimised by
Gauss–Newton; the linear problem of each step is solved by `exatrkx.fitting.information_filter`, from the last
spacepoint to the first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.fitting.helix import D0, KAPPA, PHI, TAU, Z0, Array, Crossings, derivatives, kinks
from exatrkx.fitting.information_filter import PARAMETERS, add_measurement, add_noise, minimum
from exatrkx.fitting.seed import seed
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracker import Indices, scattering_angle

MM: Final = 1e-3
"""In m, in which the helices are."""

_ITERATIONS: Final = 10
_NEAR_ENOUGH: Final = 1e-3
"""Steps are ended by one shorter than the root of this, in standard deviations."""
_LEAST_ERROR: Final = 1e-6
"""m, of a coordinate along which a spacepoint does not measure the track at all, or without any error."""
_MOST_GRAZING: Final = 0.05
"""Least cosine of the angle between a track and the normal of a layer: none goes along it for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surfaces:
    """[n,T] what T tracks cross, in the order in which they do, in m from the beam line: spacepoints, and tubes.

    Attributes:
        x, y, z: of the spacepoint; where a tube is crossed.
        radial_x, radial_y: unit vector from the detector's axis to there.
        measured: 1 where there is a spacepoint, else 0.
        across, along: its standard deviations.
        barrel: whether the surface is parallel to the beam.
        thickness: in radiation lengths at a right angle.
        sizes: [T] how many a track crosses; those behind are none.
    """

    x: Array
    y: Array
    z: Array
    radial_x: Array
    radial_y: Array
    measured: Array
    across: Array
    along: Array
    barrel: npt.NDArray[np.bool_]
    thickness: Array
    sizes: Indices

    def of(self, tracks: npt.NDArray[np.intp]) -> _Surfaces:
        """Of some of the tracks."""
        return _Surfaces(**{field.name: getattr(self, field.name)[..., tracks] for field in fields(self)})


def fit_helices(points: Array, there: npt.NDArray[np.bool_], settings: FitSettings) -> tuple[Array, Array, Array]:
    """Parameters [5,T], covariances [5,5,T] and χ² [T] of tracks with [3,n,T] points in mm, longest first."""
    tracker = settings.tracker
    r = np.maximum(np.hypot(points[0], points[1]), _LEAST_ERROR)
    region = tracker.region_of(r)
    barrel = tracker.in_barrel(region, points[2])
    across, along = (one * MM for one in tracker.resolution(region, barrel))
    x, y, z = (points - np.array([*settings.beam, 0.0])[:, None, None]) * MM
    helix = seed(x, y, z, there.astype(np.float64), there / along**2)
    arc = np.where(there, Crossings.of(helix, x, y).arc, np.inf)
    spacepoints = (
        x,
        y,
        z,
        points[0] / r,
        points[1] / r,
        there,
        across,
        along,
        barrel,
        tracker.thickness(region, barrel),
        arc,
    )
    way = np.argsort(arc, axis=0, kind="stable")
    columns = [np.take_along_axis(column, way, axis=0) for column in spacepoints]
    gap = np.diff(columns[-1], axis=0, append=np.inf) * np.sqrt(1.0 + helix[TAU] ** 2)
    columns[-2] = np.where(gap < tracker.overlap * MM, 0.0, columns[-2])  # the next one has the layer's material
    for radius, thickness in tracker.tubes:
        of_tube = _tube(helix, radius * MM, thickness)
        columns = [np.concatenate((one, new[None])) for one, new in zip(columns, of_tube, strict=True)]
    way = np.argsort(columns[-1], axis=0, kind="stable")
    sorted_ = [np.take_along_axis(column, way, axis=0) for column in columns[:-1]]
    names = [field.name for field in fields(_Surfaces)][:-1]
    sizes = there.sum(axis=0) + len(tracker.tubes)
    return _minimise(helix, _Surfaces(**dict(zip(names, sorted_, strict=True)), sizes=sizes), settings)


def _tube(helix: Array, radius: float, thickness: float) -> tuple[Array, ...]:
    """Columns [T] of `_Surfaces`, and arc length, where tracks cross a tube; no material where one begins outside."""
    inside = np.abs(helix[D0]) < radius
    way = np.sqrt(np.where(inside, radius**2 - helix[D0] ** 2, 0.0))
    cosine, sine = np.cos(helix[PHI]), np.sin(helix[PHI])
    x, y = cosine * way - helix[D0] * sine, sine * way + helix[D0] * cosine
    none, r = np.zeros_like(x), np.maximum(np.hypot(x, y), _LEAST_ERROR)
    material = np.where(inside, thickness, 0.0)
    arc = Crossings.of(helix, x[None], y[None]).arc[0]
    unmeasured = (none, none + 1.0, none + 1.0, none == 0.0)
    return x, y, none, x / r, y / r, *unmeasured, material, np.where(np.isfinite(arc), arc, 0.0)


def _minimise(helix: Array, surfaces: _Surfaces, settings: FitSettings) -> tuple[Array, Array, Array]:
    """Gauss–Newton from seeds [5,T]; what does not come to rest is NaN."""
    tracks = helix.shape[1]
    covariance, chi2 = np.full((PARAMETERS, PARAMETERS, tracks), np.nan), np.full(tracks, np.nan)
    left = np.flatnonzero(np.isfinite(helix).all(axis=0))
    for _ in range(_ITERATIONS):
        if not len(left):
            break
        form = _linearised(helix[:, left], surfaces.of(left), settings)
        step, errors, least = minimum(form)
        length = np.einsum("it,ijt,jt->t", step, form[:PARAMETERS, :PARAMETERS], step)
        helix[:, left] += step
        rested = length < _NEAR_ENOUGH
        covariance[:, :, left[rested]], chi2[left[rested]] = errors[:, :, rested], least[rested]
        left = left[~rested & np.isfinite(step).all(axis=0)]
    return helix, covariance, chi2


def _linearised(helix: Array, surfaces: _Surfaces, settings: FitSettings) -> Array:
    """[6,6,T] the form to be minimised by a step of the parameters; see `exatrkx.fitting.information_filter`."""
    at = Crossings.of(helix, surfaces.x, surfaces.y)
    rows = _measurements(helix, surfaces, at)
    changes = _scatterings(helix, surfaces, at, settings)
    form = np.zeros((PARAMETERS + 1, PARAMETERS + 1, helix.shape[1]))
    for place in reversed(range(len(surfaces.x))):
        active = int(np.count_nonzero(surfaces.sizes > place))
        behind = int(np.count_nonzero(surfaces.sizes > place + 1))
        for change in changes:
            add_noise(form[:, :, :behind], change[:, place, :behind])
        for row in rows:
            add_measurement(form[:, :, :active], row[:, place, :active])
    return form


def _measurements(helix: Array, surfaces: _Surfaces, at: Crossings) -> tuple[Array, Array]:
    """[6,n,T] derivatives and residuals of two coordinates of each spacepoint across the track, by their errors.

    A spacepoint is measured on its module: along the beam in the barrel and along the radius in an endcap, and across.
    """
    cos_dip = 1.0 / np.sqrt(1.0 + helix[TAU] ** 2)
    sin_dip = helix[TAU] * cos_dip
    cosine, sine = at.phi
    outward = surfaces.radial_x * cosine + surfaces.radial_y * sine
    sideways = surfaces.radial_y * cosine - surfaces.radial_x * sine
    first = np.stack((outward, sin_dip * sideways)) * surfaces.across
    second = np.stack(
        (np.where(surfaces.barrel, 0.0, sideways), np.where(surfaces.barrel, cos_dip, -sin_dip * outward))
    )
    second *= surfaces.along
    left, up = derivatives(helix, at)
    rise = cos_dip * (surfaces.z - helix[Z0] - at.arc * helix[TAU])
    left, up = np.concatenate((left, at.distance[None])), np.concatenate((up, rise[None]))
    error = np.sqrt(first[0] ** 2 + second[0] ** 2 + _LEAST_ERROR**2)
    shared = (first[0] * first[1] + second[0] * second[1]) / error
    left *= surfaces.measured / error
    rest = np.sqrt(np.maximum(first[1] ** 2 + second[1] ** 2 - shared**2, 0.0) + _LEAST_ERROR**2)
    return left, (up - shared * left) * surfaces.measured / rest


def _scatterings(helix: Array, surfaces: _Surfaces, at: Crossings, settings: FitSettings) -> tuple[Array, Array]:
    """[5,n,T] changes of the parameters by the layer of each spacepoint, of one standard deviation."""
    tau = helix[TAU]
    secant = np.sqrt(1.0 + tau**2)
    outward = np.abs(surfaces.radial_x * at.phi[0] + surfaces.radial_y * at.phi[1])
    incidence = np.where(surfaces.barrel, outward, np.abs(tau)) / secant
    thickness = surfaces.thickness / np.maximum(incidence, _MOST_GRAZING)
    angle = scattering_angle(thickness, np.abs(helix[KAPPA]) / settings.bending / secant)
    of_phi, of_dip = kinks(helix, at)
    return of_phi * (angle * secant), of_dip * angle
