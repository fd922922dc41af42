"""The direct pipeline as it is measured: in processes of its own, with threads or without."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tiny_networks import clumps

from exatrkx.contract import STEPS
from exatrkx_perf.commands import direct as direct_command
from exatrkx_perf.direct import (
    Kind,
    WorkerReport,
    load_pipeline,
    run_direct,
    stage_times,
    summary,
)
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import EventSample
from exatrkx_perf.results import UNEXPLAINED
from exatrkx_perf.timing import clock_of, seconds_of, timed_stages

if TYPE_CHECKING:
    from exatrkx.pipeline import Pipeline

pytestmark = pytest.mark.slow

STAGES = [step.name for step in STEPS]


@pytest.fixture(scope="module")
def sample() -> EventSample:
    return EventSample("clumps", tuple(clumps(n, 5, seed=n)[0] for n in (1, 4, 9)))


@pytest.fixture(scope="module")
def pipeline(tiny_repository: Path) -> Pipeline:
    return load_pipeline(tiny_repository)


def test_throughput_is_from_the_first_start_to_the_last_end() -> None:
    reports = [
        WorkerReport(began=10.0, ended=12.0, latencies_s=[1.0, 1.0], cpu_s=1.5, rss=1 << 20),
        WorkerReport(began=10.5, ended=15.0, latencies_s=[1.0, 3.0], cpu_s=2.5, rss=3 << 20),
    ]
    found = summary(reports, 4)
    assert found.events_per_s == pytest.approx(0.8)
    assert (found.mean_ms, found.p50_ms) == (1500.0, 1000.0)
    assert found.cpu_ms_per_event == pytest.approx(1000.0)
    assert found.busy_cores == pytest.approx(0.8)
    assert (found.rss_mib, found.processes, found.requests) == (4.0, 2, 4)


def test_stage_times_are_for_one_event_and_leave_the_rest_over() -> None:
    reports = [
        WorkerReport(latencies_s=[0.010, 0.020], stages_s={"embed": 0.004, "gnn": 0.014}),
        WorkerReport(latencies_s=[0.030, 0.020], stages_s={"embed": 0.016, "gnn": 0.026}),
    ]
    steps = stage_times(reports)
    assert [step.step for step in steps] == ["embed", "gnn", UNEXPLAINED]
    assert [step.total_ms for step in steps] == [pytest.approx(5.0), pytest.approx(10.0), pytest.approx(5.0)]
    assert stage_times([WorkerReport(latencies_s=[1.0])]) == []


def test_timing_the_stages_changes_nothing_and_ends(pipeline: Pipeline, sample: EventSample) -> None:
    before = pipeline.observe
    plain = pipeline(sample.arrays[1])
    with timed_stages(pipeline) as seconds:
        timed = pipeline(sample.arrays[1])
    np.testing.assert_array_equal(timed.labels, plain.labels)
    assert list(seconds) == STAGES
    assert all(value > 0.0 for value in seconds.values())
    assert pipeline.observe is before


def test_each_stage_is_timed_by_the_clock_once_an_event(pipeline: Pipeline, sample: EventSample) -> None:
    readings = itertools.count()
    with timed_stages(pipeline, lambda: float(next(readings))) as seconds:
        pipeline(sample.arrays[0])
        pipeline(sample.arrays[2])
    assert seconds == dict.fromkeys(STAGES, 2.0)
    assert next(readings) == 2 * 2 * len(STAGES)


def test_a_gpus_clock_is_read_when_the_gpu_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[object] = []
    monkeypatch.setattr("torch.cuda.synchronize", happened.append)

    def read() -> float:
        happened.append("clock")
        return 0.0

    monkeypatch.setattr("time.perf_counter", read)
    device = torch.device("cuda", 1)
    assert seconds_of(1, lambda: happened.append("call"), clock_of(device)) == [0.0]
    assert happened == [device, "clock", "call", device, "clock"]
    assert clock_of(torch.device("cpu")) is time.perf_counter


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpus_work_is_in_the_time() -> None:
    device = torch.device("cuda")
    matrix = torch.rand(4096, 4096, device=device)

    def work() -> None:
        for _ in range(50):
            matrix @ matrix  # only given to the GPU, not waited for

    work()
    (waited,) = seconds_of(1, work, clock_of(device))
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    work()
    end.record()
    end.synchronize()
    assert waited > 0.5e-3 * begin.elapsed_time(end)


def test_timing_ends_with_an_exception_too(pipeline: Pipeline) -> None:
    before = pipeline.observe
    with pytest.raises(ZeroDivisionError), timed_stages(pipeline):
        raise ZeroDivisionError
    assert pipeline.observe is before


@pytest.mark.parametrize(("kind", "workers", "processes"), [("processes", 2, 2), ("threads", 3, 1)])
def test_every_event_is_processed_once(
    kind: Kind, workers: int, processes: int, tiny_repository: Path, sample: EventSample
) -> None:
    found, steps = run_direct(sample, tiny_repository, kind=kind, workers=workers, events=10)
    assert found.requests == 10
    assert found.processes == processes
    assert found.events_per_s > 0.0
    assert 0.0 < found.p50_ms <= found.p99_ms
    assert found.rss_mib > 10.0
    assert [step.step for step in steps] == ([*STAGES, UNEXPLAINED] if kind == "processes" else [])


def test_a_worker_that_fails_says_why(tmp_path: Path, sample: EventSample) -> None:
    with pytest.raises(MeasurementError, match=r"direct: .*config\.pbtxt"):
        run_direct(sample, tmp_path, workers=2, events=4)


def test_the_command_prints_a_line_for_each(tiny_repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model-repository", str(tiny_repository), "--limit", "2", "--workers", "1", "--rounds", "1"]
    assert direct_command.main([*options, "--kind", "processes,threads"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "1 processes" in lines[2]
    assert "1 threads" in lines[3]
