"""The direct pipeline, a function call in one process or several: what a server is compared with."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor, wait
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
    from exatrkx_perf.events import EventSample, FeatureArray

Kind = Literal["processes", "threads"]

_TIMEOUT_S: Final = 600.0
_READY_TIMEOUT_S: Final = 300.0
_MIB: Final = 1 << 20


def run_direct(
    sample: EventSample, repository: Path, *, events: int, kind: Kind = "processes", workers: int = 1, threads: int = 1
) -> tuple[Figures, list[StepTime]]:
    """Measure so many events in all, a multiple of the number in the sample.

    Workers are processes with a pipeline each, or Python threads that share one; a process has so many computing
    threads. Every worker loads its pipeline and runs every event once; then all start at the same moment and take
    events in turn until all are done.

    Returns:
        What was measured, and the time of each stage; none of these where threads share a pipeline.

    Raises:
        MeasurementError: a worker failed; the text says why.
    """
    processes, python_threads = (workers, 1) if kind == "processes" else (1, workers)
    context = multiprocessing.get_context("spawn")
    next_event, start = context.Value("q", 0), context.Barrier(processes)
    work = (repository, sample.arrays, events, python_threads, threads)
    with ProcessPoolExecutor(processes, context, _share, (next_event, start)) as pool:
        try:
            with _environment(thread_environment(threads)):
                futures = [pool.submit(_work, *work) for _ in range(processes)]
            _, late = wait(futures, _TIMEOUT_S)
        finally:  # whatever came, nobody begins another event
            next_event.value = events
            start.abort()
    if late:
        raise MeasurementError(f"direct: no result after {_TIMEOUT_S:g} s")
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        cause = next((error for error in errors if not isinstance(error, threading.BrokenBarrierError)), errors[0])
        raise MeasurementError(f"direct: {type(cause).__name__}: {cause}") from cause
    reports = [future.result() for future in futures]
    return summary(reports, events), stage_times(reports)


@dataclass(slots=True)
class WorkerReport:
    """What one process did between the start of all and its own last event.

    Attributes:
        began, ended: on the machine's monotonic clock, in s.
        latencies_s: of each event.
        cpu_s: CPU time, all threads.
        rss: resident bytes at the end.
        stages_s: what each stage took, all events together; none where several threads run them at once.
    """

    began: float = 0.0
    ended: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    rss: int = 0
    stages_s: dict[str, float] = field(default_factory=dict)


def summary(reports: list[WorkerReport], events: int) -> Figures:
    """Throughput from the first start to the last end, latencies of all events, sums of CPU time and memory."""
    seconds = max(report.ended for report in reports) - min(report.began for report in reports)
    latencies_ms = np.concatenate([report.latencies_s for report in reports]) * 1e3
    cpu_s = sum(report.cpu_s for report in reports)
    percentiles: dict[str, Any] = {f"p{n}_ms": float(np.percentile(latencies_ms, n)) for n in (50, 90, 95, 99)}
    return Figures(
        events_per_s=events / seconds,
        mean_ms=float(latencies_ms.mean()),
        **percentiles,
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
    steps = [StepTime(name, events, compute_infer_ms=ms, total_ms=ms) for name, ms in stages.items()]
    whole = 1e3 * sum(sum(report.latencies_s) for report in reports) / events
    return [*steps, StepTime(UNEXPLAINED, events, total_ms=whole - sum(stages.values()))]


def load_pipeline(repository: Path, device: str = "cpu") -> Pipeline:
    """The pipeline with the networks and the working point of a model repository, as they are served.

    Raises:
        ContractError: a network is missing; export/trace_models.py writes it.
    """
    from exatrkx.pipeline import Pipeline  # noqa: PLC0415
    from exatrkx.serving.model_config import read_working_point  # noqa: PLC0415 - see `_work`

    embed, edge_filter, gnn = (repository / name / "1" / "model.pt" for name in ("embed", "filter", "gnn"))
    return Pipeline.from_torchscript(embed, edge_filter, gnn, read_working_point(repository), device)


_shared: dict[str, Any] = {}
"""What a worker shares with all others: `next_event`, multiprocessing's Value, and `start`, its Barrier."""


def _share(next_event: Any, start: Any) -> None:
    _shared.update(next_event=next_event, start=start)


def _work(
    repository: Path, arrays: tuple[FeatureArray, ...], events: int, python_threads: int, computing_threads: int
) -> WorkerReport:
    """One process: find tracks until `next_event` has reached `events`.

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
    except Exception:
        _shared["start"].abort()  # the others do not wait
        raise
    # On a GPU a stage that is waited for is not the pipeline as it runs: its stages are not timed here.
    one_at_a_time = python_threads == 1 and device == "cpu"
    timer = timed_stages(pipeline) if one_at_a_time else contextlib.nullcontext(report.stages_s)
    with timer as report.stages_s:
        _shared["start"].wait(_READY_TIMEOUT_S)
        _measure(pipeline, arrays, python_threads, lambda: _take(_shared["next_event"], events), report)
    return report


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
