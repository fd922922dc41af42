"""What the networks derive from the contract's three columns (r/1000, φ/π, z/1000).

No quantity here jumps where φ does, at ±π, and those of the edges do not depend on which of the two spacepoints has
the larger index: an edge is read outwards, from the spacepoint that is nearer to the detector's centre.
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
