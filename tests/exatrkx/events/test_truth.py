"""True edges and selected particles, against hand-made events and a slow dictionary of pairs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import handmade
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event
from exatrkx.events.truth import distinct_hits, edge_truth, require_truth, spacepoints_per_particle, true_edges
from exatrkx.performance.selection import ParticleSelection


@st.composite
def truths(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """A number of spacepoints, and the ways of up to five particles through them, repeats and sharing included."""
    num_spacepoints = draw(st.integers(0, 12))
    hit = st.integers(0, max(num_spacepoints - 1, 0))
    ways = st.lists(st.lists(hit, max_size=8 if num_spacepoints else 0), max_size=5)
    return num_spacepoints, draw(ways)


def test_consecutive_spacepoints_are_joined_larger_index_first() -> None:
    edges = true_edges(handmade.truth(6, [[4, 0, 5], [1, 2]]), 6)
    assert edges.tolist() == [[2, 4, 5], [1, 0, 0]]
    assert edges.dtype == np.int64


def test_the_order_of_the_entries_does_not_matter() -> None:
    truth = handmade.truth(6, [[4, 0, 5], [1, 2, 3]])
    mixed = np.random.default_rng(1).permutation(len(truth))
    shuffled = replace(
        truth, spacepoint=truth.spacepoint[mixed], particle=truth.particle[mixed], order=truth.order[mixed]
    )
    np.testing.assert_array_equal(true_edges(shuffled, 6), true_edges(truth, 6))


def test_two_hits_on_one_spacepoint_make_no_edge_and_hide_none() -> None:
    assert true_edges(handmade.truth(3, [[0, 0, 1, 1, 2]]), 3).tolist() == [[1, 2], [0, 1]]


def test_an_edge_of_two_particles_is_there_once() -> None:
    assert true_edges(handmade.truth(3, [[0, 1], [1, 0]]), 3).tolist() == [[1], [0]]


def test_neutral_particles_have_no_edges() -> None:
    made_by = handmade.particles(2, charge=[0, -1])
    assert true_edges(handmade.truth(4, [[0, 1], [2, 3]], made_by), 4).tolist() == [[3], [2]]


def test_only_the_wanted_particles_and_their_charge_unchanged() -> None:
    truth = handmade.truth(4, [[0, 1], [2, 3]])
    wanted = np.array([True, False])
    assert true_edges(truth, 4, wanted).tolist() == [[1], [0]]
    assert wanted.tolist() == [True, False]


@pytest.mark.parametrize(("num_spacepoints", "ways"), [(0, []), (1, [[0]]), (5, []), (5, [[], []])])
def test_without_pairs_there_are_no_edges(num_spacepoints: int, ways: list[list[int]]) -> None:
    edges = true_edges(handmade.truth(num_spacepoints, ways), num_spacepoints)
    assert edges.shape == (2, 0)
    assert edges.dtype == np.int64
    assert edge_truth(edges, edges, num_spacepoints).shape == (0,)


@given(truths())
@settings(derandomize=True, deadline=None)
def test_true_edges_are_the_pairs_that_a_dictionary_finds(case: tuple[int, list[list[int]]]) -> None:
    num_spacepoints, ways = case
    expected = sorted({(max(a, b), min(a, b)) for way in ways for a, b in pairwise(way) if a != b})
    found = true_edges(handmade.truth(num_spacepoints, ways), num_spacepoints)
    assert list(zip(*found.tolist(), strict=True)) == expected


@given(truths(), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
@settings(derandomize=True, deadline=None)
def test_edge_truth_is_membership_whichever_end_comes_first(
    case: tuple[int, list[list[int]]], pairs: list[tuple[int, int]]
) -> None:
    _, ways = case
    true = true_edges(handmade.truth(12, ways), 12)
    edges = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    known = {frozenset(pair) for pair in zip(*true.tolist(), strict=True)}
    expected = [frozenset(pair) in known for pair in pairs]
    assert edge_truth(edges, true, 12).tolist() == expected
    unsorted = true[::-1, ::-1]
    assert edge_truth(edges, unsorted, 12).tolist() == expected


def test_keys_of_a_large_event_do_not_overflow() -> None:
    num = 3_000_000
    edges = true_edges(handmade.truth(num, [[num - 1, num - 2, 0]]), num)
    assert edges.tolist() == [[num - 2, num - 1], [0, num - 2]]
    assert edge_truth(edges, edges, num).all()


def test_a_particle_counts_each_spacepoint_once() -> None:
    truth = handmade.truth(4, [[0, 0, 1], [], [1, 3, 2]])
    assert spacepoints_per_particle(truth, 4).tolist() == [2, 0, 3]
    particle, spacepoint = distinct_hits(truth, 4)
    assert particle.tolist() == [0, 0, 2, 2, 2]
    assert spacepoint.tolist() == [0, 1, 1, 2, 3]


def test_an_event_without_truth_says_so() -> None:
    empty = np.zeros(0, dtype=np.float32)
    event = Event(event_id=3, x=empty, y=empty, z=empty)
    with pytest.raises(EventFormatError, match="event 3 has no truth"):
        require_truth(event)


SEVEN = list(range(7))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (ParticleSelection(), [True, False, False, False, False, True, True]),
        (ParticleSelection(min_pt=0.0), [True, True, False, False, False, True, True]),
        (ParticleSelection(max_abs_eta=4.0), [True, False, True, False, False, True, True]),
        (ParticleSelection(primary=False), [True, False, False, True, False, True, True]),
        (ParticleSelection(charged=False), [True, False, False, False, True, True, True]),
        (ParticleSelection(min_spacepoints=8), [False, False, False, False, False, False, True]),
        (ParticleSelection(electrons="drop"), [True, False, False, False, False, False, True]),
        (ParticleSelection(electrons="only"), [False, False, False, False, False, True, False]),
    ],
)
def test_each_condition_of_a_selection(selection: ParticleSelection, expected: list[bool]) -> None:
    made_by = handmade.particles(
        7,
        pt=[2, 1, 2, 2, 2, 2, 2],  # 1 GeV does not exceed 1 GeV
        eta=[0, 0, -3.5, 0, 0, 0, 0],
        primary=[True, True, True, False, True, True, True],
        charge=[1, 1, 1, 1, 0, 1, 1],
        pdg=[211, 211, 211, 211, 22, -11, 211],
    )
    event = handmade.event(8, [SEVEN] * 6 + [[*SEVEN, 7]], made_by)
    assert selection.mask(event).tolist() == expected


def test_repeated_spacepoints_do_not_fill_a_particle_up() -> None:
    event = handmade.event(7, [[0, 1, 2, 3, 4, 5, 5], SEVEN])
    assert ParticleSelection().mask(event).tolist() == [False, True]


@pytest.mark.parametrize(("pt", "eta"), [(0.0, 0.0), (np.nan, 0.0)])
def test_a_particle_of_unknown_or_no_momentum_is_not_selected(pt: float, eta: float) -> None:
    event = handmade.event(7, [SEVEN], handmade.particles(1, pt=[pt], eta=[eta]))
    assert not ParticleSelection(min_pt=0.0).mask(event).any()


def test_no_particles_no_selection() -> None:
    assert ParticleSelection().mask(handmade.event(0, [])).shape == (0,)
