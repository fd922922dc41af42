"""Triton's questions and inference (KServe v2 with binary tensors) over HTTP, on connections that are kept open.

Tensors are encoded by tritonclient, which questions do not need; the connections are the standard library's, because
tritonclient's own belong to one thread, and its asynchronous requests start with a wait of 10 ms.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import (
    ACCESS_DENIED,
    AccessError,
    ClientError,
    DeadlineError,
    RequestRejectedError,
    ServerError,
    ServerUnavailableError,
)
from exatrkx_client.transport import InferenceRequest, Question, Reply, missing_model

_QUESTIONS: Final[dict[Question, tuple[str, str, str]]] = {
    "server": ("GET", "/v2", "name"),
    "models": ("POST", "/v2/repository/index", ""),
    "model": ("GET", "/v2/models/{model}", "name"),
    "config": ("GET", "/v2/models/{model}/config", "name"),
    "statistics": ("GET", "/v2/models/{model}/stats", "model_stats"),
}
"""Method and path of each, and what its answer must have; other things than Triton answer, too."""

_HEADER_LENGTH: Final = "Inference-Header-Content-Length"
_OK: Final = 200
_NOT_FOUND: Final = 404
_DENIED: Final = (401, 403)
_ERRORS: Final[dict[int, type[ClientError]]] = {
    400: RequestRejectedError,
    413: RequestRejectedError,
    429: ServerUnavailableError,
    502: ServerUnavailableError,
    503: ServerUnavailableError,
    504: DeadlineError,
}


_MOST_THREADS: Final = 64
"""Requests that can be on their way at once; a thread is started only when one is needed."""


class HttpTransport:
    """Connections to one server: one for each thread that asks, and for each request that is on its way."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self._address = address
        self._headers = credentials.all_headers
        self._context = credentials.context() if address.secure else None
        self._of_thread = threading.local()
        self._connections: list[HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="exatrkx-http")

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests."""
        paths = ("/v2/health/ready", f"/v2/models/{quote(model)}/ready")
        return all(self.answers(path, timeout_s) for path in paths)

    def answers(self, path: str, timeout_s: float) -> bool:
        """Whether there is something at this path.

        Raises:
            ClientError: nobody answers in time.
        """
        return self._send("GET", path, timeout_s)[0].status == _OK

    def ask(self, question: Question, model: str, timeout_s: float) -> Any:
        """The answer to a question, as JSON has it."""
        method, path, part = _QUESTIONS[question]
        body = b"{}" if method == "POST" else None
        _, content = self._exchange(method, path.format(model=quote(model)), timeout_s, body)
        try:
            answer = json.loads(content)
            found = answer[part] if part else answer
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable(error) from error
        return found if question == "statistics" else answer

    def submit(self, request: InferenceRequest) -> Future[Reply]:
        """Start sending a request, on a thread of its own."""
        try:
            return self._threads.submit(self._infer, request)
        except RuntimeError as error:  # what a closed pool raises
            raise ServerUnavailableError(f"{self._address}: {error}") from error

    def close(self) -> None:
        """Give up what is on its way, and the connections."""
        with self._lock:
            self._closed = True
            for connection in self._connections:
                if connection.sock is not None:
                    with suppress(OSError):  # the server may have closed it before us
                        connection.sock.shutdown(socket.SHUT_RDWR)  # which ends a wait for an answer
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def _infer(self, request: InferenceRequest) -> Reply:
        import tritonclient.http as triton  # noqa: PLC0415 - a server may be started where there is none
        from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype  # noqa: PLC0415

        began = time.perf_counter()
        inputs = []
        for name, array in request.inputs.items():
            inputs.append(triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        outputs = [triton.InferRequestedOutput(name, binary_data=True) for name in request.outputs] or None
        body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
        path = f"/v2/models/{quote(request.model)}/infer"
        response, content = self._exchange("POST", path, request.timeout_s, body, {_HEADER_LENGTH: str(length)})
        try:
            header_length = response.getheader(_HEADER_LENGTH)
            result = triton.InferenceServerClient.parse_response_body(content, header_length=header_length)
            # Copied, so that each owns its memory; for an empty tensor tritonclient forgets the type.
            tensors = {
                output["name"]: np.array(result.as_numpy(output["name"]), triton_to_np_dtype(output["datatype"]))
                for output in result.get_response()["outputs"]
            }
        except (KeyError, ValueError, TypeError) as error:
            raise self._unreadable(error) from error
        return Reply(tensors, time.perf_counter() - began)

    def _unreadable(self, error: Exception) -> ServerError:
        return ServerError(f"{self._address}: the answer cannot be read: {error!r}")

    def _exchange(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        """One request and its answer, whose status is 200."""
        response, content = self._send(method, path, timeout_s, body, headers)
        if response.status == _OK:
            return response, content
        try:
            reason = str(json.loads(content)["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status} {response.reason}"
        if response.status in _DENIED:
            raise AccessError(f"{self._address}: {ACCESS_DENIED}", status=str(response.status), reason=reason)
        known = response.status != _NOT_FOUND
        kind = _ERRORS.get(response.status, ServerError) if known else missing_model(reason)
        raise kind(f"{self._address}: {reason}", status=str(response.status), reason=reason)

    def _send(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = self._connection(timeout_s)
        try:
            connection.request(method, path, body, self._headers | (headers or {}))
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
            host, port = self._address.host, self._address.port
            tls = self._context
            connection = HTTPSConnection(host, port, context=tls) if tls else HTTPConnection(host, port)
            self._of_thread.connection = connection
            with self._lock:
                self._connections.append(connection)
        connection.timeout = timeout_s
        try:
            if connection.sock is None:
                connection.connect()
        except ssl.SSLCertVerificationError as error:
            text = f"{self._address}: its certificate is not accepted: {error.verify_message}"
            raise AccessError(text, reason=error.verify_message) from error
        except OSError as error:
            raise ServerUnavailableError(f"{self._address}: cannot be reached: {error}") from error
        with self._lock:
            if self._closed:
                connection.close()
                raise ServerUnavailableError(f"{self._address}: this client is closed")
        connection.sock.settimeout(timeout_s)
        return connection
