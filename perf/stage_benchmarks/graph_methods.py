"""Edge selections and component searches that are compared, on the graph that the neighbour search gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from exatrkx.stages import native, reference
from exatrkx.stages.edges import score_threshold

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

MIN_HITS: Final = 3
"""Spacepoints of the smallest candidate."""

Stage = Callable[[IntArray, FloatArray, int, float, int], IntArray]
"""(edge_index [2,E], scores [E], num_nodes, cut, threads) → the stage's answer."""


def select_native(edge_index: IntArray, scores: FloatArray, _num_nodes: int, cut: float, threads: int) -> IntArray:
    return native.select_edges(edge_index, scores, threshold=score_threshold(cut), threads=threads)


def select_numpy(edge_index: IntArray, scores: FloatArray, _num_nodes: int, cut: float, _threads: int) -> IntArray:
    selected: IntArray = edge_index[:, scores > score_threshold(cut)]
    return selected


def label_native(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float, _threads: int) -> IntArray:
    return native.label_components(edge_index, scores, num_nodes, threshold=score_threshold(cut), min_hits=MIN_HITS)


def label_scipy(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float, _threads: int) -> IntArray:
    return reference.label_components(edge_index[:, scores > score_threshold(cut)], num_nodes, MIN_HITS)


def csgraph(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float, _threads: int) -> IntArray:
    """SciPy's components alone: no labels by smallest index, no smallest size."""
    one, other = edge_index[:, scores > score_threshold(cut)]
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(num_nodes, num_nodes)).tocsr()
    component: IntArray = connected_components(graph, directed=False)[1]
    return component


def cluster_native(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float, _threads: int) -> IntArray:
    return native.label_clusters(edge_index, scores, num_nodes, threshold=score_threshold(cut), min_hits=MIN_HITS)


def cluster_python(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float, _threads: int) -> IntArray:
    threshold = float(score_threshold(cut))
    return reference.label_clusters(edge_index, scores, num_nodes, threshold, MIN_HITS)


THREADED: Final = frozenset({select_native})
"""Those that use more than one thread when told to."""


def selections() -> dict[str, Stage]:
    every: dict[str, Stage] = {"NumPy": select_numpy}
    return every | ({"exatrkx native": select_native} if native.available() else {})


def components() -> dict[str, Stage]:
    every: dict[str, Stage] = {"csgraph": csgraph, "exatrkx scipy": label_scipy}
    return every | ({"exatrkx native": label_native} if native.available() else {})


def contractions() -> dict[str, Stage]:
    every: dict[str, Stage] = {"exatrkx python": cluster_python}
    return every | ({"exatrkx native": cluster_native} if native.available() else {})
