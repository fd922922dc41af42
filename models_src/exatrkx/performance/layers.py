"""Kinds of layers, by where a spacepoint is: pixels, short and long strips, each in barrel and endcaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from exatrkx.events.event import Event, IntArray

LAYER_KINDS: Final = tuple(
    f"{sensor} {part}" for sensor in ("pixel", "short strip", "long strip") for part in ("barrel", "endcap")
)

_MAX_RADII: Final = (215.0, 725.0)
"""Distance from the beam axis in mm up to which there are pixels, and from there short strips."""

_MAX_BARREL_Z: Final = (545.0, 1150.0, 1150.0)
"""|z| in mm up to which a sensor is in a barrel."""


def layer_kind(event: Event) -> IntArray:
    """[N] place in `LAYER_KINDS` of each spacepoint's layer, in the Generic detector, which is TrackML's.

    Events do not say in which volume a spacepoint is; this detector's volumes can be told apart by r and z. In another
    one the names mean these ranges of r and z.
    """
    sensor = np.searchsorted(_MAX_RADII, event.r)
    kind: IntArray = 2 * sensor + (np.abs(event.z) > np.asarray(_MAX_BARREL_Z)[sensor])
    return kind
