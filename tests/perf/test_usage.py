"""What processes and GPUs use, and what the machine is called."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from exatrkx_perf.run_metadata import commit, this_machine
from exatrkx_perf.usage import (
    GpuMonitor,
    GpuUse,
    UsageMonitor,
    cpu_seconds,
    parse_samples,
    process_tree,
    proportional_bytes,
    resident_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# A parent with a child that, once it is told to, computes and holds 64 MiB, says so, and waits to be let go.
PROGRAM = """
import os, subprocess, sys
if len(sys.argv) > 1:
    sys.stdin.readline()
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])
    sum(range(20_000_000))
    print("done", flush=True)
    sys.stdin.read()
else:
    subprocess.run([sys.executable, "-c", os.environ["PROGRAM"], "child"])
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PROGRAM": PROGRAM}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        yield parent
        parent.communicate("")


def compute(family: subprocess.Popen[str]) -> None:
    """Let the child do so; returns when it has."""
    assert family.stdin is not None
    assert family.stdout is not None
    family.stdin.write("compute\n")
    family.stdin.flush()
    assert family.stdout.readline() == "done\n"


def test_a_child_counts_with_its_parent(family: subprocess.Popen[str]) -> None:
    with UsageMonitor(family.pid, interval_s=0.01) as monitor:
        compute(family)
    assert monitor.usage.processes == 2
    assert monitor.usage.cpu_s > 0.05
    assert monitor.usage.rss_mib > 64.0
    assert monitor.usage.pss_mib > 64.0
    assert monitor.usage.rss_mib >= monitor.usage.pss_mib


def test_pages_that_processes_share_count_once(family: subprocess.Popen[str]) -> None:
    with UsageMonitor(family.pid) as each, UsageMonitor(family.pid, shared_once=True) as once:
        compute(family)
    assert 64.0 < once.usage.rss_mib < each.usage.rss_mib - 1.0, "the interpreter alone is several MiB"


def test_proportional_memory_is_the_kernels(family: subprocess.Popen[str]) -> None:
    compute(family)
    for process in process_tree(psutil.Process(family.pid)):
        before, found, after = 0, 0.0, 1
        while before != pytest.approx(after, rel=0.01):  # other processes began or ended to share pages meanwhile
            before, found, after = _kernels(process), proportional_bytes([process]), _kernels(process)
        assert found == pytest.approx(before, rel=0.05)


def _kernels(process: psutil.Process) -> int:
    lines = Path("/proc", str(process.pid), "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def test_a_process_that_has_ended_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        root = psutil.Process(process.pid)
        process.wait()
    assert process_tree(root) == []
    assert cpu_seconds(root) == 0.0
    assert resident_bytes([root]) == 0
    assert math.isnan(proportional_bytes([root]))


def test_samples_of_two_gpus_of_which_one_rests() -> None:
    lines = "0, 50, 1000\n1, 0, 10\n0, 100, 3000\n1, 0, 10\n0, [N/A], 5\n0, 7"
    assert parse_samples(lines) == GpuUse(busy=0.75, memory_mib=3010.0)
    assert parse_samples("0, 0, 10\n") == GpuUse(busy=0.0, memory_mib=10.0)
    assert parse_samples("No devices were found\n") is None
    assert parse_samples("") is None


def test_a_gpu_in_mig_mode_tells_its_memory_and_no_utilisation() -> None:
    found = parse_samples("0, [N/A], 1000\n0, [N/A], 3000\n")
    assert found is not None
    assert math.isnan(found.busy)
    assert found.memory_mib == 3000.0
    assert parse_samples("0, [N/A], 7\n1, 50, [N/A]\n") == GpuUse(busy=0.5, memory_mib=7.0)
    assert parse_samples("[N/A], 10, 7\n") is None, "a sample of no GPU"


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monitor = GpuMonitor()
    monitor.start()
    assert monitor.stop() is None


def test_nvidia_smi_is_read_until_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "0, 40, 500"\necho ready > "$READY"\nexec sleep 60\n')
    program.chmod(0o755)
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("READY", str(ready))
    monitor = GpuMonitor()
    monitor.start()
    ready.read_text()  # returns when it has been written to
    assert monitor.stop() == GpuUse(busy=0.4, memory_mib=500.0)


def test_the_machine_is_described_without_its_name(tmp_path: Path) -> None:
    machine = this_machine()
    machine.save(tmp_path / "machine.json")
    saved = json.loads((tmp_path / "machine.json").read_text())
    assert saved["machine"] == str(machine)
    assert saved["cores"] >= 1
    assert "numpy" in saved["packages"]
    assert os.uname().nodename not in (tmp_path / "machine.json").read_text().split()


def test_the_commit_says_whether_the_source_was_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        names = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        done = subprocess.run(["git", "-C", tmp_path, *names, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert commit(tmp_path) == "unknown"
    git("init", "--quiet")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "--quiet", "-m", "first")
    head = git("rev-parse", "HEAD")[:10]
    assert commit(tmp_path) == head
    (tmp_path / "untracked").touch()
    assert commit(tmp_path) == head
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == head + "+"
