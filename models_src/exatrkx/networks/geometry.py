"""Geometry of hits, edges and triplets: what the networks derive from the contract's columns (r/1000, φ/π, z/1000).

No quantity here jumps where φ does, at ±π, and those of the edges do not depend on which of the two spacepoints has
the larger index: an edge is read outwards, from the spacepoint that is nearer to the detector's centre.

A segment is an edge as a piece of a track: the helix from the beam line through its two spacepoints. A triplet is a
pair of edges of which one begins where the other ends. An edge by itself can be anything; two edges that are one track
agree in curvature, polar angle and intercept, within the resolution and the scattering in the material. That is the
strongest evidence there is short of a fit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

NUM_NODE_FEATURES: Final = 4
NUM_EDGE_FEATURES: Final = 8

SMALLEST_R: Final = 1e-3
"""1 mm in the columns' unit; slopes are taken over at least this much of r, so that none is infinite."""

CURVATURE_SCALE: Final = 0.3
"""Δφ/Δr, in rad/m, of a particle of pT = 1 GeV in 2 T: 0.15 · B / pT."""

VERTEX_SCALE: Final = 0.1
"""Spread of the collisions along the beam, in m, to the nearest power of ten."""


def _eta(features: Tensor) -> Tensor:
    """[N] pseudorapidity of each spacepoint as seen from the detector's centre."""
    return torch.asinh(features[:, 2] / features[:, 0].clamp(min=SMALLEST_R))


def node_features(features: Tensor) -> Tensor:
    """[N,3] -> [N,4]: r, z, η and tanh η. Without φ: the detector looks the same from all around."""
    eta = _eta(features)
    return torch.stack((features[:, 0], features[:, 2], eta, torch.tanh(eta)), dim=1)


def outwards(features: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """([E], [E]): of each edge's two spacepoints, the one nearer to the detector's centre, and the other."""
    distance = features[:, 0].square() + features[:, 2].square()
    row, col = edge_index[0], edge_index[1]
    row_is_inner = distance.index_select(0, row) < distance.index_select(0, col)
    return torch.where(row_is_inner, row, col), torch.where(row_is_inner, col, row)


def edge_features(features: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """[N,3], [E], [E] -> [E,8]: differences, curvature and longitudinal intercept of the pair.

    Source: the doublet quantities of Ju et al., Eur. Phys. J. C 81 (2021) 876, with both slopes compressed by asinh.
    """
    table = torch.stack((features[:, 0], features[:, 1], features[:, 2], _eta(features)), dim=1)
    start, end = table.index_select(0, inner), table.index_select(0, outer)  # [E,4] each
    delta = end - start
    dr, dz, deta = delta[:, 0], delta[:, 2], delta[:, 3]
    dphi = delta[:, 1] - 2.0 * torch.round(delta[:, 1] / 2.0)  # in units of π: the short way round
    step = torch.where(dr >= 0, dr.clamp(min=SMALLEST_R), dr.clamp(max=-SMALLEST_R))
    z0 = start[:, 2] - start[:, 0] * dz / step
    curvature = math.pi * dphi / step
    return torch.stack(
        (
            dr,
            dz,
            deta,
            dphi,
            torch.tanh(10.0 * dphi),  # most edges have |Δφ| < 0.1 π: resolve them
            torch.asinh(curvature / CURVATURE_SCALE),
            torch.asinh(z0 / VERTEX_SCALE),
            (dr.square() + dz.square()).sqrt(),
        ),
        dim=1,
    )


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


NUM_TRIPLET_FEATURES: Final = 14

CURVATURE_STEP: Final = 0.02
POLAR_STEP: Final = 0.002
INTERCEPT_STEP: Final = 0.001
"""Differences, in 1/m, rad and m, at which the scale turns from linear to logarithmic: the resolution at best."""


def continuations(inner: Tensor, outer: Tensor, nodes: Tensor, score: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Every edge with the edges that go on from its outer spacepoint, at most `most`, those with the highest score.

    The bound keeps memory in proportion to the edges, whatever the graph.

    Shapes:
        inner, outer, score: [E].
        nodes: [N], of any type; only its length counts.
        returns: ([T], [T]) INT64: indices of the first and of the second edge of each triplet.
    """
    best = torch.argsort(score, descending=True)
    by_inner = best.index_select(0, torch.argsort(inner.index_select(0, best), stable=True))
    leaving = torch.zeros_like(nodes, dtype=torch.int64).index_add(0, inner, torch.ones_like(inner))  # [N]
    begin = torch.cumsum(leaving, dim=0) - leaving  # [N] -> place in by_inner
    count = leaving.index_select(0, outer).clamp(max=most)  # [E]
    first = torch.repeat_interleave(_places(count), count)  # [T]
    shift = begin.index_select(0, outer) - (torch.cumsum(count, dim=0) - count)  # [E]
    place = _places(first) + shift.index_select(0, first)
    return first, by_inner.index_select(0, place)


def triplet_features(first: Tensor, second: Tensor, radius: Tensor) -> Tensor:
    """[T,6], [T,6], [T] -> [T,14]: how far the two agree, and the scales of the differences.

    Args:
        first: `exatrkx.networks.geometry.segments` of the inner edge.
        second: of the outer one.
        radius: of the spacepoint between them, in m.
    """
    cross = first[:, DIRECTION_X] * second[:, DIRECTION_Y] - first[:, DIRECTION_Y] * second[:, DIRECTION_X]
    cosine = first[:, DIRECTION_X] * second[:, DIRECTION_X] + first[:, DIRECTION_Y] * second[:, DIRECTION_Y]
    a, b = first[:, CHORD], second[:, CHORD]
    whole = (a.square() + b.square() + 2.0 * a * b * cosine).clamp(min=SHORTEST_CHORD**2).sqrt()
    mean = 0.5 * (first[:, CURVATURE] + second[:, CURVATURE])
    # The circle through all three spacepoints knows nothing of the beam line.
    free = 2.0 * cross / whole
    differences = torch.stack(
        (
            (second[:, CURVATURE] - first[:, CURVATURE]) / CURVATURE_STEP,
            (free - mean) / CURVATURE_STEP,
            (second[:, POLAR_ANGLE] - first[:, POLAR_ANGLE]) / POLAR_STEP,
            (second[:, INTERCEPT] - first[:, INTERCEPT]) / INTERCEPT_STEP,
        ),
        dim=1,
    )
    differences = torch.asinh(differences)  # [T,4]
    sine = torch.sin(first[:, POLAR_ANGLE])
    scales = torch.stack((torch.asinh(mean).abs(), torch.log(a), torch.log(b), radius, sine, cosine), dim=1)  # [T,6]
    return torch.cat((differences, differences.abs(), scales), dim=1)


def _places(of: Tensor) -> Tensor:
    """0, 1, 2, … for each entry; unlike `torch.arange`, without a device that tracing would write down."""
    return torch.cumsum(torch.ones_like(of), dim=0) - 1
