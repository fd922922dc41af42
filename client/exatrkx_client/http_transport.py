"""Requests over HTTP (KServe v2 with binary tensors), each on a connection of its thread that is kept open.

The bytes are composed and read by tritonclient; the connections are the standard library's, because tritonclient's own
belong to one thread, and its asynchronous requests start with a wait of 10 ms.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote

import tritonclient.http as triton
from tritonclient.utils import np_to_triton_dtype

from exatrkx.contract import ModelSpec, TensorSpec
from exatrkx.errors import ExatrkxError
from exatrkx_client.address import Address
from exatrkx_client.errors import DeadlineError, RequestRejectedError, ServerError, ServerUnavailableError
from exatrkx_client.transport import Reply, Request, model_error, own

_HEADER_LENGTH: Final = "Inference-Header-Content-Length"

_OK: Final = 200
_NOT_FOUND: Final = 404
_ERRORS: Final[dict[int, type[ExatrkxError]]] = {
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
    """Connections to one server: one for each request that is on its way."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="exatrkx-http")
        self._of_thread = threading.local()
        self._connections: list[HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests."""
        paths = ("/v2/health/ready", f"/v2/models/{quote(model)}/ready")
        return all(self._exchange("GET", path, timeout_s)[0].status == _OK for path in paths)

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        """The model's tensors as the server has them."""
        response, body = self._exchange("GET", f"/v2/models/{quote(model)}", timeout_s)
        self._require_ok(response, body)
        found = json.loads(body)
        return ModelSpec(found["name"], _specs(found["inputs"]), _specs(found["outputs"]))

    def submit(self, request: Request) -> Future[Reply]:
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

    def _infer(self, request: Request) -> Reply:
        began = time.perf_counter()
        inputs = []
        for name, array in request.inputs.items():
            tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array, binary_data=True)
            inputs.append(tensor)
        outputs = [triton.InferRequestedOutput(name, binary_data=True) for name in request.outputs]
        body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs)
        path = f"/v2/models/{quote(request.model)}/infer"
        response, content = self._exchange("POST", path, request.timeout_s, body, {_HEADER_LENGTH: str(length)})
        self._require_ok(response, content)
        try:
            result = triton.InferenceServerClient.parse_response_body(
                content, header_length=response.getheader(_HEADER_LENGTH)
            )
            tensors = {
                output["name"]: own(result.as_numpy(output["name"]), output["datatype"])
                for output in result.get_response()["outputs"]
            }
        except (KeyError, ValueError, TypeError) as error:
            raise ServerError(f"{self._address}: the answer cannot be read: {error!r}") from error
        return Reply(tensors, time.perf_counter() - began)

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

    def _require_ok(self, response: HTTPResponse, body: bytes) -> None:
        if response.status == _OK:
            return
        try:
            reason = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status} {response.reason}"
        known = response.status != _NOT_FOUND
        kind = _ERRORS.get(response.status, ServerError) if known else model_error(str(reason))
        raise kind(f"{self._address}: {reason}")


def _specs(tensors: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(tensor["name"], tensor["datatype"], tuple(int(size) for size in tensor["shape"]))
        for tensor in tensors
    )
