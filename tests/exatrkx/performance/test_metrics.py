"""The figures of merit on events whose answers are counted by hand, and their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import handmade
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency

from exatrkx.events.event import Event
from exatrkx.performance.intervals import Ratio, standard_deviations_below, wilson_interval
from exatrkx.performance.metrics import EdgeMetrics, TrackMetrics, edge_metrics, track_metrics
from exatrkx.performance.selection import ParticleSelection

ANY = ParticleSelection(min_pt=0.0, min_spacepoints=1)


def score(labels: Sequence[int], event: Event, selection: ParticleSelection = ANY) -> TrackMetrics:
    return track_metrics(np.asarray(labels, dtype=np.int64), event, selection)


def test_everything_found() -> None:
    found = score([0, 0, 0, 1, 1, 1], handmade.event(6, [[0, 1, 2], [3, 4, 5]]))
    assert found == TrackMetrics(Ratio(2, 2), Ratio(2, 2), Ratio(2, 2), Ratio(0, 2), Ratio(0, 2), Ratio(0, 2))


def test_nothing_found() -> None:
    found = score([-1] * 6, handmade.event(6, [[0, 1, 2], [3, 4, 5]]))
    assert found == TrackMetrics(Ratio(0, 2), Ratio(0, 2), Ratio(0, 2), Ratio(0, 0), Ratio(0, 0), Ratio(0, 0))
    assert math.isnan(found.fake_rate.value)


def test_no_spacepoints_at_all() -> None:
    assert score([], handmade.event(0, [])) == TrackMetrics.zero()


def test_one_giant_candidate_is_a_fake() -> None:
    found = score([0] * 6, handmade.event(6, [[0, 1, 2], [3, 4, 5]]))
    assert found.fake_rate == Ratio(1, 1)  # three of six is not more than half
    assert found.unmatched_rate == Ratio(1, 1)
    assert found.efficiency_lhc == Ratio(0, 2)
    assert found.duplicate_rate == Ratio(0, 0)


def test_a_particle_in_three_pieces_counts_twice_as_duplicate() -> None:
    found = score([0, 0, 1, 1, 2, 2, -1], handmade.event(7, [[0, 1, 2, 3, 4, 5, 6]]))
    assert found.duplicate_rate == Ratio(2, 3)
    assert found.fake_rate == Ratio(0, 3)
    assert found.unmatched_rate == Ratio(3, 3)  # no piece holds more than half of the particle
    assert found.efficiency_lhc == Ratio(1, 1)
    assert found.efficiency_double_majority == Ratio(0, 1)


def test_candidates_of_unselected_particles_are_neither_fakes_nor_duplicates() -> None:
    made_by = handmade.particles(2, pt=[2.0, 0.5])
    event = handmade.event(6, [[0, 1, 2], [3, 4, 5]], made_by)
    found = score([0, 0, 0, 1, 2, 2], event, ParticleSelection(min_spacepoints=1))
    assert found.efficiency_double_majority == Ratio(1, 1)
    assert found.fake_rate == Ratio(0, 3)
    assert found.unmatched_rate == Ratio(1, 3)
    assert found.duplicate_rate == Ratio(0, 1)


def test_three_noise_spacepoints_are_a_fake() -> None:
    found = score([0, 0, 0, 1, 1, 1], handmade.event(6, [[3, 4, 5]]))
    assert found.fake_rate == Ratio(1, 2)
    assert found.unmatched_rate == Ratio(1, 2)


@st.composite
def scored(draw: st.DrawFn) -> tuple[list[int], list[list[int]], list[bool]]:
    labels = draw(st.lists(st.integers(-1, 4), max_size=12))
    hit = st.integers(0, max(len(labels) - 1, 0))
    ways = draw(st.lists(st.lists(hit, max_size=8 if labels else 0), max_size=5))
    return labels, ways, draw(st.lists(st.booleans(), min_size=len(ways), max_size=len(ways)))


@given(scored())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_figures_are_what_sets_and_loops_count(case: tuple[list[int], list[list[int]], list[bool]]) -> None:
    labels, ways, fast = case
    event = handmade.event(len(labels), ways, handmade.particles(len(ways), pt=[2.0 if f else 0.5 for f in fast]))
    selected = {p for p, way in enumerate(ways) if fast[p] and way}
    candidates = [{i for i, other in enumerate(labels) if other == label} for label in sorted(set(labels) - {-1})]
    particles = [set(way) for way in ways]

    def best(candidate: set[int]) -> int | None:
        shares = [len(candidate & made) for made in particles]
        return shares.index(max(shares)) if any(shares) else None

    majority = [best(c) for c in candidates]
    pure = [p is not None and 2 * len(c & particles[p]) > len(c) for c, p in zip(candidates, majority, strict=True)]
    double = [
        is_pure and p is not None and 2 * len(c & particles[p]) > len(particles[p])
        for c, p, is_pure in zip(candidates, majority, pure, strict=True)
    ]
    found = score(labels, event, ParticleSelection(min_spacepoints=1))
    matched = {p for p, good in zip(majority, double, strict=True) if good}
    assert found.efficiency_double_majority == Ratio(len(matched & selected), len(selected))
    assert found.fake_rate == Ratio(pure.count(False), len(candidates))
    assert found.unmatched_rate == Ratio(double.count(False), len(candidates))
    of_selected = [p for p, is_pure in zip(majority, pure, strict=True) if is_pure and p in selected]
    assert found.duplicate_rate == Ratio(len(of_selected) - len(set(of_selected)), len(of_selected))


def test_metrics_of_several_events_are_pooled() -> None:
    event = handmade.event(6, [[0, 1, 2], [3, 4, 5]])
    total = sum((score(ls, event) for ls in ([0, 0, 0, 1, 1, 1], [-1] * 6, [0] * 6)), TrackMetrics.zero())
    assert total.efficiency_perfect == Ratio(2, 6)
    assert total.fake_rate == Ratio(1, 3)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (np.zeros(2, dtype=np.int64), r"int64 \[2\]"),
        (np.zeros((3, 1), dtype=np.int64), r"int64 \[3, 1\]"),
        (np.zeros(3, dtype=np.float32), r"float32 \[3\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: npt.NDArray[np.int64], found: str) -> None:
    with pytest.raises(ValueError, match=rf"event 7: labels .* 3 spacepoints, found {found}"):
        track_metrics(labels, handmade.event(3, [[0, 1, 2]]))


def test_edges_of_a_graph() -> None:
    event = handmade.event(6, [[0, 1, 2], [3, 4, 5]], handmade.particles(2, pt=[2.0, 0.5]))
    graph = np.array([[1, 2, 4, 5], [0, 0, 3, 0]])
    found = edge_metrics(graph, event, ParticleSelection(min_spacepoints=1))
    assert found == EdgeMetrics(efficiency=Ratio(1, 2), purity=Ratio(2, 4))
    assert found + EdgeMetrics.zero() == found
    assert edge_metrics(np.zeros((2, 0), dtype=np.int64), event, ANY) == EdgeMetrics(Ratio(0, 4), Ratio(0, 0))


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.68, 0.95, 0.99]))
@settings(derandomize=True, deadline=None)
def test_wilson_interval_is_that_of_scipy(trials: int, share: float, level: float) -> None:
    successes = round(share * trials)
    low, high = wilson_interval(successes, trials, level)
    expected = binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0.0 <= low <= successes / trials <= high <= 1.0


def test_nothing_counted_is_undefined_and_wide() -> None:
    ratio = Ratio(0, 0)
    assert math.isnan(ratio.value)
    assert ratio.interval == (0.0, 1.0)
    assert str(ratio) == "undefined (0 of 0)"
    assert str(Ratio(1, 4)) == "0.2500 [0.0456, 0.6994] (1 of 4)"


@pytest.mark.parametrize(("numerator", "denominator"), [(2, 1), (-1, 4), (0, -1)])
def test_more_than_the_whole_is_no_ratio(numerator: int, denominator: int) -> None:
    with pytest.raises(ValueError, match=f"found {numerator} of {denominator}"):
        Ratio(numerator, denominator)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
@settings(derandomize=True, deadline=None)
def test_deviations_are_those_of_the_chi_square_test(n: int, m: int, one: float, other: float) -> None:
    mine, its = Ratio(round(one * n), n), Ratio(round(other * m), m)
    found = standard_deviations_below(mine, its)
    table = [[mine.numerator, n - mine.numerator], [its.numerator, m - its.numerator]]
    if (mine + its).value in {0.0, 1.0}:
        assert math.isnan(found), "no spread, and no difference"
        return
    assert found**2 == pytest.approx(chi2_contingency(table, correction=False).statistic, abs=1e-9)
    assert (found > 0) == (its.value > mine.value)
    assert standard_deviations_below(its, mine) == -found


def test_nothing_counted_is_below_nothing() -> None:
    assert math.isnan(standard_deviations_below(Ratio(0, 0), Ratio(1, 2)))
    assert math.isnan(standard_deviations_below(Ratio(1, 2), Ratio(0, 0)))
