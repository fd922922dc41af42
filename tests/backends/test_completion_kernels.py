"""Track completion's kernels on host threads, and on a GPU where there is one: the labels are those of the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import torch
from completion_cases import CUTS, Array, Crowd, crowded, features_of, in_random_crowds
from completion_kernels import CompletionKernels
from helices import true_labels

from exatrkx.events.event import features
from exatrkx.events.parquet import read_events
from exatrkx.stages import native, reference_completion
from exatrkx.stages.track_building import complete_tracks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from completion_kernels import IntArray

    from exatrkx.working_point import WorkingPoint

pytestmark = pytest.mark.slow

EVENT_FILES: Final = sorted((Path(__file__).parents[2] / "data" / "events").glob("*.parquet"))
LEAST_ROOM: Final = 256
"""For matches, beside one for each track: `kLeastRoom` in engine/gpu/completion.cpp."""


@pytest.fixture(scope="module")
def kernels() -> Iterator[CompletionKernels]:
    with CompletionKernels() as running:
        yield running


def assert_same(kernels: CompletionKernels, points: Array, labels: IntArray, cuts: WorkingPoint) -> None:
    """That the kernels find what the reference finds, in any order of the spacepoints."""
    rows = features_of(points)
    for order in (np.arange(len(rows)), np.random.default_rng(1).permutation(len(rows))):
        expected = reference_completion.complete_tracks(rows[order], labels[order], cuts)
        np.testing.assert_array_equal(kernels(rows[order], labels[order], cuts), expected)


def damaged(labels: IntArray, seed: int) -> IntArray:
    """The same tracks in two pieces each, or in one, without a fifth of their hits, and with wrong ones."""
    random = np.random.default_rng(seed)
    pieces = 2 * labels + (random.random(len(labels)) < 0.3) * (random.random(labels.max() + 1)[labels] < 0.3)
    wrong = random.random(len(labels)) < 0.02
    pieces[wrong] = random.permutation(pieces[wrong])
    pieces[(pieces < 0) | (random.random(len(labels)) < 0.2)] = -1
    _, numbered = np.unique(np.append(pieces, -1), return_inverse=True)
    damaged_labels: IntArray = numbered[:-1].astype(np.int64) - 1
    return damaged_labels


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_bundled_events(kernels: CompletionKernels, path: Path) -> None:
    cuts = replace(CUTS, completion_reach=1200.0, min_track_hits=5)
    for number, event in enumerate(read_events(path)):
        rows, labels = features(event), damaged(true_labels(event), number)
        found = kernels(rows, labels, cuts)
        np.testing.assert_array_equal(found, complete_tracks(rows, labels, cuts))
        assert np.count_nonzero(found[labels < 0] >= 0) > 100, "there was something to complete"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("reach", [50.0, 1000.0, 1e5])
def test_crowds(kernels: CompletionKernels, seed: int, reach: float) -> None:
    points, labels = crowded(seed, tracks=4 * seed, noise=50 * seed)
    wide = replace(CUTS, completion_sigmas=6.0, hit_resolution=0.1, max_chance=1e3, min_track_hits=1 + seed % 5)
    assert_same(kernels, points, labels, replace(wide, completion_reach=reach))


@in_random_crowds
def test_random_crowds(kernels: CompletionKernels, crowd: Crowd) -> None:
    features, labels, cuts = crowd
    expected = reference_completion.complete_tracks(features, labels, cuts)
    np.testing.assert_array_equal(kernels(features, labels, cuts), expected)


@pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
def test_a_large_crowd(kernels: CompletionKernels) -> None:
    """So many places that few threads share one."""
    points, labels = crowded(3, tracks=3000, noise=3000)
    found = kernels(features_of(points), labels, CUTS)
    np.testing.assert_array_equal(found, native.complete_tracks(features_of(points), labels, CUTS))


def straight(hits: int, phi: float = 0.0) -> Array:
    """[hits,3] a straight track with a hit every 10 mm."""
    r = 30.0 + 10.0 * np.arange(hits)
    return np.stack((r * np.cos(phi), r * np.sin(phi), 0.3 * r), axis=1)


PIECES: Final = straight(120), np.repeat(np.arange(40), 3)
FAR: Final = replace(CUTS, completion_reach=1e4, hit_resolution=0.001, scattering_length=0.0)


def test_more_matches_than_there_is_room_for(kernels: CompletionKernels) -> None:
    """Each of forty pieces of a track sees the ends of all others."""
    points, labels = PIECES
    reference = reference_completion.TrackCompletion(features_of(points), labels, FAR)
    reference.findable = np.arange(len(points))
    assert sum(len(reference._around(track)) for track in range(40)) > 2 * (LEAST_ROOM + 40)
    assert_same(kernels, points, labels, FAR)


@pytest.mark.parametrize("hits", [99, 100, 101, 102, 103, 1500])
def test_tracks_of_many_hits(kernels: CompletionKernels, hits: int) -> None:
    """The longest ones that are completed, and longer ones; two hits are off, two are on one module, and some free."""
    points = np.concatenate((straight(hits), straight(12, phi=1.0)))
    points[[20, 60]] += [0.0, 8.0, 0.0]
    points[41] = points[40] + [0.0, 0.05, 0.05]
    labels = np.repeat([0, 1], [hits, 12])
    labels[[30, hits + 5]] = -1
    assert_same(kernels, points, labels, CUTS)


def test_all_spacepoints_twice(kernels: CompletionKernels) -> None:
    """The scores of both are equal."""
    points, labels = crowded(6, tracks=15, noise=40)
    for second in (labels, np.full_like(labels, -1), np.where(labels < 0, -1, labels + labels.max() + 1)):
        assert_same(kernels, np.repeat(points, 2, axis=0), np.stack((labels, second), axis=1).ravel(), CUTS)


@pytest.mark.parametrize("labels", [[-1] * 30, [0] * 30, list(range(30)), [0] * 15 + [1] * 15])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e30])
def test_no_track_one_track_and_nothing_but_tracks(kernels: CompletionKernels, labels: list[int], scale: float) -> None:
    for points in (straight(30), np.random.default_rng(2).normal(0.0, 100.0, (30, 3))):
        assert_same(kernels, points * scale, np.array(labels), CUTS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu() -> None:
    """Ten times, since matches are in another order each time."""
    cases = [(*crowded(seed, tracks=10 * 4**seed, noise=30 * 4**seed), CUTS) for seed in range(6)]
    with CompletionKernels("cuda:0") as kernels:
        for points, labels, cuts in [*cases, (*PIECES, FAR)]:
            rows = features_of(points)
            expected = complete_tracks(rows, labels, cuts)
            for _ in range(10):
                np.testing.assert_array_equal(kernels(rows, labels, cuts), expected)
