"""The C++ client's kserve.proto against the protocol as tritonclient has it: names, numbers, types and calls."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import cpp_client
import pytest
from google.protobuf import descriptor_pb2  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2, service_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Any:
    cpp_client.require_protoc()
    file: Path = tmp_path_factory.mktemp("proto") / "kserve.bin"
    command = ["protoc", f"-I{cpp_client.SOURCES}", f"--descriptor_set_out={file}", "kserve.proto"]
    subprocess.run(command, check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes()).file[0]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The protocol's file, with the messages of the one that it imports."""
    service, config = (
        descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for module in (service_pb2, model_config_pb2)
    )
    assert service.package == config.package
    service.message_type.extend(config.message_type)
    return service


def fields(messages: Any, prefix: str = "") -> Iterator[tuple[Any, ...]]:
    """Each field of each message, those of nested ones and of maps included: all that decides a message's bytes."""
    for message in messages:
        name = f"{prefix}.{message.name}"
        for field in message.field:
            oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
            yield name, field.name, field.number, field.type, field.label, field.type_name, oneof
        yield from fields(message.nested_type, name)


def test_messages(ours: Any, theirs: Any) -> None:
    found = set(fields(ours.message_type))
    assert len(found) >= 40
    assert found <= set(fields(theirs.message_type))


def test_calls(ours: Any, theirs: Any) -> None:
    assert (ours.package, ours.syntax) == (theirs.package, theirs.syntax) == ("inference", "proto3")
    (our_service,), (their_service,) = ours.service, theirs.service
    assert our_service.name == their_service.name == "GRPCInferenceService"
    calls = {(call.name, call.input_type, call.output_type) for call in our_service.method}
    assert {name for name, _, _ in calls} == {"ServerReady", "ModelReady", "ModelMetadata", "ModelConfig", "ModelInfer"}
    assert calls <= {(call.name, call.input_type, call.output_type) for call in their_service.method}
