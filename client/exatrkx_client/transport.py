"""Transport protocol: what gRPC and HTTP each have to do for the client; `triton_api.connect` picks one."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy.typing as npt

from exatrkx.serving.limits import DEADLINE
from exatrkx_client.errors import ClientError, ServedModelError, ServerError, ServerUnavailableError

_STAGE_TROUBLE: Final = re.compile(
    "Stub process .*is not healthy|unexpected response from Python backend stub|Unexpected message type received"
    r"|Failed to (obtain the health mutex|process the requests\.|retrieve the response error|copy .*output tensor to"
    "|copy memory buffers|increase the shared memory pool size|create new mapped region for the grown shared memory)"
)
"""What Triton says of a Python model whose process has ended, or stands still; whose late answer it cannot read; and of
one for whose tensors there is no room in /dev/shm at the moment."""

Array = npt.NDArray[Any]

Question = Literal["server", "models", "model", "config", "statistics"]
"""What can be asked besides inference: of the server its metadata and the index of its model repository; of a model its
metadata, its configuration and its inference statistics."""


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One inference: the tensors that go to a model, the names of those wanted back, and the time it may take.

    No names ask for every output.
    """

    model: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    timeout_s: float
    request_id: str = ""

    def parameters(self) -> dict[str, int]:
        """The request's parameters, when it is sent now: the deadline, after which no step of the server starts."""
        return {DEADLINE: int((time.time() + self.timeout_s) * 1e6)}


@dataclass(frozen=True, slots=True)
class Reply:
    """The tensors that came back, the seconds from the start of sending to the last decoded, and the request's id."""

    tensors: dict[str, Array]
    seconds: float
    request_id: str = ""


class Pending(Protocol):
    """A request on its way."""

    def result(self) -> Reply:
        """Wait for the answer; raises an error of `exatrkx_client.errors`."""

    def cancel(self) -> object:
        """Give the request up, if it has not been answered."""


class Transport(Protocol):
    """A connection to one server. Its methods may be called from several threads."""

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests; raises ServerUnavailableError if nobody answers."""

    def ask(self, question: Question, model: str, timeout_s: float) -> Any:
        """The answer, in the JSON form of the KServe protocol; raises ServedModelError if there is no such model."""

    def submit(self, request: InferenceRequest) -> Pending:
        """Start sending a request, without waiting for its answer."""

    def close(self) -> None:
        """Give up what is on its way, and the connection."""


class Connection(Transport, Protocol):
    """A transport that knows when an answer has come, whether somebody waits for it or not."""

    def submit(self, request: InferenceRequest) -> Future[Reply]:
        """Start sending a request, without waiting for its answer."""


def overdue(reason: str) -> bool:
    """Whether a server refused a request because its deadline had passed; each protocol has another status for it."""
    return DEADLINE in reason


def missing_model(reason: str) -> type[ClientError]:
    """What is wrong when a server says that a model is not found.

    A model that it knows but has not loaded is there soon, or was there until now: a server that goes down unloads its
    models first, and says so to requests that still come.
    """
    return ServerUnavailableError if "has no available versions" in reason else ServedModelError


def failure(reason: str) -> type[ClientError]:
    """What is wrong when a server fails at a request.

    A stage whose process has ended fails every request until it is started again: no event is at fault. The same holds
    for whatever else comes between Triton and its Python models.
    """
    return ServerUnavailableError if _STAGE_TROUBLE.search(reason) else ServerError
