"""CPU time, memory and GPU use of processes while something is measured."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_INTERVAL_S: Final = 0.2
_MIB: Final = 1 << 20
_GPU_STOP_S: Final = 5.0
_GPU_QUERY: Final = ("--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What all GPUs did over a time.

    Attributes:
        busy: mean fraction of the time in which a kernel ran, over the GPUs that were used at all; NaN where no driver
            tells it, as in MIG mode.
        memory_mib: largest memory in use, all GPUs together; other programs' too.
    """

    busy: float
    memory_mib: float


class GpuMonitor:
    """Samples every GPU from `start` to `stop`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    def start(self) -> None:
        """Begin; does nothing where there is no nvidia-smi."""
        program = shutil.which("nvidia-smi")
        if program is not None:
            command = [program, *_GPU_QUERY, f"--loop-ms={1e3 * _INTERVAL_S:.0f}"]
            # Not a pipe: one that nobody reads would fill up and stop it.
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
            self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.DEVNULL)

    def stop(self) -> GpuUse | None:
        """What was seen since `start`; None where nothing was."""
        if self._process is None or self._output is None:
            return None
        self._process.terminate()
        try:
            self._process.wait(timeout=_GPU_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        with self._output as output:
            output.seek(0)
            return parse_samples(output.read().decode(errors="replace"))


def parse_samples(output: str) -> GpuUse | None:
    """Read nvidia-smi's lines of `index, percent, MiB`; lines that are none of these are left out.

    Where the driver does not tell a figure it says "[N/A]", as of a GPU's utilisation in MIG mode.
    """
    busy: dict[int, list[float]] = {}
    memory: dict[int, float] = {}
    for line in output.splitlines():
        try:
            index, percent, used = (math.nan if "N/A" in field else float(field) for field in line.split(","))
            samples = busy.setdefault(int(index), [])
        except ValueError:  # a partial last line
            continue
        if not math.isnan(percent):
            samples.append(percent / 100.0)
        memory[int(index)] = max(memory.get(int(index), 0.0), 0.0 if math.isnan(used) else used)
    if not busy:
        return None
    means = [sum(values) / len(values) for values in busy.values() if values]
    used_at_all = [mean for mean in means if mean > 0.0] or means
    return GpuUse(sum(used_at_all) / len(used_at_all) if used_at_all else math.nan, sum(memory.values()))


def gpu_names() -> list[str]:
    """The GPUs of this machine, as nvidia-smi calls them."""
    return nvidia_smi("--query-gpu=name")


def nvidia_smi(query: str, form: str = "csv,noheader,nounits") -> list[str]:
    """The lines of nvidia-smi's answer; none where there is no GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    done = subprocess.run([program, query, f"--format={form}"], capture_output=True, text=True, check=False)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and all its descendants used.

    Attributes:
        cpu_s: CPU time, user and system.
        rss_mib: largest sum of resident memory; pages that processes share are counted for each, or once where the
            monitor was told so.
        pss_mib: sum at the end with shared pages counted once (proportional set size); NaN where it is not told.
        processes: how many there were at the end.
        machine_cpu_s: CPU time that the whole machine used meanwhile; NaN where this is a part of a machine.
        gpu: what the GPUs did; None where there are none.
    """

    cpu_s: float
    rss_mib: float
    pss_mib: float
    processes: int
    machine_cpu_s: float
    gpu: GpuUse | None


class UsageMonitor:
    """Watches the tree of processes under `pid` while in the `with`; `.usage` afterwards.

    Args:
        pid: of the first process.
        interval_s: between two looks at the memory.
        shared_once: count pages that processes share once in `rss_mib`. The kernel then walks through all of their
            pages at every look, some 10 ms for a gigabyte: not while something is timed.
    """

    usage: Usage

    def __init__(self, pid: int, interval_s: float = _INTERVAL_S, *, shared_once: bool = False) -> None:
        self._root = psutil.Process(pid)
        self._interval_s = interval_s
        self._memory = proportional_bytes if shared_once else resident_bytes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._gpu = GpuMonitor()
        self._rss = 0.0

    def __enter__(self) -> UsageMonitor:
        self._cpu = cpu_seconds(self._root)
        self._machine_cpu = machine_cpu_seconds()
        self._gpu.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        tree = process_tree(self._root)
        self._rss = max(self._rss, self._memory(tree))
        self.usage = Usage(
            cpu_s=cpu_seconds(self._root) - self._cpu,
            rss_mib=self._rss / _MIB,
            pss_mib=proportional_bytes(tree) / _MIB,
            processes=len(tree),
            machine_cpu_s=machine_cpu_seconds() - self._machine_cpu,
            gpu=self._gpu.stop(),
        )

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._rss = max(self._rss, self._memory(process_tree(self._root)))


def process_tree(root: psutil.Process) -> list[psutil.Process]:
    """The process and all its descendants; none where it has ended."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(root: psutil.Process) -> float:
    """CPU time of a process, of its descendants, and of those of them that have ended."""
    # The first four: user, system, and both of children that were waited for.
    return sum(_read(process, lambda one: float(sum(one.cpu_times()[:4])), 0.0) for process in process_tree(root))


def resident_bytes(processes: list[psutil.Process]) -> int:
    """Sum of resident memory; a process that has ended meanwhile has none."""
    return sum(_read(process, lambda one: int(one.memory_info().rss), 0) for process in processes)


def proportional_bytes(processes: list[psutil.Process]) -> float:
    """Resident memory of processes, with a page that several share counted once; NaN where the kernel does not tell."""
    return sum(_read(process, lambda one: float(one.memory_full_info().pss), math.nan) for process in processes)


def machine_cpu_seconds() -> float:
    """CPU time of everything on the machine; NaN where this process may use only some of its cores."""
    if os.cpu_count() != len(os.sched_getaffinity(0)):
        return math.nan
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _read(process: psutil.Process, figure: Callable[[psutil.Process], T], absent: T) -> T:
    """What a process is asked for; something else where it has ended, or is none of ours."""
    try:
        return figure(process)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return absent
