"""Helix in a solenoid field: arc lengths, residuals and derivatives, none of which is singular for a straight track.

A helix is [5,T]: d0, z0, φ0, κ and τ = tan λ of T tracks, at the point closest to the beam line (the perigee); φ0 is
the direction there, κ = dφ/ds the signed curvature in the transverse plane, d0 > 0 where the beam line is to the right,
as ACTS has it. Lengths are in m, so that all parameters are of one order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

D0, Z0, PHI, KAPPA, TAU = range(5)


def turned(kappa: Array, along: Array, across: Array) -> tuple[Array, Array, Array]:
    """Closest points on circles through the origin.

    Args:
        kappa: signed curvature.
        along: coordinate of each point along the circle's direction at the origin.
        across: its coordinate to the left of that.

    Returns:
        Cosine and sine of the angle by which the circle has turned up to there, and the point's distance from it, to
        the left positive.
    """
    cosine, sine = 1.0 - kappa * across, kappa * along
    norm = np.hypot(cosine, sine)
    distance = (2.0 * across - kappa * (along**2 + across**2)) / (1.0 + norm)
    return cosine / norm, sine / norm, distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """Where T helices come closest to their n points each; every array is [n,T].

    Attributes:
        cosine, sine: of the angle `turn` from the perigee.
        turn: from the perigee; of a track that curls between −¼ and ¾ of a turn of its direction of flight.
        arc: length in the transverse plane.
        distance: of the point from the track across the beam, to the left positive.
        phi: direction of the track there, as cosine and sine.
    """

    cosine: Array
    sine: Array
    turn: Array
    arc: Array
    distance: Array
    phi: tuple[Array, Array]

    @classmethod
    def of(cls, helix: Array, x: Array, y: Array) -> Self:
        """Those closest to [n,T] points across the beam, which are told from the beam line."""
        d0, phi, kappa = helix[D0], helix[PHI], helix[KAPPA]
        cos0, sin0 = np.cos(phi), np.sin(phi)
        along = x * cos0 + y * sin0
        across = y * cos0 - x * sin0 - d0
        cosine, sine, distance = turned(kappa, along, across)
        turn = np.arctan2(sine, cosine)
        turn = np.where(turn * np.sign(kappa) < -np.pi / 2.0, turn + np.copysign(2.0 * np.pi, kappa), turn)
        near = np.abs(turn) < 1.0  # 1 − κ·across is the ratio of radii, so that along / ratio is sin(turn) / κ
        ratio = np.hypot(1.0 - kappa * across, kappa * along)
        with np.errstate(divide="ignore", invalid="ignore"):
            arc = np.where(near, along / ratio / np.sinc(turn / np.pi), turn / kappa)
        direction = (cos0 * cosine - sin0 * sine, sin0 * cosine + cos0 * sine)
        return cls(cosine=cosine, sine=sine, turn=turn, arc=arc, distance=distance, phi=direction)


def derivatives(helix: Array, at: Crossings) -> tuple[Array, Array]:
    """[5,n,T] derivatives of a track's place by its parameters, in the two directions across the track.

    Returns:
        To the left in the transverse plane; and upwards in the plane of the track and z.
    """
    d0, tau, s = helix[D0], helix[TAU], at.arc
    cos_dip = 1.0 / np.sqrt(1.0 + tau**2)
    sin_dip = tau * cos_dip
    half = np.sinc(at.turn / (2.0 * np.pi)) ** 2 / 2.0  # (1 − cos a) / a²
    zero, one = np.zeros_like(s), np.ones_like(s)
    left = (at.cosine, zero, d0 * at.sine + s * np.sinc(at.turn / np.pi), s**2 * half, zero)
    forward = (at.sine, zero, s * at.turn * half - d0 * at.cosine, s**2 * _lag(at.turn), zero)
    rises = (zero, one, zero, zero, s)
    up = [cos_dip * rise - sin_dip * step for rise, step in zip(rises, forward, strict=True)]
    return np.stack(left), np.stack(up)


def kinks(helix: Array, at: Crossings) -> tuple[Array, Array]:
    """[5,n,T] changes of the parameters that are the same as kinks: what a track has behind a kink is a helix of these.

    Of two kinds, of 1 rad each: of φ, at a fixed dip; and of the dip, at a fixed momentum.
    """
    d0, kappa, tau, s = helix[D0], helix[KAPPA], helix[TAU], at.arc
    half = np.sinc(at.turn / (2.0 * np.pi)) ** 2 / 2.0
    ratio = 1.0 + kappa * d0
    chord = s * np.sinc(at.turn / np.pi)
    zero = np.zeros_like(s)
    of_phi = (-chord, -tau * (s * at.turn * half + d0) / ratio, at.cosine / ratio, zero, zero)
    longer = s * tau * (np.sinc(at.turn / np.pi) / ratio - 1.0)
    secant = zero + (1.0 + tau**2)
    of_dip = (
        s**2 * half * kappa * tau,
        -s * secant - tau * longer,
        -chord * kappa * tau / ratio,
        zero + kappa * tau,
        secant,
    )
    return np.stack(of_phi), np.stack(of_dip)


def _lag(turn: Array) -> Array:
    """(a − sin a) / a² of an angle a."""
    near = np.abs(turn) < 0.1  # noqa: PLR2004 - where the next term of the series is 1e-11
    with np.errstate(divide="ignore", invalid="ignore"):
        far = (turn - np.sin(turn)) / turn**2
    return np.where(near, turn / 6.0 * (1.0 - turn**2 / 20.0 * (1.0 - turn**2 / 42.0)), far)
