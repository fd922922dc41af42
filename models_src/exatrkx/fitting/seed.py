"""Circle fit that helix fits start from, in closed form, and the straight line of z against its arc length.

Source: V. Karimäki, NIM A 305 (1991) 187, about the mean of the points and with equal weights.
"""

from __future__ import annotations

import numpy as np

from exatrkx.fitting.helix import D0, KAPPA, PHI, TAU, Z0, Array, Crossings, turned


def seed(x: Array, y: Array, z: Array, weight: Array, precision: Array) -> Array:
    """[5,T] helices near to [n,T] points, as `exatrkx.fitting.helix` has them; not finite where there is none.

    Args:
        x: of the points in m, told from the beam line.
        y: the same.
        z: the same.
        weight: 1 for a point, 0 for none.
        precision: of each point's z.
    """
    number = weight.sum(axis=0)
    helix = _perigee(x, y, weight, number)
    back = (Crossings.of(helix, x, y).arc * weight).sum(axis=0) < 0.0  # particles fly away from the beam
    helix[D0, back] *= -1.0
    helix[PHI, back] += np.pi
    helix[KAPPA, back] *= -1.0
    arc = Crossings.of(helix, x, y).arc
    total = precision.sum(axis=0)
    mean_arc, mean_z = (precision * arc).sum(axis=0) / total, (precision * z).sum(axis=0) / total
    spread = precision * (arc - mean_arc)
    helix[TAU] = (spread * (z - mean_z)).sum(axis=0) / (spread * (arc - mean_arc)).sum(axis=0)
    helix[Z0] = mean_z - helix[TAU] * mean_arc
    return helix


def _perigee(x: Array, y: Array, weight: Array, number: Array) -> Array:
    """Circles of T tracks, moved from the means of their points to the beam line."""
    middle_x, middle_y = (x * weight).sum(axis=0) / number, (y * weight).sum(axis=0) / number
    dx, dy = (x - middle_x) * weight, (y - middle_y) * weight
    square = dx**2 + dy**2

    def moment(one: Array, other: Array) -> Array:
        mean: Array = (one * other).sum(axis=0) / number
        return mean

    mean_square = square.sum(axis=0) / number
    off = (square - mean_square) * weight
    xs, ys, ss = moment(dx, off), moment(dy, off), moment(off, off)
    ss = np.maximum(ss, np.finfo(np.float64).tiny)
    first = ss * moment(dx, dy) - xs * ys
    second = ss * (moment(dx, dx) - moment(dy, dy)) - xs**2 + ys**2
    phi = np.arctan2(2.0 * first, second) / 2.0
    bend = (np.sin(phi) * xs - np.cos(phi) * ys) / ss
    offset = -bend * mean_square
    root = np.sqrt(np.maximum(1.0 - 4.0 * offset * bend, 0.0))
    kappa, d = -2.0 * bend / root, -2.0 * offset / (1.0 + root)
    cosine, sine = np.cos(phi), np.sin(phi)
    at_x, at_y = middle_x - d * sine, middle_y + d * cosine
    cos_turn, sin_turn, distance = turned(kappa, -(at_x * cosine + at_y * sine), at_x * sine - at_y * cosine)
    helix = np.zeros((5, x.shape[1]))
    helix[D0], helix[PHI], helix[KAPPA] = -distance, phi + np.arctan2(sin_turn, cos_turn), kappa
    return helix
