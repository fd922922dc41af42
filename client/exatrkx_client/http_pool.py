"""Pool of HTTP connections to one server, which are kept open and replaced where the server closed them.

They are the standard library's: tritonclient's own belong to one thread, and its asynchronous requests start with a
wait of 10 ms.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import MappingProxyType
from typing import Final, NamedTuple

from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError, DeadlineError, ServerUnavailableError, too_few_descriptors, untrusted
from exatrkx_client.proxy import proxy_of

_CONNECT_S: Final = 10.0
"""How long a connection may take, where a request may take longer: nobody there is known sooner than no answer."""


class HttpRequest(NamedTuple):
    """A message to a server."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})


class HttpPool:
    """Connections to one server, each request's own. May be used from several threads, but not after a fork."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self._address = address
        self._headers = credentials.all_headers
        self._tls = credentials.context(address)
        self._proxy = proxy_of(address)
        self._idle: list[HTTPConnection] = []
        self._open: set[HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def exchange(self, request: HttpRequest, timeout_s: float) -> tuple[HTTPResponse, bytes]:
        """One request and its answer, whatever its status.

        A kept connection that turns out to be closed is replaced and the request sent again: it is known only when it
        is used, and what the server did before says nothing about whether it is there now.

        Raises:
            ServerUnavailableError: nobody is there, or who is hangs up.
            DeadlineError: nothing was said for `timeout_s`.
            AccessError: the server's certificate is not accepted.
            ClientError: this process has no file descriptor left.
        """
        try:
            if (kept := self._kept()) is not None:
                with suppress(HTTPException, ConnectionError, ssl.SSLEOFError):
                    return self._speak(kept, request, timeout_s)
            return self._speak(self._connect(timeout_s), request, timeout_s)
        except ClientError:
            raise
        except (HTTPException, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            if type(error) is BadStatusLine:  # and no kind of it: the server hung up
                reason = "what answers there speaks no HTTP: so does a gRPC port, grpc://…"
            raise ServerUnavailableError(f"{self._address}: {reason}") from error

    def close(self) -> None:
        """Give up what is on its way, and the connections."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            self._open.difference_update(idle)
            busy = [connection.sock for connection in self._open]
        for connection in idle:
            connection.close()
        for open_socket in filter(None, busy):
            with suppress(OSError):  # the server may have closed it before us
                open_socket.shutdown(socket.SHUT_RDWR)  # which ends a wait for an answer

    def _kept(self) -> HTTPConnection | None:
        """A connection of an earlier request that the server has not closed yet."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            if not poll.poll(0):  # else it is closed, or says what was not asked for
                return connection
            self._drop(connection)

    def _connect(self, timeout_s: float) -> HTTPConnection:
        host, port, proxy = self._address.host, self._address.port, self._proxy
        first = (proxy.host, proxy.port) if proxy else (host, port)
        patience = min(timeout_s, _CONNECT_S)
        connection = (
            HTTPSConnection(*first, timeout=patience, context=self._tls)
            if self._tls
            else HTTPConnection(*first, timeout=patience)
        )
        if proxy:
            connection.set_tunnel(host, port, proxy.headers)
        try:
            connection.connect()
        except (HTTPException, OSError) as error:
            connection.close()
            traceback.clear_frames(error.__traceback__)  # Python before 3.11.5 leaves a proxy's answer open there
            if isinstance(error, ssl.SSLCertVerificationError):
                raise untrusted(str(self._address), error.verify_message) from error
            if isinstance(error, OSError) and error.errno == errno.EMFILE:
                raise too_few_descriptors(str(self._address)) from error
            if proxy:
                raise proxy.refusal(self._address, str(error)) from error
            raise ServerUnavailableError(f"{self._address}: cannot be reached: {error}") from error
        with self._lock:
            if not self._closed:
                self._open.add(connection)
                return connection
        connection.close()
        raise ServerUnavailableError(f"{self._address}: this client is closed")

    def _speak(self, connection: HTTPConnection, request: HttpRequest, timeout_s: float) -> tuple[HTTPResponse, bytes]:
        whole = False
        try:
            connection.sock.settimeout(timeout_s)
            with suppress(BrokenPipeError, ConnectionResetError):  # a proxy may refuse a large request before its end
                connection.request(request.method, request.path, request.body, {**self._headers, **request.headers})
            response = connection.getresponse()
            content = response.read()
            whole = True
        except TimeoutError as error:
            raise DeadlineError(f"{self._address}: no answer within {timeout_s:g} s") from error
        finally:
            with self._lock:
                keep = whole and not self._closed and connection.sock is not None
                if keep:
                    self._idle.append(connection)
            if not keep:
                self._drop(connection)
        return response, content

    def _drop(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()
