"""What a protocol has to do for the client; `grpc_transport` and `http_transport` do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tritonclient.utils import triton_to_np_dtype

from exatrkx.contract import ModelSpec
from exatrkx.errors import ContractError, ExatrkxError
from exatrkx_client.address import Address
from exatrkx_client.errors import ServerUnavailableError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One inference: the tensors that go to a model, the names of those wanted back, and the time it may take."""

    model: str
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The tensors that came back, and the seconds from the start of sending to the last of them decoded."""

    tensors: dict[str, Array]
    seconds: float


class Pending(Protocol):
    """A request on its way."""

    def result(self) -> Reply:
        """Wait for the answer; raises an error of `exatrkx_client.errors`, or ContractError for an unknown model."""

    def cancel(self) -> object:
        """Give the request up, if it has not been answered."""


class Transport(Protocol):
    """A connection to one server. Its methods may be called from several threads."""

    def is_ready(self, model: str, timeout_s: float) -> bool:
        """Whether the server and the model take requests; raises ServerUnavailableError if nobody answers."""

    def describe(self, model: str, timeout_s: float) -> ModelSpec:
        """The model's tensors as the server has them; raises ContractError if it has no such model."""

    def submit(self, request: Request) -> Pending:
        """Start sending a request, without waiting for its answer."""

    def close(self) -> None:
        """Give up what is on its way, and the connection."""


def connect(address: Address) -> Transport:
    """A transport for the address's protocol. Only that protocol's libraries are imported; nothing is sent yet."""
    if address.protocol == "grpc":
        from exatrkx_client.grpc_transport import GrpcTransport  # noqa: PLC0415 - HTTP needs no gRPC

        return GrpcTransport(address)
    from exatrkx_client.http_transport import HttpTransport  # noqa: PLC0415 - gRPC needs no HTTP library

    return HttpTransport(address)


def own(array: Array | None, datatype: str) -> Array:
    """The array in memory of its own, writable, where tritonclient gives a view of its message.

    Args:
        array: what `as_numpy` gave: for an empty tensor over HTTP, one of the wrong type.
        datatype: Triton's name for the tensor's type.
    """
    return np.array(array, dtype=triton_to_np_dtype(datatype))


def model_error(reason: str) -> type[ExatrkxError]:
    """What is wrong when a server says that a model is not found.

    A model that it knows but has not loaded is there soon, or was there until now: a server that goes down unloads its
    models first, and says so to requests that still come.
    """
    return ServerUnavailableError if "has no available versions" in reason else ContractError
