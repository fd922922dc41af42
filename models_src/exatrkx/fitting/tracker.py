"""Tracker description of a fit: resolution of spacepoints, and material that scatters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SOLENOID_FIELD: Final = 2.0
"""T along z, of this project's events."""

PIXEL_PITCH: Final = (0.050, 0.05625)
SHORT_STRIP_PITCH: Final = (0.080, 1.2)
LONG_STRIP_PITCH: Final = (0.120, 10.8)
"""Of the cells of the TrackML detector (arXiv:1904.06778) in mm: across, and along z or the radius."""

PION_MASS: Final = 0.13957
"""GeV; most tracks are those of pions, and of all the particle's properties only its speed counts here."""
_HIGHLAND_GEV: Final = 0.0136
_SLOWEST_GEV: Final = 0.05
"""No momentum below this is believed: it would never leave the beam pipe."""


@dataclass(frozen=True, slots=True)
class Region:
    """The modules within a range of r, in the barrel and in the endcaps.

    Attributes:
        max_r: in mm, where the next region begins.
        pitch: in mm, of cells across and along; resolutions are pitch / √12.
        barrel, endcap: thickness of a layer in radiation lengths, supports included, to a track that crosses it
            at a right angle.
        skew: standard deviation in rad of the angle between the strips of an endcap and the radius: those of a module
            are parallel to each other, and a spacepoint does not say where on its module it is.
    """

    max_r: float
    pitch: tuple[float, float]
    barrel: float
    endcap: float
    skew: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """What a fit has to know of the detector.

    Attributes:
        regions: by rising radius.
        barrel_z: |z| in mm below which modules are parallel to the beam, above which they are across it; one number
            for each region.
        tubes: radius in mm and thickness in radiation lengths of what scatters and measures nothing, such as the beam
            pipe.
        overlap: modules closer to each other than this along a track, in mm, are of one layer.
    """

    regions: tuple[Region, ...]
    barrel_z: tuple[float, ...]
    tubes: tuple[tuple[float, float], ...]
    overlap: float = 20.0

    def region_of(self, r: Array) -> Indices:
        """The number of the region of each radius in mm, of any shape."""
        inner: Indices = np.searchsorted([one.max_r for one in self.regions[:-1]], r)
        return inner

    def resolution(self, region: Indices, barrel: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
        """Standard deviations in mm across the radius, and along z in the barrel or along the radius in an endcap."""
        across, along = (np.array([one.pitch[axis] for one in self.regions]) / math.sqrt(12.0) for axis in (0, 1))
        askew = np.hypot(across, along * np.array([one.skew for one in self.regions]))
        return np.where(barrel, across[region], askew[region]), along[region]

    def in_barrel(self, region: Indices, z: Array) -> npt.NDArray[np.bool_]:
        """Whether the modules there are parallel to the beam."""
        parallel: npt.NDArray[np.bool_] = np.abs(z) < np.array(self.barrel_z)[region]
        return parallel

    def thickness(self, region: Indices, barrel: npt.NDArray[np.bool_]) -> Array:
        """Of the layers there in radiation lengths, at a right angle."""
        of_barrel, of_endcap = (np.array([getattr(one, name) for one in self.regions]) for name in ("barrel", "endcap"))
        return np.where(barrel, of_barrel[region], of_endcap[region])


GENERIC: Final = Tracker(
    regions=(
        Region(200.0, PIXEL_PITCH, barrel=0.0172, endcap=0.0172, skew=0.05),
        Region(725.0, SHORT_STRIP_PITCH, barrel=0.0235, endcap=0.0287, skew=0.035),
        Region(math.inf, LONG_STRIP_PITCH, barrel=0.0298, endcap=0.0402, skew=0.042),
    ),
    barrel_z=(545.0, 1150.0, 1150.0),
    tubes=((19.0, 0.0023), (200.0, 0.0051)),
)
"""The Generic detector of ACTS, of this project's events; thicknesses are those of its surfaces there."""


def scattering_angle(thickness: Array, inverse_momentum: Array) -> Array:
    """Standard deviation of the projected multiple-scattering angle in rad.

    Source: Highland's formula as in the Review of Particle Physics, for a pion.

    Args:
        thickness: along the track in radiation lengths; 0 does not scatter.
        inverse_momentum: 1/p in 1/GeV.
    """
    p = np.minimum(inverse_momentum, 1.0 / _SLOWEST_GEV)
    thick = np.maximum(thickness, 1e-9)
    angle = _HIGHLAND_GEV * p * np.sqrt(1.0 + (PION_MASS * p) ** 2) * np.sqrt(thick) * (1.0 + 0.038 * np.log(thick))
    return np.where(thickness > 0.0, np.maximum(angle, 0.0), 0.0)
