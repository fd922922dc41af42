"""The direct pipeline: every size, any order of the spacepoints, and an answer put together again from its parts."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import networkx as nx
import numpy as np
import pytest
import torch

from exatrkx.errors import ContractError, EventTooLargeError, GraphTooLargeError
from exatrkx.events.event import FloatArray, IntArray, features
from exatrkx.events.parquet import read_events
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.triplet_network import TripletNetwork
from exatrkx.pipeline import Pipeline, Tracks
from exatrkx.working_point import WorkingPoint, logit

EVENTS = Path(__file__).parents[2] / "data" / "events" / "ttbar_mu0.parquet"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """Networks as they are before any training, with cuts in the middle of what they then say."""
    torch.manual_seed(3)
    embed, edge_filter, gnn = Embedding(dimension=4), EdgeFilter(hidden=16), TripletNetwork(hidden=16, rounds=2)
    point = WorkingPoint(radius=0.05, max_neighbors=8, filter_cut=0.4, gnn_cut=0.5, max_edges=2_000_000)
    return Pipeline(embed.eval(), edge_filter.eval(), gnn.eval(), point)


@pytest.fixture(scope="module")
def hits() -> FloatArray:
    return features(next(read_events(EVENTS)))


def candidates(tracks: Tracks) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(tracks.labels == label).tolist()) for label in range(tracks.labels.max() + 1)}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 200])
def test_every_spacepoint_has_a_label(pipeline: Pipeline, hits: FloatArray, size: int) -> None:
    tracks = pipeline(hits[:size])
    assert tracks.labels.shape == (size,)
    assert tracks.labels.dtype == np.int64
    assert tracks.edge_scores.shape == (tracks.edge_index.shape[1],)


def test_labels_are_the_components_of_the_edges_that_pass(pipeline: Pipeline, hits: FloatArray) -> None:
    tracks = pipeline(hits)
    graph = nx.Graph(tracks.edge_index[:, tracks.edge_scores > logit(pipeline.working_point.gnn_cut)].T.tolist())
    expected = {frozenset(part) for part in nx.connected_components(graph) if len(part) >= 3}
    assert candidates(tracks) == expected
    assert expected
    firsts = [np.flatnonzero(tracks.labels == label)[0] for label in range(tracks.labels.max() + 1)]
    assert firsts == sorted(firsts)


def test_the_order_of_the_spacepoints_does_not_matter(pipeline: Pipeline, hits: FloatArray) -> None:
    few = hits[:400]
    order = np.random.default_rng(5).permutation(len(few))
    shuffled = pipeline(np.ascontiguousarray(few[order]))
    back = {frozenset(order[list(part)].tolist()) for part in candidates(shuffled)}
    assert back == candidates(pipeline(few))


def test_an_event_twice_over_joins_each_spacepoint_to_its_double(pipeline: Pipeline, hits: FloatArray) -> None:
    few = hits[:50]
    tracks = pipeline(np.concatenate((few, few)))
    assert set(zip(range(50, 100), range(50), strict=True)) <= set(map(tuple, tracks.neighbour_edges.T.tolist()))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 3)), r"FEATURES.*float64"),
        (np.zeros((4, 2), dtype=np.float32), r"FEATURES.*\[4,2\]"),
        (np.zeros(3, dtype=np.float32), r"FEATURES.*\[3\]"),
        (np.full((2, 3), np.nan, dtype=np.float32), "FEATURES.*nan"),
        (np.array([[1.0, np.inf, 0.0]], dtype=np.float32), "FEATURES.*inf"),
    ],
)
def test_bad_features_are_refused(pipeline: Pipeline, array: FloatArray, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        pipeline(array)


@pytest.mark.parametrize("size", [0, 1, 400])
def test_a_torch_tensor_is_as_good(pipeline: Pipeline, hits: FloatArray, size: int) -> None:
    few = hits[:size]
    expected, found = pipeline(few), pipeline(torch.from_numpy(few.copy()).requires_grad_())
    for name in ("labels", "edge_index", "edge_scores", "neighbour_edges"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert type(getattr(found, name)) is np.ndarray


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (torch.zeros((4, 3), dtype=torch.float64), r"FEATURES: expected FP32, found torch\.float64"),
        (torch.zeros((4, 3), dtype=torch.bfloat16), r"FEATURES: expected FP32, found torch\.bfloat16"),
        (torch.zeros((4, 2)), r"FEATURES.*\[4,2\]"),
        (torch.zeros(3), r"FEATURES.*\[3\]"),
        (torch.full((2, 3), torch.nan), "FEATURES.*nan"),
        (torch.zeros((4, 3), device="meta"), "FEATURES: expected on cpu, found on meta"),
    ],
)
def test_bad_tensors_are_refused(pipeline: Pipeline, tensor: torch.Tensor, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        pipeline(tensor)


def test_a_graph_over_the_limit_is_refused(pipeline: Pipeline, hits: FloatArray) -> None:
    small = Pipeline(pipeline.embed, pipeline.edge_filter, pipeline.gnn, replace(pipeline.working_point, max_edges=10))
    with pytest.raises(GraphTooLargeError, match="10"):
        small(hits)


def test_edges_that_are_not_admitted_do_not_reach_the_gnn(pipeline: Pipeline, hits: FloatArray) -> None:
    told = []

    def admit(edge_index: IntArray) -> None:
        told.append(edge_index.shape[1])
        raise EventTooLargeError("too much memory")

    bounded = Pipeline(pipeline.embed, pipeline.edge_filter, lambda *_: pytest.fail("it ran"), pipeline.working_point)
    bounded.admit = admit
    with pytest.raises(EventTooLargeError):
        bounded(hits)
    assert told == [pipeline(hits).edge_index.shape[1]]


LARGE: Final = """
import sys
import numpy as np
from exatrkx.errors import EventTooLargeError, GraphTooLargeError
from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.pipeline import Pipeline

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])

r, phi, z = np.concatenate([features(event) for event in read_events(sys.argv[1])]).T
turned = [np.column_stack((r, (phi + turn + 1) % 2 - 1, z)) for turn in np.arange(6, dtype=np.float32) / 3]
real = np.concatenate(turned)[:350_000]
random = np.random.default_rng(1).uniform(0, 1, (1_000_000, 3)).astype(np.float32)
find_tracks = Pipeline.from_weights()
find_tracks(real[:20_000])
before = peak()
for hits in (real, random, np.repeat(real[:1], 200_000, axis=0)):
    try:
        find_tracks(hits)
    except (GraphTooLargeError, EventTooLargeError) as error:
        print(error)
print((peak() - before) * 1024)
"""


def test_events_far_too_large_are_refused_before_memory_is_taken() -> None:
    """Bundled events in six rotations, a million random spacepoints, 200,000 in one place; the shipped networks."""
    command = [sys.executable, "-c", LARGE, str(EVENTS.parent)]
    *texts, more_bytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = r"edges among \d+ spacepoints, found at least \d+"
    assert len(texts) == 3
    assert re.fullmatch(rf"EMBEDDING: more than max_edges = 5000000 {found}", texts[0])
    assert texts[1] == "FEATURES: more than max_spacepoints = 500000 spacepoints, found 1000000"
    assert re.fullmatch(rf"EMBEDDING: more than max_edges = 5000000 {found}", texts[2])
    assert int(more_bytes) < 100e6
