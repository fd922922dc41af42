"""Served pipelines on the machine: answers beside the CPU's, first event and warm ones, memory, and bad requests."""

from __future__ import annotations

import os
import re
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from exatrkx.contract import CUSTOM, ENSEMBLE
from exatrkx.errors import ExatrkxError
from exatrkx_client import TrackingClient
from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf import MODEL_REPOSITORY
from exatrkx_perf.gpu_check.answers import ANSWERS
from exatrkx_perf.gpu_check.events import small_and_large
from exatrkx_perf.timing import seconds_of
from exatrkx_perf.usage import nvidia_smi
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from exatrkx_perf.events import FeatureArray
    from exatrkx_perf.gpu_check.events import Check

MODES: Final[dict[str, tuple[str, Any, Any, str]]] = {
    "ensemble": (ENSEMBLE.name, "python", "auto", "kernels"),
    "ensemble, compiled stages": (ENSEMBLE.name, "compiled", "auto", "kernels"),
    "custom, compiled": (CUSTOM.name, "python", "auto", "kernels"),
    "custom, compiled, TorchScript": (CUSTOM.name, "python", "auto", "torchscript"),
    "custom, Python": (CUSTOM.name, "python", "python", "torchscript"),
}
"""Served model, what its stages and this project's backends run in, and as what compiled ones run networks, by name."""

_MEMORY: Final = "--query-gpu=memory.used"
_WARM_RUNS: Final = 7
_CROWD: Final = 20_000
_POOL: Final = re.compile(r"[^\n]*(?:pool memory|Failed to allocate)[^\n]*", re.IGNORECASE)


def _server(log: Path, models: tuple[str, ...], stages: Any, backend: Any) -> TritonServer:
    options = ServerOptions(models=models, stages=stages, custom_backend=backend, log_file=log)
    return TritonServer(MODEL_REPOSITORY, options)


def ask_servers(check: Check) -> dict[str, Any]:
    """Each of `MODES` by itself; one that does not start is reported with its reason, and the others go on."""
    arrays = check.arrays()
    results: dict[str, Any] = {}
    for number, (name, (model, stages, backend, networks)) in enumerate(MODES.items()):
        log = check.output / f"server{number}.log"
        os.environ["EXATRKX_NETWORKS"] = networks  # of this process, which runs this phase alone, and of its servers
        try:
            with _server(log, (model,), stages, backend) as server:
                results[name] = _ask(server, model, arrays, np.load(check.output / ANSWERS))
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {error}"}
        if log.is_file():
            results[name]["pool_warnings"] = _POOL.findall(log.read_text(errors="replace"))[:3]
    return results


def _ask(server: TritonServer, model: str, arrays: tuple[FeatureArray, ...], expected: Any) -> dict[str, Any]:
    timed = small_and_large(arrays)
    result: dict[str, Any] = {"ready_s": server.ready_after_s, "backends": [str(entry) for entry in server.backends]}
    with TrackingClient(server.grpc_url, model, timeout_s=120.0) as client:
        result["idle_memory_mib"] = nvidia_smi(_MEMORY)
        result["first_ms"] = 1e3 * seconds_of(1, partial(client.find_tracks, next(iter(timed.values()))))[0]
        changed = [
            int((client.find_tracks(array) != expected[f"labels{number}"]).sum()) for number, array in enumerate(arrays)
        ]
        result["events"] = len(changed)
        result["events_equal"] = changed.count(0)
        result["labels_changed"] = changed
        for name, event in timed.items():
            times = [1e3 * seconds for seconds in seconds_of(_WARM_RUNS, partial(client.find_tracks, event))]
            result[name] = {"median_ms": statistics.median(times), "range_ms": [min(times), max(times)]}
        result["memory_mib"] = nvidia_smi(_MEMORY)
        result["processes"] = nvidia_smi("--query-compute-apps=name,used_memory")
    return result


def ask_badly(check: Check) -> list[dict[str, Any]]:
    """What servers say to bad, empty and crowded requests, and whether a good event is answered right afterwards."""
    rows = []
    arrays = check.arrays()
    good = min(range(len(arrays)), key=lambda number: len(arrays[number]))
    labels = np.load(check.output / ANSWERS)[f"labels{good}"]
    for stages in ("python", "compiled"):
        try:
            with _server(check.output / f"server-bad-{stages}.log", (), stages, "auto") as server:
                for name, ask in bad_requests(server.grpc_url).items():
                    row = {"stages": stages, "request": name, **_outcome(ask)}
                    for model in (ENSEMBLE.name, CUSTOM.name):
                        row[f"{model}_lives"] = _answers(server.grpc_url, model, arrays[good], labels)
                    rows.append(row)
        except Exception as error:
            rows.append({"stages": stages, "request": "(all)", "outcome": f"{type(error).__name__}: {error}"})
    return rows


def bad_requests(url: str) -> dict[str, Callable[[], str]]:
    """Requests that are empty, wrong or crowded, by name; each says in a few words what it got."""

    def features(model: str, array: FeatureArray) -> Callable[[], str]:
        def ask() -> str:
            with TrackingClient(url, model, timeout_s=60.0) as client:
                return f"{len(client.find_tracks(array))} labels"

        return ask

    def tensors(model: str, output: str, **inputs: Any) -> Callable[[], str]:
        def ask() -> str:
            with TritonApi(Address.parse(url), 60.0) as api:
                return f"{output} {list(api.infer(model, inputs, (output,)).tensors[output].shape)}"

        return ask

    hits = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    bad_index = np.array([[7, 1 << 40], [0, 1]], dtype=np.int64)
    no_edges, no_scores = np.zeros((2, 0), np.int64), np.zeros(0, np.float32)
    scores, nodes = np.ones(2, np.float32), np.array([5], dtype=np.int64)
    requests: dict[str, Callable[[], str]] = {}
    for model in (ENSEMBLE.name, CUSTOM.name):
        requests |= {
            f"{model}: no spacepoint": features(model, hits[:0]),
            f"{model}: one spacepoint": features(model, hits[:1]),
            f"{model}: NaN": features(model, np.where(np.eye(50, 3) > 0, np.float32(np.nan), hits).astype(np.float32)),
            f"{model}: {_CROWD} equal spacepoints": features(model, np.full((_CROWD, 3), 0.1, np.float32)),
        }
    network = {"INPUT__0": hits}
    requests |= {
        "wcc: no edges": tensors("wcc", "LABELS", EDGE_INDEX=no_edges, EDGE_SCORES=no_scores, NUM_NODES=nodes),
        "wcc: index out of range": tensors("wcc", "LABELS", EDGE_INDEX=bad_index, EDGE_SCORES=scores, NUM_NODES=nodes),
        "applyfilter: negative index": tensors(
            "applyfilter", "FILTERED_EDGE_INDEX", EDGE_INDEX=-1 - bad_index, EDGE_SCORES=scores
        ),
        "filter: no edges": tensors("filter", "OUTPUT__0", **network, INPUT__1=no_edges),
        "filter: index out of range": tensors("filter", "OUTPUT__0", **network, INPUT__1=bad_index),
        "gnn: index out of range": tensors("gnn", "OUTPUT__0", **network, INPUT__1=bad_index),
    }
    return requests


def _outcome(ask: Callable[[], str]) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        text = ask()
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    return {"outcome": text[:300], "ms": 1e3 * (time.perf_counter() - began)}


def _answers(url: str, model: str, event: FeatureArray, labels: Any) -> bool:
    try:
        with TrackingClient(url, model, timeout_s=30.0) as client:
            return bool(np.array_equal(client.find_tracks(event), labels))
    except ExatrkxError:  # a time-out, a refusal or a server that is gone: no answer at all
        return False
