"""How the tests call a server: the project's own caller of Triton, over both protocols, NumPy in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exatrkx_client.address import Address, Protocol
from exatrkx_client.retry import Retry
from exatrkx_client.triton_api import TritonApi

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx_server import TritonServer

    Array = npt.NDArray[Any]


class Caller(TritonApi):
    """A connection to a server that the tests have started."""

    def __init__(self, server: TritonServer, protocol: Protocol = "grpc") -> None:
        super().__init__(Address.parse(server.grpc_url if protocol == "grpc" else server.http_url, protocol))
        Retry(for_s=60.0).asked(self.server_name)  # connects, however busy the machine is

    def __call__(self, model: str, inputs: dict[str, Array], outputs: tuple[str, ...] = ()) -> dict[str, Array]:
        """The model's outputs: those named, or all; raises ClientError where the server refuses."""
        return self.infer(model, inputs, outputs).tensors
