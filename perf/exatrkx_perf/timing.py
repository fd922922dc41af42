"""Wall-clock and CPU time of calls: again and again, in a process of their own, and stage by stage in the pipeline."""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from exatrkx.contract import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from exatrkx.pipeline import Pipeline

P = ParamSpec("P")
T = TypeVar("T")
Clock = Callable[[], float]

ENOUGH_SECONDS: Final = 2.0
"""A call is repeated until it has taken this long in all."""


def clock_of(device: torch.device) -> Clock:
    """A clock in s for work on a device: before a GPU's is read, all that was given to the GPU has ended."""
    if device.type != "cuda":
        return time.perf_counter
    from torch.cuda import synchronize  # noqa: PLC0415 - whoever has a device has torch

    def read() -> float:
        synchronize(device)
        return time.perf_counter()

    return read


def seconds_of(number: int, call: Callable[[], object], clock: Clock = time.perf_counter) -> list[float]:
    """What each of so many calls took."""
    found = []
    for _ in range(number):
        began = clock()
        call()
        found.append(clock() - began)
    return found


@contextlib.contextmanager
def timed_stages(pipeline: Pipeline, clock: Clock | None = None) -> Iterator[dict[str, float]]:
    """Within the `with`, add up what each stage of the pipeline takes, on a GPU until the GPU has ended it.

    For calls from one thread.

    Yields:
        Seconds by the served model's name; zero at first.
    """
    read = clock or clock_of(pipeline.device)
    seconds = dict.fromkeys((spec.name for spec in STEPS), 0.0)

    @contextlib.contextmanager
    def timed(stage: str) -> Iterator[None]:
        began = read()
        yield
        seconds[stage] += read() - began

    before, pipeline.observe = pipeline.observe, timed
    try:
        yield seconds
    finally:
        pipeline.observe = before


@dataclass(frozen=True, slots=True)
class Measurement:
    """Time and memory of repeated calls.

    Attributes:
        repeats: calls timed; one more, before them, is not.
        wall_ms, cpu_ms: median of the wall-clock time and of the CPU time, all threads together.
        best_ms: least wall-clock time.
        peak_mib: most resident memory beyond what the process held before the first call.
    """

    repeats: int
    wall_ms: float
    cpu_ms: float
    best_ms: float
    peak_mib: float


def measure(max_repeats: int, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[Measurement, T]:
    """Call it again and again in a new process; the answer is that of the first call."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure_here, max_repeats, call, args, kwargs).result()


def _measure_here(
    max_repeats: int, call: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, Any]
) -> tuple[Measurement, T]:
    before = _status_kib("VmRSS")
    answer = call(*args, **kwargs)
    peak_mib = max(_status_kib("VmHWM") - before, 0) / 1024
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < max_repeats and (len(wall) < min(3, max_repeats) or sum(wall) < ENOUGH_SECONDS):
        cpu_start = time.process_time()
        wall += seconds_of(1, lambda: call(*args, **kwargs))
        cpu.append(time.process_time() - cpu_start)
    wall_ms, cpu_ms = (1e3 * statistics.median(times) for times in (wall, cpu))
    return Measurement(len(wall), wall_ms, cpu_ms, 1e3 * min(wall), peak_mib), answer


def _status_kib(field: str) -> int:
    # By hand: psutil has no peak on Linux, and getrusage's is of what the process was before `exec`, too.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
