"""One process of the direct pipeline: loads it, waits for the others, and finds tracks until the events are done.

Run by `exatrkx_perf.direct` in a new process, whose environment bounds the computing threads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psutil
import torch

from exatrkx.pipeline import Pipeline
from exatrkx.serving.model_config import read_working_point
from exatrkx_perf.stage_timer import timed_stages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from exatrkx_perf.events import FeatureArray

_READY_TIMEOUT_S: Final = 300.0


@dataclass(slots=True)
class WorkerReport:
    """What one process did between the start of all and its own last event.

    Attributes:
        began, ended: on the machine's monotonic clock, in s.
        latencies_s: of each event.
        cpu_s: processor time, all threads.
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


def load_pipeline(repository: Path, device: str = "cpu") -> Pipeline:
    """The pipeline with the networks and the working point of a model repository, as they are served.

    Raises:
        ContractError: a network is missing; export/trace_models.py writes it.
    """
    embed, edge_filter, gnn = (repository / name / "1" / "model.pt" for name in ("embed", "filter", "gnn"))
    return Pipeline.from_torchscript(embed, edge_filter, gnn, read_working_point(repository), device)


def work(
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
    """Find the tracks of events until `next_event` has reached `events`; put a WorkerReport into `reports`."""
    report = WorkerReport()
    try:
        torch.set_num_threads(computing_threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        pipeline = load_pipeline(repository, device)
        for array in arrays:  # every size once, as the servers are warmed up
            pipeline(array)
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
    process = psutil.Process()
    cpu = time.process_time()
    report.began = time.monotonic()

    def loop() -> None:
        while (number := take()) is not None:
            began = time.perf_counter()
            pipeline(arrays[number % len(arrays)])
            report.latencies_s.append(time.perf_counter() - began)

    extra = [threading.Thread(target=loop) for _ in range(python_threads - 1)]
    for thread in extra:
        thread.start()
    loop()
    for thread in extra:
        thread.join()
    report.ended = time.monotonic()
    report.cpu_s = time.process_time() - cpu
    report.rss = process.memory_info().rss


def _take(next_event: Any, events: int) -> int | None:
    """The number of the next event, which nobody else gets; None when all are taken."""
    with next_event.get_lock():
        number = int(next_event.value)
        next_event.value = number + 1
    return number if number < events else None
