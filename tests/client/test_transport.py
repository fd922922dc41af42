"""Both protocols against nobody, somebody silent and somebody who speaks something else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from exatrkx_client import (
    AccessError,
    ClientError,
    DeadlineError,
    Retry,
    ServerError,
    ServerUnavailableError,
    TrackingClient,
)
from exatrkx_client.address import Protocol
from exatrkx_client.transport import failure

EVENT = np.zeros((3, 3), dtype=np.float32)
ONCE = Retry(attempts=1)

both = pytest.mark.parametrize("protocol", ["grpc", "http"])


@contextmanager
def listener() -> Iterator[socket.socket]:
    """A port that takes connections; what comes is left unread."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def address(server: socket.socket) -> str:
    host, port = server.getsockname()
    return f"{host}:{port}"


@contextmanager
def saying(reply: bytes) -> Iterator[str]:
    """A server that reads one message of each connection, says this, and hangs up."""
    with listener() as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # closed: the test is over
                    return
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield address(server)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@both
def test_nobody_there(protocol: Protocol) -> None:
    with listener() as server:
        url = address(server)
    with TrackingClient(url, protocol=protocol, retry=ONCE) as client:
        assert not client.is_ready()
        with pytest.raises(ServerUnavailableError, match=f"{protocol}://{url}: .*[Cc]onnection refused"):
            client.find_tracks(EVENT)
        with pytest.raises(ServerUnavailableError, match=r"[Cc]onnection refused"):
            client.check_contract()
        with pytest.raises(ServerUnavailableError, match=r"not ready within 0\.1 s: .*[Cc]onnection refused"):
            client.wait_until_ready(timeout_s=0.1)


@both
def test_no_such_host(protocol: Protocol) -> None:
    with (
        TrackingClient("no-such-host.invalid:1", protocol=protocol, retry=ONCE) as client,
        pytest.raises(ServerUnavailableError, match=r"no-such-host\.invalid"),
    ):
        client.find_tracks(EVENT)


@both
def test_somebody_silent(protocol: Protocol) -> None:
    with listener() as server, TrackingClient(address(server), protocol=protocol, timeout_s=0.2, retry=ONCE) as client:
        with pytest.raises(DeadlineError, match=address(server)):
            client.find_tracks(EVENT)
        assert not client.is_ready()
        with pytest.raises(ServerUnavailableError, match=r"not ready within 0\.1 s"):
            client.wait_until_ready(timeout_s=0.1)


@both
@pytest.mark.parametrize("reply", [b"", b"Good morning, this is no server of models.\r\n"])
def test_somebody_else(protocol: Protocol, reply: bytes) -> None:
    with saying(reply) as url, TrackingClient(url, protocol=protocol, retry=ONCE, timeout_s=5) as client:
        with pytest.raises(ClientError, match=url):
            client.find_tracks(EVENT)
        assert not client.is_ready()


@pytest.mark.parametrize(
    ("status", "body", "error", "reason"),
    [
        ("500 Internal Server Error", b'{"error":"out of memory"}', ServerError, "out of memory"),
        ("503 Service Unavailable", b"<html>try later</html>", ServerUnavailableError, "503 Service Unavailable"),
        ("418 I'm a teapot", b"[]", ServerError, "418 I'm a teapot"),
        ("403 Forbidden", b"<html>no</html>", AccessError, "403 Forbidden, in HTML: not from Triton but from a proxy"),
        ("407 Who Are You", b"<html>no</html>", AccessError, "407 Who Are You, in HTML: .* http_proxy"),
        ("502 Bad Gateway", b"<html>no</html>", ServerUnavailableError, "502 Bad Gateway, in HTML: .* no_proxy"),
        ("200 OK", b"{}", ServerError, "the answer cannot be read: "),
        ("200 OK", b"not json", ServerError, "the answer cannot be read: "),
    ],
)
def test_http_answers_that_are_none(status: str, body: bytes, error: type[Exception], reason: str) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    reply = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with (
        saying(reply) as url,
        TrackingClient(url, protocol="http", retry=ONCE) as client,
        pytest.raises(error, match=f"http://{url}: {reason}"),
    ):
        client.find_tracks(EVENT)


@both
def test_closing_ends_what_is_on_its_way(protocol: Protocol) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(listener())
        client = TrackingClient(address(server), protocol=protocol, timeout_s=60, retry=ONCE)
        problems: list[Exception] = []

        def ask() -> None:
            try:
                client.find_tracks(EVENT)
            except ClientError as error:
                problems.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        connection, _ = server.accept()  # so the request is on its way
        stack.enter_context(connection)
        client.close()
        thread.join(timeout=30)
        assert not thread.is_alive()
        assert isinstance(problems[0], ServerUnavailableError)


@both
def test_a_closed_client_says_so(protocol: Protocol) -> None:
    with listener() as server:
        client = TrackingClient(address(server), protocol=protocol, retry=ONCE)
        client.close()
        client.close()
        with pytest.raises(ServerUnavailableError, match=r"closed|shutdown"):
            client.find_tracks(EVENT)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Stub process 'wcc_0_0' is not healthy.", ServerUnavailableError),
        (
            "in ensemble 'exatrkx_ensemble', Failed to copy the output tensor to buffer.: attempted",
            ServerUnavailableError,
        ),
        ("Failed to copy output tensor to Triton-provided buffer: too small", ServerUnavailableError),
        (
            "Failed to copy memory buffers. Source and destination byte size do not match: 8 != 16",
            ServerUnavailableError,
        ),
        ("in ensemble 'exatrkx_ensemble', Failed to process the requests.", ServerUnavailableError),
        ("Failed to process the request(s) for model 'wcc_0_0', message: division by zero", ServerError),
        ("in ensemble 'exatrkx_ensemble', Failed to retrieve the response error.", ServerUnavailableError),
        ("Received unexpected response from Python backend stub: 3", ServerUnavailableError),
        ("division by zero", ServerError),
    ],
)
def test_a_stage_that_is_away_is_asked_again(reason: str, kind: type[ClientError]) -> None:
    assert failure(reason) is kind
