"""The direct pipeline as it is measured: in processes of its own, with threads or without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import direct as direct_command
import numpy as np
import pytest
from tiny_networks import clumps

from exatrkx import pipeline as pipeline_module
from exatrkx.contract import STEPS
from exatrkx_perf.direct import DirectRequest, Kind, run_direct, stage_times, summary
from exatrkx_perf.direct_worker import WorkerReport, load_pipeline
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import Sample
from exatrkx_perf.stage_timer import timed_stages
from exatrkx_perf.step_times import UNEXPLAINED

if TYPE_CHECKING:
    from exatrkx.pipeline import Pipeline

STAGES = [step.name for step in STEPS]


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample("clumps", tuple(clumps(n, 5, seed=n)[0] for n in (1, 4, 9)))


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


def test_timing_the_stages_changes_nothing_and_ends(pipeline: Pipeline, sample: Sample) -> None:
    originals = (pipeline.gnn, vars(pipeline_module)["fixed_radius_edges"])
    plain = pipeline(sample.arrays[1])
    with timed_stages(pipeline) as seconds:
        timed = pipeline(sample.arrays[1])
    np.testing.assert_array_equal(timed.labels, plain.labels)
    assert list(seconds) == STAGES
    assert all(value > 0.0 for value in seconds.values())
    assert (pipeline.gnn, vars(pipeline_module)["fixed_radius_edges"]) == originals


def test_timing_ends_with_an_exception_too(pipeline: Pipeline) -> None:
    original = vars(pipeline_module)["label_tracks"]
    with pytest.raises(ZeroDivisionError), timed_stages(pipeline):
        raise ZeroDivisionError
    assert vars(pipeline_module)["label_tracks"] is original


@pytest.mark.parametrize(("kind", "workers", "processes"), [("processes", 2, 2), ("threads", 3, 1)])
def test_every_event_is_processed_once(
    kind: Kind, workers: int, processes: int, tiny_repository: Path, sample: Sample
) -> None:
    request = DirectRequest(repository=tiny_repository, kind=kind, workers=workers, events=10)
    found, steps = run_direct(sample, request)
    assert found.requests == 10
    assert found.processes == processes
    assert found.events_per_s > 0.0
    assert 0.0 < found.p50_ms <= found.p99_ms
    assert found.rss_mib > 10.0
    assert [step.step for step in steps] == ([*STAGES, UNEXPLAINED] if kind == "processes" else [])


def test_a_worker_that_fails_says_why(tmp_path: Path, sample: Sample) -> None:
    with pytest.raises(MeasurementError, match=r"direct: .*config\.pbtxt"):
        run_direct(sample, DirectRequest(repository=tmp_path, workers=2, events=4))


def test_the_command_prints_a_line_for_each(tiny_repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model-repository", str(tiny_repository), "--limit", "2", "--workers", "1", "--rounds", "1"]
    assert direct_command.main([*options, "--kind", "processes,threads"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "1 processes" in lines[2]
    assert "1 threads" in lines[3]
