"""Triplets: exactly the pairs of edges that meet, the best of each, and small differences for one track."""

from __future__ import annotations

import pytest
import torch

from exatrkx.networks.geometry import by_inner_node, continuations, may_be_one_track, triplet_features
from exatrkx.networks.tables import KINK, NUM_SEGMENT_COLUMNS, NUM_TRIPLET_FEATURES
from tests.exatrkx.networks.test_segments import helix, segments_of

NOTHING = torch.zeros(0, dtype=torch.int64)


def brute_force(inner: list[int], outer: list[int], score: list[float], most: int) -> set[tuple[int, int]]:
    pairs = set()
    for first, end in enumerate(outer):
        after = [second for second, begin in enumerate(inner) if begin == end]
        pairs |= {(first, second) for second in sorted(after, key=lambda edge: -score[edge])[:most]}
    return pairs


def found_continuations(
    inner: torch.Tensor, outer: torch.Tensor, num_nodes: int, score: torch.Tensor, most: int
) -> tuple[torch.Tensor, torch.Tensor]:
    edges, begin, leaving = by_inner_node(inner, torch.zeros(num_nodes), score)
    place, real = continuations(outer, begin, leaving, most, len(inner))
    return real.nonzero()[:, 1], edges[place[real]]


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (5, 30), (40, 300)])
def test_continuations_are_those_of_brute_force(size: tuple[int, int], most: int) -> None:
    num_nodes, num_edges = size
    generator = torch.Generator().manual_seed(most + num_edges)
    inner, outer = torch.randint(num_nodes, (2, num_edges), generator=generator)
    score = torch.randperm(num_edges, generator=generator).float()
    first, second = found_continuations(inner, outer, num_nodes, score, most)
    found = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(set(found)) == len(found)
    assert set(found) == brute_force(inner.tolist(), outer.tolist(), score.tolist(), most)


@pytest.mark.parametrize("num_nodes", [0, 1, 4])
def test_no_edges_have_no_continuations(num_nodes: int) -> None:
    first, second = found_continuations(NOTHING, NOTHING, num_nodes, torch.zeros(0), 5)
    assert first.tolist() == second.tolist() == []
    none = torch.zeros((NUM_SEGMENT_COLUMNS, 0))
    assert triplet_features(none, none).shape == (NUM_TRIPLET_FEATURES, 0)


def test_a_hub_does_not_take_memory_in_proportion_to_the_square_of_its_edges() -> None:
    hub, num_edges, most = 0, 5_000, 7
    inner = torch.cat((torch.arange(1, num_edges + 1), torch.full((num_edges,), hub)))
    outer = torch.cat((torch.full((num_edges,), hub), torch.arange(1, num_edges + 1)))
    first, _ = found_continuations(inner, outer, num_edges + 1, torch.rand(2 * num_edges), most)
    assert len(first) <= most * 2 * num_edges


@pytest.mark.parametrize(("curvature", "cot_theta"), [(0.05, 0.3), (0.6, 2.0), (-1.0, -1.0)])
def test_edges_of_one_helix_agree_and_those_of_two_do_not(curvature: float, cot_theta: float) -> None:
    track = helix(curvature, cot_theta, 0.02, [0.07, 0.17, 0.36])
    other = helix(curvature + 0.5, cot_theta + 0.5, -0.05, [0.5], turn=0.1)
    features = torch.cat((track, other))
    helices = segments_of(features, torch.tensor([0, 1, 1]), torch.tensor([1, 2, 3]))
    differences = triplet_features(helices[:, [0, 0]], helices[:, [1, 2]])[:4].abs()
    assert (differences[:, 0] < 0.5).all()
    assert (differences[:, 1] > 2.0).all()
    bent = helices[KINK:]
    assert may_be_one_track(bent[:, [0, 0]], bent[:, [1, 2]]).tolist() == [True, False]


def test_the_best_continuations_are_chosen_among_any_scores() -> None:
    """Equal ones by their place; beyond the bound all are equal; hair's breadths count also at the last spacepoints."""
    num_nodes = 200_000
    inner = torch.full((6,), num_nodes - 1)
    score = torch.tensor([-3e4, 0.5, 0.5, 3e4, 0.5 + 1e-6, 2e4])
    edges, begin, leaving = by_inner_node(inner, torch.zeros(num_nodes), score)
    assert edges.tolist() == [3, 5, 4, 1, 2, 0]
    assert (int(begin[-1]), int(leaving[-1]), int(leaving[:-1].sum())) == (0, 6, 0)


def test_triplets_see_no_direction_in_phi() -> None:
    """Turned about the beam a triplet is the same, and mirrored in φ its curvatures change sign and nothing else."""
    track = helix(0.6, 1.0, 0.02, [0.07, 0.17, 0.36])
    turned, mirrored = track.clone(), track.clone()
    turned[:, 1] += 0.7
    mirrored[:, 1] *= -1.0
    original, after_turn, after_mirror = (
        triplet_features(edges[:, :1], edges[:, 1:])
        for features in (track, turned, mirrored)
        for edges in (segments_of(features, torch.tensor([0, 1]), torch.tensor([1, 2])),)
    )
    torch.testing.assert_close(after_turn, original, rtol=0, atol=5e-3)
    torch.testing.assert_close(after_mirror[4:], original[4:], rtol=0, atol=5e-3)
