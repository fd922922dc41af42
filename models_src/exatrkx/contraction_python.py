"""Greedy additive edge contraction in Python: the implementation where no compiled one is at hand."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.components_scipy import label_components

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

LARGEST_WEIGHT: Final = 1e6

Links = dict[int, dict[int, float]]
"""Node to node to the weight between them."""


def label_clusters(
    edge_index: IntArray, scores: FloatArray, num_nodes: int, threshold: float, min_hits: int
) -> IntArray:
    """[N] labels; see `exatrkx.contraction.label_clusters`, whose arguments are already checked."""
    joined = scores > threshold
    if math.isfinite(threshold):
        component = label_components(edge_index[:, joined], num_nodes, 1)
        row, col = edge_index
        inside = (component[row] == component[col]) & (row != col)
        weight = np.clip(scores.astype(np.float64) - threshold, -LARGEST_WEIGHT, LARGEST_WEIGHT)
        pairs = _contract(_links(edge_index[:, inside], weight[inside]))
    else:
        pairs = edge_index[:, joined]
    return label_components(pairs, num_nodes, min_hits)


def _links(edge_index: IntArray, weight: npt.NDArray[np.float64]) -> Links:
    """The weights by node; those of edges that come several times add up, the smallest first."""
    links: Links = defaultdict(dict)
    low, high = edge_index.min(axis=0, initial=2**62), edge_index.max(axis=0, initial=-1)
    for i in np.lexsort((weight, high, low)).tolist():
        a, b = int(low[i]), int(high[i])
        links[a][b] = links[b][a] = links[a].get(b, 0.0) + float(weight[i])
    return links


def _contract(links: Links) -> IntArray:
    """[2,M] the clusters that were joined, each by its smallest node at that time."""
    heap = [(-weight, a, b) for a, others in links.items() for b, weight in others.items() if a < b and weight > 0]
    heapq.heapify(heap)
    pairs = []
    while heap:
        negative, a, b = heapq.heappop(heap)
        if links[a].get(b) != -negative:
            continue  # one of the two has changed since
        pairs.append((a, b))
        del links[a][b]
        gone = links.pop(b)
        del gone[a]
        for other, weight in gone.items():
            total = weight + links[a].get(other, 0.0)
            del links[other][b]
            links[a][other] = links[other][a] = total
            if total > 0:
                heapq.heappush(heap, (-total, min(a, other), max(a, other)))
        links[b] = {}
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T
