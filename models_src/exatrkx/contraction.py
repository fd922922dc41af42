"""From scored edges to track candidates where tracks are close: clusters that all of their edges speak for.

A component needs one wrong edge to become two tracks. Here every edge is a witness, for its ends being one track where
its score is above the cut and against it where it is below: greedy additive edge contraction, which joins the two
clusters with the largest sum of logits (less the cut's) between them, again and again while that sum is above zero.
So a wrong edge must outweigh all that the edges around it say. The sums are log-likelihood ratios if the scores are
calibrated logits of independent edges, and the partition is then close to the likeliest one, the minimum cost multicut.

Source: Keuper et al., ICCV 2015 (arXiv:1505.06973), algorithm 1.
"""

from __future__ import annotations

from exatrkx import checks, contraction_python, native
from exatrkx.arrays import Array, on_gpu
from exatrkx.edges import score_threshold


def label_clusters(edge_index: Array, scores: Array, num_nodes: int, *, cut: float, min_hits: int) -> Array:
    """The track candidate of each spacepoint; arguments, labels and errors as of `exatrkx.components.label_components`.

    Every cluster is part of a component at the same cut, and a component with no edge below the cut is one cluster.
    Of two equal sums that of the smallest indices goes first; without such ties the candidates do not depend on the
    order of the spacepoints. Arrays on a GPU are clustered on the CPU and the labels put back: what is left to do, one
    small component after the other, is no work for a GPU.

    Infinite scores count as ±10⁶, so that sums are numbers. At a cut of 0 or 1 nothing can be weighed, and clusters are
    components.
    """
    scores, num_nodes = checks.check_scored_graph(edge_index, scores, num_nodes, min_hits)
    threshold = score_threshold(cut)
    if on_gpu(edge_index):
        import cupy  # noqa: PLC0415 - only where a CuPy array has come in

        with edge_index.device:
            on_host = edge_index.get(), scores.get()
            return cupy.asarray(label_clusters(*on_host, num_nodes, cut=cut, min_hits=min_hits))
    if native.available():
        return native.label_clusters(edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits)
    checks.check_scored_entries(edge_index, scores, num_nodes)
    return contraction_python.label_clusters(edge_index, scores, num_nodes, float(threshold), min_hits)
