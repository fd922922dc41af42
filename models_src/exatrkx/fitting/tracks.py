"""Helix fit of track candidates: charge, pT, η, φ, d0 and z0 at the beam line, with their errors, and χ².

fits = fit_tracks(event.x, event.y, event.z, labels)
fits["pt"], fits["pt_error"]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.errors import ContractError
from exatrkx.fitting.helix import D0, KAPPA, PHI, TAU, Z0, Array, Crossings
from exatrkx.fitting.information_filter import PARAMETERS
from exatrkx.fitting.least_squares import MM, fit_helices
from exatrkx.fitting.settings import FitSettings
from exatrkx.fitting.tracker import Indices

VALUES: Final = ("pt", "eta", "phi", "d0", "z0")
TRACK_FIT: Final = np.dtype(
    [("label", "i8"), ("charge", "i1")]
    + [(name, "f8") for name in VALUES]
    + [(f"{name}_error", "f8") for name in VALUES]
    + [("chi2", "f8"), ("ndf", "i4")]
)
"""A candidate and its helix where it is closest to the beam line: pT in GeV, φ of the momentum in (−π, π], d0 and z0 in
mm, errors of one standard deviation. d0 > 0 where the beam line is to the right of the track, as ACTS has it. Without a
fit charge and ndf are 0 and all others NaN."""

TrackFits = npt.NDArray[np.void]

Numbers = npt.NDArray[np.float32] | npt.NDArray[np.float64]

FEWEST: Final = 3
"""Spacepoints of a fit: two coordinates each, and a helix has five parameters."""
MOST: Final = 128
"""Spacepoints of a fit: more than any particle leaves on its way out."""
STRAIGHTEST: Final = 1e6
"""Greatest pT in GeV that is told: a track without curvature has none."""

_AT_ONCE: Final = 1 << 13
"""Spacepoints that are worked on at once: so many stay in the cache."""


def fit_tracks(
    x: Numbers,
    y: Numbers,
    z: Numbers,
    labels: Indices,
    settings: FitSettings | None = None,
) -> TrackFits:
    """Fit a helix to each candidate of an event.

    Args:
        x: [N] of the spacepoints in mm.
        y: [N] the same.
        z: [N] the same.
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
            raise ContractError(f"{name}: expected the shape of the labels, {labels.shape}, found {one.shape}")
        if not np.isfinite(one).all():
            first = int((~np.isfinite(one)).argmax())
            raise ContractError(f"{name}: entries must be finite, found {one[first]:g} at spacepoint {first}")
    names, order, starts, sizes = _grouped(places, labels)
    fits = np.zeros(len(names), TRACK_FIT)
    for column in TRACK_FIT.names or ():
        if TRACK_FIT[column].kind == "f":
            fits[column] = np.nan
    fits["label"] = names
    with np.errstate(all="ignore"):  # what is on no helix is told by its numbers
        for chunk, most in _chunks(sizes):
            slot = np.arange(most)[:, None]
            there = slot < sizes[chunk]
            points = np.stack(places)[:, order[np.where(there, starts[chunk] + slot, 0)]]
            _write(fits, chunk, fit_helices(points, there, settings), sizes[chunk], settings)
    return fits


def _grouped(places: list[Array], labels: Indices) -> tuple[Indices, ...]:
    """Candidates, and each place of a spacepoint once, in an order that does not depend on that in which they came.

    Returns:
        [T] labels by rising number; spacepoints, those of one candidate after those of another; and [T] where each
        candidate's begin, and how many they are.
    """
    found = np.flatnonzero(labels >= 0)
    order = found[np.lexsort((*(one[found] for one in reversed(places)), labels[found]))]
    columns = np.stack([labels[order], *(one[order] for one in places)])
    order = order[np.append(True, (columns[:, 1:] != columns[:, :-1]).any(axis=0))[: len(order)]]
    names, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    return names, order, starts, sizes


def _chunks(sizes: Indices) -> Iterator[tuple[npt.NDArray[np.intp], int]]:
    """Candidates that can be fitted, the longest first, as many as are worked on at once; and the first one's size."""
    left = np.flatnonzero((sizes >= FEWEST) & (sizes <= MOST))
    left = left[np.argsort(-sizes[left], kind="stable")]
    while len(left):
        most = int(sizes[left[0]])
        now, left = np.split(left, [max(_AT_ONCE // most, 1)])
        yield now, most


def _write(
    fits: TrackFits,
    chunk: npt.NDArray[np.intp],
    found: tuple[Array, Array, Array],
    sizes: Indices,
    settings: FitSettings,
) -> None:
    """Put the fits that came to rest into their rows."""
    helix, covariance, chi2 = found
    good = np.isfinite(chi2) & np.isfinite(covariance).all(axis=(0, 1)) & np.isfinite(helix).all(axis=0)
    rows, helix = chunk[good], helix[:, good]
    error = np.sqrt(np.einsum("iit->it", covariance[:, :, good]))
    bending = settings.bending
    pt = bending / np.maximum(np.abs(helix[KAPPA]), bending / STRAIGHTEST)
    fits["charge"][rows] = np.where(helix[KAPPA] * settings.field > 0.0, -1, 1)
    values = {
        "pt": (pt, pt**2 * error[KAPPA] / bending),
        "eta": (np.arcsinh(helix[TAU]), error[TAU] / np.sqrt(1.0 + helix[TAU] ** 2)),
        "phi": (np.pi - np.mod(np.pi - helix[PHI], 2.0 * np.pi), error[PHI]),
        "d0": (helix[D0] / MM, error[D0] / MM),
        "z0": (helix[Z0] / MM, error[Z0] / MM),
    }
    for name, (value, its_error) in values.items():
        fits[name][rows], fits[f"{name}_error"][rows] = value, its_error
    fits["chi2"][rows], fits["ndf"][rows] = chi2[good], 2 * sizes[good] - PARAMETERS


def true_tracks(
    position: Numbers, momentum: Numbers, charge: Numbers, settings: FitSettings | None = None
) -> TrackFits:
    """What a perfect fit would give of P charged particles; without errors, χ² and label, which are 0.

    Args:
        position: [3,P] where they were produced, in mm.
        momentum: [3,P] there, in GeV.
        charge: [P] in units of e.
        settings: as of the fit.
    """
    settings = settings or FitSettings()
    x, y, z = (np.asarray(one, dtype=np.float64) * MM for one in position)
    x, y = x - settings.beam[0] * MM, y - settings.beam[1] * MM
    px, py, pz = (np.asarray(one, dtype=np.float64) for one in momentum)
    tracks = np.zeros(len(x), TRACK_FIT)
    with np.errstate(all="ignore"):  # a particle at rest, or one along the beam, has no such helix
        pt, phi = np.hypot(px, py), np.arctan2(py, px)
        tau, kappa = pz / pt, -np.sign(settings.field) * settings.bending * charge / pt
        # Seen from the particle, the beam line is a point beside its circle.
        helix = np.stack((np.zeros_like(x), np.zeros_like(x), phi, kappa, tau))
        at = Crossings.of(helix, -x[None], -y[None])
        tracks["charge"] = np.nan_to_num(np.sign(charge))
        tracks["pt"], tracks["eta"] = pt, np.arcsinh(tau)
        tracks["phi"] = np.arctan2(at.phi[1][0], at.phi[0][0])
        tracks["d0"], tracks["z0"] = -at.distance[0] / MM, (z + tau * at.arc[0]) / MM
    return tracks
