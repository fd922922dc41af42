"""Implementations of the neighbour search, of edge selection and of track building that are compared."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from exatrkx.events.event import FloatArray, IntArray
from exatrkx.stages import native, reference
from exatrkx.stages.edges import score_threshold

NO_CAP: Final = 2**40
"""More than there are neighbours or edges."""

MIN_HITS: Final = 3
"""Spacepoints of the smallest candidate."""

SLOW_SEARCHES: Final = frozenset({"scikit-learn kd_tree", "faiss IndexFlatL2"})
"""Those that take minutes with large events."""

THREADED: Final = SLOW_SEARCHES | {"exatrkx native"}
"""Searches and selections that use more than one thread when told to; components and contraction do not."""


def exatrkx_native(embedding: FloatArray, radius: float, threads: int) -> IntArray:
    return native.fixed_radius_edges(embedding, radius=radius, max_neighbors=NO_CAP, max_edges=NO_CAP, threads=threads)


def exatrkx_scipy(embedding: FloatArray, radius: float, _threads: int) -> IntArray:
    return reference.fixed_radius_edges(embedding, radius=radius, max_neighbors=NO_CAP, max_edges=NO_CAP)


def ckdtree(embedding: FloatArray, radius: float, _threads: int) -> IntArray:
    from scipy.spatial import cKDTree  # noqa: PLC0415 - one method must not pay for another's import in memory

    pairs: IntArray = cKDTree(embedding).query_pairs(radius, output_type="ndarray").T
    return pairs


def scikit_learn(embedding: FloatArray, radius: float, threads: int) -> IntArray:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - as above

    search = NearestNeighbors(radius=radius, algorithm="kd_tree", n_jobs=threads).fit(embedding)
    return _pairs(search.radius_neighbors(embedding, return_distance=False))


def faiss(embedding: FloatArray, radius: float, threads: int) -> IntArray:
    import faiss as library  # noqa: PLC0415 - optional

    library.omp_set_num_threads(threads)
    index = library.IndexFlatL2(embedding.shape[1])
    index.add(embedding)
    starts, _, found = index.range_search(embedding, radius * radius)
    return _pairs(np.split(found, starts[1:-1].astype(np.int64)))


def _pairs(found: list[IntArray]) -> IntArray:
    """From the neighbours of each point, itself included, to each pair once."""
    one = np.repeat(np.arange(len(found)), [len(others) for others in found])
    other = np.concatenate(found)
    pairs: IntArray = np.stack([one, other])[:, one > other]
    return pairs


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


METHODS: Final[dict[str, dict[str, Callable[..., IntArray]]]] = {
    "neighbours": {
        "cKDTree.query_pairs": ckdtree,
        "exatrkx scipy": exatrkx_scipy,
        "exatrkx native": exatrkx_native,
        "scikit-learn kd_tree": scikit_learn,
        "faiss IndexFlatL2": faiss,
    },
    "edges": {"NumPy": select_numpy, "exatrkx native": select_native},
    "components": {"csgraph": csgraph, "exatrkx scipy": label_scipy, "exatrkx native": label_native},
    "contraction": {"exatrkx python": cluster_python, "exatrkx native": cluster_native},
}
"""By stage and name, the reference first. The searches' arguments: embedding [N,D], radius, threads;
they give [2,E] pairs in any order. The others': edge_index [2,E], scores [E], num_nodes, cut, threads."""

_MODULES: Final = {"scikit-learn kd_tree": "sklearn", "faiss IndexFlatL2": "faiss"}


def methods_of(stage: str) -> dict[str, Callable[..., IntArray]]:
    """Those of a stage that are installed."""

    def is_installed(name: str) -> bool:
        if name == "exatrkx native":
            return native.available()
        return name not in _MODULES or importlib.util.find_spec(_MODULES[name]) is not None

    return {name: method for name, method in METHODS[stage].items() if is_installed(name)}
