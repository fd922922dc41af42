"""The client against real servers, over both protocols."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tritonclient.grpc
from scripted_server import EDGES_PER_SPACEPOINT, FAIL, GOOD, MODEL, REJECT, SHORT, order, write_scripted_repository

from exatrkx.errors import ContractError
from exatrkx_client import RequestRejectedError, Retry, ServerError, ServerUnavailableError, TrackingClient
from exatrkx_client.address import Protocol
from exatrkx_server import Access, ServerOptions, TritonServer, free_ports

pytestmark = pytest.mark.server

both = pytest.mark.parametrize("protocol", ["grpc", "http"])


@pytest.fixture(scope="module")
def scripted_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_repository(tmp_path_factory.mktemp("scripted"))


@pytest.fixture(scope="module")
def scripted(scripted_repository: Path) -> Iterator[TritonServer]:
    with TritonServer(scripted_repository, ServerOptions(stop_timeout_s=1)) as running:
        yield running


@pytest.fixture(params=["grpc", "http"])
def client(request: pytest.FixtureRequest, scripted: TritonServer) -> Iterator[TrackingClient]:
    with TrackingClient(url_of(scripted, request.param), MODEL) as connected:
        yield connected
        # Whatever the test did, the next good event is served.
        assert connected.find_tracks(order(GOOD)).tolist() == [0, 1, 2, 3, 4]


def url_of(server: TritonServer, protocol: Protocol) -> str:
    return f"grpc://{server.grpc_url}" if protocol == "grpc" else server.http_url


@both
@pytest.mark.parametrize("model", ["exatrkx_ensemble", "exatrkx_custom"])
def test_the_served_pipelines(server: TritonServer, protocol: Protocol, model: str) -> None:
    from tiny_networks import clumps  # noqa: PLC0415 - imports torch, which only this test needs

    array, clump = clumps(num_clumps=8, size=5)
    with TrackingClient(url_of(server, protocol), model) as client:
        client.wait_until_ready(timeout_s=10)
        assert client.is_ready()
        client.check_contract()
        found = client.find_tracks(array, with_edges=True)
        assert found.edge_index is not None
        assert found.edge_scores is not None
        first_of_clump = np.unique(clump, return_index=True)[1]
        np.testing.assert_array_equal(found.labels, np.argsort(np.argsort(first_of_clump))[clump])
        assert (found.edge_index.shape, found.edge_scores.shape) == ((2, 8 * 10), (8 * 10,))
        assert (clump[found.edge_index[0]] == clump[found.edge_index[1]]).all()
        for size in (0, 1, 2):
            assert client.find_tracks(array[:size]).tolist() == [-1] * size
        with pytest.raises(RequestRejectedError, match="must be finite"):
            client.find_tracks(np.full((4, 3), np.nan, dtype=np.float32))


@both
@pytest.mark.parametrize("model", ["embed", "frnn", "filter", "applyfilter", "gnn", "wcc"])
def test_a_step_is_no_pipeline(server: TritonServer, protocol: Protocol, model: str) -> None:
    with TrackingClient(url_of(server, protocol), model) as client:
        assert client.is_ready()
        with pytest.raises(ContractError, match=f"model '{model}' does not keep the contract: "):
            client.check_contract()


def test_arrays_are_the_callers_own(client: TrackingClient) -> None:
    for size in (0, 3):
        found = client.find_tracks(order(GOOD, size), with_edges=True)
        for array in (found.labels, found.edge_index, found.edge_scores):
            assert array is not None
            assert array.flags.writeable
            assert array.flags.owndata
        assert found.edge_index is not None
        assert found.edge_index.dtype == np.int64
        assert found.edge_index.shape == (2, size * EDGES_PER_SPACEPOINT)


def test_events_far_beyond_the_default_message_size(client: TrackingClient) -> None:
    size = 200_000
    found = client.find_tracks(order(GOOD, size), with_edges=True)  # 2.4 MB there, 41.6 MB back
    np.testing.assert_array_equal(found.labels, np.arange(size))
    assert found.edge_index is not None
    np.testing.assert_array_equal(found.edge_index.ravel(), np.arange(2 * size * EDGES_PER_SPACEPOINT))


def test_a_refusal_and_a_failure_are_told_apart(client: TrackingClient) -> None:
    with pytest.raises(RequestRejectedError, match="this event is refused"):
        client.find_tracks(order(REJECT))
    with pytest.raises(ServerError, match="this event breaks the model"):
        client.find_tracks(order(FAIL))
    with pytest.raises(ServerError, match="4 labels for 5 spacepoints"):
        client.find_tracks(order(SHORT))


def test_a_model_that_the_server_does_not_have(scripted: TritonServer, client: TrackingClient) -> None:
    with TrackingClient(str(client.address), "absent") as other:
        for act in (other.check_contract, lambda: other.find_tracks(order(GOOD))):
            with pytest.raises(ContractError, match="'absent' is not found"):
                act()
        with pytest.raises(ServerUnavailableError, match=r"within 0\.2 s: .* model 'absent' is not ready"):
            other.wait_until_ready(timeout_s=0.2)
    assert scripted.pid


@pytest.mark.parametrize("in_flight", [1, 4, 20])
def test_many_events_come_back_in_their_order(client: TrackingClient, in_flight: int) -> None:
    sizes = [7, 0, 3000, 1, 2] * 4
    results = list(client.find_tracks_many((order(GOOD, size) for size in sizes), in_flight))
    assert [len(result.labels) for _, result in results] == sizes
    assert [len(source) for source, _ in results] == sizes
    assert all(0 < result.seconds < client.timeout_s for _, result in results)


def test_one_bad_event_among_many_ends_with_its_error(client: TrackingClient) -> None:
    results = client.find_tracks_many([order(GOOD), order(GOOD), order(REJECT), order(GOOD)], in_flight=3)
    next(results)
    next(results)
    with pytest.raises(RequestRejectedError):
        next(results)


def test_one_client_for_several_threads(client: TrackingClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        sizes = list(range(64))
        found = threads.map(lambda size: len(client.find_tracks(order(GOOD, size))), sizes)
        assert list(found) == sizes


@both
def test_a_request_outlives_a_restart_of_the_server(scripted_repository: Path, protocol: Protocol) -> None:
    ports = free_ports("127.0.0.1")
    # Triton waits for open connections before it stops, and the client keeps its own.
    options = ServerOptions(ports=ports, stop_timeout_s=1)
    patient = Retry(for_s=300.0, first_delay_s=0.05, max_delay_s=0.2)
    with TritonServer(scripted_repository, options) as running:
        client = TrackingClient(url_of(running, protocol), MODEL, retry=patient)
        assert len(client.find_tracks(order(GOOD))) == 5
    with client:
        assert not client.is_ready()
        labels: list[int] = []
        asking = threading.Thread(target=lambda: labels.extend(client.find_tracks(order(GOOD))))
        asking.start()  # while nobody listens
        with TritonServer(scripted_repository, options):
            asking.join(timeout=300)
        assert labels == [0, 1, 2, 3, 4]


def test_a_model_that_is_unloaded_is_away_for_now(scripted_repository: Path) -> None:
    """As in a server that goes down, which unloads its models before it stops answering."""
    options = ServerOptions(models=(MODEL,), stop_timeout_s=1, access=Access(allow=("model-control",)))
    with (
        TritonServer(scripted_repository, options) as running,
        tritonclient.grpc.InferenceServerClient(running.grpc_url) as control,
    ):
        clients = [
            TrackingClient(url_of(running, protocol), MODEL, retry=Retry(attempts=2, first_delay_s=0))
            for protocol in get_args(Protocol)
        ]
        control.unload_model(MODEL)
        for client in clients:
            for act in (client.check_contract, lambda client=client: client.find_tracks(order(GOOD))):
                with pytest.raises(ServerUnavailableError, match=f"'{MODEL}' has no available versions"):
                    act()
        control.load_model(MODEL)
        for client in clients:
            assert len(client.find_tracks(order(GOOD))) == 5
            client.close()
