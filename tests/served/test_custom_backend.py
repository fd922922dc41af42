"""The backends in C++ in a real server: what only compiled code can get wrong."""

from __future__ import annotations

import contextlib
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import psutil
import pytest
import tritonclient.grpc
from serving import Caller
from tritonclient.utils import InferenceServerException

from exatrkx_client import ClientError
from exatrkx_server import TritonServer
from tests.served.test_served_pipeline import direct, spacepoints

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving import Array

    from exatrkx.pipeline import Pipeline

__all__ = ["direct"]  # a fixture

pytestmark = pytest.mark.server

MODEL: Final = "exatrkx_custom"


@pytest.fixture(scope="module")
def server(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with every model, both backends compiled."""
    with compiled.server(tiny_repository, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def call(server: TritonServer) -> Iterator[Caller]:
    caller = Caller(server)
    yield caller
    caller.close()


def test_it_is_the_compiled_one(server: TritonServer) -> None:
    assert {"exatrkx (compiled)", "pytorch (compiled)"} < {str(backend) for backend in server.backends}
    lines = [" ".join(process.cmdline()) for process in psutil.Process(server.pid).children(recursive=True)]
    assert len(lines) == 3  # the steps of the ensemble between the networks
    assert not any(name in line for line in lines for name in (MODEL, "embed", "gnn"))


@pytest.mark.parametrize("number", [1_000, 20_000])
def test_input_in_many_buffers(server: TritonServer, direct: Pipeline, number: int) -> None:
    """The HTTP front end hands a large body over as it came in: in pieces."""
    features = spacepoints(number, seed=number)
    caller = Caller(server, "http")
    labels = caller(MODEL, {"FEATURES": features}, ("LABELS",))["LABELS"]
    caller.close()
    np.testing.assert_array_equal(labels, direct(features).labels)


@pytest.mark.parametrize("offset", [0, 2, 64])
def test_shared_memory_at_any_offset(call: Caller, direct: Pipeline, offset: int) -> None:
    """Features that lie where no FP32 may, too."""
    features = spacepoints(300)
    end = offset + features.nbytes
    region = SharedMemory(create=True, size=end + 8 * 300)
    memory: Array = np.ndarray(region.size, dtype=np.uint8, buffer=region.buf)
    client = tritonclient.grpc.InferenceServerClient(call.address.target)
    try:
        memory[offset:end] = np.frombuffer(features.tobytes(), dtype=np.uint8)
        client.register_system_shared_memory(region.name, f"/{region.name}", region.size)
        tensor = tritonclient.grpc.InferInput("FEATURES", [300, 3], "FP32")
        tensor.set_shared_memory(region.name, features.nbytes, offset)
        output = tritonclient.grpc.InferRequestedOutput("LABELS")
        output.set_shared_memory(region.name, 8 * 300, end)
        client.infer(MODEL, [tensor], outputs=[output])
        labels = np.frombuffer(memory[end : end + 8 * 300].tobytes(), dtype=np.int64)
        np.testing.assert_array_equal(labels, direct(features).labels)
    finally:
        with contextlib.suppress(InferenceServerException):  # the server may let go of it only a moment later
            client.unregister_system_shared_memory(region.name)
        client.close()
        del memory  # or the region cannot be closed
        region.close()
        region.unlink()


def test_statistics(call: Caller) -> None:
    """Each request is counted once, as success or failure, with the time that each part took."""
    before = statistics(call)
    for _ in range(5):
        call(MODEL, {"FEATURES": spacepoints(200)})
    for _ in range(3):
        with pytest.raises(ClientError):
            call(MODEL, {"FEATURES": np.full((2, 3), np.nan, dtype=np.float32)})
    change = dict.fromkeys(before, 0)
    while change["success"] + change["fail"] < 8:  # they are counted just after the answer is sent
        change = {name: value - before[name] for name, value in statistics(call).items()}
    assert (change["success"], change["fail"], change["inferences"]) == (5, 3, 5)
    for part in ("compute_input", "compute_infer", "compute_output"):
        assert change[part] > 0
    assert change["compute_input"] + change["compute_infer"] + change["compute_output"] <= change["total"]


def statistics(call: Caller) -> dict[str, int]:
    """The model's counters, and its times in ns, since it was loaded."""
    with tritonclient.grpc.InferenceServerClient(call.address.target) as client:
        (model,) = client.get_inference_statistics(MODEL).model_stats
    found = model.inference_stats
    parts = ("compute_input", "compute_infer", "compute_output")
    return {name: getattr(found, name).ns for name in parts} | {
        "success": found.success.count,
        "fail": found.fail.count,
        "total": found.success.ns,
        "inferences": model.inference_count,
    }
