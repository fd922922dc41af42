"""Signals, closed pipes and resumed runs of real commands: what is told, what is left, and that nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq
import pytest

from exatrkx import __version__
from exatrkx.__main__ import COMMANDS
from exatrkx.commands import run_command
from exatrkx.errors import ExitCode

if TYPE_CHECKING:
    from exatrkx_server import TritonServer

ROOT: Final = Path(__file__).resolve().parents[2]
EVENTS: Final = ROOT / "data" / "events" / "ttbar_mu0.parquet"
MUCH_LONGER: Final = 120.0
EXATRKX: Final = (sys.executable, "-m", "exatrkx")


def stopped(output: Path, number: signal.Signals, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a command that gets a signal when its journal has an event."""
    journal = output.with_name(f"{output.name}.partial")
    process = subprocess.Popen([*EXATRKX, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    given_up = time.monotonic() + MUCH_LONGER
    while not (journal.is_file() and journal.stat().st_size > 10_000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < given_up
        time.sleep(0.01)
    process.send_signal(number)
    _, error = process.communicate(timeout=MUCH_LONGER)
    return process.returncode, error.splitlines()[-1] if error else ""


def done(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EXATRKX, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("number", "code", "text"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_is_told_whatever_becomes_of_its_exception(
    number: signal.Signals, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        signal.raise_signal(number)

    def library() -> None:
        try:
            work()
        except BaseException as error:
            raise RuntimeError("something else") from error

    before = signal.getsignal(number)
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
    try:
        assert [run_command("a", one) for one in (work, library)] == [code, code]
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == f"a: {text}\n" * 2


INTERRUPTED_IMPORT: Final = """
import runpy, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name.startswith(("exatrkx_", "exatrkx.serving")):
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("client/find_tracks.py", "find_tracks.py"),
        ("perf/sweep.py", "sweep.py"),
        ("export/trace_models.py", "trace_models"),
        ("deploy/serve.py", "serve.py"),
        ("deploy/demo.py", "demo.py"),
        ("perf/gpu_pack.py", "gpu_pack.py"),
        ("perf/gpu_check.py", "gpu_check.py"),
    ],
)
def test_a_signal_while_a_script_imports_what_it_needs(script: str, name: str) -> None:
    words = [sys.executable, "-c", INTERRUPTED_IMPORT, str(ROOT / script)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, f"{name}: interrupted\n")


def test_a_command_that_handles_signals_keeps_its_handler() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        assert run_command("a", lambda: signal.raise_signal(signal.SIGTERM)) == ExitCode.DONE
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


@pytest.mark.parametrize("words", [["--help"], ["find", "--help"], ["events"], ["perf", "make-input", "--version"]])
def test_nobody_reads(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run([*EXATRKX, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert ended.stderr == ""
    assert ended.returncode in ({141} if words == ["events"] else {0, 141})  # argparse does not mind


def test_a_full_disk_below_standard_output() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*EXATRKX, "events"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "exatrkx events: [Errno 28] No space left on device\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_that_nobody_can_keep(name: str) -> None:
    with Path("/dev/full").open("w") as full:
        words = [*EXATRKX, *name.split(), "--help"]
        buffered = os.environ | {"PYTHONUNBUFFERED": ""}  # else argparse keeps the error to itself
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffered)
    assert (ended.returncode, ended.stderr) == (1, f"exatrkx {name}: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    ("work", "code", "text"),
    [
        ("print('x' * 100_000)", 1, "a: [Errno 28] No space left on device\n"),
        ("[print('x' * 100) for _ in range(1000)]", 1, "a: [Errno 28] No space left on device\n"),
        ("(print('x'), open('/none'))", 1, "a: /none: No such file or directory\n"),
        ("(print('x'), signal.raise_signal(signal.SIGTERM))", 143, "a: terminated\n"),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_a_full_disk_ends(work: str, code: int, text: str, unbuffered: str) -> None:
    script = f"import signal, sys; from exatrkx.commands import run_command; sys.exit(run_command('a', lambda: {work}))"
    words, environment = [sys.executable, "-c", script], os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
        silent = subprocess.run(words, stdout=full, stderr=full, check=False, env=environment)
    if unbuffered and work.startswith("(print"):
        code, text = 1, "a: [Errno 28] No space left on device\n"
    assert (ended.returncode, ended.stderr, silent.returncode) == (code, text, code)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/\xff.json")
    ended = subprocess.run([*EXATRKX, "perf", "make-input", str(EVENTS), "--limit", "1", "--output", name], check=False)
    assert ended.returncode == 0
    assert Path(name).is_file()


def assert_settings(resumed: Path, whole: Path) -> None:
    """A run that was resumed and one that was not have the same settings beside their outputs."""
    one, other = (Path(f"{output}.settings.json").read_bytes() for output in (resumed, whole))
    assert one == other
    assert json.loads(one)["exatrkx"] == __version__


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("number", "code", "text"),
    [(signal.SIGTERM, 143, "terminated; "), (signal.SIGINT, 130, "interrupted; "), (signal.SIGKILL, -9, None)],
)
def test_a_simulation_goes_on(tmp_path: Path, number: signal.Signals, code: int, text: str | None) -> None:
    output, whole = tmp_path / "events.parquet", tmp_path / "whole.parquet"
    output.write_bytes(b"of an earlier run")
    words = ["simulate", str(output), "--process", "zmumu", "--seed", "7"]
    ended, last = stopped(output, number, *words, "--events", "100000")
    assert ended == code
    assert output.read_bytes() == b"of an earlier run"
    if text is not None:
        assert last.startswith(f"exatrkx simulate: {text}")
        assert last.endswith(f"kept in {output}.partial: the same command with --resume goes on")
        assert not list(tmp_path.glob(".*"))
    other = done(*words[:-1], "8", "--resume")
    assert (other.returncode, "events.parquet.partial: is of another run: seed 7, not 8;" in other.stderr) == (2, True)
    assert done(*words, "--events", "3", "--resume").returncode == 0
    assert done("simulate", str(whole), *words[2:], "--events", "3").returncode == 0
    assert output.read_bytes() == whole.read_bytes()
    assert_settings(output, whole)
    assert {file.name.removesuffix(".settings.json") for file in tmp_path.iterdir()} == {output.name, whole.name}


@pytest.mark.simulation
def test_the_ckf_goes_on(tmp_path: Path) -> None:
    tracks = tmp_path / "tracks.csv"
    words = ["ckf", "--process", "zmumu", "--tracks", str(tracks), "--events"]
    assert stopped(tracks, signal.SIGTERM, *words, "100000")[0] == 143
    assert done(*words, "3", "--resume").returncode == 0
    again = done("ckf", "--process", "zmumu", "--events", "3", "--tracks", str(tmp_path / "whole.csv"))
    assert again.returncode == 0
    found, wanted = (
        [line.rpartition(",")[0] for line in file.read_text().splitlines()] for file in (tracks, tmp_path / "whole.csv")
    )
    assert found == wanted  # but for the seconds
    assert not Path(f"{tracks}.partial").exists()


@pytest.mark.server
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_track_finding_goes_on(
    server: TritonServer, tmp_path: Path, suffix: str, number: signal.Signals, code: int
) -> None:
    (tmp_path / "in").mkdir()
    for copy in range(100):
        shutil.copy(EVENTS, tmp_path / "in" / f"{copy}.parquet")
    output, whole = tmp_path / f"t.{suffix}", tmp_path / f"whole.{suffix}"
    words = [str(tmp_path / "in"), "--url", server.grpc_url]
    ended, last = stopped(output, number, "find", *words, "--output", str(output))
    assert ended == code
    assert last.endswith("goes on") == (code > 0)
    assert not output.exists()
    (tmp_path / "other").mkdir()
    shutil.copy(ROOT / "data" / "events" / "ttbar_mu10.parquet", tmp_path / "other")
    other = done("find", str(tmp_path / "other"), *words[1:], "--output", str(output), "--resume")
    assert (other.returncode, f"{output}.partial: is of other events: event" in other.stderr) == (2, True)
    model = done("find", *words, "--model", "exatrkx_custom", "--output", str(output), "--resume")
    assert (model.returncode, f"{output}.partial: is of another run: model" in model.stderr) == (2, True)
    for place, more in ((output, ["--resume"]), (whole, [])):
        ran = done("find", *words, "--limit", "30", "--output", str(place), *more)
        assert ran.returncode == 0, ran.stderr
    assert output.read_bytes() == whole.read_bytes()
    assert_settings(output, whole)
    found = {file.name.removesuffix(".settings.json") for file in tmp_path.iterdir()}
    assert found == {"in", "other", output.name, whole.name}


@pytest.mark.server
def test_bad_events_are_skipped_and_told(server: TritonServer, tmp_path: Path) -> None:
    broken = bytearray(EVENTS.read_bytes())
    place = pq.ParquetFile(EVENTS).metadata.row_group(1).column(1).data_page_offset
    broken[place : place + 100] = bytes(100)  # in one event's x
    (tmp_path / "broken.parquet").write_bytes(broken)
    (tmp_path / "noise.csv").write_bytes(b"x,y,z\n1,2,nan\n")
    words = ["find", str(tmp_path / "broken.parquet"), str(tmp_path / "noise.csv"), "--url", server.grpc_url]
    output = ["--output", str(tmp_path / "t.parquet")]
    strict = done(*words, *output)
    assert strict.returncode == 2
    assert len(strict.stderr.splitlines()) == 1
    assert not (tmp_path / "t.parquet").exists()
    skipping = done(*words, *output, "--skip-bad")
    assert skipping.returncode == 0
    assert len(skipping.stderr.splitlines()) == 1
    assert skipping.stderr.startswith("exatrkx find: skipped 2: ")
    assert "column 'z' must be finite" in skipping.stderr
    assert (tmp_path / "t.parquet").is_file()
