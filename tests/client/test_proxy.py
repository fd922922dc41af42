"""Proxies that the environment names, over both protocols: used, left out, refusing, and not HTTP proxies at all."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from exatrkx_client import AccessError, ClientError, Retry, ServerUnavailableError, TrackingClient
from exatrkx_client.address import Address, Protocol
from exatrkx_client.proxy import Proxy, proxy_of

if TYPE_CHECKING:
    from exatrkx_server import TritonServer

both = pytest.mark.parametrize("protocol", ["grpc", "http"])

ONCE = Retry(attempts=1)
EVENT = np.zeros((3, 3), dtype=np.float32)
NAMES = [f"{kind}_proxy" for kind in ("grpc", "http", "https", "no", "no_grpc", "all")]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TunnelProxy:
    """An HTTP proxy that leads every tunnel to one address, or refuses all; it keeps what was asked of it."""

    def __init__(self, target: Address | None, refusal: str) -> None:
        self.asked: list[str] = []
        self._target = target
        self._refusal = refusal
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            head = b""
            with suppress(OSError):
                while b"\r\n\r\n" not in head and (data := client.recv(1 << 16)):
                    head += data
            if b"\r\n\r\n" not in head:  # gone before it has asked
                client.close()
                continue
            self.asked.append(head.decode())
            if self._target is None:
                body = "<html>No.</html>"
                text = (
                    f"HTTP/1.1 {self._refusal}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                )
                client.sendall(text.encode())
                client.close()
                continue
            server = socket.create_connection((self._target.host, self._target.port))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._threads.append(threading.Thread(target=join, args=(client, server)))
            self._threads[-1].start()


def join(client: socket.socket, server: socket.socket) -> None:
    """Lead what each says to the other, until both have nothing more to say."""
    with client, server:
        there = threading.Thread(target=pump, args=(client, server))
        there.start()
        pump(server, client)
        there.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(target: Address | None = None, refusal: str = "") -> Iterator[TunnelProxy]:
    running = TunnelProxy(target, refusal)
    try:
        yield running
    finally:
        running.close()


@pytest.mark.server
@both
def test_a_server_behind_a_proxy(server: TritonServer, monkeypatch: pytest.MonkeyPatch, protocol: Protocol) -> None:
    address = Address.parse(server.grpc_url if protocol == "grpc" else server.http_url)
    with proxy(address) as tunnel:
        monkeypatch.setenv("http_proxy", f"http://me:s%40fe@{tunnel.address}")
        with TrackingClient(f"{protocol}://triton.invalid:8001") as client:
            assert client.find_tracks(EVENT).tolist() == [0, 0, 0]
        assert tunnel.asked[0].startswith("CONNECT triton.invalid:8001 HTTP/1.")
        assert "\r\nProxy-Authorization: Basic bWU6c0BmZQ==\r\n" in tunnel.asked[0]  # me:s@fe


@both
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ("403 Forbidden", AccessError),
        ("407 Proxy Authentication Required", AccessError),
        ("502 Bad Gateway", ServerUnavailableError),
    ],
)
def test_a_proxy_that_refuses_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    protocol: Protocol,
    refusal: str,
    error: type[ClientError],
) -> None:
    with proxy(refusal=refusal) as wall:
        monkeypatch.setenv("http_proxy", f"http://me:secret@{wall.address}")
        with (
            TrackingClient(f"{protocol}://triton.invalid:8001", retry=ONCE) as client,
            pytest.raises(ClientError) as refused,
        ):
            client.find_tracks(EVENT)
    assert type(refused.value) is error
    said = rf"{protocol}://triton\.invalid:8001: the proxy {wall.address}, which http_proxy names: .*{refusal[:3]}.*"
    assert re.fullmatch(said, str(refused.value))
    assert "no_proxy" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


@both
def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch, protocol: Protocol) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}")
    with (
        TrackingClient(f"{protocol}://triton.invalid:8001", retry=ONCE) as client,
        pytest.raises(
            ServerUnavailableError, match=rf"the proxy 127\.0\.0\.1:{port}, which http_proxy names: .*refused"
        ),
    ):
        client.find_tracks(EVENT)


@both
@pytest.mark.parametrize(("host", "exempt"), [("127.0.0.1", ""), ("localhost", ""), ("127.0.0.1", "127.0.0.1")])
def test_this_machine_needs_no_proxy(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol, host: str, exempt: str
) -> None:
    with proxy(refusal="403 Forbidden") as wall, socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
        gone.close()
        monkeypatch.setenv("http_proxy", f"http://{wall.address}")
        monkeypatch.setenv("no_proxy", exempt)
        with (
            TrackingClient(f"{protocol}://{host}:{port}", retry=ONCE) as client,
            pytest.raises(ServerUnavailableError, match=r"[Cc]onnection refused"),
        ):
            client.find_tracks(EVENT)
        assert not wall.asked


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "grpc://h:1", None),
        ({"http_proxy": "p:3128"}, "grpc://h:1", Proxy("http_proxy", "p", 3128)),
        ({"http_proxy": "p", "grpc_proxy": "http://q:1"}, "grpc://h:1", Proxy("grpc_proxy", "q", 1)),
        ({"http_proxy": "p", "grpc_proxy": "http://q:1"}, "http://h:1", Proxy("http_proxy", "p", 80)),
        ({"HTTPS_PROXY": "http://p:8/"}, "https://h:1", Proxy("HTTPS_PROXY", "p", 8)),
        ({"HTTPS_PROXY": "http://p:8/"}, "http://h:1", None),
        ({"http_proxy": "http://me:word@p:8"}, "http://h:1", Proxy("http_proxy", "p", 8, "me:word")),
        ({"http_proxy": "p", "no_proxy": "other, .cern.ch"}, "http://triton.cern.ch:8000", None),
        ({"http_proxy": "p", "no_proxy": "*"}, "grpc://h:1", None),
        ({"http_proxy": "p"}, "grpc://[::1]:8001", None),
        ({"http_proxy": "p", "no_proxy": "other"}, "http://h:1", Proxy("http_proxy", "p", 80)),
    ],
)
def test_which_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: Proxy | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(Address.parse(url)) == expected


def test_a_direct_address_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "p")
    assert proxy_of(replace(Address.parse("http://h:1"), direct=True)) is None


@pytest.mark.parametrize("value", ["socks5://p:1080", "https://p:8", "http://p:port", "http://"])
@both
def test_what_is_no_http_proxy(monkeypatch: pytest.MonkeyPatch, protocol: Protocol, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(ClientError, match=r"the variable http_proxy names no proxy of the form http://host:port"):
        TrackingClient(f"{protocol}://h:1")
