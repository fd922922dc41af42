"""The scene of a display against counts made by hand and one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import handmade
import numpy as np
import pytest
from displayed import KINDS, NOISE, PT, RADII, displayed_event

from exatrkx_client.event_scene import KINDS as ALL_KINDS
from exatrkx_client.event_scene import Scene, scene_of

if TYPE_CHECKING:
    from exatrkx.events.event import IntArray

NAMES = tuple(ALL_KINDS)


def kinds(scene: Scene) -> list[str]:
    return [NAMES[kind] for kind in scene.tracks.kind]


def test_a_track_of_each_kind() -> None:
    scene = scene_of(*displayed_event())
    assert scene.tracks.label.tolist() == list(KINDS)
    assert kinds(scene) == [*KINDS.values(), "missed", "missed", "missed, others"]
    assert scene.tracks.particle.tolist() == [0, 1, 2, 2, -1, 2, 4, 5]
    assert scene.tracks.shared.tolist() == [8, 8, 4, 4, 0, 8, 8, 8]
    assert scene.tracks.made.tolist() == [8, 8, 8, 8, 0, 8, 8, 8]
    assert scene.found == (1, 3), "1, 2 and 4 are above 1 GeV and charged; 1 is found"
    assert [way.tolist() for way in scene.tracks.ways[-2:]] == [list(range(32, 40)), list(range(40, 48))]
    assert scene.maker.tolist() == [*np.repeat(np.arange(len(PT)), len(RADII)), *[-1] * NOISE]


def test_ways_lead_outwards_whatever_the_order_of_the_spacepoints() -> None:
    event, labels = displayed_event()
    mixed = np.random.default_rng(0).permutation(len(event))
    shuffled = replace(event, x=event.x[mixed], y=event.y[mixed], z=event.z[mixed], truth=None)
    scene = scene_of(shuffled, labels[mixed])
    for way in scene.tracks.ways:
        assert (np.diff(shuffled.r[way]) >= 0).all()
    assert [sorted(mixed[way]) for way in scene.tracks.ways] == [
        np.flatnonzero(labels == name).tolist() for name in KINDS
    ]


def test_without_truth_all_are_candidates() -> None:
    event, labels = displayed_event()
    scene = scene_of(replace(event, truth=None), labels)
    assert set(kinds(scene)) == {"candidates"}
    assert scene.found is None
    assert (scene.maker == -1).all()


@pytest.mark.parametrize("labels", [[], [0], [-1], [3, 3], [-5, 7]])
def test_small_events(labels: list[int]) -> None:
    event = handmade.event(len(labels), [])
    for one in (event, replace(event, truth=None)):
        scene = scene_of(one, np.asarray(labels, dtype=np.int64))
        assert scene.tracks.label.tolist() == sorted({label for label in labels if label >= 0})
        assert len(scene.maker) == len(labels)


def random_case(seed: int) -> tuple[Scene, IntArray]:
    """Spacepoints of several particles, of one or of none, and labels that know nothing of them."""
    random = np.random.default_rng(seed)
    ways = [random.choice(30, random.integers(0, 12), replace=True).tolist() for _ in range(6)]
    labels = random.integers(-2, 5, 30)
    event = handmade.event(30, ways)
    return scene_of(event, labels), labels


@pytest.mark.parametrize("seed", range(20))
def test_kinds_and_makers_one_by_one(seed: int) -> None:
    scene, labels = random_case(seed)
    truth = scene.event.truth
    assert truth is not None
    makers = [
        {int(p) for p, hit in zip(truth.particle, truth.spacepoint, strict=True) if hit == point} for point in range(30)
    ]
    sizes = Counter(particle for found in makers for particle in found)
    matched = set()
    for number, label in enumerate(scene.tracks.label.tolist()):
        members = np.flatnonzero(labels == label).tolist()
        shared = Counter(particle for point in members for particle in makers[point])
        best = max(shared.values(), default=0)
        particle = min((p for p, count in shared.items() if count == best), default=-1)
        pure, complete = 2 * best > len(members), 2 * best > sizes[particle]
        expected = "fake" if not pure else "found" if complete else "incomplete"
        assert (NAMES[scene.tracks.kind[number]], scene.tracks.particle[number]) == (expected, particle)
        if expected == "found":
            matched.add(particle)
        for point in members:
            assert scene.maker[point] == (particle if particle in makers[point] else min(makers[point], default=-1))
    for point in np.flatnonzero(labels < 0).tolist():
        assert scene.maker[point] == min(makers[point], default=-1)
    missed = scene.tracks.particle[len(scene.tracks.label) :].tolist()
    assert missed == [particle for particle in range(6) if sizes[particle] >= 5 and particle not in matched]
    for particle, way in zip(missed, scene.tracks.ways[len(scene.tracks.label) :], strict=True):
        along = [int(hit) for p, hit in zip(truth.particle, truth.spacepoint, strict=True) if p == particle]
        assert way.tolist() == list(dict.fromkeys(along))
