"""Proof that an answer is to the request that was sent: what is believed, what is asked again, and what never."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.digest import added, features_digest, payload_digest, request_digest, signature
from exatrkx_client import RequestRejectedError, ServerError, ServerUnavailableError
from exatrkx_client.errors import ClientError, UnprovenError
from exatrkx_client.proof import ProvingTransport
from exatrkx_client.transport import InferenceRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    Script = Callable[[InferenceRequest], Reply]

FEATURES: Final = np.arange(12, dtype=np.float32).reshape(4, 3)
LABELS: Final = np.array([0, 1, 1, 0])
EDGES: Final[dict[str, npt.NDArray[Any]]] = {
    "EDGE_INDEX": np.array([[3, 2], [0, 1]]),
    "EDGE_SCORES": np.array([1, -1], dtype=np.float32),
}
REQUEST: Final = InferenceRequest("exatrkx_ensemble", {"FEATURES": FEATURES}, ("LABELS",), 1.0)


def digest_of(request: InferenceRequest) -> int:
    return request_digest(features_digest(request.inputs["FEATURES"]), request.request_id)


def answer(
    request: InferenceRequest,
    digest: int | None = None,
    request_id: str | None = None,
    labels: npt.NDArray[np.int64] = LABELS,
    edges: dict[str, npt.NDArray[Any]] | None = None,
) -> Reply:
    """A served pipeline's answer; with another's digest, id, labels or edges, if they are given."""
    tensors: dict[str, Any] = {"LABELS": labels}
    if "REQUEST_DIGEST" in request.outputs:
        of_request = digest_of(request) if digest is None else digest
        tensors["REQUEST_DIGEST"] = np.array([added(of_request, payload_digest(LABELS))])
    if "EDGES_DIGEST" in request.outputs:
        of_edges = [payload_digest(array) for array in EDGES.values()]
        tensors |= {**EDGES, **(edges or {}), "EDGES_DIGEST": np.array([added(digest_of(request), *of_edges)])}
    return Reply(tensors, 0.1, request.request_id if request_id is None else request_id)


class ScriptedServer:
    """Answers each attempt as the next of the scripts says, and then as the last."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.sent: list[InferenceRequest] = []

    def is_ready(self, model: str, timeout_s: float) -> bool:
        return bool(model and timeout_s)

    def ask(self, *_: object) -> dict[str, str]:
        return {}

    def close(self) -> None:
        pass

    def submit(self, request: InferenceRequest) -> ScriptedServer:
        self.sent.append(request)
        return self

    def result(self) -> Reply:
        return self.scripts[min(len(self.sent), len(self.scripts)) - 1](self.sent[-1])

    def cancel(self) -> None:
        pass


def saying(text: str, kind: type[ClientError] = RequestRejectedError, *, signed: bool = False) -> Script:
    def script(request: InferenceRequest) -> Reply:
        reason = text + (signature(digest_of(request)) if signed else "")
        raise kind(f"grpc://x: {reason}", status="400", reason=reason)

    return script


def told_by(*scripts: Script) -> tuple[ClientError, int]:
    """The error of a request, and the number of attempts until it came."""
    server = ScriptedServer(*scripts)
    with pytest.raises(ClientError) as caught:
        ProvingTransport(server).submit(REQUEST).result()
    return caught.value, len(server.sent)


def test_an_answer_with_its_proof_is_believed_and_the_proof_is_not_part_of_it() -> None:
    server = ScriptedServer(answer)
    reply = ProvingTransport(server).submit(REQUEST).result()
    assert set(reply.tensors) == {"LABELS"}
    assert server.sent[0].outputs == ("LABELS", "REQUEST_DIGEST")


@pytest.mark.parametrize("asked", [("EDGE_INDEX",), ("EDGE_SCORES", "LABELS"), ("LABELS", *EDGES)])
def test_edges_and_scores_are_proved_together_and_only_what_was_asked_for_comes_back(asked: tuple[str, ...]) -> None:
    server = ScriptedServer(answer)
    reply = ProvingTransport(server).submit(replace(REQUEST, outputs=asked)).result()
    assert set(reply.tensors) == set(asked)
    assert set(server.sent[0].outputs) >= {*EDGES, "EDGES_DIGEST"}


@pytest.mark.parametrize(
    "others", [{"EDGE_INDEX": EDGES["EDGE_INDEX"][::-1]}, {"EDGE_SCORES": -EDGES["EDGE_SCORES"]}], ids=str
)
def test_anothers_edges_beside_the_right_labels_are_none(others: dict[str, npt.NDArray[Any]]) -> None:
    server = ScriptedServer(lambda request: answer(request, edges=others))
    with pytest.raises(UnprovenError):
        ProvingTransport(server).submit(replace(REQUEST, outputs=("LABELS", "EDGE_INDEX"))).result()


def test_each_attempt_has_an_id_of_its_own() -> None:
    server = ScriptedServer(answer)
    transport = ProvingTransport(server)
    for _ in range(20):
        transport.submit(REQUEST).result()
    assert len({request.request_id for request in server.sent} - {""}) == 20


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda request: answer(request, features_digest(FEATURES)), id="of an earlier attempt"),
        pytest.param(
            lambda request: answer(request, request_digest(features_digest(-FEATURES), request.request_id)),
            id="of another event",
        ),
        pytest.param(lambda request: answer(request, request_id="another"), id="with another id"),
        pytest.param(lambda request: answer(request, labels=1 - LABELS), id="with its digest and another's labels"),
        pytest.param(
            lambda request: answer(request, labels=np.array([0, 1, 0, 1])), id="with half of another's labels"
        ),
        pytest.param(lambda request: Reply({"LABELS": LABELS}, 0.1, request.request_id), id="without a digest"),
    ],
)
def test_another_requests_answer_is_none(wrong: Script) -> None:
    error, attempts = told_by(wrong)
    assert (type(error), attempts) == (UnprovenError, 1)
    assert isinstance(error, ServerUnavailableError)  # which is sent again


def test_a_refusal_that_is_signed_is_believed_at_once() -> None:
    error, attempts = told_by(saying("embed: INPUT__0: nan", signed=True))
    assert (type(error), str(error), attempts) == (RequestRejectedError, "grpc://x: embed: INPUT__0: nan", 1)
    assert isinstance(error, RequestRejectedError)
    assert (error.status, error.reason) == ("400", "embed: INPUT__0: nan")


@pytest.mark.parametrize("kind", [RequestRejectedError, ServerError])
@pytest.mark.parametrize("signed_by", [signature(17), signature(None)])
def test_one_that_is_another_requests_is_never(kind: type[ClientError], signed_by: str) -> None:
    error, attempts = told_by(saying("embed: INPUT__0: nan" + signed_by, kind))
    assert (type(error), attempts) == (UnprovenError, 1)


def test_nor_is_one_out_of_an_ensemble_without_a_signature() -> None:
    error, attempts = told_by(saying("in ensemble 'exatrkx_ensemble', expected 3 inputs but got 2"))
    assert (type(error), attempts) == (UnprovenError, 1)


def test_tritons_own_refusal_is_believed_when_it_comes_twice() -> None:
    def refusal(request: InferenceRequest) -> Reply:
        return saying(f"[request id: {request.request_id}] unexpected shape for input 'FEATURES'")(request)

    error, attempts = told_by(refusal)
    assert (type(error), attempts) == (RequestRejectedError, 2)
    assert str(error) == "grpc://x: unexpected shape for input 'FEATURES'"


def test_a_refusal_that_does_not_come_again_is_forgotten() -> None:
    server = ScriptedServer(saying("this event is refused"), answer)
    assert ProvingTransport(server).submit(REQUEST).result().tensors["LABELS"] is LABELS
    error, attempts = told_by(saying("one"), saying("another"), saying("another"))
    assert (str(error), attempts) == ("grpc://x: another", 3)


def test_refusals_that_differ_each_time_come_to_an_end() -> None:
    error, attempts = told_by(*(saying(f"refused at second {second}") for second in range(100)))
    assert (type(error), attempts) == (UnprovenError, 4)


def test_a_model_without_the_digest_is_asked_for_it_once() -> None:
    server = ScriptedServer(saying("unexpected inference output 'REQUEST_DIGEST' for model 'theirs'"), answer)
    transport = ProvingTransport(server)
    for _ in range(2):
        assert set(transport.submit(REQUEST).result().tensors) == {"LABELS"}
    assert [request.outputs for request in server.sent] == [("LABELS", "REQUEST_DIGEST"), ("LABELS",), ("LABELS",)]
    server.scripts = [lambda request: answer(request, request_id="another")]
    with pytest.raises(UnprovenError):
        transport.submit(REQUEST).result()


@pytest.mark.parametrize("signed", [True, False])
def test_another_failure_stays_one(signed: bool) -> None:
    error, attempts = told_by(saying("wcc: MemoryError", ServerError, signed=signed))
    assert (type(error), str(error), attempts) == (ServerError, "grpc://x: wcc: MemoryError", 1)
