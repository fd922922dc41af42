"""How many threads the server's processes may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""What the numerical libraries of the Python models read at start-up."""


def usable_cores(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may run on: its CPU affinity, bounded by the quota of its container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no such file, or "max": no quota
    return max(cores, 1)


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that bound every process of the server to this many computing threads.

    Each stage is a process of its own and waits while another computes: threads that spin while they wait would take
    the cores from it, so OpenMP's are told to sleep.
    """
    return {name: str(threads) for name in THREAD_VARIABLES} | {"OMP_WAIT_POLICY": "PASSIVE"}
