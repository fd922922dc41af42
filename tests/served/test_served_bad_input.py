"""Every kind of bad input through the real server: a clear refusal or the right answer, and the server lives on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil
import pytest
from serving import Caller
from tiny_networks import WORKING_POINT, clumps

from exatrkx.checks import MAX_NODES
from exatrkx_client import ClientError
from exatrkx_client.address import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Array

    from exatrkx_server import TritonServer

    Case = tuple[str, dict[str, Array], str]

pytestmark = pytest.mark.server

PIPELINES: Final = ("exatrkx_ensemble", "exatrkx_custom")
GIB: Final = 1 << 30

FEATURES: Final = np.linspace(0.1, 0.9, 12, dtype=np.float32).reshape(4, 3)
EDGES: Final = np.array([[1, 2, 3], [0, 1, 2]], dtype=np.int64)
SCORES: Final = np.array([1.0, -1.0, 2.0], dtype=np.float32)
FOUR: Final = np.array([4], dtype=np.int64)


@pytest.fixture(scope="module")
def server(each_server: TritonServer) -> TritonServer:
    """Each of the servers under test."""
    return each_server


@pytest.fixture(scope="module")
def call(each_call: Caller) -> Caller:
    return each_call


def with_entry(array: Array, value: float, *where: int) -> Array:
    changed = array.copy()
    changed[where] = value
    return changed


@pytest.fixture(autouse=True)
def next_good_request_is_answered(call: Caller, server: TritonServer) -> Iterator[None]:
    """After each test: the same processes serve, and the right labels come back from both pipelines."""
    before = {process.pid for process in psutil.Process(server.pid).children(recursive=True)}
    yield
    features, _ = clumps(num_clumps=2, size=4)
    for model in PIPELINES:
        labels = call(model, {"FEATURES": features})["LABELS"]
        assert sorted(labels.tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert {process.pid for process in psutil.Process(server.pid).children(recursive=True)} == before


def refusal(caller: Caller, model: str, inputs: dict[str, Array]) -> str:
    """The text of the server's refusal, which must be the client's fault and say which model refused what."""
    with pytest.raises(ClientError) as caught:
        caller(model, inputs)
    assert caught.value.status in ("StatusCode.INVALID_ARGUMENT", "400")
    return caught.value.reason


@pytest.mark.parametrize("model", PIPELINES)
@pytest.mark.parametrize(
    ("features", "expected"),
    [
        pytest.param(FEATURES.astype(np.float64), ("FP64", "FP32"), id="float64"),
        pytest.param(FEATURES.astype(np.int64), ("INT64", "FP32"), id="int64"),
        pytest.param(FEATURES.astype(np.float16), ("FP16", "FP32"), id="float16"),
        pytest.param(FEATURES.ravel(), ("[-1,3]", "[12]"), id="rank 1"),
        pytest.param(FEATURES[None], ("[-1,3]", "[1,4,3]"), id="rank 3"),
        pytest.param(FEATURES[:, :2], ("[-1,3]", "[4,2]"), id="2 columns"),
        pytest.param(np.tile(FEATURES, (1, 2))[:, :4], ("[-1,3]", "[4,4]"), id="4 columns"),
        pytest.param(FEATURES.T.copy(), ("[-1,3]", "[3,4]"), id="transposed"),
    ],
)
def test_wrong_type_or_shape(call: Caller, model: str, features: Array, expected: tuple[str, str]) -> None:
    text = refusal(call, model, {"FEATURES": features})
    for part in (model, "FEATURES", *expected):
        assert part in text


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", PIPELINES)
@pytest.mark.parametrize(("value", "name"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_features_that_are_not_finite(
    server: TritonServer, protocol: Protocol, model: str, value: float, name: str
) -> None:
    caller = Caller(server, protocol)
    text = refusal(caller, model, {"FEATURES": with_entry(FEATURES, value, 2, 1)})
    caller.close()
    assert model in text
    assert f"entries must be finite, found {name} at row 2, column 1" in text


@pytest.mark.parametrize("model", PIPELINES)
def test_features_without_end(call: Caller, model: str) -> None:
    """The largest numbers there are: no crash, and no spacepoint is near another."""
    features = np.array([[3e38, 1.0, -3e38], [1.0, 3e38, 3e38], [-3e38, 0.0, 0.0]], dtype=np.float32)
    assert call(model, {"FEATURES": features}, ("LABELS",))["LABELS"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", PIPELINES)
def test_no_spacepoints(server: TritonServer, protocol: Protocol, model: str) -> None:
    caller = Caller(server, protocol)
    answer = caller(model, {"FEATURES": np.empty((0, 3), dtype=np.float32)})
    caller.close()
    assert {name: (str(array.dtype), array.shape) for name, array in answer.items()} == {
        "LABELS": ("int64", (0,)),
        "EDGE_INDEX": ("int64", (2, 0)),
        "EDGE_SCORES": ("float32", (0,)),
        "REQUEST_DIGEST": ("int64", (1,)),
        "EDGES_DIGEST": ("int64", (1,)),
    }


@pytest.mark.parametrize("model", PIPELINES)
def test_one_spacepoint(call: Caller, model: str) -> None:
    answer = call(model, {"FEATURES": FEATURES[:1]})
    assert answer["LABELS"].tolist() == [-1]
    assert answer["EDGE_INDEX"].shape == (2, 0)


@pytest.mark.parametrize("model", PIPELINES)
def test_two_identical_spacepoints(call: Caller, model: str) -> None:
    """One edge, and a candidate too small to be one."""
    answer = call(model, {"FEATURES": np.repeat(FEATURES[:1], 2, axis=0)})
    assert answer["LABELS"].tolist() == [-1, -1]
    assert answer["EDGE_INDEX"].tolist() == [[1], [0]]
    assert answer["EDGE_SCORES"].shape == (1,)


@pytest.mark.parametrize("model", PIPELINES)
def test_more_edges_than_allowed(call: Caller, server: TritonServer, model: str) -> None:
    """200,000 spacepoints, each with thousands within the radius: refused before memory is spent on their edges."""
    features = np.random.default_rng(1).uniform(0.0, 1.0, (200_000, 3)).astype(np.float32)
    text = refusal(call, model, {"FEATURES": features})
    assert f"more than max_edges = {WORKING_POINT.max_edges} edges among 200000 spacepoints, found at least" in text
    assert resident_bytes(server) < 3 * GIB


@pytest.mark.parametrize("model", PIPELINES)
def test_200_000_spacepoints_in_one_place(call: Caller, server: TritonServer, model: str) -> None:
    text = refusal(call, model, {"FEATURES": np.repeat(FEATURES[:1], 200_000, axis=0)})
    assert re.search(r"more than max_edges = \d+ edges among 200000 spacepoints, found at least \d+", text)
    assert resident_bytes(server) < 3 * GIB


@pytest.mark.parametrize("model", PIPELINES)
def test_200_000_sparse_spacepoints(call: Caller, server: TritonServer, model: str) -> None:
    """As many, but far apart: answered."""
    features = np.random.default_rng(2).uniform(0.0, 60.0, (200_000, 3)).astype(np.float32)
    answer = call(model, {"FEATURES": features}, ("LABELS",))
    assert answer["LABELS"].shape == (200_000,)
    assert resident_bytes(server) < 3 * GIB


def graph(**changed: Array) -> dict[str, Array]:
    """The inputs of `wcc`, with some changed."""
    inputs: dict[str, Array] = {"EDGE_SCORES": SCORES, "EDGE_INDEX": EDGES, "NUM_NODES": FOUR}
    return inputs | changed


def without_number(inputs: dict[str, Array]) -> dict[str, Array]:
    """The inputs of `applyfilter` in those of `wcc`."""
    return {name: array for name, array in inputs.items() if name != "NUM_NODES"}


def network(features: Array, edges: Array | None = EDGES) -> dict[str, Array]:
    """The inputs of a network, with edges unless it is the embedding."""
    return {"INPUT__0": features} if edges is None else {"INPUT__0": features, "INPUT__1": edges}


NAN_AT_0: Final = with_entry(FEATURES, np.nan, 0, 0)
IN_RANGE: Final = "entries must be in"
NOT_FINITE: Final = "INPUT__0: entries must be finite, found nan at row 0, column 0"
OF_EDGE_NETWORKS: Final[list[Case]] = [
    *(
        (
            f"edge to {index}",
            network(FEATURES, with_entry(EDGES, index, 0, 2)),
            f"INPUT__1: {IN_RANGE} [0, 4), found {index} at column 2",
        )
        for index in (4, -1, 2**40)
    ),
    ("edges without spacepoints", network(FEATURES[:0]), "INPUT__1: entries must be in [0, 0)"),
    ("nan", network(NAN_AT_0), NOT_FINITE),
]
OF_SCORED_EDGES: Final[list[Case]] = [
    ("too few scores", graph(EDGE_SCORES=SCORES[:2]), "EDGE_SCORES: expected one entry for each of 3 edges, found 2"),
    ("too few edges", graph(EDGE_INDEX=EDGES[:, :1]), "EDGE_SCORES: expected one entry for each of 1 edges, found 3"),
    (
        "a score that is nan",
        graph(EDGE_SCORES=with_entry(SCORES, np.nan, 1)),
        "EDGE_SCORES: entries must be numbers, found nan at entry 1",
    ),
]
OF_EMBEDDINGS: Final[list[Case]] = [
    (
        "inf",
        {"EMBEDDING": with_entry(FEATURES, np.inf, 3, 2)},
        "EMBEDDING: entries must be finite, found inf at row 3, column 2",
    ),
    ("nan", {"EMBEDDING": NAN_AT_0[:2, :2]}, "EMBEDDING: entries must be finite, found nan at row 0, column 0"),
    ("no columns", {"EMBEDDING": FEATURES[:, :0]}, "EMBEDDING"),
]
OF_TRACK_BUILDING: Final[list[Case]] = [
    ("edge to 3", graph(NUM_NODES=FOUR - 1), "EDGE_INDEX: entries must be in [0, 3), found 3 at column 2"),
    (
        "edge to -7",
        graph(EDGE_INDEX=with_entry(EDGES, -7, 0, 1)),
        f"EDGE_INDEX: {IN_RANGE} [0, 4), found -7 at column 1",
    ),
    *(
        (f"{n} spacepoints", graph(NUM_NODES=np.array([n])), f"NUM_NODES: must be in [0, {MAX_NODES}], found {n}")
        for n in (-1, 2**40, 2**62)
    ),
    ("two numbers of spacepoints", graph(NUM_NODES=np.array([4, 4])), "[2]"),
    ("an empty number of spacepoints", graph(NUM_NODES=FOUR[:0]), "[0]"),
    ("no number of spacepoints", {"EDGE_SCORES": SCORES, "EDGE_INDEX": EDGES}, "wcc"),
]
OF_SELECTION: Final[list[Case]] = [
    *((name, without_number(inputs), text) for name, inputs, text in OF_SCORED_EDGES),
    (
        "edge to -1",
        {"EDGE_SCORES": SCORES, "EDGE_INDEX": with_entry(EDGES, -1, 1, 0)},
        "EDGE_INDEX: entries must not be negative, found -1 at column 0",
    ),
    ("no scores", {"EDGE_INDEX": EDGES}, "applyfilter"),
]

BAD_INPUTS: Final = [
    ("embed", "nan", network(NAN_AT_0, None), NOT_FINITE),
    *(("filter", *case) for case in OF_EDGE_NETWORKS),
    *(("gnn", *case) for case in OF_EDGE_NETWORKS),
    *(("frnn", *case) for case in OF_EMBEDDINGS),
    *(("applyfilter", *case) for case in OF_SELECTION),
    *(("wcc", *case) for case in (*OF_SCORED_EDGES, *OF_TRACK_BUILDING)),
    ("exatrkx_ensemble", "a tensor of another name", {"SPACEPOINTS": FEATURES}, "SPACEPOINTS"),
]
"""Model, what is wrong, inputs, and a part of the refusal: a case that is added here is tried on every server."""


@pytest.mark.parametrize(
    ("model", "inputs", "part"),
    [pytest.param(model, inputs, part, id=f"{model}, {name}") for model, name, inputs, part in BAD_INPUTS],
)
def test_bad_input(call: Caller, model: str, inputs: dict[str, Array], part: str) -> None:
    text = refusal(call, model, inputs)
    assert f"{model}: {part}" in text if ": " in part else (model in text and part in text)


def resident_bytes(server: TritonServer) -> int:
    """Resident memory of the server and its models, shared pages counted in each."""
    root = psutil.Process(server.pid)
    return sum(int(process.memory_info().rss) for process in (root, *root.children(recursive=True)))
