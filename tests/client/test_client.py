"""The client's own work (order, bounds, retries, checks) against a transport that does as it is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import handmade
import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.contract import ENSEMBLE
from exatrkx.errors import ContractError
from exatrkx.events.event import features
from exatrkx_client import (
    Credentials,
    RequestRejectedError,
    Retry,
    ServerError,
    ServerUnavailableError,
    TrackingClient,
)
from exatrkx_client.address import Address
from exatrkx_client.servers import Servers
from exatrkx_client.transport import InferenceRequest, Question, Reply

Answer = Callable[[InferenceRequest], Reply]
FeatureArray = npt.NDArray[np.float32]


def labels_by_first_entry(request: InferenceRequest) -> Reply:
    """Labels that all are the event's first entry, so that an answer shows which event it belongs to."""
    array = request.inputs["FEATURES"]
    return Reply({"LABELS": np.full(len(array), int(array[0, 0]) if len(array) else 0, dtype=np.int64)}, 0.001)


class ScriptedTransport:
    """Answers requests when their result is waited for, and keeps count of them."""

    def __init__(self, answer: Answer = labels_by_first_entry) -> None:
        self.answer = answer
        self.sent: list[InferenceRequest] = []
        self.on_their_way = 0
        self.most_on_their_way = 0
        self.cancelled = 0
        self.closed = False

    def is_ready(self, model: str, timeout_s: float) -> bool:
        return model == ENSEMBLE.name and timeout_s > 0

    def ask(self, question: Question, model: str, timeout_s: float) -> dict[str, Any]:
        assert (question, timeout_s > 0) == ("model", True)
        tensors = {"inputs": ENSEMBLE.inputs, "outputs": ENSEMBLE.outputs}
        metadata = {
            kind: [{"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.dims)} for tensor in some]
            for kind, some in tensors.items()
        }
        return {"name": model, **metadata}

    def submit(self, request: InferenceRequest) -> ScriptedPending:
        self.sent.append(request)
        self.on_their_way += 1
        self.most_on_their_way = max(self.most_on_their_way, self.on_their_way)
        return ScriptedPending(self, request)

    def close(self) -> None:
        self.closed = True


class ScriptedPending:
    def __init__(self, transport: ScriptedTransport, request: InferenceRequest) -> None:
        self.transport = transport
        self.request = request

    def result(self) -> Reply:
        self.transport.on_their_way -= 1
        return self.transport.answer(self.request)

    def cancel(self) -> None:
        self.transport.cancelled += 1


class ScriptedServers(Servers):
    """One server, with that transport."""

    def __init__(self, transport: ScriptedTransport) -> None:
        super().__init__([Address("grpc", "127.0.0.1", 8001)], Credentials())
        for server in self:
            server.close()
            server._transports = {os.getpid(): transport}


def client_of(transport: ScriptedTransport, retry: Retry | None = None) -> TrackingClient:
    client = TrackingClient("127.0.0.1:8001", retry=retry)
    client.close()
    client._servers = ScriptedServers(transport)
    return client


def event_of(number: int, size: int = 2) -> FeatureArray:
    return np.full((size, 3), (number, 0, 0), dtype=np.float32)


def failing(times: int, error: Exception) -> Answer:
    """Fails so many times, then answers."""
    left = iter([error] * times)

    def answer(request: InferenceRequest) -> Reply:
        problem = next(left, None)
        if problem is not None:
            raise problem
        return labels_by_first_entry(request)

    return answer


def test_an_event_is_sent_as_its_features_and_labels_alone_are_asked_for() -> None:
    transport = ScriptedTransport()
    event = handmade.event(5, [])
    labels = client_of(transport).find_tracks(event)
    assert labels.shape == (5,)
    (request,) = transport.sent
    np.testing.assert_array_equal(request.inputs["FEATURES"], features(event))
    assert (request.model, request.outputs) == ("exatrkx_ensemble", ("LABELS",))


def test_edges_come_on_request() -> None:
    edges, scores = np.array([[1], [0]]), np.array([0.5], dtype=np.float32)
    transport = ScriptedTransport(
        lambda _: Reply({"LABELS": np.array([0, 0]), "EDGE_INDEX": edges, "EDGE_SCORES": scores}, 0.25)
    )
    found = client_of(transport).find_tracks(event_of(1), with_edges=True)
    assert transport.sent[0].outputs == ("LABELS", "EDGE_INDEX", "EDGE_SCORES")
    assert (found.edge_index is edges, found.edge_scores is scores, found.seconds) == (True, True, 0.25)


@pytest.mark.parametrize("in_flight", [1, 2, 4, 50])
def test_many_events_keep_their_order_and_the_bound(in_flight: int) -> None:
    transport = ScriptedTransport()
    events = [event_of(number) for number in range(10)]
    pairs = list(client_of(transport).find_tracks_many(iter(events), in_flight))
    assert [event is events[i] for i, (event, _) in enumerate(pairs)] == [True] * 10
    assert [int(result.labels[0]) for _, result in pairs] == list(range(10))
    assert transport.most_on_their_way == min(in_flight, 10)


def test_events_are_taken_only_as_they_are_needed() -> None:
    taken = []

    def events() -> Iterator[FeatureArray]:
        for number in range(100):
            taken.append(number)
            yield event_of(number)

    results = client_of(ScriptedTransport()).find_tracks_many(events(), in_flight=3)
    assert not taken
    next(results)
    assert len(taken) == 4


def test_no_events_no_results() -> None:
    assert list(client_of(ScriptedTransport()).find_tracks_many(iter([event_of(0)][:0]))) == []


@pytest.mark.parametrize("in_flight", [0, -1])
def test_a_bound_below_one_is_refused_at_once(in_flight: int) -> None:
    with pytest.raises(ValueError, match=f"in_flight must be at least 1, found {in_flight}"):
        client_of(ScriptedTransport()).find_tracks_many([event_of(0)], in_flight)


def test_what_is_on_its_way_is_given_up_when_nobody_waits_any_more() -> None:
    transport = ScriptedTransport()
    results = client_of(transport).find_tracks_many((event_of(n) for n in range(10)), in_flight=4)
    next(results)
    del results
    assert transport.cancelled == 3


def test_what_is_on_its_way_is_given_up_after_an_error() -> None:
    transport = ScriptedTransport(failing(1, ServerError("broken")))
    with pytest.raises(ServerError, match="broken"):
        list(client_of(transport).find_tracks_many((event_of(n) for n in range(10)), in_flight=4))
    assert transport.cancelled == 3


def test_an_unavailable_server_is_asked_again() -> None:
    transport = ScriptedTransport(failing(3, ServerUnavailableError("away")))
    labels = client_of(transport, Retry(attempts=4, first_delay_s=0)).find_tracks(event_of(9))
    assert labels.tolist() == [9, 9]
    assert len(transport.sent) == 4


def test_and_no_more_often_than_was_asked_for() -> None:
    transport = ScriptedTransport(failing(3, ServerUnavailableError("away")))
    with pytest.raises(ServerUnavailableError, match="away"):
        client_of(transport, Retry(attempts=3, first_delay_s=0)).find_tracks(event_of(9))
    assert len(transport.sent) == 3


@pytest.mark.parametrize("error", [RequestRejectedError("bad"), ServerError("bug"), ContractError("other model")])
def test_no_other_error_is_tried_again(error: Exception) -> None:
    transport = ScriptedTransport(failing(1, error))
    with pytest.raises(type(error)):
        client_of(transport).find_tracks(event_of(9))
    assert len(transport.sent) == 1


def test_a_refusal_names_the_event() -> None:
    transport = ScriptedTransport(failing(1, RequestRejectedError("too large")))
    with pytest.raises(RequestRejectedError, match="event 7: too large"):
        client_of(transport).find_tracks(handmade.event(5, []))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((5, 2), dtype=np.float32), r"float32 \[5,2\]"),
        (np.zeros(3, dtype=np.float32), r"float32 \[3\]"),
        (np.zeros((5, 3)), r"float64 \[5,3\]"),
    ],
)
def test_features_of_the_wrong_form_are_not_even_sent(array: FeatureArray, found: str) -> None:
    transport = ScriptedTransport()
    with pytest.raises(ContractError, match=rf"FEATURES: expected FP32 \[-1,3\], found {found}"):
        client_of(transport).find_tracks(array)
    assert not transport.sent


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({}, "LABELS: expected INT64"),
        ({"LABELS": np.zeros(2, dtype=np.int32)}, r"LABELS: expected INT64 \[-1\], found int32 \[2\]"),
        ({"LABELS": np.zeros((2, 1), dtype=np.int64)}, r"found int64 \[2,1\]"),
        ({"LABELS": np.zeros(1, dtype=np.int64)}, "1 labels for 2 spacepoints"),
    ],
)
def test_an_answer_of_the_wrong_form_is_the_servers_fault(
    tensors: dict[str, npt.NDArray[np.int64]], reason: str
) -> None:
    with pytest.raises(ServerError, match=f"the server's answer: .*{reason}"):
        client_of(ScriptedTransport(lambda _: Reply(tensors, 0))).find_tracks(event_of(0))


def test_readiness_and_contract_and_close() -> None:
    transport = ScriptedTransport()
    with client_of(transport) as client:
        assert client.is_ready()
        client.wait_until_ready(timeout_s=0)
        client.check_contract()
        client.model = "another"
        with pytest.raises(ServerUnavailableError, match=r"not ready within 0\.05 s: .* 'another' is not ready"):
            client.wait_until_ready(timeout_s=0.05)
    assert transport.closed


def test_the_clients_answers_may_come_in_any_order() -> None:
    waiting: list[tuple[InferenceRequest, Future[Reply]]] = []

    class Reversed(ScriptedTransport):
        def submit(self, request: InferenceRequest) -> Future[Reply]:  # type: ignore[override]  # a future is a Pending, too
            future: Future[Reply] = Future()
            waiting.append((request, future))
            if len(waiting) == 3:
                for sent, answer in reversed(waiting):
                    answer.set_result(labels_by_first_entry(sent))
                waiting.clear()
            return future

    pairs = list(client_of(Reversed()).find_tracks_many((event_of(n) for n in range(6)), in_flight=3))
    assert [int(result.labels[0]) for _, result in pairs] == list(range(6))


def test_neither_the_client_nor_its_readers_import_torch() -> None:
    script = (
        "import sys, exatrkx_client, exatrkx_client.report, exatrkx.events.saved_tracks, exatrkx.events.readers\n"
        "for url in ('h:8000', 'h:8001'): exatrkx_client.TrackingClient(url).close()\n"
        "assert not {'torch', 'torch_geometric'} & set(sys.modules)\n"
        "assert {'tritonclient.grpc', 'tritonclient.http'} <= set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_questions_over_http_need_no_tritonclient() -> None:
    """A server may be started where there is none, as in NVIDIA's container."""
    script = (
        "import sys\n"
        "sys.modules['tritonclient'] = None\n"
        "from exatrkx_client import ServerUnavailableError\n"
        "from exatrkx_client.address import Address\n"
        "from exatrkx_client.triton_api import TritonApi\n"
        "try:\n"
        "    TritonApi(Address.parse('http://127.0.0.1:' + sys.argv[1])).server_name()\n"
        "except ServerUnavailableError: print('asked')\n"
        "assert not {'torch', 'grpc'} & set(sys.modules)"
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        command = [sys.executable, "-c", script, str(nobody.getsockname()[1])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "asked\n"


def test_the_fallback_refuses_an_event_that_is_too_large_as_a_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXATRKX_MAX_SPACEPOINTS", "3")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with TrackingClient(url, retry=Retry(for_s=0), fallback="direct") as client:
            assert len(client.find_tracks(event_of(1, size=3))) == 3
            with pytest.raises(
                RequestRejectedError, match=r"direct: .*more than max_spacepoints = 3 spacepoints, found 4"
            ):
                client.find_tracks(event_of(1, size=4))


INTERRUPTED_CALL = """
import signal, sys
import numpy as np
from exatrkx_client import TrackingClient

def interrupt(frame, event, _):
    if event == "call" and frame.f_code.co_name == "_run_channel_spin_thread":
        signal.raise_signal(signal.SIGINT)

with TrackingClient(sys.argv[1]) as client:
    sys.setprofile(interrupt)
    client.find_tracks(np.zeros((3, 3), np.float32))
"""


def test_a_signal_while_a_grpc_call_starts_does_not_keep_the_client_from_closing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        command = [sys.executable, "-c", INTERRUPTED_CALL, f"127.0.0.1:{silent.getsockname()[1]}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
