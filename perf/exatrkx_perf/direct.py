"""The pipeline as a function call, in one process or several: what a server is compared with.

This module needs no torch: the work is done in processes of its own (`exatrkx_perf.direct_worker`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.results import Figures
from exatrkx_perf.step_times import UNEXPLAINED, StepTime
from exatrkx_server.resources import thread_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exatrkx_perf.direct_worker import WorkerReport
    from exatrkx_perf.events import Sample

Kind = Literal["processes", "threads"]

_TIMEOUT_S: Final = 600.0
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


def summary(reports: list[WorkerReport], events: int) -> Figures:
    """Throughput from the first start to the last end, latencies of all events, sums of processor time and memory."""
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


def _work(*arguments: Any, **options: Any) -> None:
    # Imported here: torch reads the number of threads from the environment that this process was started with.
    from exatrkx_perf.direct_worker import work  # noqa: PLC0415

    work(*arguments, **options)


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
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
