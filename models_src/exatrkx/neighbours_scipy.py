"""Fixed-radius neighbours with SciPy's k-d tree: the implementation where no compiled one is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from exatrkx.checks import too_large
from exatrkx.contract import FRNN

IntArray = npt.NDArray[np.int64]

_BLOCK: Final = 2048
"""Points whose neighbours are looked up together."""
_CHUNK: Final = 2_000_000
"""Candidate pairs held at once: the bound on working memory."""
_SLACK: Final = 1 + 1e-9
"""The tree rounds distances in its own way: it looks a little further, and the exact distance decides."""


def fixed_radius_edges(
    embedding: npt.NDArray[np.float32], *, radius: float, max_neighbors: int, max_edges: int
) -> IntArray:
    """[2,E] edges; see `exatrkx.neighbours.fixed_radius_edges`, whose arguments are already checked."""
    num_nodes = len(embedding)
    pairs = np.empty(0, dtype=np.int64)
    if num_nodes > 1:
        points = embedding.astype(np.float64)
        found, directed = [], 0
        for pair in _directed_pairs(points, radius, max_neighbors):
            found.append(pair)
            directed += len(pair)
            if directed > 2 * max_edges:  # each edge is found at most twice: once from either end
                raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges)
        pairs = np.unique(np.concatenate(found))
    if len(pairs) > max_edges:
        raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges)
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
