"""Time and memory of one call, each measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

ENOUGH_SECONDS: Final = 2.0
"""A call is repeated until it has taken this long in all."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Of repeated calls.

    Attributes:
        repeats: calls timed; one more, before them, is not.
        wall_ms, cpu_ms: median of the wall-clock time and of the processor time, all threads together.
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
    max_repeats: int, call: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[Measurement, T]:
    before = _status_kib("VmRSS")
    answer = call(*args, **kwargs)
    peak_mib = max(_status_kib("VmHWM") - before, 0) / 1024
    wall: list[float] = []
    cpu: list[float] = []
    while len(wall) < max_repeats and (len(wall) < min(3, max_repeats) or sum(wall) < ENOUGH_SECONDS):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        call(*args, **kwargs)
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    wall_ms, cpu_ms = (1e3 * statistics.median(times) for times in (wall, cpu))
    return Measurement(len(wall), wall_ms, cpu_ms, 1e3 * min(wall), peak_mib), answer


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
