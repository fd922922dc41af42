"""Served pipeline under measurement: throughput by perf_analyzer, step times by Triton's statistics, and usage."""

from __future__ import annotations

import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf.analyzer import LoadTest, run_analyzer
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import INPUT
from exatrkx_perf.results import PARTS, UNEXPLAINED, Figures, StepTime
from exatrkx_perf.usage import UsageMonitor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exatrkx_perf.events import EventSample, FeatureArray
    from exatrkx_perf.points import Point
    from exatrkx_perf.usage import Usage
    from exatrkx_server import TritonServer


Totals = dict[str, tuple[int, int]]
"""Requests and nanoseconds that they took, by Triton's names for the parts of serving one."""

_NS_PER_MS: Final = 1e6
_PATIENCE_S: Final = 600.0


@dataclass(slots=True, kw_only=True)
class ServedPipeline:
    """A served model that is measured point after point.

    Attributes:
        addresses: of its server, by protocol.
        input_file: the same events for perf_analyzer.
        pid: the server's process where it runs on this machine and is ours to watch; else None.
        credentials: what the server asks for.
        ready_s: how long it took to start; NaN where it was found running.

    Raises (on making and measuring):
        ClientError: the server does not answer, or refuses an event.
        MeasurementError: perf_analyzer failed, or a request of its own.
    """

    model: str
    addresses: Mapping[str, Address]
    sample: EventSample
    input_file: Path
    pid: int | None = None
    credentials: Credentials = field(default_factory=Credentials)
    ready_s: float = math.nan
    _api: TritonApi = field(init=False)
    _output_bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._api = TritonApi(self.addresses.get("grpc") or self.addresses["http"], _PATIENCE_S, self.credentials)

    @classmethod
    def of(cls, server: TritonServer, model: str, sample: EventSample, input_file: Path) -> ServedPipeline:
        """A model of a server of ours."""
        addresses = {"grpc": Address.parse(server.grpc_url, "grpc"), "http": Address.parse(server.http_url, "http")}
        return cls(
            model=model,
            addresses=addresses,
            sample=sample,
            input_file=input_file,
            pid=server.pid,
            ready_s=server.ready_after_s,
        )

    def close(self) -> None:
        self._api.close()

    @property
    def version(self) -> str:
        return f"Triton {self._api.server_version()}"

    def warm_up(self, in_flight: int) -> None:
        """Send every event twice, so that each instance has seen events; remember the largest output's bytes."""

        def largest_output(array: FeatureArray) -> int:
            reply = self._api.infer(self.model, {INPUT.name: array})
            return max(tensor.nbytes for tensor in reply.tensors.values())

        with ThreadPoolExecutor(max(2 * in_flight, 2)) as pool:
            for _ in range(2):
                self._output_bytes = max(self._output_bytes, *pool.map(largest_output, self.sample.arrays))

    def measure(self, point: Point, window: int) -> tuple[Figures, list[StepTime]]:
        """Measure one point, each window of so many requests."""
        if not self._output_bytes:
            self.warm_up(point.instances)
        test = LoadTest(
            model=self.model,
            address=self.addresses[point.protocol],
            input_file=self.input_file,
            window=window,
            concurrency=point.concurrency,
            mode="async" if point.mode == "async" else "sync",
            shared_memory="system" if point.shared_memory == "system" else "none",
            output_bytes=self._output_bytes,
            credentials=self.credentials,
        )
        clock = StepClock(self._api, self.model)
        began = time.monotonic()
        with UsageMonitor(self.pid) if self.pid is not None else contextlib.nullcontext() as monitor:
            figures, client_cpu_s = run_analyzer(test)
        seconds = time.monotonic() - began
        whole, steps = clock.stop()
        figures = replace(figures, **_step_figures(whole, steps), ready_s=self.ready_s)
        return (_with_usage(figures, monitor.usage, client_cpu_s, seconds) if monitor else figures), steps


def _step_figures(whole: StepTime, steps: list[StepTime]) -> dict[str, Any]:
    """The server's view: the request as a whole, and the sums over its steps."""
    real = [step for step in steps if step.step != UNEXPLAINED]
    parts = {f"{part}_ms": sum(getattr(step, f"{part}_ms") for step in real) for part in PARTS}
    rest = whole.total_ms - sum(parts.values())
    return {"requests": whole.requests, "request_ms": whole.total_ms, **parts, "unexplained_ms": rest}


def _with_usage(figures: Figures, usage: Usage, client_cpu_s: float, seconds: float) -> Figures:
    # Per request and not per second: perf_analyzer also starts, reads its input and stops within `seconds`.
    cpu_ms = 1e3 * usage.cpu_s / figures.requests
    return replace(
        figures,
        cpu_ms_per_event=cpu_ms,
        busy_cores=cpu_ms / 1e3 * figures.events_per_s,
        client_cpu_ms_per_event=1e3 * client_cpu_s / figures.requests,
        other_busy_cores=max((usage.machine_cpu_s - usage.cpu_s - client_cpu_s) / seconds, 0.0),
        rss_mib=usage.rss_mib,
        pss_mib=usage.pss_mib,
        processes=usage.processes,
        gpu_busy=usage.gpu.busy if usage.gpu else math.nan,
        gpu_memory_mib=usage.gpu.memory_mib if usage.gpu else math.nan,
    )


class StepClock:
    """Reads the statistics of a served pipeline twice, and gives what one request took in between.

    Raises:
        ClientError: the server does not answer, or has no such model.
    """

    def __init__(self, api: TritonApi, model: str) -> None:
        self._api = api
        self.model = model
        self.steps = api.steps(model)
        self._before = self._read()

    def stop(self) -> tuple[StepTime, list[StepTime]]:
        """The whole model's time, and its steps'; for an ensemble the last one is what the steps leave unexplained.

        A model that is no ensemble is its own only step.

        Raises:
            MeasurementError: requests failed in between, or there were none.
        """
        after = self._read()
        differences = {name: difference(self._before[name], after[name]) for name in after}
        failed = differences[self.model].get("fail", (0, 0))[0]
        if failed:
            raise MeasurementError(f"{self.model}: {failed} requests failed; the server's log says why")
        requests = differences[self.model].get("success", (0, 0))[0]
        if requests == 0:
            raise MeasurementError(f"{self.model}: no request was answered")
        whole = step_time(self.model, differences[self.model], requests)
        if not self.steps:
            return whole, [whole]
        steps = [step_time(step, differences[step], requests) for step in self.steps]
        rest = whole.total_ms - sum(step.parts_ms for step in steps)
        return whole, [*steps, StepTime(UNEXPLAINED, requests, total_ms=rest)]

    def _read(self) -> dict[str, Totals]:
        return {name: self._api.statistics(name) for name in (self.model, *self.steps)}


def difference(before: Totals, after: Totals) -> Totals:
    """Requests and nanoseconds of each part between two readings."""
    return {
        name: (n - before.get(name, (0, 0))[0], ns - before.get(name, (0, 0))[1]) for name, (n, ns) in after.items()
    }


def step_time(step: str, totals: Totals, requests: int) -> StepTime:
    """Times in ms for one of `requests` requests of the whole.

    A step is counted a moment after its answer has left, so its own number may be off by the last one; each mean is
    over the step's own requests, times how often the pipeline calls it.
    """
    own = totals.get("success", (0, 0))[0]
    calls = max(round(own / requests), 1)
    ms = {name: calls * ns / _NS_PER_MS / max(count, 1) for name, (count, ns) in totals.items()}
    return StepTime(step, own, *(ms.get(part, 0.0) for part in (*PARTS, "success")))
