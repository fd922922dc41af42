"""Matching of candidates to particles, against hand-made events and a slow oracle of dictionaries."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

import handmade
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.performance.matching import NO_PARTICLE, Matching, found_particles, match_candidates


class Row(NamedTuple):
    label: int
    size: int
    particle: int
    shared: int
    particle_size: int


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Labels of up to 12 spacepoints, and up to five ways through them, repeats and sharing included."""
    labels = draw(st.lists(st.integers(-2, 4), max_size=12))
    hit = st.integers(0, max(len(labels) - 1, 0))
    ways = draw(st.lists(st.lists(hit, max_size=8 if labels else 0), max_size=5))
    return labels, ways


def oracle(labels: list[int], ways: list[list[int]]) -> list[Row]:
    """Each candidate by counting one spacepoint after the other."""
    rows = []
    for label in sorted({label for label in labels if label >= 0}):
        members = [i for i, other in enumerate(labels) if other == label]
        held = Counter(p for p, way in enumerate(ways) for i in members if i in way)
        if held:
            best = min(held, key=lambda p: (-held[p], p))
            rows.append(Row(label, len(members), best, held[best], len(set(ways[best]))))
        else:
            rows.append(Row(label, len(members), NO_PARTICLE, 0, 0))
    return rows


def rows(labels: list[int], ways: list[list[int]]) -> list[Row]:
    found = match_candidates(np.asarray(labels, dtype=np.int64), handmade.truth(len(labels), ways))
    columns = (found.label, found.size, found.particle, found.shared, found.particle_size)
    return [Row(*values) for values in zip(*(c.tolist() for c in columns), strict=True)]


@given(labelled())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_candidates_are_what_counting_finds(case: tuple[list[int], list[list[int]]]) -> None:
    assert rows(*case) == oracle(*case)


@given(labelled())
@settings(derandomize=True, deadline=None, max_examples=200)
def test_matchings_are_their_definitions(case: tuple[list[int], list[list[int]]]) -> None:
    labels, ways = case
    expected = oracle(labels, ways)
    found = match_candidates(np.asarray(labels, dtype=np.int64), handmade.truth(len(labels), ways))
    # In whole numbers, so that no rounding decides.
    assert found.matched(Matching.PERFECT).tolist() == [r.shared == r.size == r.particle_size for r in expected]
    assert found.matched(Matching.LHC).tolist() == [4 * r.shared >= 3 * r.size for r in expected]
    assert found.matched(Matching.DOUBLE_MAJORITY).tolist() == [
        2 * r.shared > r.size and 2 * r.shared > r.particle_size for r in expected
    ]


@given(labelled(), st.randoms(use_true_random=False))
@settings(derandomize=True, deadline=None)
def test_the_numbering_of_spacepoints_does_not_matter(case: tuple[list[int], list[list[int]]], random: Random) -> None:
    labels, ways = case
    place = list(range(len(labels)))
    random.shuffle(place)
    moved = [0] * len(labels)
    for i, label in enumerate(labels):
        moved[place[i]] = label
    assert rows(moved, [[place[i] for i in way] for way in ways]) == rows(labels, ways)


def test_no_spacepoints_and_no_candidates() -> None:
    assert rows([], []) == []
    assert rows([-1, -1], [[0, 1]]) == []


def test_of_equal_shares_the_first_particle_has_the_candidate() -> None:
    assert rows([0, 0, 0, 0], [[], [2, 3], [0, 1]]) == [Row(0, 4, 1, 2, 2)]


def test_a_shared_spacepoint_counts_for_both_of_its_particles() -> None:
    assert rows([5, 5, 8, 8], [[0, 1, 2], [2, 3]]) == [Row(5, 2, 0, 2, 3), Row(8, 2, 1, 2, 2)]


@pytest.mark.parametrize(
    ("inside", "foreign", "outside", "expected"),
    [
        (8, 0, 0, {Matching.PERFECT, Matching.LHC, Matching.DOUBLE_MAJORITY}),
        (7, 0, 1, {Matching.LHC, Matching.DOUBLE_MAJORITY}),
        (6, 2, 0, {Matching.LHC, Matching.DOUBLE_MAJORITY}),  # purity exactly 0.75
        (5, 2, 0, {Matching.DOUBLE_MAJORITY}),
        (4, 4, 0, set()),  # exactly half is no majority
        (4, 0, 4, {Matching.LHC}),  # exactly half of the particle
        (5, 4, 4, {Matching.DOUBLE_MAJORITY}),
    ],
)
def test_the_borders_of_each_matching(inside: int, foreign: int, outside: int, expected: set[Matching]) -> None:
    labels = np.array([0] * (inside + foreign) + [-1] * outside, dtype=np.int64)
    particle = [*range(inside), *range(inside + foreign, inside + foreign + outside)]
    candidates = match_candidates(labels, handmade.truth(len(labels), [particle]))
    assert {matching for matching in Matching if candidates.matched(matching)[0]} == expected
    for matching in Matching:
        assert found_particles(candidates, matching, 1).tolist() == [matching in expected]


def test_a_candidate_of_noise_finds_nobody() -> None:
    candidates = match_candidates(np.array([0, 0, 0]), handmade.truth(3, [[], []]))
    for matching in Matching:
        assert not candidates.matched(matching).any()
        assert not found_particles(candidates, matching, 2).any()
    assert candidates.completeness.tolist() == [0.0]


def test_labels_need_not_be_dense() -> None:
    assert rows([2**40, 2**40, 3], [[0, 1], [2]]) == [Row(3, 1, 1, 1, 1), Row(2**40, 2, 0, 2, 2)]
