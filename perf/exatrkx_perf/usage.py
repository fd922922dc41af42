"""What processes use while something is measured: processor time and memory, and the GPU's where there is one."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from exatrkx_perf.gpu import GpuMonitor, GpuUse

if TYPE_CHECKING:
    from types import TracebackType

_INTERVAL_S: Final = 0.2
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and all its descendants used.

    Attributes:
        cpu_s: processor time, user and system.
        rss_mib: largest sum of resident memory; pages that processes share are counted for each.
        pss_mib: sum at the end with shared pages counted once (proportional set size); NaN where it is not told.
        processes: how many there were at the end.
        machine_cpu_s: processor time that the whole machine used meanwhile; NaN where this is a part of a machine.
        gpu: what the GPUs did; None where there are none.
    """

    cpu_s: float
    rss_mib: float
    pss_mib: float
    processes: int
    machine_cpu_s: float
    gpu: GpuUse | None


class UsageMonitor:
    """Watches the tree of processes under `pid` while in the `with`; `.usage` afterwards."""

    usage: Usage

    def __init__(self, pid: int, interval_s: float = _INTERVAL_S) -> None:
        self._root = psutil.Process(pid)
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._gpu = GpuMonitor()
        self._rss = 0

    def __enter__(self) -> UsageMonitor:
        self._cpu = cpu_seconds(self._root)
        self._machine_cpu = machine_cpu_seconds()
        self._gpu.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        tree = process_tree(self._root)
        self._rss = max(self._rss, resident_bytes(tree))
        self.usage = Usage(
            cpu_s=cpu_seconds(self._root) - self._cpu,
            rss_mib=self._rss / _MIB,
            pss_mib=sum(map(proportional_bytes, tree)) / _MIB,
            processes=len(tree),
            machine_cpu_s=machine_cpu_seconds() - self._machine_cpu,
            gpu=self._gpu.stop(),
        )

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._rss = max(self._rss, resident_bytes(process_tree(self._root)))


def process_tree(root: psutil.Process) -> list[psutil.Process]:
    """The process and all its descendants; none where it has ended."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(root: psutil.Process) -> float:
    """Processor time of a process, of its descendants, and of those of them that have ended."""
    return sum(map(_cpu_seconds, process_tree(root)))


def resident_bytes(processes: list[psutil.Process]) -> int:
    """Sum of resident memory; a process that has ended meanwhile has none."""
    return sum(map(_resident_bytes, processes))


def proportional_bytes(process: psutil.Process) -> float:
    """Memory of a process with each shared page divided among its users; NaN where the kernel does not tell."""
    try:
        lines = Path("/proc", str(process.pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return float("nan")
    return float(sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")))


def machine_cpu_seconds() -> float:
    """Processor time of everything on the machine; NaN where this process may use only some of its processors."""
    if os.cpu_count() != len(os.sched_getaffinity(0)):
        return float("nan")
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
