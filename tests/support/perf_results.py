"""Results as a sweep would have written them, for the tests of what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exatrkx_perf.points import COMPILED_ENSEMBLE, DIRECT, Point
from exatrkx_perf.results import UNEXPLAINED, Figures, Result, ResultsFolder, StepTime
from exatrkx_perf.run_metadata import RunMetadata

if TYPE_CHECKING:
    from pathlib import Path

BACKENDS = {
    DIRECT: "torchscript",
    "exatrkx_custom": "exatrkx (compiled)",
    "exatrkx_ensemble": "python (bundled), pytorch (python)",
    COMPILED_ENSEMBLE: "exatrkx (compiled), pytorch (compiled)",
}
EVENT_MS = {DIRECT: 20.0, "exatrkx_custom": 25.0, "exatrkx_ensemble": 50.0}


def point(model: str = "exatrkx_custom", **changes: object) -> Point:
    values: dict[str, object] = {"model": model, "backends": BACKENDS.get(model, "mine (as found)"), "sample": "tt"}
    if model == DIRECT:
        values |= {"protocol": "none", "mode": "processes"}
    return Point(**(values | changes))  # type: ignore[arg-type]  # by name


def result(at: Point, event_ms: float, machine: str = "a machine", **changes: float) -> Result:
    """A row of a machine of two cores on which nothing is lost."""
    workers = min(at.concurrency, at.instances or 2, 2)
    rate = 1e3 * workers / event_ms
    latency = 1e3 * at.concurrency / rate
    figures: dict[str, Any] = {
        "events_per_s": rate,
        "mean_ms": latency,
        "p50_ms": latency,
        "p90_ms": 1.2 * latency,
        "p95_ms": 1.3 * latency,
        "p99_ms": 1.5 * latency,
        "cpu_ms_per_event": event_ms,
        "busy_cores": float(workers),
    }
    metadata = RunMetadata(
        events=20,
        spacepoints_mean=2352.8,
        spacepoints_min=862,
        spacepoints_max=3369,
        machine=machine,
        server="" if not at.served else "Triton 2.51.0",
        commit="0123456789",
        began="2026-01-01T00:00:00+00:00",
    )
    return Result(at, Figures(requests=60, **(figures | changes)), metadata)


def steps(at: Point, event_ms: float) -> list[StepTime]:
    if at.model == "exatrkx_custom":
        return [StepTime(at.model, 60, 0.1, 0.1, event_ms - 0.4, 0.2, event_ms)]
    shares = {"embed": 0.1, "frnn": 0.1, "filter": 0.2, "applyfilter": 0.05, "gnn": 0.4, "wcc": 0.05}
    found = [StepTime(name, 60, 0.1, 0.1, share * event_ms, 0.2, share * event_ms) for name, share in shares.items()]
    rest = event_ms - sum(step.parts_ms for step in found)
    return [*found, StepTime(UNEXPLAINED, 60, 0.0, 0.0, 0.0, 0.0, rest)]


def write_folder(folder: Path) -> None:
    """`results.csv` and `steps.csv` of three models, 1 and 2 instances, 1, 2 and 4 in flight, 3 repeats."""
    store = ResultsFolder(folder)
    for model, event_ms in EVENT_MS.items():
        for instances in (1, 2):
            for concurrency in (1, 2, 4):
                if model == DIRECT and concurrency != instances:
                    continue
                for repeat, drift in enumerate((1.0, 1.1, 0.9)):
                    at = point(model, instances=instances, concurrency=concurrency, repeat=repeat)
                    store.add(result(at, drift * event_ms), steps(at, drift * event_ms))
