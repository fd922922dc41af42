"""What the real server answers against direct calls: every step, both pipelines, both protocols, many clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil
import pytest
import tritonclient.grpc
from serving import Caller
from tiny_networks import FILTER_LENGTH, GNN_LENGTH, WORKING_POINT, clumps

from exatrkx.contract import ENSEMBLE, MODELS
from exatrkx.pipeline import Pipeline
from exatrkx.stages.edges import fixed_radius_edges, select_edges
from exatrkx.stages.track_building import label_components
from exatrkx_client import ClientError

if TYPE_CHECKING:
    from serving import Array

    from exatrkx_server import TritonServer

pytestmark = pytest.mark.server

PIPELINES: Final = ("exatrkx_ensemble", "exatrkx_custom")
SIZES: Final = (0, 1, 2, 3, 17, 2_000)


@pytest.fixture(scope="module")
def server(each_server: TritonServer) -> TritonServer:
    """Each of the servers under test."""
    return each_server


@pytest.fixture(scope="module")
def call(each_call: Caller) -> Caller:
    return each_call


def spacepoints(number: int, seed: int = 0) -> Array:
    """[N,3] features with some ten neighbours each, whatever N."""
    side = max(number, 1) ** (1 / 3) * 0.07
    return np.random.default_rng(seed).uniform(0.0, side, (number, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def direct(tiny_repository: Path) -> Pipeline:
    embed, edge_filter, gnn = (tiny_repository / name / "1" / "model.pt" for name in ("embed", "filter", "gnn"))
    return Pipeline.from_torchscript(embed, edge_filter, gnn, WORKING_POINT)


def neighbours(features: Array) -> Any:
    cuts = WORKING_POINT
    return fixed_radius_edges(features, radius=cuts.radius, max_neighbors=cuts.max_neighbors, max_edges=cuts.max_edges)


def scores(features: Array, edge_index: Array, length: float) -> Array:
    """What the tiny filter and GNN answer, worked out with NumPy."""
    step = np.linalg.norm(features[edge_index[0]] - features[edge_index[1]], axis=1)
    logits: Array = ((length - step) * 100.0).astype(np.float32)
    return logits


@pytest.mark.parametrize("number", SIZES)
def test_embed(call: Caller, number: int) -> None:
    features = spacepoints(number)
    np.testing.assert_array_equal(call("embed", {"INPUT__0": features})["OUTPUT__0"], features)


@pytest.mark.parametrize("number", SIZES)
def test_frnn(call: Caller, number: int) -> None:
    embedding = spacepoints(number)
    answer = call("frnn", {"EMBEDDING": embedding})
    assert answer["NUM_NODES"].tolist() == [number]
    np.testing.assert_array_equal(answer["EDGE_INDEX"], neighbours(embedding))


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize(("model", "length"), [("filter", FILTER_LENGTH), ("gnn", GNN_LENGTH)])
def test_edge_networks(call: Caller, model: str, length: float, number: int) -> None:
    features = spacepoints(number)
    edges = neighbours(features)
    answer = call(model, {"INPUT__0": features, "INPUT__1": edges})["OUTPUT__0"]
    np.testing.assert_allclose(answer, scores(features, edges, length), atol=1e-4)


@pytest.mark.parametrize("number", SIZES)
def test_applyfilter(call: Caller, number: int) -> None:
    features = spacepoints(number)
    edges = neighbours(features)
    logits = scores(features, edges, FILTER_LENGTH)
    answer = call("applyfilter", {"EDGE_SCORES": logits, "EDGE_INDEX": edges})["FILTERED_EDGE_INDEX"]
    np.testing.assert_array_equal(answer, select_edges(edges, logits, cut=WORKING_POINT.filter_cut))
    np.testing.assert_array_equal(answer, edges[:, logits > 0])


@pytest.mark.parametrize("number", SIZES)
def test_wcc(call: Caller, number: int) -> None:
    features = spacepoints(number)
    edges = neighbours(features)
    logits = scores(features, edges, GNN_LENGTH)
    count = np.array([number], dtype=np.int64)
    answer = call("wcc", {"EDGE_INDEX": edges, "EDGE_SCORES": logits, "NUM_NODES": count})
    expected = label_components(edges, logits, number, cut=WORKING_POINT.gnn_cut, min_hits=WORKING_POINT.min_hits)
    np.testing.assert_array_equal(answer["LABELS"], expected)
    np.testing.assert_array_equal(answer["EDGE_INDEX"], edges)
    np.testing.assert_array_equal(answer["EDGE_SCORES"], logits)


@pytest.mark.parametrize("model", PIPELINES)
@pytest.mark.parametrize("number", SIZES)
def test_pipelines_answer_as_the_direct_call(call: Caller, direct: Pipeline, model: str, number: int) -> None:
    features = spacepoints(number)
    answer = call(model, {"FEATURES": features})
    tracks = direct(features)
    np.testing.assert_array_equal(answer["LABELS"], tracks.labels)
    np.testing.assert_array_equal(answer["EDGE_INDEX"], tracks.edge_index)
    np.testing.assert_array_equal(answer["EDGE_SCORES"], tracks.edge_scores)


@pytest.mark.parametrize("model", PIPELINES)
def test_each_choice_of_outputs_is_answered(server: TritonServer, model: str) -> None:
    """Triton leaves out an ensemble's steps whose outputs nobody asks for, some of which later steps would need."""
    features = spacepoints(200)
    names = [tensor.name for tensor in ENSEMBLE.outputs]
    with tritonclient.grpc.InferenceServerClient(server.grpc_url) as client:
        given = tritonclient.grpc.InferInput("FEATURES", features.shape, "FP32")
        given.set_data_from_numpy(features)
        whole = client.infer(model, [given])
        for chosen in chain.from_iterable(combinations(names, count) for count in range(1, len(names))):
            asked = [tritonclient.grpc.InferRequestedOutput(name) for name in chosen]
            answer = client.infer(model, [given], outputs=asked)
            assert {output.name for output in answer.get_response().outputs} == set(chosen)
            for name in chosen:
                np.testing.assert_array_equal(answer.as_numpy(name), whole.as_numpy(name))


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", PIPELINES)
def test_clumps_are_the_tracks(server: TritonServer, protocol: Any, model: str) -> None:
    features, clump = clumps(num_clumps=20, size=6)
    caller = Caller(server, protocol)
    labels = caller(model, {"FEATURES": features})["LABELS"]
    caller.close()
    _, first, inverse = np.unique(clump, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(labels, np.argsort(np.argsort(first))[inverse])


@pytest.mark.parametrize("model", PIPELINES)
@pytest.mark.parametrize(
    "outputs",
    [("LABELS",), ("EDGE_INDEX",), ("EDGE_SCORES",), ("EDGE_SCORES", "LABELS"), ("EDGE_INDEX", "EDGE_SCORES")],
)
def test_only_the_outputs_that_are_asked_for(call: Caller, model: str, outputs: tuple[str, ...]) -> None:
    features = {"FEATURES": spacepoints(17)}
    everything, answer = call(model, features), call(model, features, outputs)
    assert set(answer) == set(outputs)
    for name in outputs:
        np.testing.assert_array_equal(answer[name], everything[name])


def test_metadata_is_the_contract(call: Caller) -> None:
    for model in MODELS.values():
        required = tuple(replace(tensor, optional=False) for tensor in model.inputs)  # metadata does not say
        assert call.describe(model.name) == replace(model, inputs=required)


@pytest.mark.parametrize("model", PIPELINES)
def test_many_clients_with_good_and_bad_requests(server: TritonServer, direct: Pipeline, model: str) -> None:
    """Each gets its own answer, whatever the others sent."""
    events = [spacepoints(number, seed=number) for number in (0, 1, 30, 300, 900)]
    bad = np.full((5, 3), np.nan, dtype=np.float32)
    expected = [direct(event).labels for event in events]

    def client(offset: int) -> int:
        caller, answered = Caller(server), 0
        for turn in range(12):
            which = (offset + turn) % (len(events) + 1)
            if which == len(events):
                with pytest.raises(ClientError, match="found nan at row 0, column 0"):
                    caller(model, {"FEATURES": bad})
            else:
                labels = caller(model, {"FEATURES": events[which]}, ("LABELS",))["LABELS"]
                np.testing.assert_array_equal(labels, expected[which])
            answered += 1
        caller.close()
        return answered

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(client, range(8))) == 96


def test_steps_between_the_networks_run_without_torch(python_server: TritonServer) -> None:
    """Less memory, and a faster start."""
    with_torch = {}
    for process in psutil.Process(python_server.pid).children(recursive=True):
        script = Path(process.cmdline()[1])
        with_torch[script.parts[-3]] = any("libtorch" in area.path for area in process.memory_maps())
    assert with_torch == {
        **dict.fromkeys(("embed", "filter", "gnn", "exatrkx_custom"), True),
        **dict.fromkeys(("frnn", "applyfilter", "wcc"), False),
    }
