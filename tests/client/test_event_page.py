"""The page of an event as a file: what is in it, whatever the event and the names of files are."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import handmade
import numpy as np
import pytest
from displayed import KINDS, displayed_event

from exatrkx_client.event_page import candidate_scores, event_page
from exatrkx_client.event_scene import scene_of

TYPES = {
    "Float32Array": "<f4",
    "Int32Array": "<i4",
    "Uint8Array": "u1",
    "BigInt64Array": "<i8",
    "BigUint64Array": "<u8",
}


def content(page: bytes) -> Any:
    """What the page's script reads, its arrays decoded."""
    (text,) = re.findall(r'<script type="application/json" id="event">(.*?)</script>', page.decode(), flags=re.DOTALL)
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    for name, array in read["arrays"].items():
        read["arrays"][name] = np.frombuffer(base64.b64decode(array["data"]), dtype=TYPES[array["type"]])
    return read


def test_the_event_is_in_it() -> None:
    event, labels = displayed_event()
    read = content(event_page(scene_of(event, labels), ["e.parquet", "t.csv"]))
    arrays = read["arrays"]
    assert (read["event"], read["files"], read["found"]) == (7, ["e.parquet", "t.csv"], [1, 3])
    np.testing.assert_array_equal(arrays["position"].reshape(-1, 3).T, [event.x, event.y, event.z])
    names = np.append(arrays["label"], -1)
    np.testing.assert_array_equal(names[arrays["candidate"]], labels)
    for number, label in enumerate(KINDS):
        way = arrays["way"][arrays["start"][number] : arrays["start"][number + 1]]
        assert sorted(way) == np.flatnonzero(labels == label).tolist()
    assert {kind["name"]: kind["count"] for kind in read["kinds"]} == {
        "candidates": 0, "found": 2, "incomplete": 2, "fake": 1, "missed": 2, "missed, others": 1,
    }  # fmt: skip
    assert arrays["particleId"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(arrays["particlePt"], [0.5, 1.5, 3.0, 2.0, 4.0, 0.7])


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<!--", "@style@ @event@", "\udcff\u2028é\"'&"])
def test_names_of_files_stay_texts(name: str) -> None:
    page = event_page(scene_of(*displayed_event()), [name, "t.csv"])
    assert content(page)["files"] == [name, "t.csv"]
    assert len(re.findall(b"<script", page)) == 2
    assert page.count(b"</script>") == 2


def test_the_policy_allows_its_own_script_and_style_alone() -> None:
    page = event_page(scene_of(*displayed_event()), []).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    parts = [
        re.findall(f"<{tag}.*?>(.*?)</{tag.split()[0]}>", page, re.DOTALL)[0]
        for tag in ('script type="module"', "style")
    ]
    script, style = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts)
    assert policy == f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_small_events_and_numbers_that_are_none(size: int) -> None:
    event = handmade.event(size, [list(range(size))])
    event = replace(event, x=event.x * np.float32("nan"))
    read = content(event_page(scene_of(event, np.zeros(size, dtype=np.int64)), []))
    assert len(read["arrays"]["candidate"]) == size
    assert read["detector"] == {"barrels": [], "discs": []}


def test_labels_and_particles_of_64_bits() -> None:
    event, labels = displayed_event()
    assert event.truth is not None
    particles = replace(event.truth.particles, particle_id=np.arange(6, dtype=np.uint64) + np.uint64(2**64 - 6))
    event = replace(event, truth=replace(event.truth, particles=particles))
    arrays = content(event_page(scene_of(event, np.where(labels == 40, 2**62, labels)), []))["arrays"]
    assert arrays["label"][-1] == 2**62
    assert arrays["particleId"].tolist() == list(range(2**64 - 6, 2**64))


@pytest.mark.parametrize("seed", range(5))
def test_scores_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(-1, 6, 40)
    edges, scores = (
        random.integers(0, 40, (2, 200 * (seed > 0))),
        random.normal(0, 4, 200 * (seed > 0)).astype(np.float32),
    )
    found = candidate_scores(labels, edges, scores)
    for label, score in zip(np.unique(labels[labels >= 0]), found, strict=True):
        within = [s for (a, b), s in zip(edges.T, scores, strict=True) if labels[a] == labels[b] == label]
        expected = np.mean([1 / (1 + np.exp(-float(one))) for one in within]) if within else np.nan
        np.testing.assert_allclose(score, expected, rtol=1e-6)


def test_scores_beyond_what_exp_takes() -> None:
    scores = candidate_scores(np.array([0, 0, 1, 1]), np.array([[1, 3], [0, 2]]), np.array([1e30, -1e30], np.float32))
    np.testing.assert_allclose(scores, [1.0, 0.0], atol=1e-9)
    assert candidate_scores(np.zeros(0, np.int64), np.zeros((2, 0), np.int64), np.zeros(0, np.float32)).shape == (0,)
