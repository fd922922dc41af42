"""The client when servers are killed, restarted, away or shut to it; when it forks; and when it has a plan B."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from mortal_server import Mortal, url_of
from ordered_server import MODEL as ORDERED
from ordered_server import SLOW, OrderedRepository
from scripted_server import FAIL, GOOD, MODEL, REJECT, order, write_scripted_repository
from wayward_server import AWAY, write_wayward_repository

from exatrkx.errors import ContractError
from exatrkx.events.readers import read_events
from exatrkx_client import (
    AccessError,
    RequestRejectedError,
    Retry,
    ServerError,
    ServerUnavailableError,
    TrackingClient,
    TrackResult,
    servers,
)
from exatrkx_client.address import Protocol
from exatrkx_client.answer import FeatureArray
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from exatrkx.pipeline import Tracks

pytestmark = pytest.mark.server

both = pytest.mark.parametrize("protocol", ["grpc", "http"])

ROOT = Path(__file__).resolve().parents[2]
ONCE = Retry(attempts=1)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_repository(tmp_path_factory.mktemp("scripted"))


@pytest.fixture(scope="module")
def scripted(repository: Path) -> Iterator[TritonServer]:
    with TritonServer(repository, ServerOptions(stop_timeout_s=1)) as running:
        yield running


@pytest.fixture
def nobody() -> Iterator[Callable[..., str]]:
    """Addresses at which nobody listens, and nobody else can."""
    with ExitStack() as sockets:

        def address(protocol: Protocol = "grpc") -> str:
            taken = sockets.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            return f"{protocol}://127.0.0.1:{taken.getsockname()[1]}"

        yield address


def until(condition: Callable[[], bool]) -> None:
    """Ask until it is so; two minutes are never needed."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline


@both
@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_restart_in_the_middle_of_a_run_costs_no_event(repository: Path, protocol: Protocol, in_flight: int) -> None:
    half, killed = threading.Event(), threading.Event()

    def events() -> Iterator[FeatureArray]:
        for size in range(40):
            if size == 20:  # with requests on their way
                half.set()
                killed.wait()
            yield order(GOOD, size)

    with (
        Mortal(repository) as mortal,
        TrackingClient(mortal.url(protocol), MODEL, retry=Retry(for_s=300.0)) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        asking = thread.submit(lambda: list(client.find_tracks_many(events(), in_flight)))
        half.wait()
        mortal.kill()
        killed.set()
        until(lambda: any(server.failed_at for server in client._servers))
        mortal.start()
        results = asking.result()
        assert [result.labels.tolist() for _, result in results] == [list(range(size)) for size in range(40)]
        assert max(result.attempts for _, result in results) > 1
        assert {result.answered_by for _, result in results} == {mortal.url(protocol)}


@both
def test_connections_that_a_restart_made_stale_cost_no_attempt(repository: Path, protocol: Protocol) -> None:
    with Mortal(repository) as mortal, TrackingClient(mortal.url(protocol), MODEL, retry=ONCE) as client:
        client.wait_until_ready()
        assert len(list(client.find_tracks_many([order(GOOD)] * 20, in_flight=20))) == 20
        mortal.kill()
        mortal.start()
        results = list(client.find_tracks_many([order(GOOD)] * 25, in_flight=1))
        assert [result.attempts for _, result in results] == [1] * 25


def test_one_of_three_servers_away(scripted: TritonServer, nobody: Callable[..., str]) -> None:
    here = url_of(scripted, "http")
    with TrackingClient([nobody(), here, nobody("http")], MODEL) as client:
        assert client.is_ready()
        client.wait_until_ready(timeout_s=0)
        client.check_contract()
        found = [result for _, result in client.find_tracks_many([order(GOOD)] * 10)]
        assert {(result.answered_by, result.attempts) for result in found} == {(here, 1)}
    with TrackingClient([nobody(), here, nobody("http")], MODEL) as client:  # which knows nothing of them
        found = [result for _, result in client.find_tracks_many([order(GOOD)] * 10)]
        assert {result.answered_by for result in found} == {here}
        assert max(result.attempts for result in found) > 1
        assert found[-1].attempts == 1  # who failed is not asked each time


def test_a_server_is_asked_again_when_it_is_back(repository: Path, scripted: TritonServer) -> None:
    other = url_of(scripted, "grpc")
    with Mortal(repository) as mortal, TrackingClient([mortal.url("http"), other], MODEL) as client:

        def answering() -> str:
            return client.find_tracks(order(GOOD), with_edges=True).answered_by

        assert {answering(), answering()} == {mortal.url("http"), other}
        mortal.kill()
        assert [answering() for _ in range(3)] == [other] * 3
        mortal.start()
        until(lambda: answering() == mortal.url("http"))


@both
def test_a_server_that_stands_still_keeps_no_event(
    repository: Path, scripted: TritonServer, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "_SILENCE_S", 0.2)
    monkeypatch.setattr(servers, "_READY_S", 5.0)
    other = url_of(scripted, protocol)
    with Mortal(repository) as mortal, TrackingClient([mortal.url(protocol), other], MODEL) as client:
        with mortal.paused():
            found = [result for _, result in client.find_tracks_many([order(GOOD)] * 4)]
            assert {result.answered_by for result in found} == {other}
            assert sorted(result.attempts for result in found)[0::3] == [1, 2]
        mortal.kill()  # after a pause Triton may be as good as dead
        mortal.start()
        until(lambda: client.find_tracks(order(GOOD), with_edges=True).answered_by == mortal.url(protocol))


@both
def test_no_event_waits_while_a_server_is_asked_whether_it_is_back(
    repository: Path, scripted: TritonServer, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "_SILENCE_S", 0.2)
    monkeypatch.setattr(servers, "_READY_S", 5.0)
    monkeypatch.setattr(servers, "_REST", Retry(first_delay_s=0.0))
    monkeypatch.setattr(servers, "_PROBE_S", 3600.0)
    other = url_of(scripted, protocol)
    with Mortal(repository) as mortal, TrackingClient([mortal.url(protocol), other], MODEL) as client:
        with mortal.paused():
            found = [result for _, result in client.find_tracks_many([order(GOOD)] * 8, in_flight=1)]
            assert {result.answered_by for result in found} == {other}
            assert sum(result.attempts for result in found) == 9
        mortal.kill()


def test_a_busy_server_keeps_its_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_SILENCE_S", 0.02)
    monkeypatch.setattr(servers, "_READY_S", 60.0)
    busy = OrderedRepository(tmp_path / "models")
    with TritonServer(busy.folder, ServerOptions(stop_timeout_s=1)) as server:
        busy.give(SLOW)
        urls = [url_of(server, "grpc"), url_of(server, "http")]
        with TrackingClient(urls, ORDERED) as client:
            results = [result for _, result in client.find_tracks_many([order(GOOD)] * 6)]
    assert [result.attempts for result in results] == [1] * 6


def test_all_servers_away(scripted: TritonServer, nobody: Callable[..., str]) -> None:
    urls = [nobody(), nobody("http")]
    with TrackingClient(urls, MODEL, retry=Retry(for_s=0.3, first_delay_s=0.01)) as client:
        with pytest.raises(ServerUnavailableError, match=r"^(grpc|http)://127\.0\.0\.1:.* \(after \d+ attempts\)$"):
            client.find_tracks(order(GOOD))
        with pytest.raises(ServerUnavailableError, match=f"^not ready within 0 s: {urls[0]}: .*; {urls[1]}: "):
            client.wait_until_ready(timeout_s=0)
        with pytest.raises(ServerUnavailableError, match=urls[0]):
            client.check_contract()
        assert not client.is_ready()
    assert scripted.ending is None


def test_another_server_is_asked_where_one_fails_but_not_about_an_event_at_fault(
    scripted: TritonServer, tmp_path: Path
) -> None:
    here = [url_of(scripted, "grpc"), url_of(scripted, "http")]
    with TrackingClient(here, MODEL) as client:
        with pytest.raises(ServerError, match=r"(?s)this event breaks the model.*\(after 2 attempts\)"):
            client.find_tracks(order(FAIL))
        with pytest.raises(RequestRejectedError, match=r"this event is refused$"):
            client.find_tracks(order(REJECT))
        assert client.find_tracks(order(GOOD)).tolist() == [0, 1, 2, 3, 4]
    repository = write_wayward_repository(tmp_path)
    (repository / AWAY).rename(repository / MODEL)
    options = ServerOptions(models=(MODEL,), stop_timeout_s=1)
    with (
        TritonServer(repository, options) as out_to_lunch,
        TrackingClient([url_of(out_to_lunch, "grpc"), here[0]], MODEL) as client,
    ):
        found = [result for _, result in client.find_tracks_many([order(GOOD)] * 2, in_flight=1)]
        assert {result.answered_by for result in found} == {here[0]}
        assert max(result.attempts for result in found) == 2


@both
def test_a_stage_whose_process_was_killed_is_away(repository: Path, protocol: Protocol) -> None:
    with Mortal(repository) as mortal, TrackingClient(mortal.url(protocol), MODEL, retry=ONCE) as client:
        client.find_tracks(order(GOOD))
        for process in psutil.Process(mortal.server.pid).children():
            process.kill()
        with pytest.raises(ServerUnavailableError, match=r"Stub process 'scripted_0_0' is not healthy"):
            client.find_tracks(order(GOOD))


def test_a_run_goes_on_after_an_event_that_fails(scripted: TritonServer) -> None:
    orders = [order(GOOD), order(REJECT), order(FAIL), np.zeros((5, 2), dtype=np.float32), order(GOOD)]
    with TrackingClient(url_of(scripted, "grpc"), MODEL) as client:
        outcomes = [type(outcome) for _, outcome in client.outcomes(orders, in_flight=3)]
    assert outcomes == [TrackResult, RequestRejectedError, ServerError, ContractError, TrackResult]


@both
def test_an_endpoint_that_is_restricted(repository: Path, protocol: Protocol) -> None:
    shut = (
        "--grpc-restricted-protocol=inference:some-header=some-value",
        "--http-restricted-api=inference:some-header=some-value",
    )
    with (
        TritonServer(repository, ServerOptions(extra_arguments=shut, stop_timeout_s=1)) as server,
        TrackingClient(url_of(server, protocol), MODEL) as client,
    ):
        with pytest.raises(AccessError, match="restricted, expecting header"):
            client.find_tracks(order(GOOD))
        assert client.is_ready()


_FORKING = """
import multiprocessing, sys
from exatrkx_client import TrackingClient
from scripted_server import GOOD, MODEL, order

client = TrackingClient(sys.argv[1], MODEL)

def ask(size):
    return len(client.find_tracks(order(GOOD, size)))

used = ask(7)
several = client.find_tracks_many((order(GOOD, size) for size in range(20)), in_flight=8)
next(several)  # the others are on their way
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(ask, range(10)) == list(range(10))
assert [len(result.labels) for _, result in several] == list(range(1, 20))
assert ask(7) == used == 7
client.close()
client.close()
"""


@both
def test_forked_processes_make_connections_of_their_own(scripted: TritonServer, protocol: Protocol) -> None:
    run_python(_FORKING, url_of(scripted, protocol))


_FORBIDDEN = """
import os, sys
import grpc  # before the client, and without leave to fork
from exatrkx_client import ClientError, TrackingClient
from scripted_server import GOOD, MODEL, order

client = TrackingClient(sys.argv[1], MODEL)
client.find_tracks(order(GOOD))
if os.fork() == 0:
    try:
        client.find_tracks(order(GOOD))
    except ClientError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
client.find_tracks(order(GOOD))
"""


def test_where_grpc_cannot_fork_it_is_said(scripted: TritonServer) -> None:
    printed = run_python(_FORBIDDEN, url_of(scripted, "grpc"))
    assert "forked from one that had imported gRPC without GRPC_ENABLE_FORK_SUPPORT=1" in printed


_FEW = """
import os, resource, sys
from exatrkx_client import ClientError, TrackingClient
from scripted_server import GOOD, MODEL, order

TrackingClient(sys.argv[1], MODEL).close()  # what is imported later would need a file, too
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    pass
try:
    TrackingClient(sys.argv[1], MODEL).find_tracks(order(GOOD))
except ClientError as error:
    print(error)
"""


@both
def test_no_file_descriptor_left(scripted: TritonServer, protocol: Protocol) -> None:
    url = url_of(scripted, protocol)
    reason = "this process has no file descriptors left for a connection; see ulimit -n"
    assert run_python(_FEW, url) == f"{url}: {reason}\n"


def run_python(script: str, *arguments: str) -> str:
    """Run a script with the tests' helpers at hand; returns what it printed, on both streams."""
    path = os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_direct_pipeline_has_the_servers_labels(
    trained_server: TritonServer, nobody: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    events = list(islice(read_events(ROOT / "data" / "events"), 3))
    patience = Retry(for_s=0.05)
    with (
        TrackingClient(trained_server.grpc_url) as client,
        TrackingClient([nobody(), nobody("http")], retry=patience, fallback="direct") as alone,
    ):
        alone.wait_until_ready(timeout_s=0)
        alone.check_contract()
        served = list(client.find_tracks_many(events))
        direct = list(alone.find_tracks_many(events, with_edges=True))
    assert [result.answered_by for _, result in direct] == ["direct"] * 3
    for (_, one), (_, other) in zip(served, direct, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert other.edge_index is not None
        assert other.edge_scores is not None
        assert other.edge_index.shape == (2, len(other.edge_scores))
    assert "takes the server's place" in caplog.text


def nothing_found(array: FeatureArray) -> Tracks:
    from exatrkx.pipeline import Tracks  # noqa: PLC0415 - imports torch

    labels = np.full(len(array), -1, dtype=np.int64)
    return Tracks(labels, *(np.zeros((2, 0), np.int64), np.zeros(0, np.float32), np.zeros((2, 0), np.int64)))


def test_a_server_that_is_back_takes_over_from_the_fallback(repository: Path) -> None:
    patience = Retry(for_s=0.05)
    with (
        Mortal(repository) as mortal,
        TrackingClient(mortal.url("http"), MODEL, retry=patience, fallback=nothing_found) as client,
    ):

        def answering() -> str:
            return client.find_tracks(order(GOOD), with_edges=True).answered_by

        assert answering() == mortal.url("http")
        mortal.kill()
        assert [result.answered_by for _, result in client.find_tracks_many([order(GOOD)] * 6)] == ["direct"] * 6
        mortal.start()
        until(lambda: answering() == mortal.url("http"))
        found = client.find_tracks(order(FAIL), with_edges=True)
        assert (found.answered_by, found.labels.tolist()) == ("direct", [-1] * 5)
        assert answering() == mortal.url("http")
        with pytest.raises(RequestRejectedError, match="this event is refused"):
            client.find_tracks(order(REJECT))
