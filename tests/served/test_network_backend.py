"""The backend of one TorchScript network, in C++ and in Python: the same answers, and the same refusals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import pytest
from refusals import Refusal, refused
from serving import Caller
from tiny_networks import save_scripted

from exatrkx_server import ServerOptions, ServerStartError, TritonServer
from tests.served.test_custom_backend_faults import FAILED, FaultyEdges, FaultyEmbedding, triplet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Array

    from exatrkx_server.options import Preference

pytestmark = pytest.mark.server

BOTH: Final[tuple[Preference, ...]] = ("compiled", "python")
EDGES: Final = np.array([[1, 2], [0, 1]], dtype=np.int64)


def networks_of(repository: Path, target: Path) -> Path:
    """The filter and the embedding of a repository, in a new one."""
    for name in ("embed", "filter"):
        shutil.copytree(repository / name, target / name)
    return target


def served(repository: Path, implementation: Preference, log_file: Path) -> TritonServer:
    compiled.build()
    return TritonServer(repository, ServerOptions(log_file=log_file, custom_backend=implementation))


@pytest.fixture(scope="module")
def callers(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    """A server of either implementation, with networks that go wrong when they are asked to."""
    directory = tmp_path_factory.mktemp("networks")
    repository = networks_of(tiny_repository, directory / "repository")
    save_scripted(FaultyEmbedding(), repository / "embed" / "1" / "model.pt")
    save_scripted(FaultyEdges(), repository / "filter" / "1" / "model.pt")
    with (
        served(repository, "compiled", directory / "compiled.log") as in_cpp,
        served(repository, "python", directory / "python.log") as in_python,
    ):
        assert "pytorch (compiled)" in [str(backend) for backend in in_cpp.backends]
        assert "pytorch (python)" in [str(backend) for backend in in_python.backends]
        pair = {"compiled": Caller(in_cpp), "python": Caller(in_python)}
        yield pair
        for caller in pair.values():
            caller.close()


def inputs_of(model: str, features: Array, edges: Array = EDGES) -> dict[str, Array]:
    return {"INPUT__0": features} if model == "embed" else {"INPUT__0": features, "INPUT__1": edges}


def refusal(caller: Caller, model: str, inputs: dict[str, Array]) -> tuple[Refusal, str]:
    """The refusal and its text, after which the next request is answered."""
    found = refused(caller, model, inputs)
    assert len(caller(model, inputs_of(model, triplet(0)))["OUTPUT__0"]) > 0
    return found


@pytest.mark.parametrize("number", [0, 1, 2, 500])
@pytest.mark.parametrize("model", ["embed", "filter"])
def test_the_same_answer(callers: dict[str, Caller], model: str, number: int) -> None:
    random = np.random.default_rng(number)
    features = random.uniform(0.0, 0.9, (number, 3)).astype(np.float32)
    edges = random.integers(0, max(1, number), (2, 3 * number))
    answers = {name: caller(model, inputs_of(model, features, edges)) for name, caller in callers.items()}
    assert answers["compiled"]["OUTPUT__0"].shape[0] == (number if model == "embed" else 3 * number)
    np.testing.assert_array_equal(answers["compiled"]["OUTPUT__0"], answers["python"]["OUTPUT__0"])


@pytest.mark.parametrize(
    ("model", "fault"), [("filter", 1), ("filter", 3), ("filter", 4), ("embed", 12), ("embed", 14), ("embed", 15)]
)
def test_network_that_breaks_the_contract(callers: dict[str, Caller], model: str, fault: int) -> None:
    """The server's fault, for the same reason."""
    inputs = inputs_of(model, triplet(fault))
    answers = {name: refusal(caller, model, inputs)[0] for name, caller in callers.items()}
    assert answers["compiled"] == answers["python"]
    assert answers["compiled"][:2] == ("StatusCode.INTERNAL", model)
    assert answers["compiled"].facts.tensors == ("OUTPUT__0",)


@pytest.mark.parametrize("fault", FAILED)
def test_network_that_throws(callers: dict[str, Caller], fault: int) -> None:
    for caller in callers.values():
        found, text = refusal(caller, "filter", inputs_of("filter", triplet(fault)))
        assert found[:2] == ("StatusCode.INTERNAL", "filter")
        assert FAILED[fault] in text


@pytest.mark.parametrize(
    ("features", "edges"),
    [
        pytest.param(np.full((3, 3), np.nan), EDGES, id="nan"),
        pytest.param(np.zeros((3, 3)), EDGES + 1, id="edge to nowhere"),
        pytest.param(np.zeros((0, 3)), EDGES, id="edges without spacepoints"),
        pytest.param(np.zeros((3, 2)), EDGES, id="two columns"),
        pytest.param(np.zeros((3, 3)), EDGES[:1], id="one row of edges"),
        pytest.param(np.zeros((3, 3)), EDGES.astype(np.int32), id="int32"),
    ],
)
def test_bad_requests_are_refused_for_the_same_reason(
    callers: dict[str, Caller], features: Array, edges: Array
) -> None:
    inputs = inputs_of("filter", features.astype(np.float32), edges)
    answers = {name: refusal(caller, "filter", inputs)[0] for name, caller in callers.items()}
    assert answers["compiled"] == answers["python"]
    assert answers["compiled"].status == "StatusCode.INVALID_ARGUMENT"


@pytest.mark.parametrize("implementation", BOTH)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "model.pt: no such file; exatrkx export writes it"),
        (b"not TorchScript", "model.pt: no TorchScript network: "),
    ],
)
def test_a_broken_file_does_not_load(
    tiny_repository: Path, tmp_path: Path, implementation: Preference, content: bytes | None, reason: str
) -> None:
    repository = networks_of(tiny_repository, tmp_path / "repository")
    file = repository / "filter" / "1" / "model.pt"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ServerStartError) as caught, served(repository, implementation, tmp_path / "log"):
        pass
    assert reason in str(caught.value)


@pytest.mark.parametrize("implementation", BOTH)
def test_a_model_that_is_no_network_does_not_load(
    tiny_repository: Path, tmp_path: Path, implementation: Preference
) -> None:
    repository = networks_of(tiny_repository, tmp_path / "repository")
    (repository / "filter").rename(repository / "sieve")
    config = repository / "sieve" / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "filter"', 'name: "sieve"'))
    with pytest.raises(ServerStartError) as caught, served(repository, implementation, tmp_path / "log"):
        pass
    assert "sieve: no network of the pipeline; known are embed, filter, gnn" in str(caught.value)
