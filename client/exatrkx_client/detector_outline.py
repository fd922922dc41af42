"""Detector outline of event displays: cylinders and discs of the Generic detector, else a cylinder around all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from exatrkx.events.event import Event

Barrel = tuple[float, float]
"""Radius and half length of a cylinder about the beam axis, in mm."""

Disc = tuple[float, float, float]
"""Place along the beam axis, inner and outer radius, in mm."""

ON_A_LAYER_MM: Final = 15.0
"""How far from its layer's nominal place a spacepoint may be: modules are flat and overlap."""

_MOST: Final = 0.9


@dataclass(frozen=True, slots=True)
class Outline:
    """What is drawn of a detector.

    Attributes:
        barrels: cylinders about the beam axis.
        discs: rings across it.
    """

    barrels: tuple[Barrel, ...] = ()
    discs: tuple[Disc, ...] = ()


def _endcaps(places: tuple[float, ...], inner: float, outer: float) -> tuple[Disc, ...]:
    return tuple((side * z, inner, outer) for z in places for side in (-1.0, 1.0))


_STRIP_DISCS: Final = (1220.0, 1500.0, 1800.0, 2150.0, 2550.0, 2950.0)

GENERIC: Final = Outline(
    barrels=(
        *((r, 491.0) for r in (32.0, 72.0, 116.0, 172.0)),
        *((r, 1084.0) for r in (260.0, 360.0, 500.0, 660.0, 820.0, 1020.0)),
    ),
    discs=(
        *_endcaps((600.0, 700.0, 820.0, 960.0, 1100.0, 1300.0, 1500.0), 30.0, 176.0),
        *_endcaps(_STRIP_DISCS, 240.0, 700.0),
        *_endcaps(_STRIP_DISCS, 751.0, 1021.0),
    ),
)
"""ACTS's Generic detector, which is TrackML's."""


def outline_of(event: Event) -> Outline:
    """The Generic detector's where nearly all spacepoints lie on its layers, else a cylinder around all of them."""
    r, z = event.r, event.z
    known = np.isfinite(r) & np.isfinite(z)
    r, z = r[known], z[known]
    if not len(r):
        return Outline()
    near = np.zeros(len(r), dtype=np.bool_)
    for radius, half in GENERIC.barrels:
        near |= (np.abs(r - radius) < ON_A_LAYER_MM) & (np.abs(z) < half + ON_A_LAYER_MM)
    for place, inner, outer in GENERIC.discs:
        near |= (np.abs(z - place) < ON_A_LAYER_MM) & (r > inner - ON_A_LAYER_MM) & (r < outer + ON_A_LAYER_MM)
    if np.count_nonzero(near) >= _MOST * len(r):
        return GENERIC
    return Outline(barrels=((float(r.max()), float(np.abs(z).max())),))
