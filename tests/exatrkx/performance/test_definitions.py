"""The field's other figures and the TrackML score, against slow counting by sets and dictionaries."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction

import handmade
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.events.event import Event, Truth
from exatrkx.events.truth import require_truth
from exatrkx.performance.definitions import FieldMetrics, field_metrics
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.metrics import match_labels
from exatrkx.performance.trackml import hit_weights, trackml_score
from exatrkx.reporting.tables import FIELD_ROWS

Case = tuple[list[int], list[list[int]], list[bool]]


@st.composite
def judged(draw: st.DrawFn) -> Case:
    """Labels of up to 14 spacepoints, up to five ways through them that may share some, and who is wanted."""
    labels = draw(st.lists(st.integers(-1, 3), max_size=14))
    hit = st.integers(0, max(len(labels) - 1, 0))
    ways = draw(st.lists(st.lists(hit, max_size=9 if labels else 0), max_size=5))
    return labels, ways, draw(st.lists(st.booleans(), min_size=len(ways), max_size=len(ways)))


def judge(labels: list[int], event: Event, wanted: list[bool]) -> FieldMetrics:
    array = np.asarray(labels, dtype=np.int64)
    selected = np.asarray(wanted, dtype=np.bool_)
    return field_metrics(array, require_truth(event), match_labels(array, event), selected)


def majority(candidate: set[int], particles: list[set[int]]) -> int | None:
    shares = [len(candidate & made) for made in particles]
    return shares.index(max(shares)) if any(shares) else None


@given(judged())
@settings(derandomize=True, deadline=None, max_examples=400)
def test_figures_are_what_sets_and_loops_count(case: Case) -> None:
    labels, ways, wanted = case
    found = judge(labels, handmade.event(len(labels), ways), wanted)
    particles = [set(way) for way in ways]
    candidates = [{i for i, other in enumerate(labels) if other == label} for label in sorted(set(labels) - {-1})]
    pure = {
        (c, p)
        for c, held in enumerate(candidates)
        for p, made in enumerate(particles)
        if 2 * len(held & made) > len(held)
    }
    whole = {
        (c, p)
        for c, held in enumerate(candidates)
        for p, made in enumerate(particles)
        if 2 * len(held & made) > len(made)
    }
    for name, pairs in (("acorn_atlas", pure), ("acorn_one_way", whole), ("acorn_two_way", pure & whole)):
        reconstructed = {p for _, p in pairs if wanted[p]}
        assert getattr(found, name) == Ratio(len(reconstructed), sum(wanted)), name
    for name, pairs in (("acorn_fakes", pure), ("acorn_two_way_fakes", pure & whole)):
        assert getattr(found, name) == Ratio(len(candidates) - len({c for c, _ in pairs}), len(candidates)), name

    best = [majority(held, particles) for held in candidates]
    above = [(c, p) for c, p in enumerate(best) if p is not None and wanted[p]]
    assert found.fakes_of_selected == Ratio(sum(pair not in pure for pair in above), len(above))
    tracks = [pair for pair in above if pair in pure & whole]
    held = sum(len(candidates[c] & particles[p]) for c, p in tracks)
    assert found.hit_efficiency == Ratio(held, sum(len(particles[p]) for _, p in tracks))
    assert found.hit_purity == Ratio(held, sum(len(candidates[c]) for c, _ in tracks))


def test_no_event_at_all_and_noise_alone() -> None:
    assert judge([], handmade.event(0, []), []) == FieldMetrics.zero()
    noise = judge([0, 0, 0], handmade.event(3, []), [])
    assert noise.acorn_fakes == noise.acorn_two_way_fakes == Ratio(1, 1)
    assert noise.fakes_of_selected == Ratio(0, 0), "noise is above no cut"


def test_a_candidate_of_two_whole_particles_reconstructs_both_one_way_alone() -> None:
    found = judge([0] * 6, handmade.event(6, [[0, 1, 2], [3, 4, 5]]), [True, True])
    assert found.acorn_one_way == Ratio(2, 2)
    assert found.acorn_atlas == found.acorn_two_way == Ratio(0, 2)
    assert found.acorn_fakes == Ratio(1, 1)


def test_every_figure_has_its_row() -> None:
    assert {name for _, name, _ in FIELD_ROWS} == {field.name for field in fields(FieldMetrics)}


def slow_weights(truth: Truth) -> dict[tuple[int, int], float]:
    """The weight of every hit by the published definition, one after the other."""
    shape = [10.0, 8.0, 6.0, 5.0, 3.0, 3.0, 3.0, 5.0, 6.0]
    weights = {}
    for particle, pt in enumerate(truth.particles.pt.tolist()):
        hits = [h for h in range(len(truth)) if truth.particle[h] == particle]
        way = list(dict.fromkeys(int(truth.spacepoint[h]) for h in sorted(hits, key=lambda h: int(truth.order[h]))))
        size = min(len(way), 20)
        if size < 4 or math.isnan(pt):
            continue
        of_pt = 0.0 if pt < 0.05 else 0.2 if pt <= 0.5 else 1.0 if pt >= 3.0 else 0.2 + 0.8 * (pt - 0.5) / 2.5
        along = []
        for place in range(size):
            at = Fraction(8 * place, size - 1)
            low = min(int(at), 7)
            along.append(shape[low] + float(at - low) * (shape[low + 1] - shape[low]))
        for place, spacepoint in enumerate(way[:20]):
            weights[particle, spacepoint] = of_pt * along[place] / sum(along)
    return weights


def slow_score(labels: list[int], truth: Truth) -> float:
    weights = slow_weights(truth)
    if not sum(weights.values()):
        return math.nan
    particles = [{int(s) for s in truth.spacepoint[truth.particle == p]} for p in range(len(truth.particles))]
    score = 0.0
    for label in set(labels) - {-1}:
        held = {i for i, other in enumerate(labels) if other == label}
        best = majority(held, particles)
        if best is not None and 2 * len(held & particles[best]) > max(len(held), len(particles[best])):
            score += sum(weights.get((best, spacepoint), 0.0) for spacepoint in held & particles[best])
    return score / sum(weights.values())


@st.composite
def scored(draw: st.DrawFn) -> tuple[list[int], list[list[int]], list[float]]:
    labels = draw(st.lists(st.integers(-1, 2), max_size=40))
    hit = st.integers(0, max(len(labels) - 1, 0))
    ways = draw(st.lists(st.lists(hit, max_size=30 if labels else 0), max_size=4))
    momenta = st.one_of(st.sampled_from([0.0, 0.05, 0.5, 3.0, math.nan]), st.floats(0.0, 5.0, width=32))
    return labels, ways, draw(st.lists(momenta, min_size=len(ways), max_size=len(ways)))


@given(scored())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_the_trackml_score_is_that_of_its_definition(case: tuple[list[int], list[list[int]], list[float]]) -> None:
    labels, ways, pt = case
    event = handmade.event(len(labels), ways, handmade.particles(len(ways), pt=pt))
    truth = require_truth(event)
    array = np.asarray(labels, dtype=np.int64)
    particle, spacepoint, weight = hit_weights(truth, len(labels))
    found = dict(zip(zip(particle.tolist(), spacepoint.tolist(), strict=True), weight.tolist(), strict=True))
    slow = slow_weights(truth)
    assert {pair: value for pair, value in found.items() if value} == pytest.approx(
        {pair: value for pair, value in slow.items() if value}
    )
    expected = slow_score(labels, truth)
    assert trackml_score(array, truth, match_labels(array, event)) == pytest.approx(expected, nan_ok=True)


def test_scores_of_what_is_known() -> None:
    event = handmade.event(9, [[0, 1, 2, 3, 4, 5, 6, 7], [8]])
    truth = require_truth(event)

    def score(labels: list[int]) -> float:
        array = np.asarray(labels, dtype=np.int64)
        return trackml_score(array, truth, match_labels(array, event))

    assert score([3] * 8 + [-1]) == pytest.approx(1.0)
    assert score([-1] * 9) == 0.0
    assert score([3] * 4 + [-1] * 5) == 0.0, "half of the particle is no majority"
    assert score([3] * 5 + [-1] * 4) > score([-1] * 3 + [3] * 5 + [-1]), "the beginning weighs more than the end"
    nobody = replace(truth, spacepoint=truth.spacepoint[:0], particle=truth.particle[:0], order=truth.order[:0])
    none = np.full(9, -1)
    assert math.isnan(trackml_score(none, nobody, match_labels(none, replace(event, truth=nobody))))


def test_the_numbering_of_spacepoints_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    ways = [rng.permutation(40)[:12].tolist() for _ in range(6)]
    labels = rng.integers(-1, 5, 40)
    labels[ways[0]] = 7
    event = handmade.event(40, ways)
    place = rng.permutation(40)
    moved = np.empty_like(labels)
    moved[place] = labels
    other = handmade.event(40, [place[way].tolist() for way in ways])
    scores = [
        trackml_score(one, require_truth(where), match_labels(one, where))
        for one, where in ((labels, event), (moved, other))
    ]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] > 0.0
    assert judge(labels.tolist(), event, [True] * 6) == judge(moved.tolist(), other, [True] * 6)
