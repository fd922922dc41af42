"""Triton's questions over HTTP: each on a connection of its thread that is kept open; the standard library alone."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote

from exatrkx_client.address import Address
from exatrkx_client.errors import ClientError, DeadlineError, RequestRejectedError, ServerError, ServerUnavailableError
from exatrkx_client.transport import Question, missing_model

_QUESTIONS: Final[dict[Question, tuple[str, str, str]]] = {
    "server": ("GET", "/v2", "name"),
    "models": ("POST", "/v2/repository/index", ""),
    "model": ("GET", "/v2/models/{model}", "name"),
    "config": ("GET", "/v2/models/{model}/config", "name"),
    "statistics": ("GET", "/v2/models/{model}/stats", "model_stats"),
}
"""Method and path of each, and what its answer must have; other things than Triton answer, too."""

_OK: Final = 200
_NOT_FOUND: Final = 404
_ERRORS: Final[dict[int, type[ClientError]]] = {
    400: RequestRejectedError,
    413: RequestRejectedError,
    429: ServerUnavailableError,
    502: ServerUnavailableError,
    503: ServerUnavailableError,
    504: DeadlineError,
}


class HttpConnections:
    """Connections to one server, one for each thread that asks."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._of_thread = threading.local()
        self._connections: list[HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests."""
        paths = ("/v2/health/ready", f"/v2/models/{quote(model)}/ready")
        return all(self.answers(path, timeout_s) for path in paths)

    def answers(self, path: str, timeout_s: float) -> bool:
        """Whether there is something at this path; raises as `exchange`."""
        return self._exchange("GET", path, timeout_s)[0].status == _OK

    def ask(self, question: Question, model: str, timeout_s: float) -> Any:
        """The answer to a question, as JSON has it."""
        method, path, part = _QUESTIONS[question]
        body = b"{}" if method == "POST" else None
        _, content = self.exchange(method, path.format(model=quote(model)), timeout_s, body)
        try:
            answer = json.loads(content)
            found = answer[part] if part else answer
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable(error) from error
        return found if question == "statistics" else answer

    def exchange(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        """One request and its answer, which is a good one.

        Raises:
            ClientError: nobody answers in time, or not with the status 200.
        """
        response, content = self._exchange(method, path, timeout_s, body, headers)
        if response.status == _OK:
            return response, content
        try:
            reason = str(json.loads(content)["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status} {response.reason}"
        known = response.status != _NOT_FOUND
        kind = _ERRORS.get(response.status, ServerError) if known else missing_model(reason)
        raise kind(f"{self._address}: {reason}", status=str(response.status), reason=reason)

    def close(self) -> None:
        """Give up what is on its way, and the connections."""
        self._give_up()
        self._close_connections()

    def _give_up(self) -> None:
        with self._lock:
            self._closed = True
            for connection in self._connections:
                if connection.sock is not None:
                    with suppress(OSError):  # the server may have closed it before us
                        connection.sock.shutdown(socket.SHUT_RDWR)  # which ends a wait for an answer

    def _close_connections(self) -> None:
        for connection in self._connections:
            connection.close()

    def _unreadable(self, error: Exception) -> ServerError:
        return ServerError(f"{self._address}: the answer cannot be read: {error!r}")

    def _exchange(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = self._connection(timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response, response.read()
        except TimeoutError as error:
            connection.close()
            raise DeadlineError(f"{self._address}: no answer within {timeout_s:g} s") from error
        except (HTTPException, OSError) as error:
            connection.close()
            raise ServerUnavailableError(f"{self._address}: {type(error).__name__}: {error}") from error

    def _connection(self, timeout_s: float) -> HTTPConnection:
        """This thread's connection, open."""
        connection: HTTPConnection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            kind = HTTPSConnection if self._address.secure else HTTPConnection
            connection = self._of_thread.connection = kind(self._address.host, self._address.port)
            with self._lock:
                self._connections.append(connection)
        connection.timeout = timeout_s
        try:
            if connection.sock is None:
                connection.connect()
        except OSError as error:
            raise ServerUnavailableError(f"{self._address}: cannot be reached: {error}") from error
        with self._lock:
            if self._closed:
                connection.close()
                raise ServerUnavailableError(f"{self._address}: this client is closed")
        connection.sock.settimeout(timeout_s)
        return connection
