"""From scored edges to track candidates: the connected components of the graph that the cut leaves."""

from __future__ import annotations

from exatrkx import checks, components_gpu, components_scipy, native
from exatrkx.arrays import Array, on_gpu
from exatrkx.edges import score_threshold


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
    gpu = on_gpu(edge_index)
    if not gpu and native.available():
        return native.label_components(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    checks.check_scored_entries(edge_index, scores, num_nodes)
    if gpu:
        return components_gpu.label_components(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    kept = edge_index[:, scores > threshold]
    return components_scipy.label_components(kept, num_nodes, min_hits)
