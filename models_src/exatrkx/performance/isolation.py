"""Isolation of particles: the angular distance to the nearest other one that leaves a track, small in cores of jets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from exatrkx.events.truth import require_truth
from exatrkx.performance.selection import leaves_track

if TYPE_CHECKING:
    from exatrkx.events.event import Event, FloatArray
    from exatrkx.events.truth import BoolArray

_ROWS: Final = 256
"""Particles that are compared with all others at once, so that the distances stay in a few megabytes."""


def distance_to_nearest(event: Event, particles: BoolArray) -> FloatArray:
    """[K] ΔR = √(Δη² + Δφ²) from each chosen particle to the nearest other that leaves a track, by their momenta.

    Others are all that have at least `LEAVES_A_TRACK` spacepoints, of any momentum, vertex and η. Infinite where there
    is no other, NaN for a particle without a direction.

    Args:
        event: with truth.
        particles: [P] the K chosen ones of its particles.

    Raises:
        ValueError: the event has no truth.

    Source: the distance ΔR to the nearest track against which CMS's validation of its tracking (MultiTrackValidator)
    shows efficiencies, with simulated particles for the tracks; charged particles' angular separation in jet cores is
    what ATLAS's figures on dense environments are about (Eur. Phys. J. C 77 (2017) 673).
    """
    truth = require_truth(event)
    eta, phi = truth.particles.eta.astype(np.float64), np.arctan2(truth.particles.py, truth.particles.px)
    chosen = np.flatnonzero(particles)
    others = np.flatnonzero(leaves_track(event) & np.isfinite(eta))
    nearest = np.full(len(chosen), np.inf, dtype=np.float32)
    nearest[~np.isfinite(eta[chosen])] = np.nan
    for first in range(0, len(chosen) if len(others) else 0, _ROWS):
        rows = chosen[first : first + _ROWS, None]
        turn = np.abs(phi[rows] - phi[others])
        distance = np.hypot(eta[rows] - eta[others], np.minimum(turn, 2.0 * np.pi - turn))
        distance[rows == others] = np.inf
        nearest[first : first + _ROWS] = distance.min(axis=1)
    return nearest
