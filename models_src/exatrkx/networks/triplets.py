"""Triplets: pairs of edges of which one begins where the other ends, and what their geometry says about them.

An edge by itself can be anything; two edges that are one track agree in curvature, polar angle and intercept, within
the resolution and the scattering in the material. That is the strongest evidence there is short of a fit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from exatrkx.networks.segments import CHORD, CURVATURE, DIRECTION_X, DIRECTION_Y, INTERCEPT, POLAR_ANGLE, SHORTEST_CHORD

if TYPE_CHECKING:
    from torch import Tensor

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
    """[T,6], [T,6], [T] -> [T,14]: how far the two agree, and the scales on which that is to be judged.

    Args:
        first: `exatrkx.networks.segments.segments` of the inner edge.
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
