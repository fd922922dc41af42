"""Event data of Phoenix against its format guide, as Phoenix's loader reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import handmade
import numpy as np
import pytest
from displayed import KINDS, displayed_event

from exatrkx_client.event_scene import Scene, scene_of
from exatrkx_client.phoenix import phoenix_json


def read(scene: Scene) -> Any:
    """The one event of the file, checked against the guide's description of events, hits and tracks."""
    file = json.loads(phoenix_json(scene), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    ((_, event),) = file.items()
    assert {"event number", "run number", "Hits", "Tracks"} == set(event)
    for collection in (*event["Hits"].values(), *event["Tracks"].values()):
        assert collection, "the loader leaves out what follows an empty collection"
    for hits in event["Hits"].values():
        assert np.asarray(hits, dtype=float).shape == (len(hits), 3)
    for track in (track for tracks in event["Tracks"].values() for track in tracks):
        assert np.asarray(track["pos"], dtype=float).shape == (len(track["pos"]), 3)
        assert len(track["pos"]) >= 3, "the loader passes over shorter ones"
        assert 0 <= int(track["color"], 16) < 1 << 24
    return event


def test_every_spacepoint_and_every_track_is_there() -> None:
    event, labels = displayed_event()
    found = read(scene_of(event, labels))
    assert (found["event number"], found["run number"]) == (7, 0)
    places = np.stack([event.x, event.y, event.z], axis=1)
    np.testing.assert_allclose(found["Hits"]["On a candidate"], places[labels >= 0], atol=6e-4)
    np.testing.assert_allclose(found["Hits"]["On no candidate"], places[labels < 0], atol=6e-4)
    assert {name: len(tracks) for name, tracks in found["Tracks"].items()} == {
        "Found": 2, "Incomplete": 2, "Fake": 1, "Missed": 2, "Missed, others": 1,
    }  # fmt: skip
    for tracks in found["Tracks"].values():
        for track in tracks:
            np.testing.assert_allclose(track["pos"], places[track["spacepoints"]], atol=6e-4)
            if "label" in track:
                assert sorted(track["spacepoints"]) == np.flatnonzero(labels == track["label"]).tolist()
    assert [track["pT"] for track in found["Tracks"]["Found"]] == [0.5, 1.5]
    assert "pT" not in found["Tracks"]["Fake"][0]


def test_without_truth() -> None:
    event, labels = displayed_event()
    found = read(scene_of(replace(event, truth=None), labels))
    assert {name: len(tracks) for name, tracks in found["Tracks"].items()} == {"Candidates": len(KINDS)}


@pytest.mark.parametrize("labels", [[], [0], [-1], [0, 0], [2, -1, 2], [1, 1, 1]])
def test_small_events(labels: list[int]) -> None:
    event = replace(handmade.event(len(labels), []), truth=None)
    found = read(scene_of(event, np.asarray(labels, dtype=np.int64)))
    assert sum(map(len, found["Hits"].values())) == len(labels)
    assert sum(map(len, found["Tracks"].values())) == (sum(label >= 0 for label in labels) > 1)


def test_what_is_no_number_is_left_out() -> None:
    event, labels = displayed_event()
    x = event.x.copy()
    x[[0, 3]] = np.nan, np.inf
    assert event.truth is not None
    unknown = replace(event.truth.particles, px=event.x[:6] * np.float32("nan"))
    found = read(scene_of(replace(event, x=x, truth=replace(event.truth, particles=unknown)), labels))
    assert sum(map(len, found["Hits"].values())) == len(event) - 2
    assert len(found["Tracks"]["Found"][0]["pos"]) == 6
    assert {"pT", "phi"}.isdisjoint(found["Tracks"]["Found"][0])
