"""Triton's questions and inference over gRPC, on one channel."""

from __future__ import annotations

import re
import time
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, triton_to_np_dtype

from exatrkx_client.address import Address
from exatrkx_client.credentials import TRITON_PREFIX, Credentials
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

_NO_LIMIT: Final = -1
_PREFIXES: Final = ("", TRITON_PREFIX)

_CHANNEL: Final = [
    # gRPC's own limit is 4 MiB; an answer with its edges is far beyond.
    ("grpc.max_send_message_length", _NO_LIMIT),
    ("grpc.max_receive_message_length", _NO_LIMIT),
    # A server that starts is noticed within a second; gRPC's own waits grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A failed connection of one client does not make another wait.
    ("grpc.use_local_subchannel_pool", 1),
]

_QUESTIONS: Final[dict[Question, tuple[str, str]]] = {
    "server": ("get_server_metadata", ""),
    "models": ("get_model_repository_index", "models"),
    "model": ("get_model_metadata", ""),
    "config": ("get_model_config", "config"),
    "statistics": ("get_inference_statistics", "model_stats"),
}
"""The method of tritonclient's that asks, and the part of its answer that HTTP gives, too."""

_DENIED: Final = ("StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED")
_UNTRUSTED: Final = re.compile("CERTIFICATE_VERIFY_FAILED: ([^:]*)|Hostname Verification Check failed")
_CLOSED: Final = "Socket closed"
_CLOSED_HINT: Final = " (so does a server that wants TLS, grpcs://…, or a certificate of this client's)"
_ERRORS: Final[dict[str, type[ClientError]]] = {
    "StatusCode.UNAVAILABLE": ServerUnavailableError,
    "StatusCode.CANCELLED": ServerUnavailableError,
    "StatusCode.DEADLINE_EXCEEDED": DeadlineError,
    "StatusCode.INVALID_ARGUMENT": RequestRejectedError,
    "StatusCode.OUT_OF_RANGE": RequestRejectedError,
    "StatusCode.RESOURCE_EXHAUSTED": RequestRejectedError,
}


class GrpcTransport:
    """A gRPC channel to one server; it connects by itself, again when the server comes back."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self._address = address
        if address.secure:
            credentials.context()  # which says what is wrong with a file; gRPC does not
        self._client = triton.InferenceServerClient(
            address.target,
            ssl=address.secure,
            root_certificates=credentials.ca,
            private_key=credentials.key,
            certificate_chain=credentials.certificate,
            channel_args=_CHANNEL,
        )
        # A proxy reads the one, Triton the other.
        headers = credentials.all_headers.items()
        self._headers = {f"{prefix}{name}": value for name, value in headers for prefix in _PREFIXES}

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
                outputs = result.get_response().outputs
                # Copied, so that each owns its memory: tritonclient gives views of its message.
                tensors = {
                    output.name: np.array(result.as_numpy(output.name), triton_to_np_dtype(output.datatype))
                    for output in outputs
                }
            except (ValueError, TypeError) as problem:
                answer.set_exception(ServerError(f"{self._address}: the answer cannot be read: {problem!r}"))
            else:
                answer.set_result(Reply(tensors, time.perf_counter() - began))

        try:
            context = self._client.async_infer(
                request.model,
                inputs,
                callback=arrived,
                outputs=[triton.InferRequestedOutput(name) for name in request.outputs] or None,
                headers=self._headers,
                client_timeout=request.timeout_s,
            )
        except ValueError as error:
            raise self._translated(error) from error
        answer.add_done_callback(lambda given: context.cancel() if given.cancelled() else None)
        return answer

    def close(self) -> None:
        """Give up what is on its way, and the channel."""
        self._client.close()

    def _translated(self, error: InferenceServerException | ValueError) -> ClientError:
        if isinstance(error, ValueError):  # what a closed channel raises
            return ServerUnavailableError(f"{self._address}: {error}")
        status, reason = str(error.status()), error.message()
        if status in _DENIED or "protocol is restricted" in reason:
            return AccessError(f"{self._address}: {ACCESS_DENIED}", status=status, reason=reason)
        if untrusted := _UNTRUSTED.search(reason):
            why = untrusted[1] or f"it is not {self._address.host}'s"
            return AccessError(f"{self._address}: its certificate is not accepted: {why}", status=status, reason=reason)
        if _CLOSED in reason:
            reason += _CLOSED_HINT
        kind = missing_model(reason) if status == "StatusCode.NOT_FOUND" else _ERRORS.get(status, ServerError)
        return kind(f"{self._address}: {reason}", status=status, reason=reason)
