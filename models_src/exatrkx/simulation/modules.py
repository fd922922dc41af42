"""Modules of the Generic detector: identifiers, places, axes and bounds of its sensitive surfaces, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import acts
import numpy as np
import numpy.typing as npt

from exatrkx.simulation.resolution import VOLUMES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """The M modules by rising identifier; lengths in mm.

    Attributes:
        surface: [M] ACTS's identifier of each, an object.
        identifier: [M] the same as a number.
        volume: [M] of the detector.
        centre: [M,3] global position.
        axes: [M,2,3] unit vectors of its two local axes.
        half: [M,3] half widths along the first axis at the lower and at the upper end of the second, and half length
            along the second: a rectangle has two equal ones, a trapezoid has not.
        thickness: [M] of the silicon.
    """

    surface: list[Any]
    identifier: npt.NDArray[np.uint64]
    volume: IntArray
    centre: FloatArray
    axes: FloatArray
    half: FloatArray
    thickness: FloatArray

    @classmethod
    def of(cls, geometry: Any) -> Modules:
        """The modules of an ACTS tracking geometry."""
        context = acts.GeometryContext.dangerouslyDefaultConstruct()
        found = sorted(
            (
                (identifier, surface)
                for identifier, surface in geometry.geoIdSurfaceMap().items()
                if identifier.sensitive and identifier.volume in VOLUMES
            ),
            key=lambda pair: int(pair[0].value),
        )
        places = np.asarray([_places(surface, context) for _, surface in found])
        return cls(
            surface=[identifier for identifier, _ in found],
            identifier=np.asarray([identifier.value for identifier, _ in found], dtype=np.uint64),
            volume=np.asarray([identifier.volume for identifier, _ in found], dtype=np.int64),
            centre=places[:, 0],
            axes=places[:, 1:] - places[:, :1],
            half=np.asarray([_half(surface.bounds) for _, surface in found]),
            thickness=np.asarray([surface.thickness for _, surface in found]),
        )

    def __len__(self) -> int:
        return len(self.identifier)

    def position(self, module: IntArray, local: FloatArray) -> FloatArray:
        """[K,3] global positions of [K,2] local ones on these modules."""
        return self.centre[module] + self.displacement(module, local)

    def displacement(self, module: IntArray, local: FloatArray) -> FloatArray:
        """[K,3] global vectors of [K,2] local ones on these modules."""
        vectors: FloatArray = np.einsum("ka,kax->kx", local, self.axes[module])
        return vectors

    def local(self, module: IntArray, position: FloatArray) -> FloatArray:
        """[K,2] local positions of [K,3] global ones on these modules."""
        along: FloatArray = np.einsum("kx,kax->ka", position - self.centre[module], self.axes[module])
        return along

    def anywhere(self, module: IntArray, random: np.random.Generator) -> FloatArray:
        """[K,2] local positions on these modules, uniform over their areas."""
        low, high, length = self.half[module].T
        second = random.uniform(-1.0, 1.0, len(module))
        # Widths at v and −v add to the same everywhere: choosing between the two by them makes the area uniform.
        second *= np.where(random.random(len(module)) < _width(low, high, second) / (low + high), 1.0, -1.0)
        first = random.uniform(-1.0, 1.0, len(module)) * _width(low, high, second)
        return np.stack((first, second * length), axis=1)


def _width(low: FloatArray, high: FloatArray, second: FloatArray) -> FloatArray:
    """Half width at a second coordinate from −1, at the lower end, to 1."""
    return (low * (1.0 - second) + high * (1.0 + second)) / 2.0


def _places(surface: Any, context: Any) -> list[list[float]]:
    """Centre, and the points 1 mm along each local axis from there."""
    normal = acts.Vector3(0, 0, 1)
    points = [surface.localToGlobal(context, acts.Vector2(*local), normal) for local in ((0, 0), (1, 0), (0, 1))]
    return [[point[axis] for axis in range(3)] for point in points]


def _half(bounds: Any) -> tuple[float, float, float]:
    values = list(bounds.values())
    if isinstance(bounds, acts.TrapezoidBounds):
        return values[0], values[1], values[2]
    return values[2], values[2], values[3]
