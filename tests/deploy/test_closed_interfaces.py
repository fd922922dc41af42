"""Closed interfaces of a real server: none does anything for a client unless it is allowed by name."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import tritonclient.grpc
import tritonclient.http
from scripted_server import GOOD, MODEL, order, write_scripted_repository
from tritonclient.utils import InferenceServerException

from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi
from exatrkx_server import Access, ServerOptions, TritonServer, access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exatrkx_server.access import Interface

pytestmark = pytest.mark.server

CLOSED: Final[tuple[Interface, ...]] = ("model-control", "shared-memory", "logging", "trace")

QUESTIONS: Final[dict[str, Callable[[Any], object]]] = {
    "load": lambda client: client.load_model(MODEL),
    "load another": lambda client: client.load_model("other", config="{}", files={"file:1/model.py": b"import os"}),
    "unload": lambda client: client.unload_model(MODEL),
    "index": lambda client: client.get_model_repository_index(),
    "register memory": lambda client: client.register_system_shared_memory("one", "/nothing-of-this-name", 8),
    "register CUDA memory": lambda client: client.register_cuda_shared_memory("one", b"", 0, 8),
    "memory": lambda client: client.get_system_shared_memory_status(),
    "unregister memory": lambda client: client.unregister_system_shared_memory(),
    "unregister CUDA memory": lambda client: client.unregister_cuda_shared_memory(),
    "log settings": lambda client: client.get_log_settings(),
    "change log settings": lambda client: client.update_log_settings({"log_verbose_level": 1}),
    "trace settings": lambda client: client.get_trace_settings(),
    "trace": lambda client: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}),
    "trace of a model": lambda client: client.update_trace_settings(MODEL, {"trace_level": ["TIMESTAMPS"]}),
}

ALLOWED: Final = (
    "index",
    "memory",
    "unregister memory",
    "log settings",
    "change log settings",
    "trace settings",
    "load",
)
"""Questions that an allowed interface answers; what the others say depends on the server's build."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_repository(tmp_path_factory.mktemp("scripted") / "repository")


def started(repository: Path, **options: Any) -> TritonServer:
    return TritonServer(repository, ServerOptions(log_file=repository.with_name("log"), **options))


@pytest.fixture(scope="module", params=[(), (MODEL,)], ids=["all models", "--models"])
def closed(repository: Path, request: pytest.FixtureRequest) -> Iterator[TritonServer]:
    with started(repository, models=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def allowed(repository: Path) -> Iterator[TritonServer]:
    with started(repository, access=Access(allow=CLOSED)) as running:
        yield running


def connection(server: TritonServer, protocol: str) -> Any:
    """Triton's own client, as a stranger has it."""
    if protocol == "grpc":
        return tritonclient.grpc.InferenceServerClient(server.grpc_url)
    return tritonclient.http.InferenceServerClient(server.http_url.removeprefix("http://"))


both = pytest.mark.parametrize("protocol", ["grpc", "http"])


@both
@pytest.mark.parametrize("question", QUESTIONS)
def test_closed(closed: TritonServer, protocol: str, question: str) -> None:
    client = connection(closed, protocol)
    with pytest.raises(InferenceServerException, match="is restricted, expecting header"):
        QUESTIONS[question](client)
    client.close()


@both
@pytest.mark.parametrize("question", ALLOWED)
def test_allowed(allowed: TritonServer, protocol: str, question: str) -> None:
    client = connection(allowed, protocol)
    QUESTIONS[question](client)
    client.close()


@both
def test_readiness_metadata_inference_and_statistics_stay_open(closed: TritonServer, protocol: str) -> None:
    url = closed.grpc_url if protocol == "grpc" else closed.http_url
    with TritonApi(Address.parse(url), 20.0) as api:
        assert api.is_ready(MODEL)
        assert api.server_version()
        assert api.describe(MODEL).name == MODEL
        assert api.config(MODEL)["backend"] == "python"
        before = api.statistics(MODEL)["success"][0]
        assert len(api.infer(MODEL, {"FEATURES": order(GOOD)}).tensors["LABELS"]) == 5
        deadline = time.monotonic() + 20.0
        while (counted := api.statistics(MODEL)["success"][0]) == before:  # Triton answers first, and counts then
            assert time.monotonic() < deadline
        assert counted == before + 1


def post(server: TritonServer, shape: list[int]) -> tuple[int, str]:
    """Status and answer of a request in JSON that declares this shape and has one number."""
    tensor = {"name": "FEATURES", "datatype": "FP32", "shape": shape, "data": [0]}
    request = urllib.request.Request(
        f"{server.http_url}/v2/models/{MODEL}/infer", json.dumps({"inputs": [tensor]}).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("allow", [(), ("http-inference",)], ids=["closed", "allowed"])
def test_http_beyond_this_machine(
    repository: Path, monkeypatch: pytest.MonkeyPatch, allow: tuple[Interface, ...]
) -> None:
    """Takes no events: Triton's JSON reader ends the server for a shape that one number cannot fill."""
    monkeypatch.setattr(access, "is_loopback", lambda _: False)
    with started(repository, access=Access(allow=allow)) as server:
        status, answer = post(server, [1, 3])
        if allow:
            assert "Unable to parse 'data'" in answer, "one number for three"
            return
        assert (status, "is restricted" in answer) == (403, True)
        assert post(server, [2**40, 3])[0] == 403
        assert server.ending is None
        with TritonApi(Address.parse(server.http_url), 20.0) as api:
            assert api.is_ready(MODEL)
            assert api.describe(MODEL).name == MODEL
        with TritonApi(Address.parse(server.grpc_url), 20.0) as api:
            assert len(api.infer(MODEL, {"FEATURES": order(GOOD)}).tensors["LABELS"]) == 5
