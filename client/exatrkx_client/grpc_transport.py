"""Triton's questions and inference over gRPC, on one channel."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, triton_to_np_dtype

from exatrkx_client.address import Address
from exatrkx_client.credentials import TRITON_PREFIX, Credentials
from exatrkx_client.errors import (
    AccessError,
    ClientError,
    DeadlineError,
    RequestRejectedError,
    ServerError,
    ServerUnavailableError,
    too_few_descriptors,
    untrusted,
)
from exatrkx_client.proxy import proxy_of
from exatrkx_client.transport import InferenceRequest, Question, Reply, failure, missing_model, overdue

_NO_LIMIT: Final = -1

_DESCRIPTORS: Final = 8
"""File descriptors that a channel takes, and some more."""

_CLOSE_S: Final = 2.0
"""How long calls that are cancelled may take to end."""

_CHANNEL: Final = [
    # gRPC's own limit is 4 MiB; an answer with its edges is far beyond.
    ("grpc.max_send_message_length", _NO_LIMIT),
    ("grpc.max_receive_message_length", _NO_LIMIT),
    # A server that starts is noticed within a second; gRPC's own waits grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # In spite of its name, how long a server may take to accept a connection: a busy one needs a second.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # A failed connection of one client does not make another wait.
    ("grpc.use_local_subchannel_pool", 1),
]

_UNREACHED: Final = "failed to connect to all addresses; last error: "
_UNTRUSTED: Final = re.compile("CERTIFICATE_VERIFY_FAILED: ([^:]*)|Hostname Verification Check failed")
_CLOSED: Final = "Socket closed"
_CLOSED_HINT: Final = " (so does a server that wants TLS, grpcs://…, or a certificate of this client's)"
_NOT_GRPC: Final = "Failed parsing HTTP/2"
_NOT_GRPC_HINT: Final = " (no gRPC is spoken there: so does an HTTP port, http://…)"
_CUT_OFF: Final = "Stream removed"
"""What gRPC says, with the status "unknown", of an answer that ends too early: a proxy, or who it asked, failed."""
_RESTRICTED: Final = "This protocol is restricted"
"""What Triton says of an endpoint that wants a header, with a status that says "try later"."""

_QUESTIONS: Final[dict[Question, tuple[str, str]]] = {
    "server": ("get_server_metadata", ""),
    "models": ("get_model_repository_index", "models"),
    "model": ("get_model_metadata", ""),
    "config": ("get_model_config", "config"),
    "statistics": ("get_inference_statistics", "model_stats"),
}
"""The method of tritonclient's that asks, and the part of its answer that HTTP gives, too."""

_ERRORS: Final[dict[str, type[ClientError]]] = {
    "StatusCode.UNAVAILABLE": ServerUnavailableError,
    "StatusCode.CANCELLED": ServerUnavailableError,
    "StatusCode.DEADLINE_EXCEEDED": DeadlineError,
    "StatusCode.INVALID_ARGUMENT": RequestRejectedError,
    "StatusCode.OUT_OF_RANGE": RequestRejectedError,
    "StatusCode.PERMISSION_DENIED": AccessError,
    "StatusCode.UNAUTHENTICATED": AccessError,
    "StatusCode.RESOURCE_EXHAUSTED": RequestRejectedError,
}


class GrpcTransport:
    """A gRPC channel to one server; it connects by itself, again when the server comes back."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        _require_descriptors(address)
        self._address = address
        self._proxy = proxy_of(address)
        proxy = ("grpc.http_proxy", self._proxy.url) if self._proxy else ("grpc.enable_http_proxy", 0)
        credentials.context(address)  # which says what is wrong with a file; gRPC does not
        self._client = triton.InferenceServerClient(
            address.target,
            ssl=address.secure,
            root_certificates=credentials.ca,
            private_key=credentials.key,
            certificate_chain=credentials.certificate,
            channel_args=[*_CHANNEL, proxy],
        )
        # A proxy reads the one, Triton the other.
        headers = credentials.all_headers.items()
        self._headers = {f"{prefix}{name}": value for name, value in headers for prefix in ("", TRITON_PREFIX)}

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests."""
        try:
            return bool(
                self._client.is_server_ready(headers=self._headers, client_timeout=timeout_s)
                and self._client.is_model_ready(model, headers=self._headers, client_timeout=timeout_s)
            )
        except (InferenceServerException, ValueError) as error:
            raise self._translated(error) from error

    def ask(self, question: Question, model: str, timeout_s: float) -> Any:
        """The answer to a question, as JSON has it."""
        method, part = _QUESTIONS[question]
        names = (model,) if model else ()
        ask = getattr(self._client, method)
        try:
            answer = ask(*names, as_json=True, headers=self._headers, client_timeout=timeout_s)
        except (InferenceServerException, ValueError) as error:
            raise self._translated(error) from error
        return answer.get(part, []) if part else answer  # gRPC's JSON leaves an empty list out

    def submit(self, request: InferenceRequest) -> Future[Reply]:
        """Start sending a request."""
        began = time.perf_counter()
        inputs = []
        for name, array in request.inputs.items():
            inputs.append(triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        answer: Future[Reply] = Future()

        def arrived(result: Any, error: InferenceServerException | None) -> None:
            """Runs on a thread of gRPC, which would lose an exception."""
            if not answer.set_running_or_notify_cancel():
                return
            if error is not None:
                answer.set_exception(self._translated(error))
                return
            try:
                response = result.get_response()
                outputs, request_id = response.outputs, response.id
                # Copied, so that each owns its memory: tritonclient gives views of its message.
                tensors = {
                    output.name: np.array(result.as_numpy(output.name), triton_to_np_dtype(output.datatype))
                    for output in outputs
                }
            except (ValueError, TypeError) as problem:
                answer.set_exception(ServerError(f"{self._address}: the answer cannot be read: {problem!r}"))
            else:
                answer.set_result(Reply(tensors, time.perf_counter() - began, request_id))

        try:
            context = self._client.async_infer(
                request.model,
                inputs,
                callback=arrived,
                outputs=[triton.InferRequestedOutput(name) for name in request.outputs] or None,
                request_id=request.request_id,
                headers=self._headers,
                client_timeout=request.timeout_s,
                parameters=request.parameters(),
            )
        except ValueError as error:
            raise self._translated(error) from error
        answer.add_done_callback(lambda given: context.cancel() if given.cancelled() else None)
        return answer

    def close(self) -> None:
        """Give up what is on its way, and the channel."""
        # gRPC waits for every call's end; one whose start a signal's exception cut short has nobody who notices it.
        closing = threading.Thread(target=self._client.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)

    def _translated(self, error: InferenceServerException | ValueError) -> ClientError:
        if isinstance(error, ValueError):  # what a closed channel raises
            return ServerUnavailableError(f"{self._address}: {error}")
        status, reason = str(error.status()), error.message()
        if found := _UNTRUSTED.search(reason):
            return untrusted(str(self._address), found[1] or f"it is not {self._address.host}'s")
        if self._proxy and _UNREACHED in reason:
            return self._proxy.refusal(self._address, reason.removeprefix(_UNREACHED))
        kind = missing_model(reason) if status == "StatusCode.NOT_FOUND" else _ERRORS.get(status) or failure(reason)
        if overdue(reason):
            kind = DeadlineError
        if _CUT_OFF in reason:
            kind = ServerUnavailableError
        if _RESTRICTED in reason:
            kind = AccessError
        hints = {_CLOSED: _CLOSED_HINT, _NOT_GRPC: _NOT_GRPC_HINT}
        said = (hint for text, hint in hints.items() if text in reason)
        hint = "; access denied" if kind is AccessError else next(said, "")
        return kind(f"{self._address}: {reason}{hint}", status=status, reason=reason)


def _require_descriptors(address: Address) -> None:
    """Refuse a channel for which gRPC lacks file descriptors: it would end the process."""
    held: list[int] = []
    try:
        held += (os.open(os.devnull, os.O_RDONLY) for _ in range(_DESCRIPTORS))
    except OSError as error:
        raise too_few_descriptors(str(address)) from error
    finally:
        for descriptor in held:
            os.close(descriptor)
