"""Clusters of scored edges against a brute force that starts from the definition, in both CPU implementations."""

from __future__ import annotations

from typing import Final

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from stage_cases import (
    IMPLEMENTATIONS,
    FloatArray,
    IntArray,
    brute_force,
    graphs_without_ties,
    partition,
    random_graph,
    running,
)

from exatrkx.errors import ContractError
from exatrkx.stages import native
from exatrkx.stages.track_building import label_clusters, label_components, label_tracks
from exatrkx.working_point import TRACK_BUILDING, WorkingPoint

in_each = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
often = settings(max_examples=150, derandomize=True, deadline=None)


def clusters_of(
    pairs: list[tuple[int, int]], scores: list[float], num_nodes: int, *, cut: float = 0.5, min_hits: int = 1
) -> list[int]:
    edge_index = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    labels = label_clusters(edge_index, np.array(scores, dtype=np.float32), num_nodes, cut=cut, min_hits=min_hits)
    assert labels.dtype == np.int64
    answer: list[int] = labels.tolist()
    return answer


@in_each
@often
@given(graphs_without_ties())
def test_brute_force(implementation: str, graph: tuple[IntArray, FloatArray, int]) -> None:
    edge_index, scores, num_nodes = graph
    with running(implementation):
        labels = label_clusters(edge_index, scores, num_nodes, cut=0.5, min_hits=1)
    assert partition(labels) == set(brute_force(edge_index, scores, num_nodes, 0.5))


@in_each
@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_brute_force_on_random_scores(implementation: str, cut: float) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        edge_index = random.integers(0, 25, (2, 90))
        edge_index = edge_index[:, edge_index[0] != edge_index[1]]
        scores = random.normal(0.5, 2.0, edge_index.shape[1]).astype(np.float32)
        with running(implementation):
            labels = label_clusters(edge_index, scores, 25, cut=cut, min_hits=1)
        assert partition(labels) == set(brute_force(edge_index, scores, 25, cut))


@often
@given(graphs_without_ties())
def test_the_order_of_the_spacepoints_and_edges_does_not_matter(
    graph: tuple[IntArray, FloatArray, int],
) -> None:
    edge_index, scores, num_nodes = graph
    generator = np.random.default_rng(num_nodes + len(scores))
    new = generator.permutation(num_nodes)
    order = generator.permutation(len(scores))
    labels = label_clusters(edge_index, scores, num_nodes, cut=0.5, min_hits=1)
    moved = label_clusters(new[edge_index][::-1, order], scores[order], num_nodes, cut=0.5, min_hits=1)
    assert partition(moved) == {frozenset(new[list(cluster)].tolist()) for cluster in partition(labels)}


@pytest.mark.parametrize("num_edges", [0, 1, 1_000, 5_000])
@pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
def test_both_implementations_agree(num_edges: int) -> None:
    edge_index, scores = random_graph(1_000, num_edges)
    answers = []
    for implementation in ("native", "scipy"):
        with running(implementation):
            answers.append(label_clusters(edge_index, scores[:, None], 1_000, cut=0.4, min_hits=3))
    np.testing.assert_array_equal(*answers)


@in_each
def test_clusters_are_parts_of_components(implementation: str) -> None:
    edge_index, scores = random_graph(500, 1_500)
    with running(implementation):
        clusters = partition(label_clusters(edge_index, scores, 500, cut=0.4, min_hits=1))
    components = partition(label_components(edge_index, scores, 500, cut=0.4, min_hits=1))
    assert all(any(cluster <= component for component in components) for cluster in clusters)
    assert len(clusters) > len(components)


@in_each
def test_without_an_edge_against_it_a_component_is_one_cluster(implementation: str) -> None:
    edge_index, scores = random_graph(300, 350)
    scores = np.abs(scores) + np.float32(0.1)
    with running(implementation):
        labels = label_clusters(edge_index, scores, 300, cut=0.5, min_hits=2)
    np.testing.assert_array_equal(labels, label_components(edge_index, scores, 300, cut=0.5, min_hits=2))


TWO_TRACKS: Final = [(1, 0), (2, 1), (2, 0), (4, 3), (5, 4), (5, 3), (3, 2)]


@in_each
class TestByHand:
    def test_no_spacepoints_one_and_two(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([], [], 0) == []
            assert clusters_of([], [], 1, min_hits=2) == [-1]
            assert clusters_of([(1, 0)], [1.0], 2) == [0, 0]
            assert clusters_of([(1, 0)], [-1.0], 2) == [0, 1]
            assert clusters_of([(1, 0)], [-1.0], 2, min_hits=2) == [-1, -1]

    def test_a_bridge_between_two_tracks_is_outweighed(self, implementation: str) -> None:
        """One wrong edge makes them one component; two edges that speak against it keep them apart."""
        pairs, scores = [*TWO_TRACKS, (4, 2), (3, 1)], [5.0] * 6 + [1.0, -2.0, -2.0]
        with running(implementation):
            assert clusters_of(pairs, scores, 6) == [0, 0, 0, 1, 1, 1]

    def test_a_bridge_alone_is_believed(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of(TWO_TRACKS, [5.0] * 6 + [1.0], 6) == [0] * 6

    def test_a_score_at_the_cut_joins_nothing(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([(1, 0), (2, 1)], [0.0, 0.1], 3) == [0, 1, 1]

    def test_an_edge_that_comes_several_times_adds_up(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([(1, 0), (0, 1), (1, 0)], [1.0, 1.0, -3.0], 2) == [0, 1]
            assert clusters_of([(1, 0), (0, 1), (1, 0)], [2.0, 2.0, -3.0], 2) == [0, 0]

    def test_an_edge_from_a_spacepoint_to_itself_says_nothing(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([(0, 0), (1, 0), (1, 1)], [-9.0, 1.0, -9.0], 2) == [0, 0]

    def test_of_equal_sums_that_of_the_smallest_indices_goes_first(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([(1, 0), (2, 1), (2, 0)], [1.0, 1.0, -5.0], 3) == [0, 0, 1]

    def test_infinite_scores(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([(1, 0), (2, 1), (2, 0)], [np.inf, 1.0, -np.inf], 3) == [0, 0, 1]

    def test_cuts_of_0_and_1(self, implementation: str) -> None:
        with running(implementation):
            assert clusters_of([(1, 0), (2, 1)], [-50.0, 50.0], 3, cut=0.0) == [0, 0, 0]
            assert clusters_of([(1, 0), (2, 1)], [-50.0, 50.0], 3, cut=1.0) == [0, 1, 2]


@in_each
@pytest.mark.parametrize(
    ("scores", "num_nodes", "reason"),
    [
        ([1.0], 3, "EDGE_SCORES: expected one entry for each of 2 edges, found 1"),
        ([1.0, np.nan], 3, "EDGE_SCORES: entries must be numbers, found nan at entry 1"),
        ([1.0, 1.0], 2, r"EDGE_INDEX: entries must be in \[0, 2\), found 2 at column 1"),
        ([1.0, 1.0], -1, "NUM_NODES: must be in"),
    ],
)
def test_bad_input(implementation: str, scores: list[float], num_nodes: int, reason: str) -> None:
    with running(implementation), pytest.raises(ContractError, match=reason):
        clusters_of([(1, 0), (2, 1)], scores, num_nodes)


def test_a_large_component_that_disagrees() -> None:
    """20,000 spacepoints in one component, a third of whose edges speak against it: nothing is lost or found twice."""
    random = np.random.default_rng(1)
    edge_index = random.integers(0, 20_000, (2, 200_000))
    scores = random.normal(0.5, 1.0, 200_000).astype(np.float32)
    labels = label_clusters(edge_index, scores, 20_000, cut=0.5, min_hits=1)
    assert sorted(set(labels.tolist())) == list(range(labels.max() + 1))
    graph = nx.empty_graph(20_000)
    graph.add_edges_from(edge_index[:, labels[edge_index[0]] == labels[edge_index[1]]].T.tolist())
    assert nx.number_connected_components(graph) == labels.max() + 1  # every cluster holds together


def test_the_working_point_chooses() -> None:
    edges = np.array([*TWO_TRACKS, (4, 2), (3, 1)], dtype=np.int64).T
    scores = np.array([5.0] * 6 + [1.0, -2.0, -2.0], dtype=np.float32)
    point = {"radius": 1.0, "max_neighbors": 5, "filter_cut": 0.5, "gnn_cut": 0.5}
    answers = {"components": [0] * 6, "contraction": [0, 0, 0, 1, 1, 1]}
    assert set(answers) == set(TRACK_BUILDING)
    for method, expected in answers.items():
        cuts = WorkingPoint.from_mapping({**point, "track_building": method}, "test")
        assert label_tracks(edges, scores, 6, cuts).tolist() == expected
    with pytest.raises(ContractError, match="track_building must be components or contraction, found walk"):
        WorkingPoint.from_mapping({**point, "track_building": "walk"}, "test")
