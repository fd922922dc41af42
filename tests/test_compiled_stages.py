"""The stages between the networks in the compiled backend: the tests of those in Python, against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import psutil
import pytest
from serving import Caller
from test_served_bad_input import (
    next_good_request_is_answered,
    test_200_000_spacepoints_in_one_place,
    test_200_000_sparse_spacepoints,
    test_a_score_that_is_no_number,
    test_a_tensor_that_is_missing,
    test_applyfilter_with_a_negative_index,
    test_applyfilter_with_scores_and_edges_of_different_length,
    test_features_without_end,
    test_frnn_with_an_embedding_that_is_not_finite,
    test_frnn_with_an_embedding_without_columns,
    test_more_edges_than_allowed,
    test_no_spacepoints,
    test_one_spacepoint,
    test_two_identical_spacepoints,
    test_wcc_with_an_edge_to_nowhere,
    test_wcc_with_an_impossible_number_of_spacepoints,
    test_wcc_with_scores_and_edges_of_different_length,
    test_wcc_with_several_numbers_of_spacepoints_or_none,
)
from test_served_pipeline import (
    direct,
    spacepoints,
    test_clumps_are_the_tracks,
    test_many_clients_with_good_and_bad_requests,
    test_metadata_is_the_contract,
    test_only_the_outputs_that_are_asked_for,
    test_pipelines_answer_as_the_direct_call,
)
from tiny_networks import WORKING_POINT

from exatrkx.contract import STAGES
from exatrkx.model_config import PARAMETERS
from exatrkx_client import ClientError
from exatrkx_server import ServerError, ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving import Array

# What the stages in Python are tested with.
__all__ = [
    "direct",
    "next_good_request_is_answered",
    "test_200_000_spacepoints_in_one_place",
    "test_200_000_sparse_spacepoints",
    "test_a_score_that_is_no_number",
    "test_a_tensor_that_is_missing",
    "test_applyfilter_with_a_negative_index",
    "test_applyfilter_with_scores_and_edges_of_different_length",
    "test_clumps_are_the_tracks",
    "test_features_without_end",
    "test_frnn_with_an_embedding_that_is_not_finite",
    "test_frnn_with_an_embedding_without_columns",
    "test_many_clients_with_good_and_bad_requests",
    "test_metadata_is_the_contract",
    "test_more_edges_than_allowed",
    "test_no_spacepoints",
    "test_one_spacepoint",
    "test_only_the_outputs_that_are_asked_for",
    "test_pipelines_answer_as_the_direct_call",
    "test_two_identical_spacepoints",
    "test_wcc_with_an_edge_to_nowhere",
    "test_wcc_with_an_impossible_number_of_spacepoints",
    "test_wcc_with_scores_and_edges_of_different_length",
    "test_wcc_with_several_numbers_of_spacepoints_or_none",
]

pytestmark = pytest.mark.server

NAMES: Final = [stage.name for stage in STAGES]


def options(log_file: Path) -> ServerOptions:
    return ServerOptions(log_file=log_file, custom_backend="compiled", stages="compiled")


@pytest.fixture(scope="module")
def server(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    compiled.build()
    log_file = tmp_path_factory.mktemp("server") / "tritonserver.log"
    with TritonServer(tiny_repository, options(log_file)) as running:
        yield running


@pytest.fixture(scope="module")
def call(server: TritonServer) -> Iterator[Caller]:
    caller = Caller(server)
    yield caller
    caller.close()


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


GRAPH: Final[dict[str, Array]] = {
    "EDGE_INDEX": np.ones((2, 1), dtype=np.int64),
    "EDGE_SCORES": np.zeros(1, dtype=np.float32),
}
BAD: Final[list[tuple[str, dict[str, Array]]]] = [
    ("frnn", {"EMBEDDING": np.full((2, 2), np.nan, dtype=np.float32)}),
    ("frnn", {"EMBEDDING": np.empty((2, 0), dtype=np.float32)}),
    ("applyfilter", {"EDGE_INDEX": np.zeros((2, 1), dtype=np.int64), "EDGE_SCORES": np.zeros(2, dtype=np.float32)}),
    ("applyfilter", {"EDGE_INDEX": np.full((2, 1), -5), "EDGE_SCORES": np.zeros(1, dtype=np.float32)}),
    ("wcc", GRAPH),
    ("wcc", GRAPH | {"NUM_NODES": np.array([1])}),
    ("wcc", GRAPH | {"NUM_NODES": np.array([-1])}),
    ("wcc", GRAPH | {"NUM_NODES": np.array([2**40])}),
]


@pytest.mark.parametrize(("model", "inputs"), BAD)
def test_refusals_are_in_the_same_words(call: Caller, in_python: Caller, model: str, inputs: dict[str, Array]) -> None:
    texts = []
    for caller in (call, in_python):
        with pytest.raises(ClientError) as caught:
            caller(model, inputs)
        texts.append((caught.value.status, caught.value.reason))
    assert texts[0] == texts[1]


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
        for server_options in (options(tmp_path / "log"), ServerOptions(log_file=tmp_path / "python.log")):
            with pytest.raises(ServerError) as caught, TritonServer(repository, server_options):
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
        TritonServer(tmp_path / "repository", options(tmp_path / "log")).__enter__()
