"""Geometry of hits, edges and triplets: what the networks derive from the contract's columns (r/1000, φ/π, z/1000).

No quantity here jumps where φ does, at ±π, and those of the edges do not depend on which of the two spacepoints has
the larger index: an edge is read outwards, from the spacepoint that is nearer to the detector's centre.

A segment is an edge as a piece of a track: the helix from the beam line through its two spacepoints. A triplet is a
pair of edges of which one begins where the other ends. An edge by itself can be anything; two edges that are one track
agree in curvature, polar angle and intercept, within the resolution and the scattering in the material. That is the
strongest evidence there is short of a fit.

Tables, and what is computed of them, have a row for each quantity: numbers side by side are of one kind, and are read,
computed and written many at a time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor  # at run time too: TorchScript evaluates the annotations

from exatrkx.networks import tables
from exatrkx.networks.tables import on_gpu


def node_table(features: Tensor, columns: int = tables.NUM_NODE_COLUMNS) -> Tensor:
    """[N,3] -> [8,N]: the table of nodes with the quantities named in `exatrkx.networks.tables`, or the first of them.

    The first four, r, z, η and tanh η, are the networks' features of a spacepoint. They are without φ: the detector
    looks the same from all around.
    """
    r, z = features[:, 0], features[:, 2]
    eta = torch.asinh(z / r.clamp(min=tables.SMALLEST_R))  # pseudorapidity as seen from the detector's centre
    found = [r, z, eta, torch.tanh(eta)]
    if columns > tables.PHI:
        squares = features.square()
        found += [features[:, 1], squares[:, 0] + squares[:, 2]]
    if columns > tables.X:
        found += on_circle(r, features[:, 1] * math.pi)
    return torch.stack(found)


def on_circle(radius: Tensor, phi: Tensor) -> list[Tensor]:
    """Coordinates x and y of points at this radius and azimuth."""
    if on_gpu(radius):
        point = torch.polar(radius, phi)
        return [torch.real(point), torch.imag(point)]
    return [radius * torch.cos(phi), radius * torch.sin(phi)]


def outwards(distance: Tensor, edge_index: Tensor) -> Tensor:
    """[N], [2,E] -> [2,E]: each edge's two spacepoints, the one nearer to the detector's centre first."""
    distances = distance.take(edge_index)
    return torch.where(distances[0] < distances[1], edge_index, edge_index.flip(0))


def inside_window(r: Tensor, phi: Tensor, edge_index: Tensor) -> Tensor:
    """[N] r in m, [N] φ/π, [2,E] -> [E] bool: can it be a track, by curvature, `LARGEST_CURVATURE` at most?"""
    row, col = edge_index[0], edge_index[1]
    dphi = phi.index_select(0, row).sub_(phi.index_select(0, col)).abs_()
    dphi = torch.minimum(dphi, 2.0 - dphi)
    step = r.index_select(0, row).sub_(r.index_select(0, col)).abs_().clamp_(min=tables.SMALLEST_R)
    return dphi <= step.mul_(tables.LARGEST_CURVATURE / math.pi)


def asinh_of_magnitude(x: Tensor) -> Tensor:
    """Magnitude of asinh x; on a CPU `torch.asinh` goes number by number, these operators work on many at once."""
    x = x.abs()
    if on_gpu(x):
        return torch.asinh(x)
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
    dr, dphi = pair[0], pair[3]
    torch.sub(end[tables.PHI], start[tables.PHI], out=dphi)
    dphi.sub_(torch.round(dphi * 0.5), alpha=2.0)  # in units of π: the short way round
    torch.tanh(dphi * 10.0, out=pair[4])  # most edges have |Δφ| < 0.1 π: resolve them
    slope = pair[1:4:2] / torch.copysign(dr.abs().clamp_(min=tables.SMALLEST_R), dr)  # of z and φ
    torch.mul(slope[1], math.pi / tables.CURVATURE_SCALE, out=pair[5])
    torch.addcmul(found[tables.Z], found[tables.R], slope[0], value=-1.0, out=pair[6]).div_(tables.VERTEX_SCALE)
    torch.copysign(asinh_of_magnitude(pair[5:7]), pair[5:7], out=pair[5:7])
    torch.hypot(dr, pair[1], out=pair[7])
    return found


def segments(start: Tensor, end: Tensor) -> Tensor:
    """[8,E], [8,E] columns of the inner and the outer node -> [12,E]: the columns of segments, in m and rad.

    Direction of the chord in the transverse plane (x, y), its length there, signed curvature 1/R of the circle through
    the beam line and both spacepoints, polar angle against the beam along the arc, z where the helix began, the polar
    angle's sine, the chord's logarithm, and the radius at which the segment ends; for `may_be_one_track` curvature and
    polar angle in the largest steps, and 1 / chord.
    """
    found = start.new_empty((tables.NUM_SEGMENT_COLUMNS, start.size(1)))
    r, z = start[tables.R].clamp(min=tables.SMALLEST_R), start[tables.Z]
    direction, chord, curvature = found[: tables.CHORD], found[tables.CHORD], found[tables.CURVATURE]
    polar, intercept = found[tables.POLAR_ANGLE], found[tables.INTERCEPT]
    torch.sub(end[tables.X :], start[tables.X :], out=direction)
    torch.hypot(direction[0], direction[1], out=chord).clamp_(min=tables.SHORTEST_CHORD)
    direction.div_(chord)
    # By the law of sines: the chord is 2R sin(Δφ), and the cross product r₁ r₂ sin(Δφ).
    cross = torch.addcmul(start[tables.X] * direction[1], start[tables.Y], direction[0], value=-1.0).mul_(2.0)
    torch.div(cross, end[tables.R].clamp(min=tables.SMALLEST_R).mul_(r), out=curvature)
    arc = _arc(torch.stack((chord, r)), curvature)  # of the segment, and of the way to where it begins
    dz = end[tables.Z] - z
    torch.atan2(arc[0], dz, out=polar)
    torch.addcmul(z, dz.div_(arc[0]), arc[1], value=-1.0, out=intercept)
    intercept.clamp_(-tables.FARTHEST_INTERCEPT, tables.FARTHEST_INTERCEPT)
    torch.sin(polar, out=found[tables.SINE])
    torch.log(chord, out=found[tables.LOG_CHORD])
    found[tables.END_RADIUS] = end[tables.R]
    torch.div(curvature, tables.LARGEST_CURVATURE_STEP, out=found[tables.KINK])
    torch.div(polar, tables.LARGEST_POLAR_STEP, out=found[tables.KINK + 1])
    torch.reciprocal(chord, out=found[tables.KINK + 2])
    return found


def _arc(chord: Tensor, curvature: Tensor) -> Tensor:
    """Length of the arc over a chord, 2R asin(chord / 2R), by the first terms of its series."""
    x2 = (chord * curvature).square_().mul_(0.25).clamp_(max=1.0)
    series = (x2 * (15.0 / 336.0)).add_(3.0 / 40.0).mul_(x2).add_(1.0 / 6.0).mul_(x2).add_(1.0)
    return series.mul_(chord)


def may_be_one_track(first: Tensor, second: Tensor) -> Tensor:
    """[3,…], [3,…] last columns of the inner and the outer segment -> […] bool: do they agree at all?

    Where they do not, the triplets' network need not look: two fifths of them in a crowded event.
    """
    steps = (second[:2] - first[:2]).abs_()
    return torch.maximum(steps[0], steps[1]) <= first[2] + second[2]


def triplet_features(first: Tensor, second: Tensor) -> Tensor:
    """[12,T], [12,T] columns of the inner and the outer segment -> [14,T]: how far the two agree, and at which scales.

    Shapes that broadcast do, too: [12,1,E] for one inner segment and [12,most,E] for those that go on from it.
    """
    found = second.new_empty([tables.NUM_TRIPLET_FEATURES] + list(second[0].size()))  # noqa: RUF005 - TorchScript unpacks none
    ax, ay = first[tables.DIRECTION_X], first[tables.DIRECTION_Y]
    bx, by = second[tables.DIRECTION_X], second[tables.DIRECTION_Y]
    a, b = first[tables.CHORD], second[tables.CHORD]
    cosine, minus_mean = found[13], found[8]  # of the latter the magnitude alone is left
    torch.mul(ax, bx, out=cosine).addcmul_(ay, by)
    whole = (a * b).mul_(cosine).mul_(2.0).addcmul_(a, a).addcmul_(b, b).clamp_(min=tables.SHORTEST_CHORD**2).sqrt_()
    torch.mul(first[tables.CURVATURE] + second[tables.CURVATURE], -0.5, out=minus_mean)
    # The circle through all three spacepoints knows nothing of the beam line.
    half_free = torch.addcmul(ax * by, ay, bx, value=-1.0).div_(whole)
    torch.sub(second[tables.CURVATURE], first[tables.CURVATURE], out=found[4])
    torch.add(minus_mean, half_free, alpha=2.0, out=found[5])
    found[4:6].div_(tables.CURVATURE_STEP)
    apart = found[6:8]  # polar angle and intercept
    torch.sub(second[tables.POLAR_ANGLE : tables.SINE], first[tables.POLAR_ANGLE : tables.SINE], out=apart)
    apart[0].div_(tables.POLAR_STEP)
    apart[1].div_(tables.INTERCEPT_STEP)
    magnitude = asinh_of_magnitude(found[4:9])
    torch.copysign(magnitude[:4], found[4:8], out=found[:4])
    found[4:9] = magnitude
    found[9:12:2] = first[tables.LOG_CHORD : tables.KINK]  # and the radius at its end
    found[10] = second[tables.LOG_CHORD]
    found[12] = first[tables.SINE]
    return found


def by_inner_node(inner: Tensor, nodes: Tensor, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Edges that leave each node, the one with the highest score first.

    Shapes:
        inner, score: [E].
        nodes: [N], of any type; only its length counts.
        returns: [E] edges, node after node; [N] where those of a node begin; [N] how many they are.
    """
    # One sort in place of one by score and one by node; in FP64 neither hides the other.
    order = inner.to(torch.float64) * (2.0 * tables.LARGEST_RANK) - score.clamp(
        -tables.LARGEST_RANK, tables.LARGEST_RANK
    )
    edges = torch.argsort(order, stable=True)
    leaving = torch.zeros_like(nodes, dtype=torch.int64).index_add(0, inner, torch.ones_like(inner))
    return edges, torch.cumsum(leaving, dim=0) - leaving, leaving


def continuations(outer: Tensor, begin: Tensor, leaving: Tensor, most: int, num_edges: int) -> tuple[Tensor, Tensor]:
    """Of every edge the edges that go on from its outer spacepoint, at most `most`, those with the highest score.

    The bound keeps memory in proportion to the edges, whatever the graph; and no size depends on how many there are.

    Shapes:
        outer: [E], of all edges or of a block of them.
        begin, leaving: [N] of `by_inner_node`.
        num_edges: of all blocks.
        returns: [most,E] place of the edge that goes on in `by_inner_node`, and [most,E] bool: is there one?
    """
    rank = torch.arange(most, device=outer.device).unsqueeze(1)
    place = (begin.index_select(0, outer) + rank).clamp_(max=max(0, num_edges - 1))
    return place, rank < leaving.index_select(0, outer)


def all_at_once(features: Tensor, num_edges: int) -> bool:
    """Whether there is room for all continuations that edges may have, on a GPU, which then need not say how many."""
    return on_gpu(features) and num_edges <= 50_000  # noqa: PLR2004 - TorchScript knows no name
