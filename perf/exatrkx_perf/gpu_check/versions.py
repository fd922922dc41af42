"""What the machine is, and what is installed on it: read before anything is measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from exatrkx_perf.run_metadata import this_machine
from exatrkx_perf.usage import nvidia_smi
from exatrkx_server import find_triton

if TYPE_CHECKING:
    from collections.abc import Callable

    from exatrkx_perf.gpu_check.events import Check


def versions(_check: Check) -> dict[str, Any]:
    """The machine; CUDA as PyTorch and CuPy see it; whether the server would start."""
    driver = nvidia_smi("--query-gpu=name,driver_version,memory.total", "csv,noheader")
    found = asdict(this_machine()) | {
        "torch_cuda": torch.version.cuda,
        "driver": driver[0] if driver else "",
        "cupy": _said(_cupy),
        "server": _said(lambda: find_triton().source),
    }
    print(found)
    return found


def _cupy() -> str:
    import cupy  # noqa: PLC0415 - may be missing

    doubled = int((cupy.arange(2) * 2).sum())  # compiles kernels, which needs more than the import
    return f"{cupy.__version__}, runtime {cupy.cuda.runtime.runtimeGetVersion()}, compiles: {doubled == 2}"  # noqa: PLR2004


def _said(ask: Callable[[], str]) -> str:
    """What it says, or why it does not."""
    try:
        return ask()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
