"""Connected components with SciPy: the implementation where no compiled one is at hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from exatrkx.contract import NOISE_LABEL

IntArray = npt.NDArray[np.int64]


def label_components(edge_index: IntArray, num_nodes: int, min_hits: int) -> IntArray:
    """[N] labels of the components that the edges [2,E'] make; see `exatrkx.components.label_components`."""
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
