"""The direct pipeline, a function call in one process or several: what a server is compared with."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import psutil

from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.results import UNEXPLAINED, Figures, StepTime
from exatrkx_perf.timing import clock_of, seconds_of, timed_stages
from exatrkx_server.resources import thread_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exatrkx.pipeline import Pipeline
    from exatrkx_perf.events import FeatureArray, Sample

Kind = Literal["processes", "threads"]

_TIMEOUT_S: Final = 600.0
_READY_TIMEOUT_S: Final = 300.0
_POLL_S: Final = 0.2
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRequest:
    """What is run.

    Attributes:
        repository: model repository with the networks and the working point.
        kind: workers are processes with a pipeline each, or Python threads that share one.
        workers: how many.
        threads: computing threads of each process.
        events: how many events are processed in all: a multiple of the number in the sample.
    """

    repository: Path
    kind: Kind = "processes"
    workers: int = 1
    threads: int = 1
    events: int


def run_direct(sample: Sample, request: DirectRequest) -> tuple[Figures, list[StepTime]]:
    """Measure it.

    Every worker loads its pipeline and runs every event once; then all start at the same moment and take events in
    turn until all are done.

    Returns:
        What was measured, and the time of each stage; none of these where threads share a pipeline.

    Raises:
        MeasurementError: a worker failed; the text says why.
    """
    processes = request.workers if request.kind == "processes" else 1
    context = multiprocessing.get_context("spawn")
    reports: Any = context.Queue()
    shared = {
        "events": request.events,
        "python_threads": 1 if request.kind == "processes" else request.workers,
        "computing_threads": request.threads,
        "next_event": context.Value("q", 0),
        "start": context.Barrier(processes),
        "reports": reports,
    }
    workers = [
        context.Process(target=_work, args=(request.repository, sample.arrays), kwargs=shared, daemon=True)
        for _ in range(processes)
    ]
    try:
        with _environment(thread_environment(request.threads)):
            for worker in workers:
                worker.start()
        found = _collect(reports, workers)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
            worker.join()
    return summary(found, request.events), stage_times(found)


@dataclass(slots=True)
class WorkerReport:
    """What one process did between the start of all and its own last event.

    Attributes:
        began, ended: on the machine's monotonic clock, in s.
        latencies_s: of each event.
        cpu_s: CPU time, all threads.
        rss: resident bytes at the end.
        stages_s: what each stage took, all events together; none where several threads run them at once.
        error: why it failed, if it did.
    """

    began: float = 0.0
    ended: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    rss: int = 0
    stages_s: dict[str, float] = field(default_factory=dict)
    error: str = ""


def summary(reports: list[WorkerReport], events: int) -> Figures:
    """Throughput from the first start to the last end, latencies of all events, sums of CPU time and memory."""
    seconds = max(report.ended for report in reports) - min(report.began for report in reports)
    latencies_ms = np.concatenate([report.latencies_s for report in reports]) * 1e3
    cpu_s = sum(report.cpu_s for report in reports)
    p50, p90, p95, p99 = np.percentile(latencies_ms, [50, 90, 95, 99])
    return Figures(
        events_per_s=events / seconds,
        mean_ms=float(latencies_ms.mean()),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p95_ms=float(p95),
        p99_ms=float(p99),
        requests=events,
        cpu_ms_per_event=1e3 * cpu_s / events,
        busy_cores=cpu_s / seconds,
        rss_mib=sum(report.rss for report in reports) / _MIB,
        processes=len(reports),
    )


def stage_times(reports: list[WorkerReport]) -> list[StepTime]:
    """The mean time of each stage in ms for one event, all of it computing; and what the event took beyond them."""
    events = sum(len(report.latencies_s) for report in reports)
    stages = {name: 1e3 * sum(report.stages_s[name] for report in reports) / events for name in reports[0].stages_s}
    if not stages:
        return []
    steps = [StepTime(name, events, 0.0, 0.0, ms, 0.0, ms) for name, ms in stages.items()]
    whole = 1e3 * sum(sum(report.latencies_s) for report in reports) / events
    return [*steps, StepTime(UNEXPLAINED, events, 0.0, 0.0, 0.0, 0.0, whole - sum(stages.values()))]


def load_pipeline(repository: Path, device: str = "cpu") -> Pipeline:
    """The pipeline with the networks and the working point of a model repository, as they are served.

    Raises:
        ContractError: a network is missing; export/trace_models.py writes it.
    """
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415
    from exatrkx.serving.model_config import read_working_point  # noqa: PLC0415 - see `_work`

    embed, edge_filter, gnn = (repository / name / "1" / "model.pt" for name in ("embed", "filter", "gnn"))
    return Pipeline.from_torchscript(embed, edge_filter, gnn, read_working_point(repository), device)


def _work(
    repository: Path,
    arrays: tuple[FeatureArray, ...],
    *,
    events: int,
    python_threads: int,
    computing_threads: int,
    next_event: Any,  # multiprocessing's shared Value, whose type has no name
    start: Any,  # and its Barrier
    reports: Any,  # and its Queue
) -> None:
    """One process: find tracks until `next_event` has reached `events`; put a WorkerReport into `reports`.

    torch is imported here: it reads the number of threads from the environment that this process was started with, and
    the process that starts this one needs none of it.
    """
    import torch  # noqa: PLC0415

    report = WorkerReport()
    try:
        torch.set_num_threads(computing_threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        pipeline = load_pipeline(repository, device)
        for array in arrays:  # every size once, as the servers are warmed up
            pipeline(array)
        # On a GPU a stage that is waited for is not the pipeline as it runs: its stages are not timed here.
        one_at_a_time = python_threads == 1 and device == "cpu"
        timer = timed_stages(pipeline) if one_at_a_time else contextlib.nullcontext(report.stages_s)
        with timer as report.stages_s:
            start.wait(_READY_TIMEOUT_S)
            _measure(pipeline, arrays, python_threads, lambda: _take(next_event, events), report)
    except Exception as error:
        start.abort()
        report.error = f"{type(error).__name__}: {error}"
    reports.put(report)


def _measure(
    pipeline: Pipeline,
    arrays: tuple[FeatureArray, ...],
    python_threads: int,
    take: Callable[[], int | None],
    report: WorkerReport,
) -> None:
    cpu = time.process_time()
    clock = clock_of(pipeline.device)
    report.began = time.monotonic()

    def loop() -> None:
        while (number := take()) is not None:
            report.latencies_s += seconds_of(1, functools.partial(pipeline, arrays[number % len(arrays)]), clock)

    extra = [threading.Thread(target=loop) for _ in range(python_threads - 1)]
    for thread in extra:
        thread.start()
    loop()
    for thread in extra:
        thread.join()
    report.ended = time.monotonic()
    report.cpu_s = time.process_time() - cpu
    report.rss = psutil.Process().memory_info().rss


def _take(next_event: Any, events: int) -> int | None:
    """The number of the next event, which nobody else gets; None when all are taken."""
    with next_event.get_lock():
        number = int(next_event.value)
        next_event.value = number + 1
    return number if number < events else None


def _collect(reports: Any, workers: list[Any]) -> list[WorkerReport]:
    """A report of each worker; fails as soon as one fails or dies."""
    found: list[WorkerReport] = []
    waited = 0.0
    while len(found) < len(workers):
        # Looked at before the queue: a worker that reported and ended has put its report there.
        dead = [worker for worker in workers if worker.exitcode not in (None, 0)]
        try:
            report = reports.get(timeout=_POLL_S)
        except queue.Empty:
            waited += _POLL_S
            if dead:
                raise MeasurementError(f"direct: a worker died with exit code {dead[0].exitcode}") from None
            if waited > _TIMEOUT_S:
                raise MeasurementError(f"direct: no result after {_TIMEOUT_S:g} s") from None
            continue
        if report.error and "BrokenBarrierError" not in report.error:
            raise MeasurementError(f"direct: {report.error}")
        found.append(report)
    return found


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
