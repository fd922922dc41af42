"""Figures of load balancing: what a balancer costs at saturation, and what a slow server among others costs."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from exatrkx.contract import ENSEMBLE
from exatrkx.progress import bar
from exatrkx_client import TrackingClient
from exatrkx_perf.balancers import PROGRAMS, balancer, installed
from exatrkx_perf.balancing_cost import DIRECT, Load, Loads
from exatrkx_perf.goals import Goal, lower_goals
from exatrkx_perf.median_range import MedianRange
from exatrkx_perf.usage import cpu_seconds
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exatrkx_perf.events import FeatureArray

_WARM_S: Final = 1.0
_PERIODS_S: Final = (0.02, 0.02, 0.06)
_LEAST_SHARE: Final = 0.95
_PACED: Final = "paced"

_CONFIG: Final = """
backend: "python"
max_batch_size: 0
input { name: "FEATURES" data_type: TYPE_FP32 dims: [ -1, 3 ] }
output { name: "LABELS" data_type: TYPE_INT64 dims: [ -1 ] }
instance_group { kind: KIND_CPU }
"""

_MODEL: Final = """
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        time.sleep(PERIOD_S)
        features = pb_utils.get_input_tensor_by_name(request, "FEATURES").as_numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("LABELS", np.full(len(features), -1, dtype=np.int64))])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancingFigures:
    """How the figures are measured.

    Attributes:
        repository: of the models whose server is saturated.
        event: that all clients ask for, [N,3].
        clients: each of which asks for one event at a time.
        seconds: of each measurement.
        repeats: of all ways in turn.
        folder: for logs and configurations.
    """

    repository: Path
    event: FeatureArray
    clients: int
    seconds: float
    repeats: int
    folder: Path

    def cost(self) -> Loads:
        """One saturated server by each way, in turn."""
        options = ServerOptions(models=(ENSEMBLE.name,), threads=1, log_file=self.folder / "tritonserver.log")
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(TritonServer(self.repository, options))
            port = server.grpc_url.rpartition(":")[2]
            ways: dict[str, tuple[list[str], int | None]] = {
                DIRECT: ([server.grpc_url], None),
                "client": ([server.grpc_url, f"localhost:{port}"], None),
            }
            for program in filter(installed, PROGRAMS):
                running = stack.enter_context(balancer(program, [_listed(server)], self.folder))
                ways[program] = [running.grpc_url], running.pid
            loads: Loads = {way: {} for way in ways}
            for repeat in bar(range(self.repeats), unit="repeat"):
                for way, (urls, pid) in list(ways.items())[:: 1 - 2 * (repeat % 2)]:  # none is always the first
                    loads[way][repeat] = self._load(urls, server.pid, pid)
        return loads

    def slow_server(self) -> list[Goal]:
        """Throughput of three servers, one of which takes three times as long, over the sum of each alone.

        An answer takes its time asleep and one at a time, so that three servers do not take each other's cores.
        """
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(self._paced(number)) for number in range(len(_PERIODS_S))]
            alone = sum(self._rate([server.grpc_url], _PACED) for server in servers)
            ways: dict[str, Callable[[], float]] = {
                "client": lambda: self._rate([server.grpc_url for server in servers], _PACED),
                "client, in order": lambda: self._rate_in_order([server.grpc_url for server in servers]),
            }
            for program in filter(installed, PROGRAMS):
                url = stack.enter_context(balancer(program, [_listed(one) for one in servers], self.folder)).grpc_url
                ways[program] = lambda url=url: self._rate([url], _PACED)  # type: ignore[misc]  # a default binds it
            # With the results in order, a request behind a slow one is done and not yet asked for: stated alone.
            return lower_goals(
                *(
                    (
                        f"one of three slow: {way} / sum",
                        MedianRange.of(measure() / alone for _ in bar(range(self.repeats), desc=way, unit="repeat")),
                        None if "order" in way else _LEAST_SHARE,
                        "",
                    )
                    for way, measure in ways.items()
                )
            )

    @contextlib.contextmanager
    def _paced(self, number: int) -> Iterator[TritonServer]:
        """A server whose model sleeps for its period before each answer."""
        repository = self.folder / f"{_PACED}{number}"
        version = repository / _PACED / "1"
        version.mkdir(parents=True)
        (version.parent / "config.pbtxt").write_text(_CONFIG)
        (version / "model.py").write_text(_MODEL.replace("PERIOD_S", str(_PERIODS_S[number])))
        with TritonServer(repository, ServerOptions(log_file=self.folder / f"{_PACED}{number}.log")) as server:
            yield server

    def _load(self, urls: Sequence[str], server: int, balancer: int | None) -> Load:
        """What clients get, and the CPU time of the processes of these ids and of this one, which has the clients."""
        processes = [psutil.Process(pid) for pid in (server, balancer) if pid is not None]

        def used() -> list[float]:
            return [time.process_time(), *map(cpu_seconds, processes), 0.0]

        before = used()
        ends = self._ends(urls, ENSEMBLE.name)
        clients, of_server, of_balancer = (
            1e3 * (now - then) / len(ends) for now, then in zip(used()[:3], before, strict=False)
        )
        return Load(rate=self._rate_of(ends), balancer_ms=of_balancer, server_ms=of_server, clients_ms=clients)

    def _rate(self, urls: Sequence[str], model: str) -> float:
        return self._rate_of(self._ends(urls, model))

    def _rate_of(self, ends: Sequence[float]) -> float:
        """Events per second out of the times of their ends, from the beginning; the warm-up is left out."""
        return sum(_WARM_S < end <= _WARM_S + self.seconds for end in ends) / self.seconds

    def _ends(self, urls: Sequence[str], model: str) -> list[float]:
        """When events were done, of clients that share a process, each of which asks for one event at a time."""
        ends: list[float] = []
        over = threading.Event()
        began = time.monotonic()
        with TrackingClient(urls, model) as client:

            def ask() -> None:
                while not over.is_set():
                    client.find_tracks(self.event)
                    ends.append(time.monotonic() - began)

            threads = [threading.Thread(target=ask, daemon=True) for _ in range(self.clients)]
            for thread in threads:
                thread.start()
            over.wait(_WARM_S + self.seconds)
            over.set()
            for thread in threads:
                thread.join()
        return ends

    def _rate_in_order(self, urls: Sequence[str]) -> float:
        """The same of one caller with as many requests on their way, who takes the results in order."""
        begin = time.monotonic() + _WARM_S
        end = begin + self.seconds

        def events() -> Iterator[FeatureArray]:
            while time.monotonic() < end:
                yield self.event

        with TrackingClient(urls, _PACED) as client:
            results = client.find_tracks_many(events(), self.clients)
            return sum(begin < time.monotonic() <= end for _ in results) / self.seconds


def _listed(server: TritonServer) -> dict[str, Any]:
    return {"grpc_url": server.grpc_url, "http_url": server.http_url}
