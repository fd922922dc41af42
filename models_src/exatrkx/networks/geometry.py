"""Geometry of hits, edges and triplets: what the networks derive from the contract's columns (r/1000, φ/π, z/1000).

No quantity here jumps where φ does, at ±π, and those of the edges do not depend on which of the two spacepoints has
the larger index: an edge is read outwards, from the spacepoint that is nearer to the detector's centre.

A segment is an edge as a piece of a track: the helix from the beam line through its two spacepoints. A triplet is a
pair of edges of which one begins where the other ends. An edge by itself can be anything; two edges that are one track
agree in curvature, polar angle and intercept, within the resolution and the scattering in the material. That is the
strongest evidence there is short of a fit.

Tables have a row for each entry, which a gather reads at once; what is computed of them has a row for each quantity,
which is written where the next layer reads it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor  # at run time too: TorchScript evaluates the annotations

from exatrkx.networks import tables


def node_table(features: Tensor) -> Tensor:
    """[N,3] -> [N,8]: the table of nodes with the columns named in `exatrkx.networks.tables`.

    The first four, r, z, η and tanh η, are the networks' features of a spacepoint. They are without φ: the detector
    looks the same from all around.
    """
    r, z, phi = features[:, 0], features[:, 2], features[:, 1] * math.pi
    eta = torch.asinh(z / r.clamp(min=tables.SMALLEST_R))  # pseudorapidity as seen from the detector's centre
    distance = r.square() + z.square()
    x, y = r * torch.cos(phi), r * torch.sin(phi)
    return torch.stack((r, z, eta, torch.tanh(eta), features[:, 1], distance, x, y), dim=1)


def outwards(distance: Tensor, edge_index: Tensor) -> Tensor:
    """[N], [2,E] -> [2,E]: each edge's two spacepoints, the one nearer to the detector's centre first."""
    row, col = edge_index[0], edge_index[1]
    row_is_inner = distance.index_select(0, row) < distance.index_select(0, col)
    return torch.stack((torch.where(row_is_inner, row, col), torch.where(row_is_inner, col, row)))


def inside_window(r: Tensor, phi: Tensor, edge_index: Tensor) -> Tensor:
    """[N] r in m, [N] φ/π, [2,E] -> [E] bool: can it be a track, by curvature, `LARGEST_CURVATURE` at most?"""
    row, col = edge_index[0], edge_index[1]
    dphi = phi.index_select(0, row).sub_(phi.index_select(0, col)).abs_()
    dphi = torch.minimum(dphi, 2.0 - dphi)
    step = r.index_select(0, row).sub_(r.index_select(0, col)).abs_().clamp_(min=tables.SMALLEST_R)
    return dphi <= step.mul_(tables.LARGEST_CURVATURE / math.pi)


def asinh_of_magnitude(x: Tensor) -> Tensor:
    """Magnitude of asinh x; `torch.asinh` goes number by number on a CPU, these operations work on many at once."""
    x = x.abs()
    return torch.log1p(x + x * (x / (torch.hypot(x, torch.ones_like(x[..., :1])) + 1.0)))


def edge_features(start: Tensor, end: Tensor) -> Tensor:
    """[8,E], [8,E] columns of the inner and the outer node -> [16,E]: what edge networks see of an edge.

    The features of the two nodes, then differences, curvature and longitudinal intercept of the pair.

    Source: the doublet quantities of Ju et al., Eur. Phys. J. C 81 (2021) 876, with both slopes compressed by asinh.
    """
    found = start.new_empty((tables.NUM_EDGE_INPUTS, start.size(1)))
    nodes = tables.NUM_NODE_FEATURES
    found[:nodes] = start[:nodes]
    found[nodes : 2 * nodes] = end[:nodes]
    pair = found[2 * nodes :]  # Δr, Δz, Δη, Δφ, tanh 10 Δφ, curvature, intercept, length
    torch.sub(found[nodes : 2 * nodes - 1], found[: nodes - 1], out=pair[:3])
    dr, dz = pair[0], pair[1]
    dphi = end[tables.PHI] - start[tables.PHI]
    torch.sub(dphi, torch.round(dphi / 2.0), alpha=2.0, out=pair[3])  # in units of π: the short way round
    torch.tanh(pair[3] * 10.0, out=pair[4])  # most edges have |Δφ| < 0.1 π: resolve them
    step = torch.where(dr >= 0, dr.clamp(min=tables.SMALLEST_R), dr.clamp(max=-tables.SMALLEST_R))
    torch.mul(pair[3] / step, math.pi / tables.CURVATURE_SCALE, out=pair[5])
    torch.div(found[tables.Z] - found[tables.R] * dz / step, tables.VERTEX_SCALE, out=pair[6])
    torch.copysign(asinh_of_magnitude(pair[5:7]), pair[5:7], out=pair[5:7])
    torch.sqrt(dr.square() + dz.square(), out=pair[7])
    return found


def segments(start: Tensor, end: Tensor) -> Tensor:
    """[8,E], [8,E] columns of the inner and the outer node -> [9,E]: the columns of segments, in m and rad.

    Direction of the chord in the transverse plane (x, y), its length there, signed curvature 1/R of the circle through
    the beam line and both spacepoints, polar angle against the beam along the arc, z where the helix began, the polar
    angle's sine, the chord's logarithm, and the radius at which the segment ends.
    """
    found = start.new_empty((tables.NUM_SEGMENT_COLUMNS, start.size(1)))
    x, y, r = start[tables.X], start[tables.Y], start[tables.R].clamp(min=tables.SMALLEST_R)
    dx, dy, dz = end[tables.X] - x, end[tables.Y] - y, end[tables.Z] - start[tables.Z]
    chord = found[tables.CHORD]
    torch.clamp((dx.square() + dy.square()).sqrt(), min=tables.SHORTEST_CHORD, out=chord)
    torch.div(dx, chord, out=found[tables.DIRECTION_X])
    torch.div(dy, chord, out=found[tables.DIRECTION_Y])
    # By the law of sines: the chord is 2R sin(Δφ), and the cross product r₁ r₂ sin(Δφ).
    cross = x * end[tables.Y] - y * end[tables.X]
    curvature = found[tables.CURVATURE]
    torch.div(2.0 * cross, chord * r * end[tables.R].clamp(min=tables.SMALLEST_R), out=curvature)
    arc = _arc(chord, curvature)
    torch.atan2(arc, dz, out=found[tables.POLAR_ANGLE])
    intercept = start[tables.Z] - dz / arc * _arc(r, curvature)
    torch.clamp(intercept, -tables.FARTHEST_INTERCEPT, tables.FARTHEST_INTERCEPT, out=found[tables.INTERCEPT])
    torch.sin(found[tables.POLAR_ANGLE], out=found[tables.SINE])
    torch.log(chord, out=found[tables.LOG_CHORD])
    found[tables.END_RADIUS] = end[tables.R]
    return found


def _arc(chord: Tensor, curvature: Tensor) -> Tensor:
    """Length of the arc over a chord, 2R asin(chord / 2R), by the first terms of its series."""
    x2 = (0.5 * chord * curvature).square().clamp(max=1.0)
    return chord * (1.0 + x2 * (1.0 / 6.0 + x2 * (3.0 / 40.0 + x2 * (15.0 / 336.0))))


def triplet_features(first: Tensor, second: Tensor) -> Tensor:
    """[9,T], [9,T] columns of the inner and the outer segment -> [14,T]: how far the two agree, and at which scales."""
    found = first.new_empty((tables.NUM_TRIPLET_FEATURES, first.size(1)))
    cosine = found[13]
    ax, ay, bx, by = (
        first[tables.DIRECTION_X],
        first[tables.DIRECTION_Y],
        second[tables.DIRECTION_X],
        second[tables.DIRECTION_Y],
    )
    torch.add(ax * bx, ay * by, out=cosine)
    a, b = first[tables.CHORD], second[tables.CHORD]
    whole = (a.square() + b.square() + 2.0 * a * b * cosine).clamp(min=tables.SHORTEST_CHORD**2).sqrt()
    mean = 0.5 * (first[tables.CURVATURE] + second[tables.CURVATURE])
    # The circle through all three spacepoints knows nothing of the beam line.
    free = 2.0 * (ax * by - ay * bx) / whole
    torch.div(second[tables.CURVATURE] - first[tables.CURVATURE], tables.CURVATURE_STEP, out=found[4])
    torch.div(free - mean, tables.CURVATURE_STEP, out=found[5])
    torch.div(second[tables.POLAR_ANGLE] - first[tables.POLAR_ANGLE], tables.POLAR_STEP, out=found[6])
    torch.div(second[tables.INTERCEPT] - first[tables.INTERCEPT], tables.INTERCEPT_STEP, out=found[7])
    found[8] = mean
    magnitude = asinh_of_magnitude(found[4:9])
    torch.copysign(magnitude[:4], found[4:8], out=found[:4])
    found[4:9] = magnitude
    found[9] = first[tables.LOG_CHORD]
    found[10] = second[tables.LOG_CHORD]
    found[11] = first[tables.END_RADIUS]
    found[12] = first[tables.SINE]
    return found


def by_inner_node(inner: Tensor, nodes: Tensor, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Edges that leave each node, the one with the highest score first.

    Shapes:
        inner, score: [E].
        nodes: [N], of any type; only its length counts.
        returns: [E] edges, node after node; [N] where those of a node begin; [N] how many they are.
    """
    best = torch.argsort(score, descending=True)
    edges = best.index_select(0, torch.argsort(inner.index_select(0, best), stable=True))
    leaving = torch.zeros_like(nodes, dtype=torch.int64).index_add(0, inner, torch.ones_like(inner))
    return edges, torch.cumsum(leaving, dim=0) - leaving, leaving


def continuations(outer: Tensor, begin: Tensor, leaving: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Every edge with the edges that go on from its outer spacepoint, at most `most`, those with the highest score.

    The bound keeps memory in proportion to the edges, whatever the graph.

    Shapes:
        outer: [E], of all edges or of a block of them.
        begin, leaving: [N] of `by_inner_node`.
        returns: ([T], [T]) INT64: of each triplet the first edge, and the place of the second in `by_inner_node`.
    """
    count = leaving.index_select(0, outer).clamp(max=most)  # [E]
    first = torch.repeat_interleave(count)  # [T]
    shift = begin.index_select(0, outer) - (torch.cumsum(count, dim=0) - count)  # [E]
    return first, torch.arange(first.size(0), device=first.device) + shift.index_select(0, first)
