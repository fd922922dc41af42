"""Reference form of the stages: k-d tree and connected components of SciPy, contraction in Python.

What runs where no compiled form is at hand, and what the fast forms are tested against.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from exatrkx.checks import too_large
from exatrkx.contract import FRNN, NOISE_LABEL

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

_BLOCK: Final = 2048
"""Points whose neighbours are looked up together."""
_CHUNK: Final = 2_000_000
"""Candidate pairs held at once: the bound on working memory."""
_SLACK: Final = 1 + 1e-9
"""The tree rounds distances in its own way: it looks a little further, and the exact distance decides."""


def fixed_radius_edges(
    embedding: npt.NDArray[np.float32], *, radius: float, max_neighbors: int, max_edges: int
) -> IntArray:
    """[2,E] edges; see `exatrkx.stages.edges.fixed_radius_edges`, which has checked the arguments."""
    num_nodes = len(embedding)
    pairs = np.empty(0, dtype=np.int64)
    if num_nodes > 1:
        points = embedding.astype(np.float64)
        found, directed = [], 0
        for pair in _directed_pairs(points, radius, max_neighbors):
            found.append(pair)
            directed += len(pair)
            if directed > 2 * max_edges:  # each edge is found at most twice: once from either end
                raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges, -(-directed // 2))
        pairs = np.unique(np.concatenate(found))
    if len(pairs) > max_edges:
        raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges, len(pairs))
    return np.stack(np.divmod(pairs, max(num_nodes, 1)))


def _directed_pairs(points: npt.NDArray[np.float64], radius: float, max_neighbors: int) -> Iterator[IntArray]:
    """For each point those that it keeps, block by block, each pair as larger · N + smaller."""
    tree = cKDTree(points)
    reach = min(radius, 1e40) * _SLACK  # no two FP32 points are further apart than 1e40 in fewer than 10^3 dimensions
    # In the tree's order a block's points lie close together, and so do their neighbours.
    blocks = [tree.indices[start : start + _BLOCK] for start in range(0, len(points), _BLOCK)]
    while blocks:
        block = blocks.pop()
        block_tree = cKDTree(points[block])
        near = reach
        if block_tree.count_neighbors(tree, near) > len(block) * (max_neighbors + 1):
            near = _nearest_reach(tree, points[block], near, max_neighbors)
        if len(block) > 1 and block_tree.count_neighbors(tree, near) > _CHUNK:
            blocks += [block[: len(block) // 2], block[len(block) // 2 :]]
            continue
        candidates = block_tree.sparse_distance_matrix(tree, near, output_type="ndarray")
        one, other = block[candidates["i"]], candidates["j"]
        kept = _kept(points, one, other, radius, max_neighbors)
        one, other = one[kept], other[kept]
        yield np.maximum(one, other) * np.int64(len(points)) + np.minimum(one, other)


def _nearest_reach(tree: cKDTree, block: npt.NDArray[np.float64], reach: float, max_neighbors: int) -> float:
    """A radius within which each point of the block has its `max_neighbors` nearest, or `reach` if that is less."""
    nth = min(max_neighbors + 1, tree.n)  # the first is the point itself
    distances, _ = tree.query(block, k=[nth], distance_upper_bound=reach)
    return min(reach, float(distances.max()) * _SLACK)


def _kept(
    points: npt.NDArray[np.float64], one: IntArray, other: IntArray, radius: float, max_neighbors: int
) -> IntArray:
    """Which candidate pairs `one` keeps: positions in the arrays given."""
    squared = np.zeros(len(one))
    for column in np.ascontiguousarray(points.T):
        difference = column[one] - column[other]
        squared += difference * difference
    within = np.flatnonzero((squared < radius * radius) & (one != other))
    order = within[np.lexsort((squared[within], one[within]))]
    sorted_one, sorted_squared = one[order], squared[order]
    starts = np.flatnonzero(np.diff(sorted_one, prepend=-1))
    sizes = np.diff(starts, append=len(order))
    last = starts + np.minimum(sizes, max_neighbors) - 1
    # All that are as far as the last one kept are kept too.
    kept: IntArray = order[sorted_squared <= np.repeat(sorted_squared[last], sizes)]
    return kept


def label_components(edge_index: IntArray, num_nodes: int, min_hits: int) -> IntArray:
    """[N] labels of the components that the edges [2,E'] make; see `exatrkx.stages.track_building.label_components`."""
    if num_nodes == 0:
        return np.empty(0, dtype=np.int64)
    ones = np.ones(edge_index.shape[1], dtype=np.int8)
    graph = coo_array((ones, (edge_index[0], edge_index[1])), shape=(num_nodes, num_nodes))
    _, component = connected_components(graph, directed=False)
    _, first, size = np.unique(component, return_index=True, return_counts=True)
    tracks = np.flatnonzero(size >= min_hits)
    tracks = tracks[np.argsort(first[tracks])]
    label_of = np.full(len(size), NOISE_LABEL, dtype=np.int64)
    label_of[tracks] = np.arange(len(tracks))
    labels: IntArray = label_of[component]
    return labels


LARGEST_WEIGHT: Final = 1e6

Links = dict[int, dict[int, float]]
"""Node to node to the weight between them."""


def label_clusters(
    edge_index: IntArray, scores: FloatArray, num_nodes: int, threshold: float, min_hits: int
) -> IntArray:
    """[N] labels; see `exatrkx.stages.track_building.label_clusters`, which has checked the arguments."""
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
