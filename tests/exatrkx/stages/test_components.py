"""Connected components against networkx, in both CPU implementations."""

from __future__ import annotations

from random import Random
from typing import Final

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_cases import IMPLEMENTATIONS, FloatArray, IntArray, fp32, random_graph, running

from exatrkx.errors import ContractError
from exatrkx.stages.track_building import label_components
from exatrkx.working_point import logit

in_each = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
often = settings(max_examples=150, derandomize=True, deadline=None)


def networkx_labels(edge_index: IntArray, scores: FloatArray, num_nodes: int, cut: float, min_hits: int) -> list[int]:
    graph = nx.empty_graph(num_nodes)
    above = scores.reshape(-1).astype(np.float64) > logit(cut)
    graph.add_edges_from(edge_index[:, above].T.tolist())
    labels = [-1] * num_nodes
    candidates = sorted((c for c in nx.connected_components(graph) if len(c) >= min_hits), key=min)
    for label, candidate in enumerate(candidates):
        for node in candidate:
            labels[node] = label
    return labels


def labels_of(
    pairs: list[tuple[int, int]], num_nodes: int, min_hits: int = 1, scores: list[float] | None = None
) -> list[int]:
    edge_index = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    logits = np.ones(len(pairs), dtype=np.float32) if scores is None else np.array(scores, dtype=np.float32)
    labels = label_components(edge_index, logits, num_nodes, cut=0.5, min_hits=min_hits)
    assert labels.dtype == np.int64
    assert labels.shape == (num_nodes,)
    answer: list[int] = labels.tolist()
    return answer


@st.composite
def graphs(draw: st.DrawFn) -> tuple[IntArray, FloatArray, int]:
    num_nodes = draw(st.integers(1, 40))
    node = st.integers(0, num_nodes - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=60))
    scores = draw(st.lists(st.floats(-3, 3, width=32), min_size=len(pairs), max_size=len(pairs)))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T, np.array(scores, dtype=np.float32), num_nodes


@in_each
@often
@given(graphs(), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), st.integers(1, 6))
def test_networkx(implementation: str, graph: tuple[IntArray, FloatArray, int], cut: float, min_hits: int) -> None:
    edge_index, scores, num_nodes = graph
    with running(implementation):
        labels = label_components(edge_index, scores, num_nodes, cut=cut, min_hits=min_hits)
    assert labels.tolist() == networkx_labels(edge_index, scores, num_nodes, cut, min_hits)


@in_each
@pytest.mark.parametrize("num_edges", [0, 1, 500, 1000, 3000])
def test_networkx_on_larger_graphs(implementation: str, num_edges: int) -> None:
    edge_index, scores = random_graph(1000, num_edges)
    with running(implementation):
        labels = label_components(edge_index, scores[:, None], 1000, cut=0.4, min_hits=3)
    assert labels.tolist() == networkx_labels(edge_index, scores, 1000, 0.4, 3)


@in_each
@often
@given(graphs(), st.randoms(use_true_random=False))
def test_order_of_spacepoints_and_edges_changes_names_only(
    implementation: str, graph: tuple[IntArray, FloatArray, int], random: Random
) -> None:
    edge_index, scores, num_nodes = graph
    new_index = np.array(random.sample(range(num_nodes), num_nodes))
    new_place = np.array(random.sample(range(len(scores)), len(scores)), dtype=np.int64)
    with running(implementation):
        labels = label_components(edge_index, scores, num_nodes, cut=0.5, min_hits=2)
        moved = label_components(
            new_index[edge_index][::-1, new_place], scores[new_place], num_nodes, cut=0.5, min_hits=2
        )[new_index]
    assert ((labels == -1) == (moved == -1)).all()
    assert len(set(zip(labels.tolist(), moved.tolist(), strict=True))) == len(set(labels.tolist()))


@in_each
def test_small_events(implementation: str) -> None:
    with running(implementation):
        assert labels_of([], 0) == []
        assert labels_of([], 1) == [0]
        assert labels_of([], 1, min_hits=3) == [-1]
        assert labels_of([], 4, min_hits=2) == [-1, -1, -1, -1]
        assert labels_of([(1, 0)], 2, min_hits=2) == [0, 0]
        assert labels_of([(0, 0)], 1, min_hits=2) == [-1]


@in_each
def test_spacepoints_after_the_last_edge_are_there(implementation: str) -> None:
    with running(implementation):
        assert labels_of([(2, 0), (2, 1)], 6, min_hits=3) == [0, 0, 0, -1, -1, -1]


@in_each
def test_labels_go_by_the_smallest_spacepoint(implementation: str) -> None:
    with running(implementation):
        assert labels_of([(7, 3), (6, 1), (5, 4), (4, 7)], 8, min_hits=2) == [-1, 0, -1, 1, 1, 1, 0, 1]


@in_each
def test_long_chain_in_the_worst_order(implementation: str) -> None:
    length = 20_000
    with running(implementation):
        assert labels_of([(i + 1, i) for i in reversed(range(length - 1))], length, min_hits=length) == [0] * length


@in_each
def test_an_edge_on_the_cut_joins_nothing(implementation: str) -> None:
    with running(implementation):
        assert labels_of([(1, 0), (2, 1)], 3, min_hits=2, scores=[0.0, 0.1]) == [-1, 0, 0]


@in_each
def test_min_hits_beyond_everything(implementation: str) -> None:
    with running(implementation):
        assert labels_of([(1, 0)], 2, min_hits=10**30) == [-1, -1]


GOOD_INDEX: Final = np.array([[1, 2, 3], [0, 0, 0]])
GOOD_SCORES: Final = np.array([0, 1, 2], dtype=np.float32)


@in_each
@pytest.mark.parametrize(
    ("edge_index", "scores", "num_nodes", "text"),
    [
        (GOOD_INDEX, GOOD_SCORES, 3, r"EDGE_INDEX: entries must be in \[0, 3\), found 3 at column 2"),
        (GOOD_INDEX[::-1], GOOD_SCORES, 2, r"EDGE_INDEX: entries must be in \[0, 2\), found 2 at column 1"),
        (GOOD_INDEX - 1, GOOD_SCORES, 5, r"EDGE_INDEX: entries must be in \[0, 5\), found -1 at column 0"),
        (GOOD_INDEX, GOOD_SCORES, 0, r"EDGE_INDEX: entries must be in \[0, 0\), found 1 at column 0"),
        (np.array([[2**62], [-(2**63)]]), GOOD_SCORES[:1], 5, r"EDGE_INDEX: .* found 4611686018427387904 at column 0"),
        (GOOD_INDEX, GOOD_SCORES[:1], 5, "EDGE_SCORES: expected one entry for each of 3 edges, found 1"),
        (GOOD_INDEX, fp32([np.nan, 0, 0]), 5, "EDGE_SCORES: entries must be numbers, found nan at entry 0"),
        (GOOD_INDEX, GOOD_SCORES.astype(np.float16), 5, r"EDGE_SCORES: expected FP32 \[-1\], found float16 \[3\]"),
        (GOOD_INDEX.astype(np.uint64), GOOD_SCORES, 5, r"EDGE_INDEX: expected INT64 \[2,-1\], found uint64 \[2,3\]"),
        (GOOD_INDEX, GOOD_SCORES, -1, r"NUM_NODES: must be in \[0, \d+\], found -1"),
        (GOOD_INDEX, GOOD_SCORES, 10**15, r"NUM_NODES: must be in \[0, \d+\], found 1000000000000000"),
        (GOOD_INDEX, GOOD_SCORES, 5.0, "NUM_NODES: expected a whole number, found 5.0"),
    ],
)
def test_bad_input(implementation: str, edge_index: IntArray, scores: FloatArray, num_nodes: int, text: str) -> None:
    with running(implementation), pytest.raises(ContractError, match=f"^{text}$"):
        label_components(edge_index, scores, num_nodes, cut=0.5, min_hits=3)


def test_min_hits_below_one() -> None:
    with pytest.raises(ContractError, match="min_hits must be at least 1, found 0"):
        label_components(GOOD_INDEX, GOOD_SCORES, 5, cut=0.5, min_hits=0)
