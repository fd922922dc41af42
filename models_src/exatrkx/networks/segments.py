"""An edge as a piece of a track: the helix from the beam line through its two spacepoints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

from exatrkx.networks.geometry import SMALLEST_R

if TYPE_CHECKING:
    from torch import Tensor

DIRECTION_X: Final = 0
DIRECTION_Y: Final = 1
CHORD: Final = 2
CURVATURE: Final = 3
POLAR_ANGLE: Final = 4
INTERCEPT: Final = 5

SHORTEST_CHORD: Final = 1e-4
"""0.1 mm in m: what shorter chords are taken for, so that none has an infinite curvature."""

FARTHEST_INTERCEPT: Final = 3.0
"""In m, the detector's half length: what is farther away, or undefined, is as good as there."""


def segments(features: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """[N,3], [E], [E] -> [E,6]: the columns named above, lengths in m and angles in rad.

    Direction of the chord in the transverse plane (x, y), its length there, signed curvature 1/R of the circle through
    the beam line and both spacepoints, polar angle against the beam along the arc, and z where the helix began.
    """
    r, phi, z = features[:, 0], features[:, 1] * math.pi, features[:, 2]
    table = torch.stack((r * torch.cos(phi), r * torch.sin(phi), z, r.clamp(min=SMALLEST_R)), dim=1)
    start, end = table.index_select(0, inner), table.index_select(0, outer)  # [E,4] each
    delta = end - start
    chord = (delta[:, 0].square() + delta[:, 1].square()).sqrt().clamp(min=SHORTEST_CHORD)
    # By the law of sines: the chord is 2R sin(Δφ), and the cross product r₁ r₂ sin(Δφ).
    cross = start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]
    curvature = 2.0 * cross / (chord * start[:, 3] * end[:, 3])
    arc = _arc(chord, curvature)
    intercept = start[:, 2] - delta[:, 2] / arc * _arc(start[:, 3], curvature)
    return torch.stack(
        (
            delta[:, 0] / chord,
            delta[:, 1] / chord,
            chord,
            curvature,
            torch.atan2(arc, delta[:, 2]),
            intercept.clamp(-FARTHEST_INTERCEPT, FARTHEST_INTERCEPT),
        ),
        dim=1,
    )


def _arc(chord: Tensor, curvature: Tensor) -> Tensor:
    """Length of the arc over a chord, 2R asin(chord / 2R), by the first terms of its series."""
    x2 = (0.5 * chord * curvature).square().clamp(max=1.0)
    return chord * (1.0 + x2 * (1.0 / 6.0 + x2 * (3.0 / 40.0 + x2 * (15.0 / 336.0))))
