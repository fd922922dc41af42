"""Track completion: what it does to helices that anyone can draw, by both CPU implementations and by the kernels."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from completion_cases import CUTS, Array, Crowd, crowded, features_of, helix, in_random_crowds
from completion_kernels import CompletionKernels
from scipy.optimize import least_squares
from stage_cases import IMPLEMENTATIONS, partition
from stage_cases import running as running_on_cpu

from exatrkx.errors import ContractError
from exatrkx.stages import native, reference_completion, track_building
from exatrkx.stages.local_helix import LocalHelix
from exatrkx.stages.track_building import complete_tracks, label_tracks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exatrkx.working_point import WorkingPoint

in_each = pytest.mark.parametrize("implementation", [*IMPLEMENTATIONS, pytest.param("kernels", marks=pytest.mark.slow)])
KERNELS: Final = CompletionKernels()


@pytest.fixture(scope="module", autouse=True)
def kernels_end() -> Iterator[None]:
    with KERNELS:
        yield


@contextmanager
def running(implementation: str) -> Iterator[None]:
    """Calls of `complete_tracks` inside are done by this implementation, or as the engine does them on a GPU."""
    if implementation != "kernels":
        with running_on_cpu(implementation):
            yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(track_building, "_completed_on_host", KERNELS)
        yield


def completed(points: Array, labels: list[int], cuts: WorkingPoint = CUTS) -> list[int]:
    found = complete_tracks(features_of(points), np.array(labels, dtype=np.int64), cuts)
    assert found.dtype == np.int64
    answer: list[int] = found.tolist()
    return answer


@in_each
class TestByHand:
    @pytest.mark.parametrize("lost", [[0], [9], [4], [0, 1], [0, 5, 9], [2, 3]])
    @pytest.mark.parametrize("radius", [1200.0, 3000.0, -1500.0, 1e6])
    @pytest.mark.parametrize("cotangent", [-3.0, 0.0, 6.0])
    def test_spacepoints_that_were_left_out(
        self, implementation: str, lost: list[int], radius: float, cotangent: float
    ) -> None:
        labels = [-1 if i in lost else 0 for i in range(10)]
        reach = replace(CUTS, completion_reach=500.0 * np.hypot(1.0, cotangent))
        with running(implementation):
            assert completed(helix(radius=radius, cotangent=cotangent), labels, reach) == [0] * 10

    def test_a_track_in_two_and_in_three_pieces(self, implementation: str) -> None:
        with running(implementation):
            assert completed(helix(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]) == [0] * 10
            assert completed(helix(), [0, 0, 0, -1, 1, 1, 1, 2, 2, 2]) == [0] * 10
            assert completed(helix(), [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]) == [0] * 10  # one within the other

    def test_tracks_side_by_side_are_no_pieces_of_one(self, implementation: str) -> None:
        """Each of them has the other's ends on its helix."""
        points = np.concatenate((helix()[:9], helix()[1:] + np.array([0.0, 0.0, 0.03])))
        with running(implementation):
            assert completed(points, [0] * 9 + [1] * 9) == [0] * 9 + [1] * 9
            assert completed(helix(), [0, 1] * 5) == [0, 1] * 5

    def test_two_tracks_stay_two(self, implementation: str) -> None:
        points = np.concatenate((helix(), helix(phi=0.32), helix(cotangent=0.53)))
        labels = [0] * 10 + [1] * 10 + [2] * 10
        with running(implementation):
            assert completed(points, labels) == labels

    def test_what_is_off_the_helix_stays_free(self, implementation: str) -> None:
        for offset in ([0.0, 3.0, 0.0], [0.0, 0.0, 6.0], [-2.0, 2.0, 0.0]):
            points = helix()
            points[0] += offset
            with running(implementation):
                assert completed(points, [-1] + [0] * 9) == [-1] + [0] * 9

    def test_the_nearer_of_two_is_taken(self, implementation: str) -> None:
        beside = helix()[:1] + np.array([[-0.09, 0.09, 0.0]])
        with running(implementation):
            assert completed(np.concatenate((beside, helix()[1:])), [-1] + [0] * 9) == [0] * 10
            both = completed(np.concatenate((helix(), beside)), [-1] + [0] * 9 + [-1])
            assert both == [0] * 10 + [-1]

    @pytest.mark.parametrize(("wrong", "off"), [(0, 5.0), (4, 5.0), (9, 40.0)])
    def test_an_outlier_is_dropped_and_the_right_one_taken(self, implementation: str, wrong: int, off: float) -> None:
        points = np.concatenate((helix(), helix()[wrong : wrong + 1] + np.array([[-off, off, 0.0]])))
        labels = [0 if i != wrong else -1 for i in range(10)] + [0]
        with running(implementation):
            assert completed(points, labels) == [0] * 10 + [-1]

    @pytest.mark.parametrize("cotangent", [-1.2, 0.0, 1.2])
    def test_a_particle_leaves_one_hit_on_a_barrel_module(self, implementation: str, cotangent: float) -> None:
        """Beside one of the track along the beam, where strips know little; a module 3 mm farther out is another."""
        points = helix(phi=0.0, radius=1e6, cotangent=cotangent)
        second, overlap = points[6:7] + np.array([[[0.0, 0.01, 0.5]], [[3.0, 0.01, 3.0 * cotangent + 0.5]]])
        with running(implementation):
            assert completed(np.concatenate((points, second)), [0] * 10 + [-1]) == [0] * 10 + [-1]
            assert completed(np.concatenate((points, second)), [0] * 11) == [0] * 10 + [-1]
            assert completed(np.concatenate((points, overlap)), [0] * 10 + [-1]) == [0] * 11
            assert completed(np.concatenate((points, overlap)), [0] * 11) == [0] * 11

    def test_a_particle_leaves_one_hit_on_a_disc_module(self, implementation: str) -> None:
        """In one plane, where a radial strip knows little of r; 3 mm farther on it is right."""
        points = helix(phi=0.0, radius=1e6, cotangent=4.0)
        second, overlap = points[6:7] + np.array([[[0.3, 0.01, 0.0]], [[0.75, 0.01, 3.0]]])
        cuts = replace(CUTS, completion_reach=3000.0)
        with running(implementation):
            assert completed(np.concatenate((points, second)), [0] * 10 + [-1], cuts) == [0] * 10 + [-1]
            assert completed(np.concatenate((points, second)), [0] * 11, cuts) == [0] * 10 + [-1]
            assert completed(np.concatenate((points, overlap)), [0] * 10 + [-1], cuts) == [0] * 11
            assert completed(np.concatenate((points, overlap)), [0] * 11, cuts) == [0] * 11

    def test_what_short_candidates_leave_goes_to_the_others(self, implementation: str) -> None:
        """Two hits are no helix that could be merged, but each of them is on the other one's."""
        cuts = replace(CUTS, min_track_hits=4)
        for labels in ([0] * 8 + [1] * 2, [1] * 2 + [0] * 8, [0, 0, 0, 1, 2, 0, 0, 0, 0, 0]):
            with running(implementation):
                assert completed(helix(), labels, replace(cuts, min_track_hits=1)) != [0] * 10
                assert completed(helix(), labels, cuts) == [0] * 10

    def test_what_three_hits_say_drops_no_fourth(self, implementation: str) -> None:
        points = helix()[:4]
        points[3] += np.array([0.0, 5.0, 5.0])
        with running(implementation):
            assert completed(points, [0] * 4) == [0] * 4

    def test_not_past_the_beam(self, implementation: str) -> None:
        """The circle goes on to the other side of the beam, where a spacepoint is on it and not the track's."""
        points = helix(radius=1e5, cotangent=0.0, vertex=0.0)
        opposite = -points[:1]
        with running(implementation):
            assert completed(np.concatenate((points, opposite)), [0] * 10 + [-1]) == [0] * 10 + [-1]

    def test_not_beyond_the_reach(self, implementation: str) -> None:
        with running(implementation):
            near = completed(helix(cotangent=0.0), [0] * 9 + [-1], replace(CUTS, completion_reach=205.0))
            assert near == [0] * 10
            far = completed(helix(cotangent=0.0), [0] * 9 + [-1], replace(CUTS, completion_reach=195.0))
            assert far == [0] * 9 + [-1]

    def test_candidates_with_too_few_spacepoints_are_dropped_at_last(self, implementation: str) -> None:
        points = np.concatenate((helix()[:3], helix(phi=2.0)[:4], helix(phi=-2.0)))
        labels = [0] * 3 + [1] * 4 + [2] * 9 + [-1]
        for least, expected in ((3, [0, 1, 2]), (4, [-1, 0, 1]), (5, [-1, -1, 0]), (11, [-1] * 3)):
            found = completed_in(implementation, points, labels, replace(CUTS, min_track_hits=least))
            assert found == [expected[0]] * 3 + [expected[1]] * 4 + [expected[2]] * 10

    def test_where_many_may_be_there_by_chance_none_is_taken(self, implementation: str) -> None:
        cuts = replace(CUTS, max_chance=1e-9)
        assert completed_in(implementation, helix(), [-1] + [0] * 9, cuts) == [-1] + [0] * 9

    def test_0_1_and_2_spacepoints(self, implementation: str) -> None:
        with running(implementation):
            assert completed(np.zeros((0, 3)), []) == []
            assert completed(np.zeros((1, 3)), [-1]) == [-1]
            assert completed(helix()[:2], [0, 0], replace(CUTS, min_track_hits=1)) == [0, 0]

    def test_spacepoints_at_one_place_and_along_the_beam(self, implementation: str) -> None:
        along = np.array([[30.0, 0.0, 10.0 * i] for i in range(8)])
        with running(implementation):
            assert completed(np.zeros((8, 3)), [0] * 6 + [-1] * 2) == [0] * 6 + [-1] * 2
            assert completed(along, [0] * 6 + [-1] * 2) == [0] * 6 + [-1] * 2


def completed_in(implementation: str, points: Array, labels: list[int], cuts: WorkingPoint) -> list[int]:
    with running(implementation):
        return completed(points, labels, cuts)


@pytest.mark.parametrize("radius", [-700.0, 900.0, 5000.0])
def test_the_local_helix_is_the_least_squares_one(radius: float) -> None:
    """Beside SciPy's solver, on hits that are off their helix."""
    points = helix(phi=1.0, radius=radius, cotangent=1.5)[2:7] + np.random.default_rng(3).normal(0.0, 0.1, (5, 3))
    fitted = LocalHelix.fit(points)
    assert fitted is not None
    direction = np.array(fitted.direction)
    local = (points[:, :2] - points[:, :2].mean(axis=0)) @ np.array([direction, [-direction[1], direction[0]]]).T
    found = least_squares(lambda p: p[0] + p[1] * local[:, 0] + p[2] * local[:, 0] ** 2 - local[:, 1], np.zeros(3))
    x = np.linspace(local[0, 0] - 50.0, local[-1, 0] + 50.0, 7)
    a, b, c = fitted.parabola
    np.testing.assert_allclose(a + b * x + c * x * x, found.x[0] + found.x[1] * x + found.x[2] * x * x, atol=1e-3)
    _, longitudinal = fitted.distances(*points.T)
    assert abs(longitudinal).max() < 0.3


@in_random_crowds
@pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
def test_both_implementations_agree_and_the_order_does_not_matter(crowd: Crowd) -> None:
    features, labels, cuts = crowd
    found = native.complete_tracks(features, labels, cuts, threads=1 + len(labels) % 4)
    np.testing.assert_array_equal(found, reference_completion.complete_tracks(features, labels, cuts))
    order = np.random.default_rng(1).permutation(len(labels))
    moved = native.complete_tracks(features[order], labels[order], cuts, threads=3)
    assert {frozenset(order[list(track)].tolist()) for track in partition(moved)} == partition(found)


@in_each
def test_what_it_finds_is_on_a_helix(implementation: str) -> None:
    """Without outliers: every candidate is whole pieces and free spacepoints."""
    points, labels = crowded(5, 30, 2000)
    with running(implementation):
        found = complete_tracks(features_of(points), labels, replace(CUTS, min_track_hits=1))
    assert ((found >= 0) >= (labels >= 0)).all()
    for piece in range(labels.max() + 1):
        assert len(set(found[labels == piece].tolist())) == 1
    assert sorted(set(found.tolist()) - {-1}) == list(range(found.max() + 1))
    assert np.count_nonzero(found >= 0) > np.count_nonzero(labels >= 0)


def test_without_a_reach_the_labels_are_as_they_were() -> None:
    labels = np.array([0, 0, -1, 1], dtype=np.int64)
    assert complete_tracks(None, labels, replace(CUTS, completion_reach=0.0)) is labels


@in_each
def test_the_working_point_completes_what_track_building_found(implementation: str) -> None:
    edges = np.array([[2, 3, 4, 7, 8, 9], [1, 2, 3, 6, 7, 8]], dtype=np.int64)
    scores = np.ones(6, dtype=np.float32)
    with running(implementation):
        assert label_tracks(edges, scores, 10, CUTS, features_of(helix())).tolist() == [0] * 10
        assert label_tracks(edges, scores, 10, replace(CUTS, completion_reach=0.0)).tolist() == [
            *(-1, 0, 0, 0, 0, -1, 1, 1, 1, 1)
        ]


@in_each
@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (None, r"FEATURES: expected FEATURES FP32 \[-1,3\], found no such input"),
        (np.zeros((4, 3)), r"FEATURES: expected FP32 \[-1,3\], found float64 \[4,3\]"),
        (np.zeros((4, 2), dtype=np.float32), r"FEATURES: expected FP32 \[-1,3\], found float32 \[4,2\]"),
        (np.zeros((5, 3), dtype=np.float32), "FEATURES: expected one row for each of 4 spacepoints, found 5"),
        (np.full((4, 3), np.nan, dtype=np.float32), "FEATURES: entries must be finite, found nan at row 0, column 0"),
    ],
)
def test_bad_input(implementation: str, features: Any, reason: str) -> None:
    with running(implementation), pytest.raises(ContractError, match=reason):
        complete_tracks(features, np.zeros(4, dtype=np.int64), CUTS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"completion_reach": -1.0}, "completion_reach must be from 0 to 100000, found -1"),
        ({"hit_resolution": np.inf}, "hit_resolution must be from 0 to 100000, found inf"),
        ({"max_chance": np.nan}, "max_chance must be from 0 to 100000, found nan"),
        ({"min_track_hits": 0}, "min_track_hits must be at least 1, found 0"),
    ],
)
def test_impossible_numbers(change: dict[str, float], reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        replace(CUTS, **change)  # type: ignore[arg-type]  # by name
