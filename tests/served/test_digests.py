"""Digests on their way through each server: computed alike, compared in the stages, and on every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from serving import Caller
from tiny_networks import clumps

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.digest import added, features_digest, payload_digest, request_digest, signature, signed
from exatrkx_client import ClientError, RequestRejectedError, ServerUnavailableError, TrackingClient
from exatrkx_client.transport import InferenceRequest

if TYPE_CHECKING:
    from serving import Array

    from exatrkx_server import TritonServer

pytestmark = pytest.mark.server

EVENT: Final = clumps(3, 4)[0]
ID: Final = "request-π-17"
EDGES: Final = np.array([[1, 2, 3], [0, 1, 2]])
SCORES: Final = np.array([1, -1, 1], dtype=np.float32)
BAD_EVENT: Final = np.where(np.arange(12)[:, None] == 7, np.float32(np.nan), EVENT)


def ask(call: Caller, model: str, inputs: dict[str, Array], request_id: str = ID) -> dict[str, Array]:
    request = InferenceRequest(model, inputs, (), 60.0, request_id)
    return call._transport.submit(request).result().tensors


def digest(features: Array, request_id: str = ID) -> int:
    return request_digest(features_digest(features), request_id)


def given(
    features: Array,
    earlier: Array | None = None,
    request_id: str = ID,
    *,
    edges: Array = EDGES,
    scores: Array = SCORES,
    scored_edges: Array | None = None,
) -> dict[str, Array]:
    """Digests as a stage gets them: of the features by a network, and of the request by an earlier stage.

    Each with those of what comes with it: the network's scores and the edges that it scored, and the stage's edges.
    """
    earlier = features if earlier is None else earlier
    scored = payload_digest(edges if scored_edges is None else scored_edges)
    return {
        "FEATURES_DIGEST": np.array([added(features_digest(features), scored, payload_digest(scores))]),
        "REQUEST_DIGEST": np.array([added(digest(earlier, request_id), payload_digest(edges))]),
    }


@pytest.mark.parametrize("model", [ENSEMBLE.name, CUSTOM.name])
@pytest.mark.parametrize("number", [0, 1, 12])
@pytest.mark.parametrize("request_id", ["", ID])
def test_a_pipeline_gives_that_of_the_request(each_call: Caller, model: str, number: int, request_id: str) -> None:
    found = ask(each_call, model, {"FEATURES": EVENT[:number]}, request_id)
    of_request = digest(EVENT[:number], request_id)
    of_edges = payload_digest(found["EDGE_INDEX"]), payload_digest(found["EDGE_SCORES"])
    assert found["REQUEST_DIGEST"].tolist() == [added(of_request, payload_digest(found["LABELS"]))]
    assert found["EDGES_DIGEST"].tolist() == [added(of_request, *of_edges)]
    assert found["REQUEST_DIGEST"].dtype == found["EDGES_DIGEST"].dtype == np.int64
    assert len(found["LABELS"]) == number


@pytest.mark.parametrize("model", ["embed", "filter", "gnn"])
def test_a_network_gives_that_of_its_features_and_edges_and_output(each_call: Caller, model: str) -> None:
    edges = {} if model == "embed" else {"INPUT__1": EDGES}
    found = ask(each_call, model, {"INPUT__0": EVENT, **edges})
    payloads = [payload_digest(array) for array in (*edges.values(), found["OUTPUT__0"])]
    assert found["OUTPUT__1"].tolist() == [added(features_digest(EVENT), *payloads)]


def stage_inputs() -> dict[str, dict[str, Array]]:
    edges = {"EDGE_INDEX": EDGES, "EDGE_SCORES": SCORES}
    return {"frnn": {"EMBEDDING": EVENT}, "applyfilter": edges, "wcc": {**edges, "NUM_NODES": np.array([4])}}


@pytest.mark.parametrize("model", ["frnn", "applyfilter", "wcc"])
def test_a_stage_passes_it_on_and_answers_without_it_too(each_call: Caller, model: str) -> None:
    digests = given(EVENT)
    if model == "frnn":
        digests = {"FEATURES_DIGEST": np.array([added(features_digest(EVENT), payload_digest(EVENT))])}
    bare = ask(each_call, model, stage_inputs()[model])
    found = ask(each_call, model, {**stage_inputs()[model], **digests})
    payload = payload_digest(
        found[{"frnn": "EDGE_INDEX", "applyfilter": "FILTERED_EDGE_INDEX", "wcc": "LABELS"}[model]]
    )
    assert found.pop("REQUEST_DIGEST").tolist() == [added(digest(EVENT), payload)]
    assert bare.pop("REQUEST_DIGEST").tolist() == [added(request_digest(0, ID), payload)]
    if model == "wcc":
        of_edges = payload_digest(EDGES), payload_digest(SCORES)
        assert found.pop("EDGES_DIGEST").tolist() == [added(digest(EVENT), *of_edges)]
        assert bare.pop("EDGES_DIGEST").tolist() == [added(request_digest(0, ID), *of_edges)]
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in bare.items()
    }


@pytest.mark.parametrize("model", ["applyfilter", "wcc"])
@pytest.mark.parametrize(
    "digests",
    [
        pytest.param(given(EVENT, earlier=-EVENT), id="of two events"),
        pytest.param(given(EVENT, request_id="another"), id="of two requests"),
        pytest.param({"REQUEST_DIGEST": given(EVENT)["REQUEST_DIGEST"]}, id="one of them missing"),
        pytest.param(given(EVENT, edges=EDGES[:, ::-1]), id="edges of another reply"),
        pytest.param(given(EVENT, edges=EDGES[:, [0, 1, 1]]), id="edges a part of which is another's"),
        pytest.param(given(EVENT, scores=SCORES[::-1] * 2), id="scores of another reply"),
        pytest.param(given(EVENT, scored_edges=EDGES[::-1]), id="scores of other edges"),
    ],
)
def test_a_stage_with_tensors_of_two_requests_says_so(each_call: Caller, model: str, digests: dict[str, Array]) -> None:
    with pytest.raises(ServerUnavailableError) as caught:  # to be sent again, unlike a refusal
        ask(each_call, model, {**stage_inputs()[model], **digests})
    text = signed(caught.value.reason)[0]
    assert text == f"{model}: edges and scores are of different requests"


def test_track_building_with_features_of_another_request_says_so(each_call: Caller) -> None:
    inputs = {**stage_inputs()["wcc"], **given(EVENT)}
    assert ask(each_call, "wcc", {**inputs, "FEATURES": EVENT}).keys() == ask(each_call, "wcc", inputs).keys()
    with pytest.raises(ServerUnavailableError) as caught:
        ask(each_call, "wcc", {**inputs, "FEATURES": EVENT[::-1]})
    assert signed(caught.value.reason)[0] == "wcc: features and scores are of different requests"


@pytest.mark.parametrize(
    ("model", "inputs", "whose"),
    [
        pytest.param("embed", {"INPUT__0": BAD_EVENT}, digest(BAD_EVENT), id="embed"),
        pytest.param("exatrkx_custom", {"FEATURES": BAD_EVENT}, digest(BAD_EVENT), id="custom backend"),
        pytest.param("exatrkx_ensemble", {"FEATURES": BAD_EVENT}, digest(BAD_EVENT), id="ensemble"),
        pytest.param("filter", {"INPUT__0": EVENT, "INPUT__1": EDGES + 20}, None, id="edges of an unknown request"),
        pytest.param(
            "wcc", {**stage_inputs()["wcc"], "NUM_NODES": np.array([3]), **given(EVENT)}, digest(EVENT), id="wcc"
        ),
    ],
)
def test_a_refusal_says_whose_it_is(each_call: Caller, model: str, inputs: dict[str, Array], whose: int | None) -> None:
    with pytest.raises(ClientError) as caught:
        ask(each_call, model, inputs)
    assert signed(caught.value.reason)[1] == signature(whose)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("model", [ENSEMBLE.name, CUSTOM.name])
def test_the_client_believes_its_own_answers_and_refusals(each_server: TritonServer, protocol: str, model: str) -> None:
    url = each_server.grpc_url if protocol == "grpc" else each_server.http_url
    with TrackingClient(url, model) as client:
        assert len(client.find_tracks(EVENT)) == 12
        with pytest.raises(RequestRejectedError, match=r"found nan at row 7, column 0$"):
            client.find_tracks(BAD_EVENT)
