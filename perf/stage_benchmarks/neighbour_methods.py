"""The neighbour searches that are compared: each takes an embedding and a radius, and returns the pairs it found."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from exatrkx.stages import native, reference

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Search = Callable[[FloatArray, float, int, int], IntArray]
"""(embedding [N,D], radius, max_neighbors, threads) → [2,E] pairs, in any order."""

NO_LIMIT: Final = 2**62


def exatrkx_native(embedding: FloatArray, radius: float, max_neighbors: int, threads: int) -> IntArray:
    return native.fixed_radius_edges(
        embedding, radius=radius, max_neighbors=max_neighbors, max_edges=NO_LIMIT, threads=threads
    )


def exatrkx_scipy(embedding: FloatArray, radius: float, max_neighbors: int, _threads: int) -> IntArray:
    return reference.fixed_radius_edges(embedding, radius=radius, max_neighbors=max_neighbors, max_edges=NO_LIMIT)


def ckdtree(embedding: FloatArray, radius: float, _max_neighbors: int, _threads: int) -> IntArray:
    from scipy.spatial import cKDTree  # noqa: PLC0415 - one method must not pay for another's import in memory

    pairs: IntArray = cKDTree(embedding).query_pairs(radius, output_type="ndarray").T
    return pairs


def scikit_learn(embedding: FloatArray, radius: float, _max_neighbors: int, threads: int) -> IntArray:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415 - as above

    search = NearestNeighbors(radius=radius, algorithm="kd_tree", n_jobs=threads).fit(embedding)
    return _pairs(search.radius_neighbors(embedding, return_distance=False))


def faiss(embedding: FloatArray, radius: float, _max_neighbors: int, threads: int) -> IntArray:
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


def methods() -> dict[str, Search]:
    """Those that are installed, the reference first."""
    every: dict[str, Search] = {"cKDTree.query_pairs": ckdtree, "exatrkx scipy": exatrkx_scipy}
    if native.available():
        every["exatrkx native"] = exatrkx_native
    if importlib.util.find_spec("sklearn"):
        every["scikit-learn kd_tree"] = scikit_learn
    if importlib.util.find_spec("faiss"):
        every["faiss IndexFlatL2"] = faiss
    return every


OTHERS: Final = frozenset({"scikit-learn kd_tree", "faiss IndexFlatL2"})
"""Those that take minutes with large events."""

THREADED: Final = OTHERS | {"exatrkx native"}
"""Those that use more than one thread when told to."""
