"""What each stage of the direct pipeline takes on a device: time, kernels launched, waits, copies, memory."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]  # torch does not list it

from exatrkx_perf import MODEL_REPOSITORY
from exatrkx_perf.direct import load_pipeline
from exatrkx_perf.gpu_check.events import small_and_large
from exatrkx_perf.timing import timed_stages

if TYPE_CHECKING:
    from exatrkx.pipeline import Pipeline
    from exatrkx_perf.events import FeatureArray
    from exatrkx_perf.gpu_check.events import Check

RUNS: Final = 9
KERNELS_SHOWN: Final = 25
_WAITS: Final = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def profile_stages(check: Check) -> dict[str, Any]:
    """Medians of `RUNS` runs after two for warming up, and one run under PyTorch's profiler, for two events."""
    pipeline = load_pipeline(MODEL_REPOSITORY, check.device)
    return {name: _profile(pipeline, event) for name, event in small_and_large(check.arrays()).items()}


def _profile(pipeline: Pipeline, event: FeatureArray) -> dict[str, Any]:
    first_ms = _whole_ms(pipeline, event)
    _whole_ms(pipeline, event)
    whole = [_whole_ms(pipeline, event) for _ in range(RUNS)]
    stages = []
    for _ in range(RUNS):
        with timed_stages(pipeline) as seconds:
            pipeline(event)
        stages.append({name: 1e3 * value for name, value in seconds.items()})
    result: dict[str, Any] = {
        "first_ms": first_ms,
        "whole_ms": statistics.median(whole),
        "whole_range_ms": [min(whole), max(whole)],
        "stages_ms": {name: statistics.median(run[name] for run in stages) for name in stages[0]},
    }
    if pipeline.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        pipeline(event)
        result["torch_peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
        result |= _under_profiler(pipeline, event)
    return result


def _whole_ms(pipeline: Pipeline, event: FeatureArray) -> float:
    """From features on the host to labels on the host."""
    began = time.perf_counter()
    labels = pipeline(event).labels
    if hasattr(labels, "get"):
        labels.get()
    return 1e3 * (time.perf_counter() - began)


def _under_profiler(pipeline: Pipeline, event: FeatureArray) -> dict[str, Any]:
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        pipeline(event)
        torch.cuda.synchronize()
    calls: Counter[str] = Counter()
    kernels: Counter[str] = Counter()
    launches: Counter[str] = Counter()
    for entry in profiler.events() or ():
        if entry.device_type == DeviceType.CUDA:
            kernels[entry.name] += entry.self_device_time_total
            launches[entry.name] += 1
        elif entry.name.startswith(("cuda", "cu")):
            calls[entry.name] += 1
    return {
        "launches": sum(count for name, count in calls.items() if "Launch" in name),
        "waits": sum(calls[name] for name in _WAITS),
        "copies": sum(count for name, count in calls.items() if "Memcpy" in name),
        "allocations": sum(count for name, count in calls.items() if "Malloc" in name),
        "device_ms": sum(kernels.values()) / 1e3,
        "kernels": [
            {"name": name[:160], "ms": us / 1e3, "launches": launches[name]}
            for name, us in kernels.most_common(KERNELS_SHOWN)
        ],
    }
