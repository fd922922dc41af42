"""Counting in bins, against loops; and what is drawn of it, whatever there is."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import handmade
import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.events.truth import edge_truth, owned_true_edges, true_edges
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.matching import match_candidates
from exatrkx.performance.selection import ParticleSelection
from exatrkx.validation import Validation
from exatrkx.validation.binned import (
    DISTANCE,
    ETA,
    PT,
    RADIUS,
    VERTEX_Z,
    Axis,
    BinnedFigures,
    BinnedRatio,
    Quantity,
    candidate_eta,
)
from exatrkx.validation.evaluation import Evaluation, Sample
from exatrkx.validation.finders import GRAPHS, Finder, Found
from exatrkx.validation.panels import range_from_zero, range_of_intervals, range_to_one
from exatrkx.validation.plots import write_plots

pytestmark = pytest.mark.slow

AXIS = Axis("length", "length", "m", (0.0, 1.0, 2.5))
ANY = ParticleSelection(min_pt=0.0, max_abs_eta=math.inf, min_spacepoints=1)


@given(st.lists(st.tuples(st.floats(width=32), st.booleans()), max_size=30))
@settings(derandomize=True, deadline=None)
def test_bins_are_what_a_loop_counts(things: list[tuple[float, bool]]) -> None:
    values = np.array([value for value, _ in things], dtype=np.float32)
    flags = np.array([flag for _, flag in things], dtype=np.bool_)
    expected = []
    for low, high in ((0.0, 1.0), (1.0, 2.5)):
        inside = [flag for value, flag in things if low <= value < high]
        expected.append(Ratio(sum(inside), len(inside)))
    found = BinnedRatio.count(AXIS, values, flags)
    assert list(found.ratios) == expected
    assert found + BinnedRatio.zero(AXIS) == found
    assert found.total == expected[0] + expected[1]


def test_each_bin_has_its_lower_edge_and_not_its_upper_one() -> None:
    values = np.array([0.0, 1.0, 2.5, -0.0, np.nan, np.inf, -np.inf], dtype=np.float32)
    found = BinnedRatio.count(AXIS, values, np.ones(7, dtype=np.bool_))
    assert found.ratios == (Ratio(2, 2), Ratio(1, 1))


def test_bins_of_different_variables_are_not_added() -> None:
    with pytest.raises(ValueError, match="bins of pT / GeV cannot be added to bins of η"):
        _ = BinnedRatio.zero(PT) + BinnedRatio.zero(ETA)


@pytest.mark.parametrize("axis", [PT, ETA, RADIUS, VERTEX_Z, DISTANCE])
def test_edges_rise(axis: Axis) -> None:
    assert list(axis.edges) == sorted(set(axis.edges))


def test_an_edge_of_two_particles_is_counted_once_and_is_the_first_ones() -> None:
    truth = handmade.truth(5, [[3, 2, 1], [0, 1, 2], [4]])
    edges, owner = owned_true_edges(truth, 5)
    assert dict(zip(map(tuple, edges.T.tolist()), owner.tolist(), strict=True)) == {(3, 2): 0, (2, 1): 0, (1, 0): 1}
    assert np.array_equal(edges, true_edges(truth, 5))
    edges, owner = owned_true_edges(truth, 5, np.array([False, True, True]))
    assert owner.tolist() == [1, 1]
    empty, nobody = owned_true_edges(handmade.truth(0, []), 0)
    assert empty.shape == (2, 0)
    assert nobody.shape == (0,)


def test_eta_of_a_candidate_is_the_mean_of_its_spacepoints() -> None:
    event = handmade.event(5, [[0, 1]])
    np.copyto(event.z, event.x * np.sinh(np.array([1, 2, 9, -1, -2], dtype=np.float32)))
    labels = np.array([7, 7, -1, 3, 3])
    candidates = match_candidates(labels, handmade.truth(5, [[0, 1]]))
    assert candidate_eta(labels, candidates, event) == pytest.approx([-1.5, 1.5], abs=1e-5)


def one_event(labels: list[int], ways: list[list[int]], pt: list[float]) -> Validation:
    event = handmade.event(len(labels), ways, handmade.particles(len(ways), pt=pt))
    assert event.truth is not None
    edges = true_edges(event.truth, len(event))
    graphs = dict(zip(GRAPHS, (edges, edges[:, 1:], edges[:, :0]), strict=True))
    total = Validation(ANY)
    total.add(Found(labels=np.asarray(labels), seconds=0.1, graphs=graphs), event)
    assert edge_truth(edges, graphs["filter"], len(event)).tolist() == [False] + [True] * (edges.shape[1] - 1)
    return total


def test_figures_fall_into_the_bins_of_their_particle() -> None:
    result = one_event([0, 0, 0, 1, 1, 2, 2, 2], [[0, 1, 2], [3, 4, 5, 6, 7]], pt=[1.2, 7.0])

    def filled(quantity: Quantity, kind: str = "") -> dict[float, Ratio]:
        binned = result.binned.kinds(quantity, PT)[kind]
        return {low: ratio for (low, _), ratio in zip(PT.bins, binned.ratios, strict=True) if ratio.denominator}

    assert filled(Quantity.EFFICIENCY, "perfect") == {1.0: Ratio(1, 1), 6.0: Ratio(0, 1)}
    assert filled(Quantity.EFFICIENCY, "LHC") == {1.0: Ratio(1, 1), 6.0: Ratio(1, 1)}
    assert filled(Quantity.DUPLICATE_RATE) == {1.0: Ratio(0, 1), 6.0: Ratio(1, 2)}
    assert filled(Quantity.EDGE_EFFICIENCY, "neighbours") == {1.0: Ratio(2, 2), 6.0: Ratio(4, 4)}
    assert filled(Quantity.EDGE_EFFICIENCY, "filter") == {1.0: Ratio(1, 2), 6.0: Ratio(4, 4)}
    assert filled(Quantity.EDGE_EFFICIENCY, "GNN") == {1.0: Ratio(0, 2), 6.0: Ratio(0, 4)}


def test_each_variable_is_that_of_the_particle() -> None:
    """Two particles of four spacepoints, the second one in the other direction, displaced and in pieces."""
    made_by = handmade.particles(2, pt=[0.6, 2.2], eta=[0.2, -3.2])
    made_by = replace(made_by, vx=np.array([0, 40], dtype=np.float32), vz=np.array([-60, 110], dtype=np.float32))
    event = handmade.event(8, [[0, 1, 2, 3], [4, 5, 6, 7]], made_by)
    total = Validation(ParticleSelection(min_spacepoints=1))
    total.add(Found(labels=np.array([0, 0, 0, 0, 1, 1, 2, 2]), seconds=0.1), event)
    expected = {
        PT: {0.5: Ratio(1, 1)},  # the second one is beyond the cut on η, which its own bins are without
        ETA: {-3.5: Ratio(0, 1)},  # and the first one below that on pT
        RADIUS: {},
        VERTEX_Z: {},
        DISTANCE: {},
    }
    for axis, bins in expected.items():
        binned = total.binned.kinds(Quantity.EFFICIENCY, axis)["perfect"]
        assert {low: one for (low, _), one in zip(axis.bins, binned.ratios, strict=True) if one.denominator} == bins
    wide = Validation(ANY)
    wide.add(Found(labels=np.array([0, 0, 0, 0, 1, 1, 2, 2]), seconds=0.1), event)
    for axis, bins in {
        RADIUS: {0.0: Ratio(1, 1), 30.0: Ratio(0, 1)},
        VERTEX_Z: {50.0: Ratio(1, 1), 100.0: Ratio(0, 1)},
    }.items():
        binned = wide.binned.kinds(Quantity.EFFICIENCY, axis)["perfect"]
        assert {low: one for (low, _), one in zip(axis.bins, binned.ratios, strict=True) if one.denominator} == bins


def test_adding_leaves_both_as_they_were() -> None:
    one, other = one_event([0, 0, 0], [[0, 1, 2]], pt=[2.0]).binned, BinnedFigures()
    before = dict(one.ratios)
    assert one + other == one == other + one
    assert (one + one).ratios != before == one.ratios


@pytest.mark.parametrize(
    ("name", "pileup"),
    [("µ = 40", 40.0), ("μ=0", 0.0), ("tt̄, mu 200", 200.0), ("mu = 2.5 ", 2.5), ("µ", None), ("40", None)],
)
def test_pileup_in_a_sample_name(name: str, pileup: float | None) -> None:
    assert Sample(name, ()).pileup == pileup


def evaluated(results: dict[str, Validation], finder: str = "networks") -> list[Evaluation]:
    """These figures of the samples of these names."""
    source = Finder(lambda _: Found(labels=np.zeros(0, dtype=np.int64), seconds=0.0), "nowhere", "made up", finder)
    return [Evaluation(sample=Sample(name, ()), finder=source, result=result) for name, result in results.items()]


@pytest.mark.parametrize("names", [["alone"], ["µ = 40", "tt̄ µ = 40", "µ = 0"], ["a", "b", "empty"]])
@pytest.mark.parametrize("finders", [["networks"], ["networks", "CKF", "mine"]])
def test_what_there_is_is_drawn(names: list[str], finders: list[str], tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    results = {name: one_event([0, 0, 0, 1, 1], [[0, 1, 2], [3, 4]], pt=[2.0, 30.0]) for name in names}
    if "empty" in results:
        results["empty"] = Validation()
    every = [one for finder in finders for one in evaluated(results, finder)]
    written = write_plots(every, tmp_path)
    assert {"efficiency_radius", "rates_eta", "edge_efficiency_pt"} <= set(written)
    assert ("samples" in written) == (len(names) > 1)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written.values())
    assert all(path.stat().st_size < 80_000 for path in written.values()), "small enough for a repository"
    assert dict(mpl.rcParams) == before, "the style is ours alone"


def test_a_finder_may_lack_samples_and_graphs(tmp_path: Path) -> None:
    results = {f"µ = {mu}": one_event([0, 0, 0], [[0, 1, 2]], pt=[2.0]) for mu in (0, 40)}
    alone = one_event([0, 0, -1], [[0, 1, 2]], pt=[2.0])
    for curve in [curve for curve in alone.binned.ratios if curve.quantity is Quantity.EDGE_EFFICIENCY]:
        del alone.binned.ratios[curve]
    alone.seconds.clear()
    written = write_plots([*evaluated(results), *evaluated({"µ = 40": alone}, "mine")], tmp_path)
    assert {"samples", "efficiency_pt", "edge_efficiency_pt", "rates_eta"} <= set(written)


def test_ranges_hold_what_is_known_and_are_not_set_by_nearly_empty_bins() -> None:
    many, one = Ratio(900, 1000), Ratio(0, 1)
    low, high = range_to_one([many, one, Ratio(0, 0)])
    assert 0.8 < low < 0.9
    assert high > 1.0
    assert range_to_one([one])[0] == 0.0
    assert range_from_zero([Ratio(1, 100), Ratio(3, 100), one])[1] < 0.5
    low, high = range_of_intervals([many, Ratio(0, 0)])
    assert low < many.interval[0] < many.interval[1] < high
    assert all(low < high for low, high in (range_to_one([]), range_from_zero([]), range_of_intervals([])))


def test_nothing_counted_draws_no_curves(tmp_path: Path) -> None:
    assert write_plots(evaluated({"none": Validation()}), tmp_path) == {}
    assert set(write_plots(evaluated({"a": Validation(), "b": Validation()}), tmp_path)) == {"samples"}
    unseen = one_event([-1, -1], [[0, 1]], pt=[0.2])  # below the bins
    assert set(write_plots(evaluated({"unseen": unseen}), tmp_path)) >= {"efficiency_pt"}
