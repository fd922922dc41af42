"""The GPU check: its phases end by themselves or are ended, and its report says what happened; no GPU is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import psutil
import pytest

from exatrkx_perf import ROOT
from exatrkx_perf.gpu_check.bundle import ARCHIVE, unpack
from exatrkx_perf.gpu_check.phases import Phase, run_phases
from exatrkx_perf.gpu_check.report import markdown, write_report

COMMITTED = sorted((ROOT / "perf" / "gpu").glob("*.json"))


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def test_a_failure_hides_nothing(tmp_path: Path) -> None:
    phases = [
        Phase("fails", python("print('why'); raise SystemExit(3)"), 60.0),
        Phase("missing", python("import no_such_module"), 60.0),
        Phase("works", python("print('done')"), 60.0),
    ]
    outcomes = {outcome.name: outcome for outcome in run_phases(phases, tmp_path, os.environ, 120.0)}
    assert [outcome.code for outcome in outcomes.values()] == [3, 1, 0]
    assert outcomes["fails"].tail == "why"
    assert "no_such_module" in outcomes["missing"].tail
    assert (tmp_path / "works.log").read_text() == "done\n"
    assert [entry["name"] for entry in json.loads((tmp_path / "phases.json").read_text())] == list(outcomes)


@pytest.mark.slow
def test_a_phase_without_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    child = "[sys.executable, '-c', 'import time; time.sleep(600)']"
    script = f"import subprocess, sys; p = subprocess.Popen({child}); print(p.pid, flush=True); p.wait()"
    (outcome,) = run_phases([Phase("endless", python(script), 15.0)], tmp_path, os.environ, 120.0)
    assert outcome.code == -1
    started = int((tmp_path / "endless.log").read_text())
    psutil.wait_procs([psutil.Process(started)] if psutil.pid_exists(started) else [], timeout=30)
    assert not psutil.pid_exists(started)


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    (outcome,) = run_phases([Phase("late", python("print('ran')"), 60.0)], tmp_path, os.environ, 5.0)
    assert (outcome.code, outcome.tail) == (-1, "left out: no time was left")
    assert not (tmp_path / "late.log").exists()


def test_a_report_of_nothing(tmp_path: Path) -> None:
    run_phases([], tmp_path, os.environ, 10.0)
    assert write_report(tmp_path, "cpu").read_text().startswith("# GPU check: cpu\n")
    with tarfile.open(tmp_path / "logs.tar.gz") as logs:
        assert logs.getnames() == []


@pytest.mark.parametrize("figures", COMMITTED, ids=lambda path: path.stem)
def test_committed_reports_are_those_of_their_figures(figures: Path) -> None:
    assert markdown(json.loads(figures.read_text())) == figures.with_suffix(".md").read_text()


def test_there_is_a_committed_report() -> None:
    assert COMMITTED


def test_a_bundle_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "module.py").write_text("x = 1\n")
    with tarfile.open(tmp_path / ARCHIVE, "w:xz") as archive:
        archive.add(tmp_path / "site-packages", "site-packages")
    unpack(tmp_path, tmp_path / "target")
    assert (tmp_path / "target" / "site-packages" / "module.py").read_text() == "x = 1\n"


def test_the_command_without_a_gpu(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "perf/gpu_check.py",
        "--device",
        "cpu",
        "--output",
        str(tmp_path),
        "--phases",
        "versions",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    versions = json.loads((tmp_path / "report.json").read_text())["versions"]
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["server"]
