"""Every kind of bad input through the real server: a clear refusal or the right answer, and the server lives on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import psutil
import pytest
from serving import Caller
from tiny_networks import WORKING_POINT, clumps

from exatrkx_client import ClientError
from exatrkx_client.address import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Array

    from exatrkx_server import TritonServer

pytestmark = pytest.mark.server

PIPELINES: Final = ("exatrkx_ensemble", "exatrkx_custom")
GIB: Final = 1 << 30

FEATURES: Final = np.linspace(0.1, 0.9, 12, dtype=np.float32).reshape(4, 3)
EDGES: Final = np.array([[1, 2, 3], [0, 1, 2]], dtype=np.int64)
SCORES: Final = np.array([1.0, -1.0, 2.0], dtype=np.float32)
FOUR: Final = np.array([4], dtype=np.int64)


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
    assert f"more than max_edges = {WORKING_POINT.max_edges} edges among 200000 spacepoints" in text
    assert resident_bytes(server) < 3 * GIB


@pytest.mark.parametrize("model", PIPELINES)
def test_200_000_spacepoints_in_one_place(call: Caller, server: TritonServer, model: str) -> None:
    text = refusal(call, model, {"FEATURES": np.repeat(FEATURES[:1], 200_000, axis=0)})
    assert "more than max_edges" in text
    assert resident_bytes(server) < 3 * GIB


@pytest.mark.parametrize("model", PIPELINES)
def test_200_000_sparse_spacepoints(call: Caller, server: TritonServer, model: str) -> None:
    """As many, but far apart: answered."""
    features = np.random.default_rng(2).uniform(0.0, 60.0, (200_000, 3)).astype(np.float32)
    answer = call(model, {"FEATURES": features}, ("LABELS",))
    assert answer["LABELS"].shape == (200_000,)
    assert resident_bytes(server) < 3 * GIB


@pytest.mark.parametrize("model", ["filter", "gnn"])
@pytest.mark.parametrize(("index", "found"), [(4, "found 4"), (-1, "found -1"), (2**40, f"found {2**40}")])
def test_network_with_an_edge_to_nowhere(call: Caller, model: str, index: int, found: str) -> None:
    text = refusal(call, model, {"INPUT__0": FEATURES, "INPUT__1": with_entry(EDGES, index, 0, 2)})
    assert f"{model}: INPUT__1: entries must be in [0, 4), {found} at column 2" in text


@pytest.mark.parametrize("model", ["filter", "gnn"])
def test_network_with_edges_but_no_spacepoints(call: Caller, model: str) -> None:
    text = refusal(call, model, {"INPUT__0": FEATURES[:0], "INPUT__1": EDGES})
    assert f"{model}: INPUT__1: entries must be in [0, 0)" in text


@pytest.mark.parametrize("model", ["embed", "filter", "gnn"])
def test_network_with_features_that_are_not_finite(call: Caller, model: str) -> None:
    inputs = {"INPUT__0": with_entry(FEATURES, np.nan, 0, 0)}
    text = refusal(call, model, inputs if model == "embed" else {**inputs, "INPUT__1": EDGES})
    assert f"{model}: INPUT__0: entries must be finite, found nan at row 0, column 0" in text


def test_frnn_with_an_embedding_that_is_not_finite(call: Caller) -> None:
    text = refusal(call, "frnn", {"EMBEDDING": with_entry(FEATURES, np.inf, 3, 2)})
    assert "frnn: EMBEDDING: entries must be finite, found inf at row 3, column 2" in text


def test_frnn_with_an_embedding_without_columns(call: Caller) -> None:
    text = refusal(call, "frnn", {"EMBEDDING": np.empty((4, 0), dtype=np.float32)})
    assert "EMBEDDING" in text


def test_applyfilter_with_scores_and_edges_of_different_length(call: Caller) -> None:
    text = refusal(call, "applyfilter", {"EDGE_SCORES": SCORES[:2], "EDGE_INDEX": EDGES})
    assert "applyfilter: EDGE_SCORES: expected one entry for each of 3 edges, found 2" in text


def test_applyfilter_with_a_negative_index(call: Caller) -> None:
    text = refusal(call, "applyfilter", {"EDGE_SCORES": SCORES, "EDGE_INDEX": with_entry(EDGES, -1, 1, 0)})
    assert "applyfilter: EDGE_INDEX: entries must not be negative, found -1 at column 0" in text


@pytest.mark.parametrize("model", ["applyfilter", "wcc"])
def test_a_score_that_is_no_number(call: Caller, model: str) -> None:
    inputs = {"EDGE_SCORES": with_entry(SCORES, np.nan, 1), "EDGE_INDEX": EDGES}
    text = refusal(call, model, inputs if model == "applyfilter" else {**inputs, "NUM_NODES": FOUR})
    assert f"{model}: EDGE_SCORES: entries must be numbers, found nan at entry 1" in text


def test_wcc_with_scores_and_edges_of_different_length(call: Caller) -> None:
    text = refusal(call, "wcc", {"EDGE_SCORES": SCORES, "EDGE_INDEX": EDGES[:, :1], "NUM_NODES": FOUR})
    assert "wcc: EDGE_SCORES: expected one entry for each of 1 edges, found 3" in text


def test_wcc_with_an_edge_to_nowhere(call: Caller) -> None:
    text = refusal(call, "wcc", {"EDGE_SCORES": SCORES, "EDGE_INDEX": EDGES, "NUM_NODES": FOUR - 1})
    assert "wcc: EDGE_INDEX: entries must be in [0, 3), found 3 at column 2" in text


@pytest.mark.parametrize("number", [-1, 2**62])
def test_wcc_with_an_impossible_number_of_spacepoints(call: Caller, number: int) -> None:
    count = np.array([number], dtype=np.int64)
    text = refusal(call, "wcc", {"EDGE_SCORES": SCORES, "EDGE_INDEX": EDGES, "NUM_NODES": count})
    assert "wcc: NUM_NODES: must be in [0, " in text
    assert str(number) in text


@pytest.mark.parametrize(("count", "shape"), [([4, 4], "[2]"), ([], "[0]")])
def test_wcc_with_several_numbers_of_spacepoints_or_none(call: Caller, count: list[int], shape: str) -> None:
    inputs: dict[str, Array] = {
        "EDGE_SCORES": SCORES,
        "EDGE_INDEX": EDGES,
        "NUM_NODES": np.array(count, dtype=np.int64),
    }
    text = refusal(call, "wcc", inputs)
    assert "NUM_NODES" in text
    assert shape in text


def test_a_tensor_that_is_missing(call: Caller) -> None:
    text = refusal(call, "applyfilter", {"EDGE_INDEX": EDGES})
    assert "applyfilter" in text


def test_a_tensor_of_another_name(call: Caller) -> None:
    text = refusal(call, "exatrkx_ensemble", {"SPACEPOINTS": FEATURES})
    assert "SPACEPOINTS" in text


def resident_bytes(server: TritonServer) -> int:
    """Resident memory of the server and its models, shared pages counted in each."""
    root = psutil.Process(server.pid)
    return sum(int(process.memory_info().rss) for process in (root, *root.children(recursive=True)))
