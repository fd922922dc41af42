"""Imperfect tracks: what is too few and too many, why, and which stage lost it, against loops and sets."""

from __future__ import annotations

import math
from itertools import pairwise

import handmade
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exatrkx.events.event import Event, IntArray
from exatrkx.performance.imperfect import SHAPES, TRACK_BUILDING, Cause, ImperfectTrack, imperfect_tracks, lost_by
from exatrkx.performance.layers import LAYER_KINDS, layer_kind
from exatrkx.performance.metrics import match_labels

STEP_MM = 40.0


def apart(num_spacepoints: int, ways: list[list[int]]) -> Event:
    """An event whose spacepoints lie on a line outwards, a layer from each other."""
    event = handmade.event(num_spacepoints, ways)
    event.x[:] = 30.0 + STEP_MM * np.arange(num_spacepoints)
    return event


def imperfect(labels: list[int], event: Event, wanted: list[bool] | None = None) -> list[ImperfectTrack]:
    array = np.asarray(labels, dtype=np.int64)
    count = len(event.truth.particles) if event.truth else 0
    selected = np.ones(count, dtype=np.bool_) if wanted is None else np.asarray(wanted, dtype=np.bool_)
    return imperfect_tracks(array, match_labels(array, event), selected, event)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[int], list[list[int]], list[bool]]:
    """Three particles along stretches of 24 spacepoints that may overlap, and labels that are right here and there."""
    ways = []
    for _ in range(draw(st.integers(0, 3))):
        first, size = draw(st.integers(0, 16)), draw(st.integers(1, 8))
        ways.append(
            draw(st.permutations(range(first, first + size))) if draw(st.booleans()) else [*range(first, first + size)]
        )
    labels = draw(st.lists(st.integers(-1, 3), min_size=24, max_size=24))
    for label, way in enumerate(ways):
        for spacepoint in way:
            if draw(st.integers(0, 3)):
                labels[spacepoint] = label
    return labels, [list(way) for way in ways], draw(st.lists(st.booleans(), min_size=len(ways), max_size=len(ways)))


@given(labelled())
@settings(derandomize=True, deadline=None, max_examples=300)
def test_tracks_are_what_loops_find(case: tuple[list[int], list[list[int]], list[bool]]) -> None:
    labels, ways, wanted = case
    particles = [set(way) for way in ways]
    expected = {}
    candidates = {label: {i for i, other in enumerate(labels) if other == label} for label in set(labels) - {-1}}
    best = {}
    for label, held in candidates.items():
        shares = [len(held & made) for made in particles]
        best[label] = shares.index(max(shares)) if any(shares) else None
    for label, held in candidates.items():
        p = best[label]
        if p is None or not wanted[p] or held == particles[p]:
            continue
        shared = held & particles[p]
        if 2 * len(shared) <= max(len(held), len(particles[p])):
            continue
        few, many = [s for s in ways[p] if s not in held], held - particles[p]
        causes = set()
        places = [i for i, s in enumerate(ways[p]) if s in held]
        for i, s in enumerate(ways[p]):
            if s not in held:
                causes.add(Cause.BEGINNING if i < places[0] else Cause.END if i > places[-1] else Cause.GAP)
                other = candidates.get(labels[s], set())
                if best.get(labels[s]) == p and 2 * len(other & particles[p]) > len(other):
                    causes.add(Cause.IN_PIECES)
        owners = {s: sum(s in made for made in particles) for s in {*few, *many}}
        causes |= {Cause.MERGED} if any(number > 1 for number in owners.values()) else set()
        causes |= {Cause.NOISE} if any(owners[s] == 0 for s in many) else set()
        causes |= {Cause.CURLING} if any(b < a for a, b in pairwise(ways[p])) else set()
        expected[p] = (few, many, causes)
    found = imperfect(labels, apart(24, ways), wanted)
    assert {t.particle: (t.missing.tolist(), set(t.extra.tolist()), set(t.causes)) for t in found} == expected
    for track in found:
        assert track.shape in SHAPES
        assert [*sorted(track.held)] == sorted(particles[track.particle] - set(track.missing.tolist()))
        way = ways[track.particle]
        for run in track.runs:
            start = way.index(run[0])
            assert way[start : start + len(run)] == run.tolist()
            after = way[start + len(run) :][:1]
            assert after == [] or after[0] in track.held


@pytest.mark.parametrize(
    ("labels", "shape", "causes"),
    [
        ([-1, 0, 0, 0, 0, 0, -1, -1], "one too few", {Cause.BEGINNING}),
        ([0, 0, -1, 0, 0, -1, -1, -1], "more too few", {Cause.GAP, Cause.END}),
        ([0, 0, 0, 0, 0, 0, 0, -1], "one too many", {Cause.NOISE}),
        ([0, 0, 0, 0, 0, 0, 0, 0], "more too many", {Cause.NOISE}),
        ([0, 0, 0, 0, 0, -1, 0, -1], "too few and too many", {Cause.END, Cause.NOISE}),
        ([0, 0, 0, 0, 1, 1, -1, -1], "more too few", {Cause.END, Cause.IN_PIECES}),
    ],
)
def test_shapes_and_causes(labels: list[int], shape: str, causes: set[Cause]) -> None:
    (track,) = imperfect(labels, apart(8, [[0, 1, 2, 3, 4, 5]]))
    assert (track.shape, set(track.causes)) == (shape, causes)


def test_overlap_of_modules() -> None:
    event = apart(6, [[0, 1, 2, 3, 4, 5]])
    event.x[3] = event.x[2] + 4.0
    (track,) = imperfect([0, 0, 0, -1, 0, 0], event)
    assert track.causes == {Cause.GAP, Cause.OVERLAP}
    (track,) = imperfect([0, 0, -1, -1, 0, 0], event)
    assert Cause.OVERLAP in track.causes, "both of the layer are too few, each beside the other"
    (track,) = imperfect([0, 0, 0, -1, 0, -1], event)
    assert Cause.OVERLAP not in track.causes, "the last one is on a layer of its own"


def test_perfect_tracks_and_those_not_found_are_none() -> None:
    event = apart(8, [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert imperfect([0, 0, 0, 0, 1, 1, -1, -1], event) == []
    assert imperfect([], handmade.event(0, [])) == []
    assert imperfect([0, 0, 0, -1, -1, -1, -1, -1], event, [False, True]) == []


def graph(*edges: tuple[int, int]) -> IntArray:
    return np.array(edges, dtype=np.int64).reshape(-1, 2).T


def test_the_stage_that_lost_a_spacepoint() -> None:
    tracks = imperfect([-1, 0, 0, 0, 0, -1, 1, 1, 1, 1], apart(10, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]))
    whole = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    for kept, stage in (
        ((whole, whole, whole), TRACK_BUILDING),
        ((whole, whole, whole[:-1]), "gnn"),
        ((whole, whole[1:], whole[1:-1]), "filter"),  # of two runs the one that was lost first
        ((whole[1:], whole[1:], whole[1:]), "near"),
        (([*whole[1:], (0, 3)], [*whole[1:], (0, 3)], [*whole[1:], (0, 3)]), TRACK_BUILDING),  # any edge will do
        (([*whole[1:], (0, 9)], whole[1:], whole[1:]), "near"),  # but to the particle itself
    ):
        graphs = dict(zip(("near", "filter", "gnn"), (graph(*edges) for edges in kept), strict=True))
        assert lost_by(tracks, graphs, 10) == [stage]
    assert lost_by(tracks, {}, 10) == [TRACK_BUILDING]


def test_a_track_that_lacks_nothing_was_lost_by_nobody() -> None:
    tracks = imperfect([0, 0, 0, 0, 0], apart(5, [[0, 1, 2, 3]]))
    assert lost_by(tracks, {"near": graph()}, 5) == [""]
    assert lost_by([], {"near": graph((1, 0))}, 5) == []


@given(
    labelled(),
    st.lists(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=60), min_size=2, max_size=2),
)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_stages_are_what_networkx_finds(
    case: tuple[list[int], list[list[int]], list[bool]], drawn: list[list[tuple[int, int]]]
) -> None:
    labels, ways, wanted = case
    consecutive = [pair for way in ways for pair in pairwise(way)]
    last = [pair for pair in drawn[1] if pair[0] != pair[1]]
    graphs = {"first": [*consecutive, *drawn[0], *last], "second": last}
    tracks = imperfect(labels, apart(24, ways), wanted)
    expected = []
    for track in tracks:
        lost = []
        for run in track.runs:
            stage = TRACK_BUILDING
            for name, edges in reversed(graphs.items()):
                one = nx.Graph([pair for pair in edges if set(pair) <= set(ways[track.particle])])
                if not any(one.has_edge(a, b) for a in run.tolist() for b in track.held.tolist()):
                    stage = name
            lost.append(stage)
        expected.append(min(lost, key=[*graphs, TRACK_BUILDING].index, default=""))
    assert lost_by(tracks, {name: graph(*edges) for name, edges in graphs.items()}, 24) == expected


def test_kinds_of_layers() -> None:
    event = handmade.event(6, [])
    event.x[:] = [32.0, 70.0, 360.0, 330.0, 1020.0, 900.0]
    event.z[:] = [490.0, -600.0, 1080.0, 1215.0, 0.0, -2950.0]
    assert [LAYER_KINDS[kind] for kind in layer_kind(event)] == list(LAYER_KINDS)
    assert layer_kind(handmade.event(0, [])).shape == (0,)


@pytest.mark.simulation
def test_kinds_are_those_of_the_detectors_volumes() -> None:
    import acts  # noqa: PLC0415 - only where there is a simulation
    import acts.examples as ex  # noqa: PLC0415

    from exatrkx.simulation.modules import Modules  # noqa: PLC0415
    from exatrkx.simulation.resolution import LONG_STRIPS, PIXELS, SHORT_STRIPS  # noqa: PLC0415

    detector = ex.GenericDetector(logLevel=acts.logging.ERROR)  # it owns the geometry
    modules = Modules.of(detector.trackingGeometry())
    volumes = {
        volume: 2 * sensor + (part != 1)
        for sensor, named in enumerate((PIXELS, SHORT_STRIPS, LONG_STRIPS))
        for part, volume in enumerate(named)
    }
    expected = [volumes[volume] for volume in modules.volume.tolist()]
    every = np.arange(len(modules))
    for end, side, width in ((-1, 1, 0), (-1, -1, 0), (1, 1, 1), (1, -1, 1), (0, 0, 0)):
        local = np.stack((side * modules.half[:, width], end * modules.half[:, 2]), axis=1)
        x, y, z = modules.position(every, local).T.astype(np.float32)
        corners = Event(event_id=0, x=x, y=y, z=z)
        assert layer_kind(corners).tolist() == expected
        assert not math.isnan(float(corners.r.max()))
