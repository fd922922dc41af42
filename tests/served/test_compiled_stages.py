"""The stages between the networks in the compiled backend, beside those in Python, against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import psutil
import pytest
import tritonclient.grpc
from refusals import refused
from serving import Caller
from tiny_networks import WORKING_POINT
from tritonclient.utils import InferenceServerException

from exatrkx.contract import STAGES
from exatrkx.serving.model_config import PARAMETERS
from exatrkx_server import ServerError, ServerOptions, TritonServer
from tests.served.test_served_bad_input import BAD_INPUTS
from tests.served.test_served_pipeline import spacepoints

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving import Array

pytestmark = pytest.mark.server

NAMES: Final = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def server(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with compiled.server(tiny_repository, tmp_path_factory.mktemp("server"), "compiled") as running:
        yield running


@pytest.fixture(scope="module")
def call(server: TritonServer) -> Iterator[Caller]:
    caller = Caller(server)
    yield caller
    caller.close()


@pytest.mark.parametrize("rows", [2**62, 2**62 + 2])
@pytest.mark.parametrize(
    ("model", "name"), [("frnn", "EMBEDDING"), ("embed", "INPUT__0"), ("exatrkx_custom", "FEATURES")]
)
def test_a_shape_whose_bytes_overflow(server: TritonServer, model: str, name: str, rows: int) -> None:
    """Triton's own product of it is that of no bytes, or of a few, and lets it pass."""
    features = np.zeros((rows - 2**62, 3), dtype=np.float32)
    tensor = tritonclient.grpc.InferInput(name, list(features.shape), "FP32")
    tensor.set_data_from_numpy(features)
    tensor.set_shape([rows, 3])
    with (
        tritonclient.grpc.InferenceServerClient(server.grpc_url) as client,
        pytest.raises(InferenceServerException, match=f"{name}: expected a shape that fits in memory, found") as caught,
    ):
        client.infer(model, [tensor])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_nothing_is_left_to_python(server: TritonServer) -> None:
    assert psutil.Process(server.pid).children(recursive=True) == []


@pytest.fixture(scope="module")
def in_python(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The same stages as they stand in the repository."""
    log_file = tmp_path_factory.mktemp("server") / "tritonserver.log"
    with TritonServer(tiny_repository, ServerOptions(models=tuple(NAMES), log_file=log_file)) as running:
        caller = Caller(running)
        yield caller
        caller.close()


@pytest.mark.parametrize("number", [0, 1, 2, 3000])
def test_each_stage_answers_as_the_one_in_python(call: Caller, in_python: Caller, number: int) -> None:
    random = np.random.default_rng(number)
    edge_index = random.integers(0, max(number, 1), (2, 4 * number))
    scores = random.normal(scale=3.0, size=4 * number).astype(np.float32)
    inputs: dict[str, dict[str, Array]] = {
        "frnn": {"EMBEDDING": spacepoints(number, seed=number)},
        "applyfilter": {"EDGE_SCORES": scores, "EDGE_INDEX": edge_index},
        "wcc": {"EDGE_INDEX": edge_index, "EDGE_SCORES": scores, "NUM_NODES": np.array([number], dtype=np.int64)},
    }
    for model, tensors in inputs.items():
        found, expected = call(model, tensors), in_python(model, tensors)
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{model} {name}")


@pytest.mark.parametrize(
    ("model", "inputs"),
    [pytest.param(model, inputs, id=f"{model}, {name}") for model, name, inputs, _ in BAD_INPUTS if model in NAMES],
)
def test_refusals_give_the_same_reason(call: Caller, in_python: Caller, model: str, inputs: dict[str, Array]) -> None:
    assert refused(call, model, inputs)[0] == refused(in_python, model, inputs)[0]


@pytest.mark.parametrize("model", NAMES)
def test_each_parameter_is_needed_and_read(tiny_repository: Path, tmp_path: Path, model: str) -> None:
    """Without one, and with one that is no number, the model does not load; both implementations say why alike."""
    compiled.build()
    field = PARAMETERS[model][0]
    stated = f'value {{ string_value: "{getattr(WORKING_POINT, field)}" }}'
    for number, (old, new) in enumerate([(f'"{field}"', '"another"'), (stated, 'value { string_value: "much" }')]):
        repository = tmp_path / f"repository{number}"
        folder = repository / model
        folder.mkdir(parents=True)
        (folder / "1").symlink_to(tiny_repository / model / "1")
        text = (tiny_repository / model / "config.pbtxt").read_text()
        assert old in text
        (folder / "config.pbtxt").write_text(text.replace(old, new, 1))
        reasons = []
        in_python = TritonServer(repository, ServerOptions(log_file=tmp_path / "python.log"))
        for unstarted in (compiled.server(repository, tmp_path, "compiled"), in_python):
            with pytest.raises(ServerError) as caught, unstarted:
                pass
            reasons.append(str(caught.value))
        wanted = f"{model}: config.pbtxt has no parameter {field}" if number == 0 else "'much'"
        assert all(wanted in reason for reason in reasons), reasons


def test_they_need_the_compiled_backend(tiny_repository: Path, tmp_path: Path) -> None:
    wanted = ServerOptions(log_file=tmp_path / "log", custom_backend="python", stages="compiled")
    with pytest.raises(ServerError, match=r"libtriton_exatrkx\.so.*make custom-backend builds it"):
        TritonServer(tiny_repository, wanted).__enter__()


def test_a_configuration_without_a_backend(tmp_path: Path) -> None:
    compiled.build()
    folder = tmp_path / "repository" / "frnn"
    folder.mkdir(parents=True)
    (folder / "config.pbtxt").write_text('name: "frnn"\n')
    with pytest.raises(ServerError, match=r"frnn/config\.pbtxt: expected one line with a backend, found 0"):
        compiled.server(tmp_path / "repository", tmp_path, "compiled").__enter__()
