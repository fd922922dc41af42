"""Resources of a server: CPU cores, memory, threads, compute slots, file descriptors, and its GPUs."""

from __future__ import annotations

import math
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx_server.errors import ServerSetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exatrkx_server.options import DeviceChoice

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""What the numerical libraries of the Python models read at start-up."""

COMPUTE_SLOTS: Final = "EXATRKX_COMPUTE_SLOTS"
"""What the compiled backends read at start-up: how many of a process's requests compute at once on the CPU."""

VISIBLE_GPUS: Final = "CUDA_VISIBLE_DEVICES"
"""What CUDA reads at start-up: which GPUs there are for a process, by their numbers or names."""

_PROBES: Final = {
    "cupy": (
        "CuPy",
        "import cupy\n"
        "count = cupy.cuda.runtime.getDeviceCount()\n"
        "for number in range(count):\n"
        "    with cupy.cuda.Device(number):\n"
        "        int((cupy.arange(2) + 1).sum())\n"  # compiles kernels, which needs more than the import
        "print(count)",
    ),
    "torch": (
        "PyTorch",
        "import torch\n"
        "count = torch.cuda.device_count()\n"
        "for number in range(max(count, 1)):\n"  # where it sees none, it says why
        "    int(torch.ones(1, device=f'cuda:{number}').sum())\n"
        "print(count)",
    ),
}
"""Name of each library that Python models compute with on a GPU, and a program that prints on how many it does so."""

_PROBE_S: Final = 120.0

_LEAST_DESCRIPTORS: Final = 256
_MOST_DESCRIPTORS: Final = 65536


def usable_cores(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may run on: its CPU affinity, bounded by the quota of its container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no such file, or "max": no quota
    return max(cores, 1)


def usable_memory(memory_max: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that this machine has, bounded by the limit of its container (cgroup v2)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(memory_max.read_text()))
    except (OSError, ValueError):
        return total  # no such file, or "max": no limit


def raise_descriptor_limit() -> None:
    """Let this process and its children open as many files as they may at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_descriptors() -> None:
    """Refuse to start a server that would soon have no file descriptor for another client.

    Raises:
        ServerSetupError: fewer can be open at once than a server needs.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < _LEAST_DESCRIPTORS:
        raise ServerSetupError(
            f"{limit} files may be open at once (ulimit -n): a server needs {_LEAST_DESCRIPTORS}, its clients one each"
        )


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that bound every process of the server to this many computing threads.

    Each stage is a process of its own and waits while another computes: threads that spin while they wait would take
    the cores from it, so OpenMP's are told to sleep.
    """
    return {name: str(threads) for name in THREAD_VARIABLES} | {"OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True, slots=True)
class Devices:
    """Where the models of a server run.

    Attributes:
        gpus: how many GPUs they use; 0 for the CPU.
        problem: why they, or some of them, use none of the GPUs that are here; empty where all do, or there is none.
    """

    gpus: int
    problem: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make Triton place models with `KIND_AUTO` there."""
        return {} if self.gpus else {VISIBLE_GPUS: ""}

    def __str__(self) -> str:
        names = [f"cuda:{number}" for number in range(self.gpus)] or ["cpu"]
        but = f" ({'but' if self.gpus else 'a GPU is here, but'} {self.problem})" if self.problem else ""
        return f"{'device' if len(names) == 1 else 'devices'}: {', '.join(names)}{but}"


def gpu_names(variables: Mapping[str, str], devices: Path = Path("/dev")) -> list[str]:
    """NVIDIA GPUs that a process with these environment variables will see, by the names that CUDA takes for them."""
    visible = variables.get(VISIBLE_GPUS)
    if visible is not None:
        return [device.strip() for device in visible.split(",") if device.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(devices.glob("nvidia[0-9]*"))))]


def choose_devices(choice: DeviceChoice, libraries: Iterable[str], variables: Mapping[str, str]) -> Devices:
    """Where the models will run: on the GPUs if there are some, and the Python models can use them.

    Args:
        choice: what the user asked for.
        libraries: those that the models need on a GPU; of "cupy" and "torch".
        variables: the environment that the server will have; the Python models run the first `python3` on its PATH.

    Raises:
        ServerSetupError: `choice` is "gpu", and there is none, or a library does not work; the text says why.
    """
    gpus = len(gpu_names(variables))
    if choice == "cpu" or (choice == "auto" and gpus == 0):
        return Devices(0)
    problem = "" if gpus else "no GPU is visible here"
    for library in libraries if gpus else ():
        gpus, problem = _probe(library, variables)
        if problem:
            break
    if problem and choice == "gpu":
        raise ServerSetupError(f"--device gpu: {problem}")
    return Devices(0, problem) if problem else Devices(gpus)


def _probe(library: str, variables: Mapping[str, str]) -> tuple[int, str]:
    """How many GPUs a library works on with the interpreter of the Python models, and why on none."""
    name, program = _PROBES[library]
    python = shutil.which("python3", path=variables.get("PATH"))
    if python is None:
        return 0, f"{name} cannot be looked for: there is no python3 on PATH"
    command = [python, "-I", "-c", program]  # isolated, as Triton runs its Python models
    try:
        done = subprocess.run(
            command, env=dict(variables), capture_output=True, text=True, check=False, timeout=_PROBE_S
        )
    except subprocess.TimeoutExpired:
        return 0, f"{name} does not work: no answer within {_PROBE_S:g} s"
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode != 0:
        return 0, f"{name} does not work: {said[-1] if said else f'{python} ended with code {done.returncode}'}"
    gpus = int(done.stdout.split()[-1])
    return gpus, "" if gpus else f"{name} sees none"
