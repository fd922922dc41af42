"""Adapter of the Python models, as far as it goes without a server: what a model has done before its first request."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from google.protobuf import json_format, text_format  # type: ignore[import-untyped]  # its stubs are a package of their own
from tritonclient.grpc import model_config_pb2

from exatrkx.contract import MODELS
from exatrkx.digest import features_digest, payload_digest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).resolve().parents[3]
BACKENDS: Final = {"exatrkx_custom": ROOT / "backends" / "exatrkx" / "model.py"}
"""Of models whose code is a backend's; the others have theirs beside their configuration."""

Shape = tuple[int, ...]


class HostTensor:
    """An input as Triton's Python backend hands it over, where it lies in the host's memory."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    def is_cpu(self) -> bool:
        return True

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.fixture
def model_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An instance of a Python model by its name, which is not initialised."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", ModuleType("triton_python_backend_utils"))
    for name in ("exatrkx.serving.adapter", "exatrkx.serving.refusals"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # they have imported Triton's module

    def make(name: str) -> Any:
        path = BACKENDS.get(name, ROOT / "model_repository" / name / "1" / "model.py")
        spec = importlib.util.spec_from_file_location(f"{name}_model", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.TritonPythonModel()

    return make


def arguments(name: str) -> dict[str, str]:
    """What Triton calls `initialize` with."""
    repository = ROOT / "model_repository" / name
    config = text_format.Parse((repository / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    text = json_format.MessageToJson(config, preserving_proto_field_name=True)
    return {
        "model_name": name,
        "model_config": text,
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
        "model_repository": str(repository),
        "model_version": "1",
    }


@pytest.fixture
def digested(
    model_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[set[Shape], set[Shape]]]:
    """The shapes of what a model takes digests of while it loads: of features, and of payloads."""

    def load(name: str) -> tuple[set[Shape], set[Shape]]:
        features: set[Shape] = set()
        payloads: set[Shape] = set()
        model = model_of(name)
        adapter = sys.modules["exatrkx.serving.adapter"]
        watched = {"features_digest": (features_digest, features), "payload_digest": (payload_digest, payloads)}
        for function, (original, shapes) in watched.items():

            def spy(array: Any, original: Any = original, shapes: set[Shape] = shapes) -> int:
                shapes.add(array.shape)
                return int(original(array))

            monkeypatch.setattr(adapter, function, spy)
        model.initialize(arguments(name))
        return features, payloads

    return load


@pytest.mark.parametrize(
    ("name", "features", "payloads"),
    [
        ("frnn", set(), {(256, 8)}),
        ("applyfilter", set(), {(64,), (2, 64)}),
        ("wcc", {(2, 3)}, {(2, 1), (1,)}),
        ("exatrkx_custom", {(256, 3)}, set()),
    ],
)
def test_no_client_waits_for_the_first_digest(
    name: str, features: set[Shape], payloads: set[Shape], digested: Callable[[str], tuple[set[Shape], set[Shape]]]
) -> None:
    """Of each input of the samples: on a GPU CuPy compiles them when they are first asked for, which takes seconds."""
    if name == "exatrkx_custom" and not (ROOT / "model_repository" / "gnn" / "1" / "model.pt").is_file():
        pytest.skip("the trained networks are not exported: make models")
    of_features, of_payloads = digested(name)
    assert of_features == features
    assert of_payloads >= payloads


def test_a_number_stays_on_the_host_of_a_gpu(model_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go up to be read back, and the host would wait for it."""
    monkeypatch.setitem(sys.modules, "cupy", None)  # so that it cannot be imported
    wcc = model_of("wcc")
    adapter = sys.modules["exatrkx.serving.adapter"]
    wcc.device = adapter.Device(gpu=0)
    number = np.array([5])
    found = wcc.from_triton(HostTensor(number), MODELS["wcc"].input("NUM_NODES"))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [5]
    with pytest.raises(ImportError):
        wcc.from_triton(HostTensor(np.zeros((2, 5), np.int64)), MODELS["wcc"].input("EDGE_INDEX"))
