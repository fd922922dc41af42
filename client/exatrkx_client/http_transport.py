"""Triton's questions and inference (KServe v2 with binary tensors) over HTTP.

Tensors are encoded by tritonclient, which questions do not need.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import (
    AccessError,
    ClientError,
    DeadlineError,
    RequestRejectedError,
    ServerError,
    ServerUnavailableError,
)
from exatrkx_client.http_pool import HttpPool, HttpRequest
from exatrkx_client.transport import InferenceRequest, Question, Reply, failure, missing_model, overdue

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
_ERRORS: Final[dict[int, type[ClientError]]] = {
    400: RequestRejectedError,
    401: AccessError,
    403: AccessError,
    407: AccessError,
    413: RequestRejectedError,
    429: ServerUnavailableError,
    502: ServerUnavailableError,
    503: ServerUnavailableError,
    504: DeadlineError,
}


_MOST_THREADS: Final = 64
"""Requests that can be on their way at once; a thread is started only when one is needed."""


class HttpTransport:
    """Triton's HTTP endpoint of one server."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self._address = address
        self._pool = HttpPool(address, credentials)
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="exatrkx-http")

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests."""
        paths = ("/v2/health/ready", f"/v2/models/{quote(model)}/ready")
        return all(self.answers(path, timeout_s) for path in paths)

    def answers(self, path: str, timeout_s: float) -> bool:
        """Whether there is something at this path.

        Raises:
            AccessError: it is not for this client.
            ClientError: nobody answers in time.
        """
        response, content = self._pool.exchange(HttpRequest("GET", path), timeout_s)
        if _ERRORS.get(response.status) is AccessError:
            raise self._refusal(response, content)
        return response.status == _OK

    def ask(self, question: Question, model: str, timeout_s: float) -> Any:
        """The answer to a question, as JSON has it."""
        method, path, part = _QUESTIONS[question]
        body = b"{}" if method == "POST" else None
        _, content = self._exchange(HttpRequest(method, path.format(model=quote(model)), body), timeout_s)
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
        self._pool.close()
        self._threads.shutdown(cancel_futures=True)

    def _infer(self, request: InferenceRequest) -> Reply:
        import tritonclient.http as triton  # noqa: PLC0415 - a server may be started where there is none
        from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype  # noqa: PLC0415

        began = time.perf_counter()
        inputs = []
        for name, array in request.inputs.items():
            inputs.append(triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        outputs = [triton.InferRequestedOutput(name, binary_data=True) for name in request.outputs] or None
        body, length = triton.InferenceServerClient.generate_request_body(
            inputs, outputs=outputs, request_id=request.request_id, parameters=request.parameters()
        )
        path = f"/v2/models/{quote(request.model)}/infer"
        message = HttpRequest("POST", path, body, {_HEADER_LENGTH: str(length)})
        response, content = self._exchange(message, request.timeout_s)
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
        return Reply(tensors, time.perf_counter() - began, result.get_response().get("id", ""))

    def _unreadable(self, error: Exception) -> ServerError:
        return ServerError(f"{self._address}: the answer cannot be read: {error!r}")

    def _exchange(self, message: HttpRequest, timeout_s: float) -> tuple[HTTPResponse, bytes]:
        """One request and its answer, whose status is 200."""
        response, content = self._pool.exchange(message, timeout_s)
        if response.status != _OK:
            raise self._refusal(response, content)
        return response, content

    def _refusal(self, response: HTTPResponse, content: bytes) -> ClientError:
        try:
            reason = str(json.loads(content)["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status} {response.reason}"
            if "html" in response.getheader("Content-Type", ""):
                reason += (
                    ", in HTML: not from Triton but from a proxy or gateway (see http_proxy, https_proxy, no_proxy)"
                )
        known = response.status != _NOT_FOUND
        kind = _ERRORS.get(response.status) or failure(reason) if known else missing_model(reason)
        kind = DeadlineError if overdue(reason) else kind
        denied = "; access denied" if kind is AccessError else ""
        return kind(f"{self._address}: {reason}{denied}", status=str(response.status), reason=reason)
