"""Local helix: a parabola in the transverse plane and a line in z, through a few neighbouring hits of a track.

Every sum and product is in the order of backends/exatrkx/stages/local_helix.hpp: both give the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from exatrkx.working_point import WorkingPoint

Reals = npt.NDArray[np.float64]
Number = Any
"""A float, or an array of them: the same arithmetic for one hit and for many."""

PIXEL_LENGTH: Final = 3.0
"""Of a pixel, along the beam to across."""
STRIP_TILT: Final = 0.1
"""Of strips on a disc to its radius: how much of them lies across a track."""
SHORTEST_CHORD: Final = 1e-3
"""mm"""
SINGULAR: Final = 1e-9
"""Of a determinant, relative to its first term."""


@dataclass(frozen=True, slots=True)
class LocalHelix:
    """A parabola in the transverse plane and a line in z along its arc, in mm.

    Attributes:
        origin: x, y, z of the hits' mean.
        direction: x, y of the unit vector from the first hit to the last.
        chord: their distance in the transverse plane.
        parabola: a, b, c of y = a + b x + c x², x along the chord and y across.
        line: z at the arc's beginning, and its slope.
        stretch: length of the track for its length in the transverse plane.
    """

    origin: tuple[float, float, float]
    direction: tuple[float, float]
    chord: float
    parabola: tuple[float, float, float]
    line: tuple[float, float] = (0.0, 0.0)
    stretch: float = 1.0

    @classmethod
    def fit(cls, hits: Reals) -> LocalHelix | None:
        """Least squares through [n,3] hits, n ≥ 3; None where they are on a line along the beam, or on two places."""
        points: list[list[float]] = hits.tolist()
        count = float(len(points))
        total = [0.0, 0.0, 0.0]
        for point in points:
            total = [sum_ + value for sum_, value in zip(total, point, strict=True)]
        origin = (total[0] / count, total[1] / count, total[2] / count)
        ux, uy = points[-1][0] - points[0][0], points[-1][1] - points[0][1]
        chord = math.sqrt(ux * ux + uy * uy)
        if not chord > SHORTEST_CHORD:
            return None
        direction = (ux / chord, uy / chord)
        parabola = _parabola(points, origin, direction, chord)
        if parabola is None:
            return None
        curve = cls(origin, direction, chord, parabola)
        line = curve._line(points)
        return None if line is None else replace(curve, line=line, stretch=math.sqrt(1.0 + line[1] * line[1]))

    def along(self, x: Number, y: Number) -> Number:
        """Position along the chord."""
        return (x - self.origin[0]) * self.direction[0] + (y - self.origin[1]) * self.direction[1]

    def across(self, x: Number, y: Number) -> Number:
        """Position across the chord."""
        return (y - self.origin[1]) * self.direction[0] - (x - self.origin[0]) * self.direction[1]

    def slope(self, along: Number) -> Number:
        _, b, c = self.parabola
        return b + 2.0 * c * along

    def distances(self, x: Number, y: Number, z: Number) -> tuple[Number, Number]:
        """Of points from the helix: in the transverse plane, and perpendicular to the track beside that."""
        a, b, c = self.parabola
        along = self.along(x, y)
        slope = self.slope(along)
        transverse = (self.across(x, y) - (a + along * (b + c * along))) / np.sqrt(1.0 + slope * slope)
        longitudinal = (z - (self.origin[2] + self.line[0] + self.line[1] * self._arc(along))) / self.stretch
        return transverse, longitudinal

    def spread(self, distance: Number, r: Number, cuts: WorkingPoint) -> tuple[Number, Number, Number]:
        """Variances in mm², transverse and longitudinal, at a distance along the chord from the nearest hit.

        The third is the standard deviation in mm of the coarse coordinate alone.

        Args:
            distance: in mm.
            r: how far that hit, or the place itself, is from the beam at most, in mm.
            cuts: the working point.
        """
        q, metres = distance / self.chord, r / 1000.0
        angle = cuts.scattering_length * 2.0 * abs(self.parabola[2]) / self.stretch
        scattered, strip = angle * distance * self.stretch, cuts.strip_resolution * (metres * metres)
        turned = STRIP_TILT * strip * abs(self.line[1]) / self.stretch
        t = cuts.hit_resolution * (1.0 + q * (4.0 + 6.0 * q))
        l = PIXEL_LENGTH * cuts.hit_resolution * (1.0 + 2.0 * q)  # noqa: E741 - beside t
        return t * t + scattered * scattered + turned * turned, l * l + scattered * scattered + strip * strip, strip

    def _arc(self, along: Number) -> Number:
        _, b, c = self.parabola
        return along * (1.0 + b * b / 2.0 + along * (b * c + along * (2.0 * c * c / 3.0)))

    def _line(self, points: list[list[float]]) -> tuple[float, float] | None:
        count = float(len(points))
        s1 = s2 = z0 = z1 = 0.0
        for x, y, height in points:
            s, z = self._arc(self.along(x, y)) / self.chord, height - self.origin[2]
            s1, s2, z0, z1 = s1 + s, s2 + s * s, z0 + z, z1 + s * z
        determinant = count * s2 - s1 * s1
        if not determinant > SINGULAR * count * s2:
            return None
        return (s2 * z0 - s1 * z1) / determinant, (count * z1 - s1 * z0) / determinant / self.chord


def _parabola(
    points: list[list[float]], origin: tuple[float, float, float], direction: tuple[float, float], chord: float
) -> tuple[float, float, float] | None:
    """Cramer's rule, with the cofactors of a symmetric matrix."""
    count, (ux, uy) = float(len(points)), direction
    x1 = x2 = x3 = x4 = y0 = y1 = y2 = 0.0
    for px, py, _ in points:
        dx, dy = px - origin[0], py - origin[1]
        x, y = (dx * ux + dy * uy) / chord, dy * ux - dx * uy
        x1, x2, x3, x4 = x1 + x, x2 + x * x, x3 + x * x * x, x4 + x * x * x * x
        y0, y1, y2 = y0 + y, y1 + x * y, y2 + x * x * y
    c00, c01, c02 = x2 * x4 - x3 * x3, x2 * x3 - x1 * x4, x1 * x3 - x2 * x2
    c11, c12, c22 = count * x4 - x2 * x2, x1 * x2 - count * x3, count * x2 - x1 * x1
    determinant = count * c00 + x1 * c01 + x2 * c02
    if not determinant > SINGULAR * count * x2 * x4:
        return None
    return (
        (c00 * y0 + c01 * y1 + c02 * y2) / determinant,
        (c01 * y0 + c11 * y1 + c12 * y2) / determinant / chord,
        (c02 * y0 + c12 * y1 + c22 * y2) / determinant / (chord * chord),
    )
