"""Limits of a served request: too many spacepoints, too long a queue, a deadline that has passed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import compiled
import numpy as np
import psutil
import pytest
import torch
import tritonclient.grpc
import tritonclient.http
from refusals import Facts, refused
from serving import Caller
from tiny_networks import GNN_LENGTH, TinyEdges, clumps, save_scripted, write_tiny_repository
from torch import Tensor
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from exatrkx.contract import MODELS
from exatrkx.serving.admission import EDGE_BYTES
from exatrkx.serving.limits import DEADLINE
from exatrkx_client import ClientError, DeadlineError, ServerUnavailableError, TrackingClient
from exatrkx_client.address import Protocol
from exatrkx_client.retry import Retry
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving import Array

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]
MAX_SPACEPOINTS: Final = 2_000  # as many as the warm-up events have
MAX_QUEUE: Final = 40
MAX_MEMORY_MIB: Final = 300  # less than the server itself has
CLIENTS: Final = 200
PIPELINES: Final = ("exatrkx_ensemble", "exatrkx_custom")
EVENT: Final = clumps(num_clumps=50, size=4)[0]

INPUTS: Final[dict[str, dict[str, Array]]] = {
    "exatrkx_ensemble": {"FEATURES": EVENT},
    "exatrkx_custom": {"FEATURES": EVENT},
    "embed": {"INPUT__0": EVENT},
    "frnn": {"EMBEDDING": EVENT},
    "filter": {"INPUT__0": EVENT, "INPUT__1": np.zeros((2, 1), np.int64)},
    "applyfilter": {"EDGE_INDEX": np.array([[1], [0]]), "EDGE_SCORES": np.ones(1, np.float32)},
    "gnn": {"INPUT__0": EVENT, "INPUT__1": np.zeros((2, 1), np.int64)},
    "wcc": {
        "EDGE_INDEX": np.array([[1], [0]]),
        "EDGE_SCORES": np.ones(1, np.float32),
        "NUM_NODES": np.array([len(EVENT)]),
    },
}
"""A good request for each model."""


class SlowEdges(TinyEdges):
    """The same scores, after 20 GFLOP: some half a second of one core."""

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        work = torch.zeros(500, 500)
        for _ in range(80):
            work = work @ work
        step = features.index_select(0, edge_index[0]) - features.index_select(0, edge_index[1])  # [E,3]
        return (self.length - step.square().sum(dim=1).sqrt()) * 100.0 + work[0, 0]


@pytest.fixture(scope="module")
def slow_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("slow") / "model_repository"
    write_tiny_repository(ROOT / "model_repository", repository)
    save_scripted(SlowEdges(GNN_LENGTH), repository / "gnn" / "1" / "model.pt")
    return repository


@pytest.fixture(scope="module", params=("python", "compiled backends", "compiled stages"))
def server(
    request: pytest.FixtureRequest, slow_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    if request.param != "python":
        compiled.build()
    options = ServerOptions(
        log_file=tmp_path_factory.mktemp("server") / "tritonserver.log",
        custom_backend="python" if request.param == "python" else "compiled",
        stages="compiled" if request.param == "compiled stages" else "python",
        max_spacepoints=MAX_SPACEPOINTS,
        max_queue=MAX_QUEUE,
        max_memory_gib=MAX_MEMORY_MIB / 1024,
    )
    with TritonServer(slow_repository, options) as running:
        yield running


@pytest.fixture(scope="module")
def call(server: TritonServer) -> Iterator[Caller]:
    caller = Caller(server)
    yield caller
    caller.close()


@pytest.mark.parametrize(
    ("model", "refuses", "tensor"),
    [
        ("exatrkx_ensemble", "embed", "INPUT__0"),
        ("exatrkx_custom", "exatrkx_custom", "FEATURES"),
        ("embed", "embed", "INPUT__0"),
        ("frnn", "frnn", "EMBEDDING"),
        ("filter", "filter", "INPUT__0"),
        ("gnn", "gnn", "INPUT__0"),
    ],
)
def test_an_event_with_too_many_spacepoints(call: Caller, model: str, refuses: str, tensor: str) -> None:
    inputs = INPUTS[model]
    first = next(iter(inputs))
    limit, beyond = ({**inputs, first: np.resize(EVENT, (rows, 3))} for rows in (MAX_SPACEPOINTS, MAX_SPACEPOINTS + 1))
    call(model, limit)
    refusal, text = refused(call, model, beyond)
    assert refusal.status == "StatusCode.INVALID_ARGUMENT"
    assert f"{refuses}: {tensor}: more than max_spacepoints = {MAX_SPACEPOINTS}" in text
    assert refusal.facts == Facts((tensor,), (str(float(MAX_SPACEPOINTS)), str(float(MAX_SPACEPOINTS + 1))))


@pytest.mark.parametrize(
    ("needed_mib", "status", "found"),
    [
        (MAX_MEMORY_MIB + 1, "StatusCode.INVALID_ARGUMENT", ", more than max_memory"),
        (MAX_MEMORY_MIB - 1, "StatusCode.UNAVAILABLE", r", and \d+ MiB are used of max_memory"),
    ],
)
@pytest.mark.parametrize(("model", "signer"), [("gnn", "unknown"), ("applyfilter", "0x")])
def test_an_event_for_which_there_is_no_memory(
    call: Caller, model: str, signer: str, *, needed_mib: int, status: str, found: str
) -> None:
    """The GNN's memory is looked at before it, too, where the refusal says whose edges they are."""
    edges = np.zeros((2, -(-needed_mib * (1 << 20) // EDGE_BYTES)), np.int64)
    scores = np.ones(edges.shape[1], np.float32)
    large: dict[str, dict[str, Array]] = {
        "gnn": {"INPUT__0": EVENT, "INPUT__1": edges},
        "applyfilter": {"EDGE_INDEX": edges, "EDGE_SCORES": scores},
    }
    refusal = rf"{model}: the event needs {needed_mib} MiB{found} = {MAX_MEMORY_MIB} MiB.* \[request {signer}"
    with pytest.raises(ClientError, match=refusal) as caught:
        call(model, large[model])
    assert caught.value.status == status
    call(model, INPUTS[model])


@pytest.mark.parametrize("protocol", get_args(Protocol))
@pytest.mark.parametrize("model", MODELS)
def test_no_step_starts_for_an_overdue_request(server: TritonServer, model: str, protocol: Protocol) -> None:
    module: Any = tritonclient.grpc if protocol == "grpc" else tritonclient.http
    target = server.grpc_url if protocol == "grpc" else server.http_url.removeprefix("http://")
    inputs = []
    for name, array in INPUTS[model].items():
        inputs.append(module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array)
    first_step = "embed" if model == "exatrkx_ensemble" else model
    with module.InferenceServerClient(target) as client:
        now_us = int(time.time() * 1e6)
        with pytest.raises(InferenceServerException, match=f"{first_step}: {DEADLINE}: the deadline passed ") as caught:
            client.infer(model, inputs, parameters={DEADLINE: now_us - 1_000_000})
        assert caught.value.status() in ("StatusCode.CANCELLED", "400")
        client.infer(model, inputs, parameters={DEADLINE: now_us + 600_000_000})


def cpu_seconds(server: TritonServer) -> float:
    """Processor time that all of the server's processes have taken; its statistics count some refusals as successes."""
    process = psutil.Process(server.pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


def ask(client: TrackingClient) -> Array | Exception:
    try:
        return client.find_tracks(EVENT)
    except (DeadlineError, ServerUnavailableError) as error:
        return error


@dataclass(frozen=True)
class Crowd:
    """What each of many threads got, which ask at once and wait so long."""

    answers: list[Array]
    refusals: int
    gave_up: int

    @classmethod
    def of(cls, url: str, model: str, protocol: Protocol, give_up_s: float) -> Crowd:
        once = Retry(attempts=1)
        clients = [TrackingClient(url, model, protocol, timeout_s=give_up_s, retry=once) for _ in range(8)]
        for client in clients:
            client.wait_until_ready()  # connects
        with ThreadPoolExecutor(CLIENTS) as threads:
            outcomes = list(threads.map(ask, clients * (CLIENTS // len(clients))))
        for client in clients:
            client.close()
        answers = [outcome for outcome in outcomes if isinstance(outcome, np.ndarray)]
        refusals = sum(f"more than max_queue = {MAX_QUEUE} requests wait" in str(outcome) for outcome in outcomes)
        gave_up = sum(isinstance(outcome, DeadlineError) for outcome in outcomes)
        assert len(answers) + refusals + gave_up == CLIENTS, {str(outcome) for outcome in outcomes}
        return cls(answers, refusals, gave_up)


@pytest.mark.parametrize("protocol", get_args(Protocol))
@pytest.mark.parametrize("model", PIPELINES)
def test_clients_that_gave_up(server: TritonServer, call: Caller, model: str, protocol: Protocol) -> None:
    """A queue is bounded, and is empty again when its clients are gone; who was answered was answered right."""
    url = server.grpc_url if protocol == "grpc" else server.http_url
    expected = call(model, {"FEATURES": EVENT})["LABELS"]

    def used_by(act: Callable[[], object]) -> float:
        before = cpu_seconds(server)
        act()
        return cpu_seconds(server) - before

    def asked_patiently() -> None:
        retry = Retry(for_s=300.0, max_delay_s=0.2)  # at first those who are gone still wait
        with TrackingClient(url, model, protocol, timeout_s=60.0, retry=retry) as patient:
            np.testing.assert_array_equal(patient.find_tracks(EVENT), expected)

    def crowd() -> None:
        crowds.append(Crowd.of(url, model, protocol, give_up_s))
        asked_patiently()

    crowds: list[Crowd] = []
    event_s = used_by(asked_patiently)
    give_up_s = MAX_QUEUE / 4 * event_s  # before a full queue is through, with two instances, too
    while not (any(one.refusals for one in crowds) and any(one.gave_up for one in crowds)):
        assert len(crowds) < 6
        used_s = used_by(crowd)
        for labels in (answers := crowds[-1].answers):
            np.testing.assert_array_equal(labels, expected)
        event_s = max(event_s, used_by(asked_patiently))
        unwanted = used_s / event_s - len(answers) - 1
        assert unwanted < MAX_QUEUE / 2  # of a whole queue; some of it is what refusals cost
        # No one refused: the requests came too slowly. No one gave up: the machine was busy at the start.
        give_up_s *= 0.5 if crowds[-1].refusals else 2.0
