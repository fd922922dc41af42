"""How the tests call a server: one function for both protocols, NumPy in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

if TYPE_CHECKING:
    import numpy.typing as npt

    from exatrkx_server import TritonServer

    Array = npt.NDArray[Any]

Protocol = Literal["grpc", "http"]


class Caller:
    """A connection to a server."""

    def __init__(self, server: TritonServer, protocol: Protocol = "grpc") -> None:
        self._library = tritonclient.grpc if protocol == "grpc" else tritonclient.http
        address = server.grpc_url if protocol == "grpc" else server.http_url.removeprefix("http://")
        self.client = self._library.InferenceServerClient(address)

    def __call__(self, model: str, inputs: dict[str, Array], outputs: tuple[str, ...] = ()) -> dict[str, Array]:
        """The model's outputs: those named, or all.

        Raises:
            InferenceServerException: the server refused.
        """
        tensors = []
        for name, array in inputs.items():
            tensor = self._library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        wanted = [self._library.InferRequestedOutput(name) for name in outputs] or None
        result = self.client.infer(model, tensors, outputs=wanted)
        # tritonclient's HTTP half forgets the type of an empty tensor.
        return {
            name: result.as_numpy(name).astype(triton_to_np_dtype(datatype), copy=False)
            for name, datatype in _outputs(result.get_response())
        }

    def close(self) -> None:
        self.client.close()


def _outputs(response: Any) -> list[tuple[str, str]]:
    """Name and type of each output of a response: a message over gRPC, JSON over HTTP."""
    if isinstance(response, dict):
        return [(output["name"], output["datatype"]) for output in response["outputs"]]
    return [(output.name, output.datatype) for output in response.outputs]
