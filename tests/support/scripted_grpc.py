"""A gRPC server that gives each inference the next of some answers, the wrong ones among them; for one client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from exatrkx.digest import added, features_digest, payload_digest, request_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Answer = Callable[[Any, grpc.ServicerContext], Any]

LABELS: Final = np.array([0, 1, 1, 0, -1])


def features_of(request: Any) -> npt.NDArray[np.float32]:
    return np.frombuffer(request.raw_input_contents[0], dtype=np.float32).reshape(request.inputs[0].shape)


def digest_of(request: Any) -> int:
    return request_digest(features_digest(features_of(request)), request.id)


def answered(
    request: Any,
    _context: grpc.ServicerContext | None = None,
    *,
    labels: npt.NDArray[Any] = LABELS,
    digest: int | None = None,
    request_id: str = "",
) -> Any:
    """A served pipeline's answer with these labels; with another's digest or id, if they are given."""
    of_request = digest_of(request) if digest is None else digest
    tensors = {"LABELS": labels, "REQUEST_DIGEST": np.array([added(of_request, payload_digest(LABELS))])}
    response = service_pb2.ModelInferResponse(model_name=request.model_name, id=request_id or request.id)
    for output in request.outputs:
        array = tensors[output.name]
        datatype = {"int64": "INT64", "float64": "FP64"}[array.dtype.name]
        response.outputs.add(name=output.name, datatype=datatype, shape=array.shape)
        response.raw_output_contents.append(array.tobytes())
    return response


class ScriptedService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Keeps what it was sent; the last answer is given again and again. Its networks take as many columns."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []
        self.columns = 3
        self.parameters: dict[str, str] = {}

    def ModelMetadata(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        metadata = service_pb2.ModelMetadataResponse(name=request.name)
        metadata.inputs.add(name="FEATURES", datatype="FP32", shape=[-1, self.columns])
        return metadata

    def ModelConfig(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        config = model_config_pb2.ModelConfig(name=request.name)
        for name, text in self.parameters.items():
            config.parameters[name].string_value = text
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.sent.append(request)
        return self.answers[min(len(self.sent), len(self.answers)) - 1](request, context)


@contextmanager
def serving(*answers: Answer) -> Iterator[tuple[ScriptedService, str]]:
    """The service, and its address."""
    service = ScriptedService(answers)
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
