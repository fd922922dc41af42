"""perf_analyzer against a real server: one point, a sweep that goes on, a server that was running already."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import compiled
import numpy as np
import pytest
from certificates import authority, signed
from perf_results import point
from scripted_server import MODEL, write_scripted_repository
from tiny_networks import clumps

from exatrkx.contract import STEPS
from exatrkx_client import Credentials
from exatrkx_client.address import Address
from exatrkx_perf import EVENTS, installation
from exatrkx_perf.analyzer import LoadTest, command_line, run_analyzer
from exatrkx_perf.commands import compare, sweep
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.events import EventSample, read_sample, write_input_file
from exatrkx_perf.goals import project_goals_text
from exatrkx_perf.points import COMPILED_ENSEMBLE, MODELS
from exatrkx_perf.project_figures import ProjectFigures
from exatrkx_perf.results import UNEXPLAINED, read_results, read_steps
from exatrkx_perf.served import ServedPipeline
from exatrkx_perf.servers import SweepServers, measurable_models
from exatrkx_perf.sweeps import RunningServer
from exatrkx_server import Access, ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

pytestmark = pytest.mark.server

STAGES = [step.name for step in STEPS]


@pytest.fixture(scope="module")
def sample() -> EventSample:
    return read_sample([EVENTS], limit=3)


@pytest.fixture(scope="module")
def input_file(sample: EventSample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("perf") / "events.json"
    write_input_file(sample, path)
    return path


@pytest.fixture(scope="module", params=["exatrkx_ensemble", "exatrkx_custom"])
def pipeline(
    request: pytest.FixtureRequest, server: TritonServer, sample: EventSample, input_file: Path
) -> Iterator[ServedPipeline]:
    served = ServedPipeline.of(server, request.param, sample, input_file)
    yield served
    served.close()


@pytest.mark.parametrize(
    "way",
    [{"protocol": "http", "mode": "async", "concurrency": 2}, {"shared_memory": "system", "concurrency": 2}],
    ids=["HTTP, async", "shared memory"],
)
def test_one_point(way: dict[str, object], pipeline: ServedPipeline) -> None:
    figures, steps = pipeline.measure(point(pipeline.model, **way), window=3)
    assert figures.requests >= 9, "three windows of at least three requests"
    assert figures.events_per_s > 0.0
    assert 0.0 < figures.p50_ms <= figures.p99_ms
    parts = (figures.queue_ms, figures.compute_input_ms, figures.compute_infer_ms, figures.compute_output_ms)
    assert figures.request_ms == pytest.approx(sum(parts) + figures.unexplained_ms)
    assert figures.cpu_ms_per_event > 0.0
    assert figures.client_cpu_ms_per_event > 0.0
    assert figures.rss_mib >= figures.pss_mib > 50.0
    assert figures.processes >= 2
    assert figures.ready_s > 0.0
    expected = [*STAGES, UNEXPLAINED] if pipeline.model == "exatrkx_ensemble" else [pipeline.model]
    assert [step.step for step in steps] == expected
    assert all(step.compute_infer_ms > 0.0 for step in steps if step.step != UNEXPLAINED)


def test_a_refused_event_is_an_error_and_no_result(server: TritonServer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    content = base64.b64encode(np.full(3, np.nan, np.float32).tobytes()).decode()
    bad.write_text(json.dumps({"data": [{"FEATURES": {"content": {"b64": content}, "shape": [1, 3]}}]}))
    request = LoadTest(model="exatrkx_custom", address=Address.parse(server.grpc_url), input_file=bad, window=1)
    with pytest.raises(MeasurementError, match=r"exatrkx_custom: perf_analyzer ended with 99: (.|\n)*must be finite"):
        run_analyzer(request)


def test_a_server_with_tls_and_a_token(sample: EventSample, input_file: Path, tmp_path: Path) -> None:
    """Found running, as another machine's is; the token is on no command line."""
    ours = authority(tmp_path, "ours")
    certificate = signed(ours, "server", "IP:127.0.0.1")
    (tmp_path / "token").write_text("sesame")
    access = Access(tls_cert=certificate.pem, tls_key=certificate.key, tls_ca=ours.pem, token_file=tmp_path / "token")
    options = ServerOptions(log_file=tmp_path / "log", access=access)
    credentials = Credentials(ours.pem, certificate.pem, certificate.key, "sesame")
    with TritonServer(write_scripted_repository(tmp_path / "repository"), options) as running:
        for url in (running.grpc_url, running.http_url):
            address = Address.parse(url)
            known = credentials if address.secure else Credentials(token="sesame")
            server = RunningServer(address, credentials=known)
            with server.serve(MODEL, 1, sample, input_file) as pipeline:
                figures, _ = pipeline.measure(point(MODEL, protocol=address.protocol), window=60)
            assert figures.events_per_s > 0.0
            request = LoadTest(model=MODEL, address=address, input_file=input_file, window=3, credentials=known)
            assert "sesame" not in " ".join(command_line(request, tmp_path / "csv"))
            with pytest.raises(MeasurementError, match="is restricted"):
                run_analyzer(replace(request, credentials=replace(known, token="")))


@pytest.fixture(scope="module")
def typed(server: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CompletedProcess[str]]:
    """`perf_analyzer -m exatrkx_ensemble WORDS…` in an environment with the launcher."""
    prefix = tmp_path_factory.mktemp("environment")
    (prefix / "bin").mkdir()
    shutil.copy(installation.find_program(), prefix / "bin" / "perf_analyzer")
    installation.install_launcher(prefix)
    address = ["-i", "grpc", "-u", server.grpc_url]

    def run(*words: str) -> CompletedProcess[str]:
        command = ["perf_analyzer", "-m", "exatrkx_ensemble", *address, *words]
        path = f"{prefix / 'bin'}{os.pathsep}{os.defpath}"
        return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)

    return run


def test_perf_analyzer_as_one_types_it(typed: Callable[..., CompletedProcess[str]]) -> None:
    done = typed()
    assert done.returncode == 0, done.stderr
    assert "20 step/steps" in done.stdout, "the bundled events"
    assert "Minimum number of samples in each window: 100" in done.stdout
    assert re.search(r"^Concurrency: 1, throughput: [\d.]+ infer/sec, latency \d+ usec$", done.stdout, re.MULTILINE)
    *_, last = done.stdout.splitlines()
    number = r"[\d.]+ \([\d.]+ – [\d.]+\)"
    stability = rf"  Request concurrency: 1: throughput {number} infer/sec, Avg latency {number} ms; .* stable"
    assert re.fullmatch(stability, last)


def test_perf_analyzer_that_gives_up_still_ends_with_figures(typed: Callable[..., CompletedProcess[str]]) -> None:
    done = typed("-s", "0", "--max-trials", "3", "--measurement-request-count", "2", "--concurrency-range", "2")
    assert done.returncode == 2
    assert "Failed to obtain stable measurement" in done.stderr
    *_, last = done.stdout.splitlines()
    assert re.match(r"  Request concurrency: 2: throughput [\d.]+ \([\d.]+ – [\d.]+\) infer/sec, Avg latency", last)


def test_a_sweep_goes_on_where_it_was(
    tiny_repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--limit", "2", "--model-repository", str(tiny_repository), "--output", str(tmp_path)]
    options += ["--instances", "2", "--threads", "1", "--repeats", "1", "--models", "exatrkx_custom,direct"]
    options += ["--custom-backend", "python"]
    assert sweep.main([*options, "--concurrency", "2"]) == 0
    first = read_results(tmp_path / "results.csv")
    assert [result.point.model for result in first] == ["direct", "exatrkx_custom"]
    served = first[1]
    assert served.point.backends == "exatrkx (python)"
    assert served.figures.processes == 1 + 2, "two instances of a Python model"
    assert served.metadata.server.startswith("Triton ")
    assert served.metadata.events == 2
    assert math.isnan(served.figures.gpu_busy) or served.figures.gpu_busy >= 0.0
    assert {entry.point.model for entry in read_steps(tmp_path / "steps.csv")} == {"exatrkx_custom", "direct"}
    assert (tmp_path / "machine.json").is_file()

    assert sweep.main([*options, "--concurrency", "2", "--models", "direct", "--repeats", "2"]) == 0
    second = read_results(tmp_path / "results.csv")
    assert [result.row() for result in second[:2]] == [result.row() for result in first], "not measured again"
    assert [(result.point.model, result.point.repeat) for result in second[2:]] == [("direct", 1)]
    assert "results.csv" in capsys.readouterr().out


def test_the_compiled_ensemble_is_measured_where_it_can_be(tiny_repository: Path, tmp_path: Path) -> None:
    """Beside the one with Python stages, as a model of its own, with one process for all of it."""
    compiled.build()
    in_python = SweepServers(tiny_repository, "python")
    assert COMPILED_ENSEMBLE not in measurable_models(in_python)
    assert set(measurable_models(SweepServers(tiny_repository))) == set(MODELS)
    options = ["--limit", "1", "--model-repository", str(tiny_repository), "--output", str(tmp_path), "--repeats", "1"]
    options += ["--instances", "1", "--threads", "1", "--concurrency", "1", "--custom-backend", "compiled"]
    assert sweep.main([*options, "--models", f"exatrkx_ensemble,{COMPILED_ENSEMBLE}"]) == 0
    found = {result.point.model: result for result in read_results(tmp_path / "results.csv")}
    assert {model: result.point.backends for model, result in found.items()} == {
        "exatrkx_ensemble": "python (bundled), pytorch (compiled)",
        COMPILED_ENSEMBLE: "exatrkx (compiled), pytorch (compiled)",
    }
    assert {model: result.figures.processes for model, result in found.items()} == {
        "exatrkx_ensemble": 1 + 3,
        COMPILED_ENSEMBLE: 1,
    }
    steps = {(entry.point.model, entry.time.step) for entry in read_steps(tmp_path / "steps.csv")}
    assert {(model, step) for model in found for step in STAGES} <= steps


def test_a_model_that_does_not_load_is_said_and_the_others_are_measured(
    tiny_repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "repository"
    shutil.copytree(tiny_repository, broken)
    (broken / "gnn" / "1" / "model.pt").write_bytes(b"no network")
    shutil.copytree(broken / "exatrkx_custom", broken / "healthy")
    config = (broken / "healthy" / "config.pbtxt").read_text()
    config = config.replace('name: "exatrkx_custom"', 'name: "healthy"').replace("gnn/1", "filter/1")
    (broken / "healthy" / "config.pbtxt").write_text(config)
    options = ["--limit", "1", "--model-repository", str(broken), "--output", str(tmp_path / "out"), "--repeats", "1"]
    options += ["--instances", "1", "--threads", "1", "--concurrency", "1", "--custom-backend", "python"]
    assert sweep.main([*options, "--models", "exatrkx_custom,healthy"]) == 1
    assert "not measured: exatrkx_custom: models that did not load" in capsys.readouterr().err
    assert [result.point.model for result in read_results(tmp_path / "out" / "results.csv")] == ["healthy"]


def test_a_server_that_runs_already_is_compared(
    server: TritonServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--url", server.grpc_url, "--model", "exatrkx_custom,exatrkx_ensemble", "--concurrency", "1"]
    options += ["--repeats", "2", "--events", str(EVENTS), "--spacepoints", "0:1500", "--save", str(tmp_path)]
    assert compare.main([*options, "--pid", str(server.pid)]) == 0
    assert "throughput ensemble (as found) / custom (as found):" in capsys.readouterr().out
    results = read_results(tmp_path / "results.csv")
    assert [(result.point.model, result.point.repeat) for result in results] == [
        ("exatrkx_custom", 0),
        ("exatrkx_ensemble", 0),
        ("exatrkx_custom", 1),
        ("exatrkx_ensemble", 1),
    ]
    assert {result.point.backends for result in results} == {"exatrkx (as found)", "python, pytorch (as found)"}
    assert all(result.figures.rss_mib > 50.0 for result in results)
    assert compare.main([*options[:2], "--model", "nothing", "--save", str(tmp_path)]) == 3
    assert "nothing" in capsys.readouterr().err


def test_the_projects_figures(tiny_repository: Path, tmp_path: Path) -> None:
    event = clumps(40, 5)[0]
    watch = ProjectFigures(repository=tiny_repository, event=event, threads=1, repeats=1, log_folder=tmp_path)
    goals = watch.goals()
    assert len(goals) == 4
    assert all(goal.measured.median > 0.0 for goal in goals)
    text = project_goals_text(goals)
    assert "event of 200 spacepoints, 1 thread" in text
    assert "at most" in text
