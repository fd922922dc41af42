"""Helix fit of track candidates: charge, pT, η, φ, d0 and z0 at the beam line, with their errors, and χ².

    fits = fit_tracks(event.x, event.y, event.z, labels)
    fits["pt"], fits["pt_error"]

A candidate's spacepoints are ordered along its helix, and the sum of squares is minimised (Gauss–Newton) of their
distances across the track, by resolution, and of the angles by which each layer in between scatters it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.errors import ContractError
from exatrkx.fitting.helix import D0, KAPPA, PHI, TAU, Z0, Array, Crossings, derivatives, kinks
from exatrkx.fitting.information_filter import PARAMETERS, add_measurement, add_noise, minimum
from exatrkx.fitting.seed import seed
from exatrkx.fitting.tracker import GENERIC, Tracker, scattering_angle

TRACK_FIT: Final = np.dtype(
    [("label", "i8"), ("charge", "i1")]
    + [(name, "f8") for name in ("pt", "eta", "phi", "d0", "z0")]
    + [(f"{name}_error", "f8") for name in ("pt", "eta", "phi", "d0", "z0")]
    + [("chi2", "f8"), ("ndf", "i4")]
)
"""A candidate and its helix where it is closest to the beam line: pT in GeV, φ of the momentum in (−π, π], d0 and z0 in
mm, errors of one standard deviation. d0 > 0 where the beam line is to the right of the track, as ACTS has it. Without a
fit charge and ndf are 0 and all others NaN."""

TrackFits = npt.NDArray[np.void]

FEWEST: Final = 3
"""Spacepoints of a fit: two coordinates each, and a helix has five parameters."""
MOST: Final = 128
"""Spacepoints of a fit: more than any particle leaves on its way out."""
STRAIGHTEST: Final = 1e6
"""Greatest pT in GeV that is told: a track without curvature has none."""
GEV_PER_TESLA_METRE: Final = 0.299792458

_ITERATIONS: Final = 10
_NEAR_ENOUGH: Final = 1e-3
"""Steps are ended by one shorter than the root of this, in standard deviations."""
_AT_ONCE: Final = 1 << 13
"""Spacepoints that are worked on at once: so many stay in the cache."""
_M: Final = 1e-3
_LEAST_ERROR: Final = 1e-6
"""m, of a coordinate along which a spacepoint does not measure the track at all, or without any error."""

_MOST_GRAZING: Final = 0.05
"""Least cosine of the angle at which a track crosses a layer: curved modules do not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """Where and in what the tracks are fitted.

    Attributes:
        field: of the solenoid in T, along z; negative where it points the other way.
        beam: x and y of the beam line in mm.
        tracker: its resolutions and material.

    Raises:
        ValueError: the field is zero or not finite, or the beam line is not.
    """

    field: float = GENERIC.field
    beam: tuple[float, float] = (0.0, 0.0)
    tracker: Tracker = GENERIC

    def __post_init__(self) -> None:
        if not np.isfinite(self.field) or self.field == 0.0:
            raise ValueError(f"field must be a number of T other than 0, found {self.field}")
        if not np.isfinite(self.beam).all():
            raise ValueError(f"the beam line's x and y must be finite, found {self.beam}")


def fit_tracks(
    x: npt.NDArray[np.floating],
    y: npt.NDArray[np.floating],
    z: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    settings: FitSettings | None = None,
) -> TrackFits:
    """Fit a helix to each candidate of an event.

    Args:
        x, y, z: [N] spacepoints in mm.
        labels: [N] the candidate of each, negative for none.
        settings: field, beam line and tracker; those of this project's simulation unless given.

    Returns:
        [T] of `TRACK_FIT`, by rising label. A candidate has no fit if it has fewer than `FEWEST` spacepoints at
        different places or more than `MOST`, or if they are on no helix.

    Raises:
        ContractError: a coordinate is not finite, or the arrays differ in length.
    """
    settings = settings or FitSettings()
    labels = np.asarray(labels)
    places = [np.asarray(one, dtype=np.float64) for one in (x, y, z)]
    for name, one in zip("xyz", places, strict=True):
        if one.shape != labels.shape:
            raise ContractError(f"{name}: expected one entry for each of {len(labels)} labels, found {one.shape}")
        if not np.isfinite(one).all():
            first = int((~np.isfinite(one)).argmax())
            raise ContractError(f"{name}: entries must be finite, found {one[first]:g} at spacepoint {first}")
    names, order, starts, sizes = _grouped(places, labels)
    fits = np.zeros(len(names), TRACK_FIT)
    for column in TRACK_FIT.names or ():
        if TRACK_FIT[column].kind == "f":
            fits[column] = np.nan
    fits["label"] = names
    for chunk, most in _chunks(sizes):
        slot = np.arange(most)[:, None]
        there = slot < sizes[chunk]
        points = np.stack(places)[:, order[np.where(there, starts[chunk] + slot, 0)]]
        _write(fits, chunk, *_fit(points, there, settings), sizes[chunk], settings)
    return fits


def _grouped(places: list[Array], labels: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.integer], ...]:
    """Labels by rising number; spacepoints, in an order that does not depend on that in which they came, those of one
    candidate after those of another, and each place once; and where each candidate's begin, and how many there are."""
    found = np.flatnonzero(labels >= 0)
    order = found[np.lexsort((*(one[found] for one in reversed(places)), labels[found]))]
    columns = np.stack([labels[order], *(one[order] for one in places)])
    order = order[np.append(True, (columns[:, 1:] != columns[:, :-1]).any(axis=0))[: len(order)]]
    names, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    return names, order, starts, sizes


def _chunks(sizes: npt.NDArray[np.integer]) -> Iterator[tuple[npt.NDArray[np.intp], int]]:
    """Candidates that can be fitted, the longest first, as many as are worked on at once; and the first one's size."""
    left = np.flatnonzero((sizes >= FEWEST) & (sizes <= MOST))
    left = left[np.argsort(-sizes[left], kind="stable")]
    while len(left):
        most = int(sizes[left[0]])
        now, left = np.split(left, [max(_AT_ONCE // most, 1)])
        yield now, most


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surfaces:
    """[n,T] what T tracks cross, in the order in which they do, in m from the beam line: spacepoints, and tubes.

    Attributes:
        x, y, z: of the spacepoint; where a tube is crossed.
        measured: 1 where there is a spacepoint, else 0.
        across, along: its standard deviations.
        barrel: whether the surface is parallel to the beam.
        thickness: in radiation lengths at a right angle.
        sizes: [T] how many a track crosses; those behind are none.
    """

    x: Array
    y: Array
    z: Array
    measured: Array
    across: Array
    along: Array
    barrel: npt.NDArray[np.bool_]
    thickness: Array
    sizes: npt.NDArray[np.integer]

    def of(self, tracks: npt.NDArray[np.intp]) -> _Surfaces:
        """Of some of the tracks."""
        return _Surfaces(**{field.name: getattr(self, field.name)[..., tracks] for field in fields(self)})


def _fit(points: Array, there: npt.NDArray[np.bool_], settings: FitSettings) -> tuple[Array, Array, Array]:
    """Parameters [5,T], covariances [5,5,T] and χ² [T] of tracks with [3,n,T] points in mm, longest first."""
    tracker = settings.tracker
    region = tracker.region_of(np.hypot(points[0], points[1]))
    barrel = tracker.in_barrel(region, points[2])
    across, along = (one * _M for one in tracker.resolution(region, barrel))
    x, y, z = (points - np.array([*settings.beam, 0.0])[:, None, None]) * _M
    helix = seed(x, y, z, there.astype(np.float64), there / along**2)
    with np.errstate(all="ignore"):  # a seed that is none is told from others by its numbers
        arc = np.where(there, Crossings.of(helix, x, y).arc, np.inf)
        spacepoints = (x, y, z, there, across, along, barrel, tracker.thickness(region, barrel), arc)
        way = np.argsort(arc, axis=0, kind="stable")
        columns = [np.take_along_axis(column, way, axis=0) for column in spacepoints]
        gap = np.diff(columns[-1], axis=0, append=np.inf) * np.sqrt(1.0 + helix[TAU] ** 2)
        columns[-2] = np.where(gap < tracker.overlap * _M, 0.0, columns[-2])  # the next one has the layer's material
        for radius, thickness in tracker.tubes:
            of_tube = _tube(helix, radius * _M, thickness)
            columns = [np.concatenate((one, new[None])) for one, new in zip(columns, of_tube, strict=True)]
        way = np.argsort(columns[-1], axis=0, kind="stable")
        sorted_ = [np.take_along_axis(column, way, axis=0) for column in columns[:-1]]
        names = [field.name for field in fields(_Surfaces)][:-1]
        sizes = there.sum(axis=0) + len(tracker.tubes)
        return _minimise(helix, _Surfaces(**dict(zip(names, sorted_, strict=True)), sizes=sizes), settings)


def _tube(helix: Array, radius: float, thickness: float) -> tuple[Array, ...]:
    """The columns of spacepoints [T] for where tracks cross a tube, and the arc length there; without any material
    where the track begins outside."""
    inside = np.abs(helix[D0]) < radius
    way = np.sqrt(np.where(inside, radius**2 - helix[D0] ** 2, 0.0))
    cosine, sine = np.cos(helix[PHI]), np.sin(helix[PHI])
    x, y = cosine * way - helix[D0] * sine, sine * way + helix[D0] * cosine
    none = np.zeros_like(x)
    material = np.where(inside, thickness, 0.0)
    arc = Crossings.of(helix, x[None], y[None]).arc[0]
    return x, y, none, none, none + 1.0, none + 1.0, none == 0.0, material, np.where(np.isfinite(arc), arc, 0.0)


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
    r = np.maximum(np.hypot(surfaces.x, surfaces.y), _LEAST_ERROR)
    cosine, sine = at.phi
    outward, sideways = (surfaces.x * cosine + surfaces.y * sine) / r, (surfaces.y * cosine - surfaces.x * sine) / r
    first = np.stack((outward, sin_dip * sideways)) * surfaces.across
    second = np.stack((np.where(surfaces.barrel, 0.0, sideways), np.where(surfaces.barrel, cos_dip, -sin_dip * outward))) * surfaces.along
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
    r = np.maximum(np.hypot(surfaces.x, surfaces.y), _LEAST_ERROR)
    outward = np.abs(surfaces.x * at.phi[0] + surfaces.y * at.phi[1]) / r
    incidence = np.where(surfaces.barrel, outward, np.abs(tau)) / secant
    thickness = surfaces.thickness / np.maximum(incidence, _MOST_GRAZING)
    angle = scattering_angle(thickness, _inverse_momentum(helix, settings))
    of_phi, of_dip = kinks(helix, at)
    return of_phi * (angle * secant), of_dip * angle


def _inverse_momentum(helix: Array, settings: FitSettings) -> Array:
    bending = GEV_PER_TESLA_METRE * abs(settings.field)
    inverse: Array = np.abs(helix[KAPPA]) / bending / np.sqrt(1.0 + helix[TAU] ** 2)
    return inverse


def _write(
    fits: TrackFits,
    chunk: npt.NDArray[np.intp],
    helix: Array,
    covariance: Array,
    chi2: Array,
    sizes: npt.NDArray[np.integer],
    settings: FitSettings,
) -> None:
    """Put the fits that came to rest into their rows."""
    good = np.isfinite(chi2) & np.isfinite(covariance).all(axis=(0, 1)) & np.isfinite(helix).all(axis=0)
    rows, helix = chunk[good], helix[:, good]
    error = np.sqrt(np.einsum("iit->it", covariance[:, :, good]))
    bending = GEV_PER_TESLA_METRE * abs(settings.field)
    pt = bending / np.maximum(np.abs(helix[KAPPA]), bending / STRAIGHTEST)
    fits["charge"][rows] = np.where(helix[KAPPA] * settings.field > 0.0, -1, 1)
    values = {
        "pt": (pt, pt**2 * error[KAPPA] / bending),
        "eta": (np.arcsinh(helix[TAU]), error[TAU] / np.sqrt(1.0 + helix[TAU] ** 2)),
        "phi": (np.pi - np.mod(np.pi - helix[PHI], 2.0 * np.pi), error[PHI]),
        "d0": (helix[D0] / _M, error[D0] / _M),
        "z0": (helix[Z0] / _M, error[Z0] / _M),
    }
    for name, (value, its_error) in values.items():
        fits[name][rows], fits[f"{name}_error"][rows] = value, its_error
    fits["chi2"][rows], fits["ndf"][rows] = chi2[good], 2 * sizes[good] - PARAMETERS
