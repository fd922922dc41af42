"""What the machine is, and what is installed on it: read before anything is measured."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import asdict
from typing import Any

import torch

from exatrkx_perf.run_metadata import this_machine
from exatrkx_server import find_triton


def versions() -> dict[str, Any]:
    """The machine; CUDA as PyTorch and CuPy see it; whether the server would start."""
    machine = asdict(this_machine())
    machine["torch_cuda"] = torch.version.cuda
    machine["torch_gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    machine["driver"] = _first_line(
        ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    )
    machine["nvcc"] = _first_line(["nvcc", "--version"], line=-2)
    machine["tools"] = {name: shutil.which(name) for name in ("compute-sanitizer", "cmake", "ninja", "g++", "ncu")}
    machine["cupy"] = _cupy()
    machine["server"] = _server()
    machine["shared_memory_bytes"] = shutil.disk_usage("/dev/shm").total  # noqa: S108 - where Linux keeps it
    machine["processors"] = os.cpu_count()
    print(machine)
    return machine


def _cupy() -> str:
    try:
        import cupy  # noqa: PLC0415 - may be missing

        doubled = int(
            cupy.RawKernel('extern "C" __global__ void twice(int* x) { x[0] *= 2; }', "twice").kernel is not None
        )
        return f"{cupy.__version__}, runtime {cupy.cuda.runtime.runtimeGetVersion()}, compiles: {bool(doubled)}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _server() -> str:
    try:
        installation = find_triton()
        for library in installation.library_path:
            print("library path:", library)
        ctypes.CDLL(None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return installation.source


def _first_line(command: list[str], line: int = 0) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return str(error)
    return done.stdout.strip().splitlines()[line]
