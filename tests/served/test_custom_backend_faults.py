"""The custom backend in C++ against broken models, misbehaving networks and ten thousand requests."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import compiled
import numpy as np
import psutil
import pytest
import torch
from refusals import Refusal, refused
from serving import Caller
from tiny_networks import WORKING_POINT, TinyEdges, save_scripted
from torch import Tensor, nn

from exatrkx.pipeline import Pipeline
from exatrkx_client import ClientError
from exatrkx_server import ServerOptions, ServerStartError, TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Array

pytestmark = pytest.mark.server

MODEL: Final = "exatrkx_custom"
NETWORKS: Final = ("embed", "filter", "gnn")
MIB: Final = 1 << 20


def served(repository: Path, custom: str, log_file: Path) -> TritonServer:
    """A server of the custom model alone."""
    if custom == "compiled":
        compiled.build()
        options = ServerOptions(log_file=log_file, custom_backend="compiled", models=(MODEL,))
    else:
        options = ServerOptions(log_file=log_file, custom_backend="python", models=(MODEL,))
    return TritonServer(repository, options)


def copy_of(repository: Path, target: Path) -> Path:
    """The networks and the custom model of a repository, in a new one."""
    for name in (*NETWORKS, MODEL):
        shutil.copytree(repository / name, target / name)
    return target


def edit(repository: Path, old: str, new: str) -> None:
    config = repository / MODEL / "config.pbtxt"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))


# What config.pbtxt says, what it is to say instead, and why that does not load.
BROKEN: Final = {
    "no file": ("gnn/1/model.pt", "gnn/2/model.pt", "gnn/2/model.pt: no such file; exatrkx export writes it"),
    "no network": ('"embed/1/model.pt"', '"exatrkx_custom/config.pbtxt"', "config.pbtxt: no TorchScript network: "),
    "no cut": ('key: "gnn_cut"', 'key: "gnn_cat"', "exatrkx_custom: config.pbtxt has no parameter gnn_cut"),
    "no filter": ('key: "filter"', 'key: "sieve"', "exatrkx_custom: config.pbtxt has no parameter filter"),
    "no number": ('"0.1" } }', '"wide" } }', "parameters of config.pbtxt: radius: expected a number, found 'wide'"),
    "out of range": ('"16" } }', '"0" } }', "config.pbtxt: max_neighbors must be at least 1, found 0"),
    "another kind": ("KIND_AUTO", "KIND_MODEL", "instance_group: kind must be CPU or GPU"),
    "no threads": (
        'parameters { key: "embed"',
        'parameters { key: "INTRA_OP_THREAD_COUNT"  value { string_value: "0" } }\nparameters { key: "embed"',
        "INTRA_OP_THREAD_COUNT must be at least 1, found '0'",
    ),
    "another network": ('"embed/1/model.pt"', '"filter/1/model.pt"', "the warm-up sample 'event' failed: "),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_model_does_not_load(tiny_repository: Path, tmp_path: Path, case: str) -> None:
    old, new, reason = BROKEN[case]
    repository = copy_of(tiny_repository, tmp_path / "repository")
    edit(repository, old, new)
    with pytest.raises(ServerStartError) as caught, served(repository, "compiled", tmp_path / "log"):
        pass
    assert reason in str(caught.value)
    assert "exatrkx_custom: " in str(caught.value)


def fault_of(features: Tensor) -> int:
    """What the third feature of the first spacepoint asks for; 0 for nothing wrong."""
    return int(features[0, 2].item()) if features.size(0) > 0 else 0


def throw(fault: int, features: Tensor) -> Tensor:
    if fault == 5:
        raise RuntimeError("the network gave up")
    if fault == 6:
        return features.new_empty([1 << 46])
    return features[:, 0].index_select(0, torch.tensor([1_000_000]))


class FaultyEdges(nn.Module):
    """Goes wrong in the way that `fault_of` says."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = TinyEdges(0.05)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores: Tensor = self.edges(features, edge_index)
        fault = fault_of(features)
        if fault == 1:
            return scores[1:]
        if fault == 2:
            return scores / 0.0 * 0.0
        if fault == 3:
            return scores.double()
        if fault == 4:
            return torch.stack((scores, scores), dim=1)
        return throw(fault, features) if 5 <= fault <= 7 else scores


class FaultyEmbedding(nn.Module):
    """The same for an embedding."""

    def forward(self, features: Tensor) -> Tensor:
        fault = fault_of(features)
        if fault == 11:
            return features / 0.0
        if fault == 12:
            return features[:, 0]
        if fault == 13:
            return features[:, :0]
        if fault == 14:
            return features.double()
        if fault == 15:
            return torch.cat((features, features))
        return features + 0.0


REFUSED: Final = (1, 2, 3, 4, 11, 12, 13, 14, 15)
"""Faults that a check finds: a network does not keep the contract."""
FAILED: Final = {5: "the network gave up", 6: "allocate", 7: "index out of range"}
"""Faults on which torch throws."""


def triplet(fault: int) -> Array:
    """Three spacepoints that are one track; the fault is in their third feature."""
    return np.array([[0.50, 0.5, fault], [0.51, 0.5, fault], [0.52, 0.5, fault]], dtype=np.float32)


@pytest.fixture(scope="module", params=["filter", "gnn"])
def callers(
    request: pytest.FixtureRequest, tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Caller]]:
    """The compiled backend and the one in Python, with a faulty embedding and one faulty network of edges."""
    directory = tmp_path_factory.mktemp("faulty")
    repository = copy_of(tiny_repository, directory / "repository")
    for name, network in {"embed": FaultyEmbedding(), request.param: FaultyEdges()}.items():
        save_scripted(network, repository / name / "1" / "model.pt")
    with (
        served(repository, "compiled", directory / "compiled.log") as in_cpp,
        served(repository, "python", directory / "python.log") as in_python,
    ):
        pair = {"compiled": Caller(in_cpp), "python": Caller(in_python)}
        yield pair
        for caller in pair.values():
            caller.close()


def refusal(caller: Caller, features: Array) -> tuple[Refusal, str]:
    """The refusal and its text, after which the next request is answered."""
    found = refused(caller, MODEL, {"FEATURES": features})
    assert caller(MODEL, {"FEATURES": triplet(0)})["LABELS"].tolist() == [0, 0, 0]
    return found


@pytest.mark.parametrize("fault", REFUSED)
def test_network_that_breaks_the_contract(callers: dict[str, Caller], fault: int) -> None:
    """Refused by both for the same reason."""
    answers = {name: refusal(caller, triplet(fault))[0] for name, caller in callers.items()}
    assert answers["compiled"] == answers["python"]
    assert answers["compiled"][:2] == ("StatusCode.INVALID_ARGUMENT", MODEL)
    assert answers["compiled"].facts.tensors[0] in ("EMBEDDING", "EDGE_SCORES")


@pytest.mark.parametrize("fault", FAILED)
def test_network_that_throws(callers: dict[str, Caller], fault: int) -> None:
    """An error of that request in both, and a server that lives on."""
    for caller in callers.values():
        found, text = refusal(caller, triplet(fault))
        assert found[:2] == ("StatusCode.INTERNAL", MODEL)
        assert FAILED[fault] in text


@pytest.mark.parametrize(
    "features",
    [
        pytest.param([[0.1, 0.2, float("nan")]], id="nan"),
        pytest.param([[0.1, 0.2, 0.3], [float("inf"), 0.2, 0.3]], id="inf"),
        pytest.param([[0.1, 0.2, 0.3], [0.1, -float("inf"), 0.3]], id="-inf"),
        pytest.param([[0.5, 0.5, 0.0]] * 1_000, id="more edges than allowed"),
        pytest.param([[0.5, 0.5]], id="two columns"),
        pytest.param([0.5, 0.5, 0.5], id="rank 1"),
    ],
)
def test_bad_events_are_refused_for_the_same_reason(callers: dict[str, Caller], features: list[object]) -> None:
    array = np.array(features, dtype=np.float32)
    answers = {name: refusal(caller, array)[0] for name, caller in callers.items()}
    assert answers["compiled"] == answers["python"]
    assert answers["compiled"].status == "StatusCode.INVALID_ARGUMENT"


@pytest.fixture(scope="module")
def two_instances(tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """The compiled backend with two instances of one thread each."""
    directory = tmp_path_factory.mktemp("two")
    repository = copy_of(tiny_repository, directory / "repository")
    threads = 'parameters { key: "INTRA_OP_THREAD_COUNT"  value { string_value: "1" } }\nparameters { key: "embed"'
    edit(repository, 'parameters { key: "embed"', threads)
    edit(repository, "count: 1", "count: 2")
    with served(repository, "compiled", directory / "log") as running:
        yield running


@pytest.fixture(scope="module")
def good(tiny_repository: Path) -> list[tuple[Array, Array]]:
    """Small events and their labels."""
    embed, edge_filter, gnn = (tiny_repository / name / "1" / "model.pt" for name in NETWORKS)
    direct = Pipeline.from_torchscript(embed, edge_filter, gnn, WORKING_POINT)
    random = np.random.default_rng(7)
    events = [random.uniform(0.0, 0.5, (number, 3)).astype(np.float32) for number in (0, 1, 2, 30, 120, 400)]
    return [(event, direct(event).labels) for event in events]


# Events and a part of the text that refuses them.
BAD: Final[list[tuple[Array, str]]] = [
    (np.full((5, 3), np.nan, dtype=np.float32), "found nan at row 0, column 0"),
    (np.zeros((4, 2), dtype=np.float32), "[4,2]"),
    (np.zeros((4, 3), dtype=np.float64), "FP64"),
    (np.full((1_000, 3), 0.5, dtype=np.float32), "more than max_edges"),
]


def send(server: TritonServer, good: list[tuple[Array, Array]], seed: int, number: int) -> tuple[int, int]:
    """So many requests, good and bad ones at random, each looked at. Returns how many of either were answered."""
    random, caller = np.random.default_rng(seed), Caller(server)
    answered = refused = 0
    for which in random.integers(len(good) + len(BAD), size=number):
        if which < len(good):
            features, expected = good[which]
            np.testing.assert_array_equal(caller(MODEL, {"FEATURES": features}, ("LABELS",))["LABELS"], expected)
            answered += 1
        else:
            features, reason = BAD[which - len(good)]
            with pytest.raises(ClientError) as caught:
                caller(MODEL, {"FEATURES": features})
            assert reason in str(caught.value)
            refused += 1
    caller.close()
    return answered, refused


def test_10_000_good_and_bad_requests_from_8_clients(
    two_instances: TritonServer, good: list[tuple[Array, Array]]
) -> None:
    """Every one is answered, each with its own answer, by the same process, which does not grow once it is warm."""
    process = psutil.Process(two_instances.pid)
    resident_mib = []
    with ThreadPoolExecutor(8) as pool:
        for turn in range(15):
            counts = list(pool.map(lambda seed: send(two_instances, good, seed, 250), range(8 * turn, 8 * turn + 8)))
            assert sum(answered + refused for answered, refused in counts) == 2_000
            assert all(answered > 0 and refused > 0 for answered, refused in counts)
            resident_mib.append(process.memory_info().rss / MIB)
            # Threads, and what each keeps, may come late, when for the first time so many requests are there at once.
            if turn >= 4 and resident_mib[-1] < resident_mib[-4] * 1.02:
                return
    pytest.fail(f"resident memory in MiB after each 2,000 requests: {resident_mib}")
