"""What the tests of the graph stages share: the implementations, and graphs to try them on."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st

from exatrkx.stages import native
from exatrkx.working_point import logit

if TYPE_CHECKING:
    from collections.abc import Iterator

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

IMPLEMENTATIONS: Final = (
    pytest.param(
        "native", marks=pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
    ),
    "scipy",
)


@contextmanager
def running(implementation: str) -> Iterator[None]:
    """Calls of a stage inside run in this implementation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.CHOICE_VARIABLE, implementation)
        native._library.cache_clear()
        assert native.available() == (implementation == "native")
        yield
    native._library.cache_clear()


def fp32(values: list[Any]) -> FloatArray:
    return np.array(values, dtype=np.float32)


def tracks_embedding(spacepoints: int, seed: int = 1) -> FloatArray:
    """[N,8] FP32: tight groups of some ten points, most of the spread in four of the dimensions; in random order."""
    generator = np.random.default_rng(seed)
    spread = np.array([1.0, 0.8, 0.5, 0.2, 0.05, 0.03, 0.02, 0.01])
    group = np.repeat(np.arange(spacepoints), generator.integers(3, 18, size=spacepoints))[:spacepoints]
    centre = generator.normal(size=(spacepoints, 8)) * spread
    points = centre[group] + generator.normal(size=(spacepoints, 8)) * (0.03 * spread + 0.005)
    shuffled: FloatArray = generator.permutation(points).astype(np.float32)
    return shuffled


def random_graph(num_nodes: int, num_edges: int, seed: int = 1) -> tuple[IntArray, FloatArray]:
    """[2,E] edges between any two of N nodes, loops and repetitions among them, and [E] scores."""
    generator = np.random.default_rng(seed)
    edge_index = generator.integers(0, num_nodes, size=(2, num_edges))
    return edge_index, generator.normal(size=num_edges).astype(np.float32)


def brute_force(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float) -> list[frozenset[int]]:
    """Clusters by the definition: every pair of clusters is weighed anew before each join."""
    weight = np.zeros((num_nodes, num_nodes))
    threshold = float(np.float32(logit(cut)))
    for (a, b), score in zip(edge_index.T.tolist(), scores.tolist(), strict=True):
        weight[a, b] += score - threshold
        weight[b, a] = weight[a, b]
    clusters = [frozenset([node]) for node in range(num_nodes)]
    while True:
        sums = {(one, other): sum(weight[a, b] for a in one for b in other) for one, other in combinations(clusters, 2)}
        best = max(sums, key=lambda pair: sums[pair], default=None)
        if best is None or sums[best] <= 0:
            return clusters
        clusters = [cluster for cluster in clusters if cluster not in best] + [best[0] | best[1]]


def partition(labels: IntArray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist()) - {-1}}


@st.composite
def graphs_without_ties(draw: st.DrawFn) -> tuple[IntArray, FloatArray, int]:
    """Distinct powers of two: no two different sums of them are equal, and none is rounded."""
    num_nodes = draw(st.integers(1, 12))
    pairs = list(combinations(range(num_nodes), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=20)) if pairs else []
    powers = draw(st.permutations(range(-10, 10)))[: len(chosen)]
    signs = draw(st.lists(st.sampled_from([-1.0, 1.0, 1.0]), min_size=len(chosen), max_size=len(chosen)))
    scores = [sign * 2.0**power for sign, power in zip(signs, powers, strict=True)]
    return np.array(chosen, dtype=np.int64).reshape(-1, 2).T[::-1], np.array(scores, dtype=np.float32), num_nodes
