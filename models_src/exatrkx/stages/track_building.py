"""Track building: connected components, or greedy additive edge contraction (GAEC) where tracks are close.

A component needs one wrong edge to become two tracks. In contraction every edge is a witness, for its ends being one
track where its score is above the cut and against it where it is below: the two clusters with the largest sum of logits
(less the cut's) between them are joined, again and again while that sum is above zero.
So a wrong edge must outweigh all that the edges around it say. The sums are log-likelihood ratios if the scores are
calibrated logits of independent edges, and the partition is then close to the likeliest one, the minimum cost multicut.

Source: Keuper et al., ICCV 2015 (arXiv:1505.06973), algorithm 1.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

from exatrkx import checks
from exatrkx.arrays import Array, on_gpu
from exatrkx.stages import native, reference
from exatrkx.stages.cuda import launch
from exatrkx.stages.cuda_track_building import KernelTrackBuilding
from exatrkx.stages.edges import score_threshold
from exatrkx.working_point import COMPONENTS, CONTRACTION

if TYPE_CHECKING:
    import numpy as np

    from exatrkx.working_point import WorkingPoint


def label_components(edge_index: Array, scores: Array, num_nodes: int, *, cut: float, min_hits: int) -> Array:
    """The track candidate of each spacepoint.

    Args:
        edge_index: [2,E] INT64, NumPy or CuPy, entries in [0, N).
        scores: [E] or [E,1] FP32 logits on the same device; an edge counts when its score is above logit(cut).
        num_nodes: N, the number of spacepoints in the event; never inferred from the edges.
        cut: probability in [0, 1].
        min_hits: spacepoints that a component needs to be a track candidate.

    Returns:
        [N] INT64 labels on the device of `edge_index`: −1 for a spacepoint whose component has fewer than `min_hits`
        members, else 0, 1, 2, … in the order of the candidates' smallest spacepoint index.

    Raises:
        ContractError: wrong type or shape, scores and edges of different number, a NaN score, an index outside [0, N).
    """
    scores, num_nodes = checks.check_scored_graph(edge_index, scores, num_nodes, min_hits)
    threshold = score_threshold(cut)
    if on_gpu(edge_index):
        return _labels_on_gpu(edge_index, scores, num_nodes, threshold, min_hits, contract=False)
    if native.available():
        return native.label_components(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    checks.check_scored_entries(edge_index, scores, num_nodes)
    kept = edge_index[:, scores > threshold]
    return reference.label_components(kept, num_nodes, min_hits)


def label_clusters(edge_index: Array, scores: Array, num_nodes: int, *, cut: float, min_hits: int) -> Array:
    """The track candidate of each spacepoint; arguments, labels and errors as of `label_components`.

    Every cluster is part of a component at the same cut, and a component with no edge below the cut is one cluster.
    Of two equal sums that of the smallest indices goes first; without such ties the candidates do not depend on the
    order of the spacepoints. On a GPU too, but for the few components that are too large for one of its blocks: their
    edges, and no others, are copied to the CPU.

    Infinite scores count as ±10⁶, so that sums are numbers. At a cut of 0 or 1 nothing can be weighed, and clusters are
    components.
    """
    scores, num_nodes = checks.check_scored_graph(edge_index, scores, num_nodes, min_hits)
    threshold = score_threshold(cut)
    if on_gpu(edge_index):
        # At an infinite threshold nothing can be weighed.
        contract = math.isfinite(threshold)
        return _labels_on_gpu(edge_index, scores, num_nodes, threshold, min_hits, contract=contract)
    return _clusters_on_host(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)


def _clusters_on_host(
    edge_index: Array, scores: Array, num_nodes: int, *, threshold: np.float32, min_hits: int = 1
) -> Array:
    if native.available():
        return native.label_clusters(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    checks.check_scored_entries(edge_index, scores, num_nodes)
    return reference.label_clusters(edge_index, scores, num_nodes, float(threshold), min_hits)


def _labels_on_gpu(
    edge_index: Array, scores: Array, num_nodes: int, threshold: np.float32, min_hits: int, *, contract: bool
) -> Array:
    import cupy  # noqa: PLC0415 - only where a CuPy array has come in

    with edge_index.device:
        graph = cupy.ascontiguousarray(edge_index), cupy.ascontiguousarray(scores)
        building = KernelTrackBuilding(cupy, launch, *graph, num_nodes, threshold)
        return building.labels(min_hits, partial(_clusters_on_host, threshold=threshold) if contract else None)


_METHODS: Final = {COMPONENTS: label_components, CONTRACTION: label_clusters}


def label_tracks(edge_index: Array, scores: Array, num_nodes: int, cuts: WorkingPoint) -> Array:
    """The track candidate of each spacepoint at the working point's `gnn_cut`, `min_hits` and `track_building`.

    Shapes, labels and errors are those of `label_components`.
    """
    method = _METHODS[cuts.track_building]
    return method(edge_index, scores, num_nodes, cut=cuts.gnn_cut, min_hits=cuts.min_hits)
