"""Connected components on a GPU: a lock-free union-find, one thread per edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from exatrkx.arrays import Array
from exatrkx.contract import NOISE_LABEL
from exatrkx.cuda_kernels import THREADS, Launch, blocks_for, launcher


def label_components(
    edge_index: Array, scores: Array, num_nodes: int, *, threshold: np.float32, min_hits: int
) -> Array:
    """[N] labels of CuPy arrays; see `exatrkx.components.label_components`, whose arguments are already checked."""
    import cupy  # noqa: PLC0415 - only where a CuPy array has come in

    with edge_index.device:
        return labels_by_union(
            cupy, launcher("components.cu"), edge_index, scores, num_nodes, threshold=threshold, min_hits=min_hits
        )


def labels_by_union(
    xp: Any,  # the module of the arrays: CuPy ships no types
    launch: Launch,
    edge_index: Array,
    scores: Array,
    num_nodes: int,
    *,
    threshold: np.float32,
    min_hits: int,
) -> Array:
    """[N] labels, found by the kernels of components.cu; `xp` is the array library of `edge_index`."""
    nodes = xp.arange(num_nodes, dtype=np.int32)
    parent, root, size = nodes.copy(), xp.empty_like(nodes), xp.zeros_like(nodes)
    num_edges = edge_index.shape[1]
    edge_index, scores = xp.ascontiguousarray(edge_index), xp.ascontiguousarray(scores)
    launch("join_edges", blocks_for(num_edges), THREADS, edge_index, scores, np.int64(num_edges), threshold, parent)
    launch("find_roots", blocks_for(num_nodes), THREADS, parent, np.int32(num_nodes), root, size)
    is_candidate = (root == nodes) & (size >= min(min_hits, num_nodes + 1))
    label_of_root = xp.where(is_candidate, xp.cumsum(is_candidate) - 1, NOISE_LABEL)
    return label_of_root[root].astype(np.int64)
