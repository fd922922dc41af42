"""Neighbour search: the fixed-radius near-neighbour graph in the metric space of the embedding."""

from __future__ import annotations

from exatrkx import checks
from exatrkx.arrays import Array, on_gpu
from exatrkx.contract import FRNN
from exatrkx.stages import cuda, native, reference


def fixed_radius_edges(embedding: Array, *, radius: float, max_neighbors: int, max_edges: int) -> Array:
    """The graph of spacepoints that are near in the embedding space.

    With d² the sum over the dimensions, in their order, of the squared FP64 differences of the FP32 coordinates, a
    pair is an edge when d² < radius² and for at least one of its ends fewer than `max_neighbors` other points are
    strictly closer than the other end is. So points that tie at the `max_neighbors`-th distance are all kept, and the
    graph depends on the order of the spacepoints by relabelling only.

    Args:
        embedding: [N,D] FP32, NumPy or CuPy; N ≥ 0, D ≥ 1.
        radius: in units of the embedding space.
        max_neighbors: cap on the nearest that each point keeps; a pair needs only one of its ends to keep it.
        max_edges: most edges that the graph may have.

    Returns:
        [2,E] INT64 on the embedding's device: each pair once, row 0 > row 1, sorted by row 0, then by row 1.

    Raises:
        ContractError: the embedding is not FP32 [N,D], or has a NaN or an infinity; a parameter is out of range.
        GraphTooLargeError: there are more than `max_edges` edges; raised before memory is spent on them.

    Source: the fixed-radius near-neighbour graph of the Exa.TrkX pipeline (Ju et al., Eur. Phys. J. C 81 (2021) 876),
    with a cap that does not depend on the order of the points.
    """
    spec = FRNN.input("EMBEDDING")
    checks.check_radius(radius)
    checks.check_at_least_one(max_neighbors=max_neighbors, max_edges=max_edges)
    checks.check_embedding_form(embedding, spec)
    if on_gpu(embedding):
        checks.check_finite(embedding, spec.name)
        return cuda.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)
    if native.available():
        return native.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)
    checks.check_finite(embedding, spec.name)
    return reference.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)
