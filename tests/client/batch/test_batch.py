"""exatrkx batch as it is typed: the same artefacts whatever happens to its workers, and bad input."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil
import pytest
from extra_columns import extra_event, labels_of

from exatrkx.errors import OutputRefusedError
from exatrkx.events.event import features
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import read_events
from exatrkx.events.saved_tracks import read_labels
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.project_files import project_files
from exatrkx_batch.__main__ import main
from exatrkx_batch.manifest import freeze, settled
from exatrkx_client import TrackingClient
from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi
from exatrkx_server import TritonServer

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES: Final = 100
EVENTS: Final = tuple(read_events(project_files().events))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred files of two events each, in two folders."""
    folder = tmp_path_factory.mktemp("inputs")
    for number in range(FILES):
        file = folder / f"run{number % 2}" / f"events{number}.parquet"
        file.parent.mkdir(exist_ok=True)
        write_events(file, [EVENTS[number % 20], EVENTS[(number + 1) % 20]])
    return folder


def some(inputs: Path, count: int) -> list[str]:
    """The first files of the hundred, shuffled."""
    files = sorted(map(str, inputs.glob("run*/*.parquet")))[:count]
    random.Random(count).shuffle(files)
    return files


def command(files: list[str], server: TritonServer, output: Path, *options: str) -> list[str]:
    model = ["--model", "exatrkx_ensemble"]
    return [*files, "--url", server.grpc_url, "--output", str(output), *model, *options]


def artefacts(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def done(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith("files:"))


def started(arguments: list[str], **options: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "exatrkx_batch", *arguments]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.server
@pytest.mark.slow
def test_any_number_of_workers_any_order_and_one_killed(
    trained_server: TritonServer, inputs: Path, tmp_path: Path
) -> None:
    found = {}
    for workers in (1, 2, 4):
        files, output = some(inputs, FILES), tmp_path / str(workers)
        random.Random(workers).shuffle(files)
        before = events_found(trained_server)
        process = started(command(files, trained_server, output, "--workers", str(workers)))
        whole = kill_a_worker(process, output) if workers == 2 else 0
        printed, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        # Of the files that were whole, those of which the killed worker had still to tell are then found there.
        there = int(done(printed).split(" s, ")[1].split()[0])
        assert 0 <= there <= whole
        assert done(printed).startswith(f"files:   {FILES - there} done in ")
        assert done(printed).endswith(f" {there} were there, 0 failed")
        again = events_found(trained_server, before + 2 * FILES) - before - 2 * FILES
        assert again <= (2 if workers == 2 else 0), "no more than the killed worker's file"
        found[workers] = artefacts(output)
    assert len(found[1]) == 2 * FILES + 2
    assert found[1] == found[2] == found[4]
    check_figures(tmp_path / "1", inputs, trained_server)


@pytest.mark.server
def test_columns_beside_the_position(
    five_column_server: TritonServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file with the columns that the networks take, and one without, which is named with what it lacks."""
    event = extra_event()
    write_events(tmp_path / "whole.parquet", [event])
    write_events(tmp_path / "poor.parquet", [replace(event, extra={"count": event.extra["count"]})])
    files = [str(tmp_path / name) for name in ("whole.parquet", "poor.parquet")]
    assert main(command(files, five_column_server, tmp_path / "out", "--workers", "1")) != 0
    told = capsys.readouterr().err
    assert "1 of 2 files failed" in told
    assert "poor: event 7: column 'charge' is missing: the networks take charge/100, count" in told
    assert read_labels(tmp_path / "out" / "tracks" / "whole.parquet", event).tolist() == labels_of(event)


def events_found(server: TritonServer, least: int = 0) -> int:
    """How many events the server has found the tracks of; it counts one after it has answered, so that may be late."""
    with TritonApi(Address.parse(server.grpc_url)) as api:
        while (found := api.statistics("exatrkx_ensemble")["success"][0]) < least:
            time.sleep(0.01)
        return found


def kill_a_worker(driver: subprocess.Popen[str], output: Path) -> int:
    """SIGKILL for a worker once a tenth of the files is there, whichever it has in work. Returns how many are then."""
    wait_for_figures(driver, output, FILES // 10)
    found = workers(driver.pid)
    assert len(found) >= 2
    found[-1].kill()
    found[-1].wait()
    return len(figures(output))


def workers(driver: int) -> list[psutil.Process]:
    """A batch's own workers, those included that are just starting."""
    found = []
    for one in psutil.Process(driver).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(one.cmdline()):
                found.append(one)
    return found


def figures(output: Path) -> list[Path]:
    return list(output.glob("figures/**/*.json"))


def wait_for_figures(driver: subprocess.Popen[str], output: Path, count: int) -> None:
    """Returns once so many files are done."""
    while len(figures(output)) < count:
        assert driver.poll() is None, driver.communicate()[1]
        time.sleep(0.001)


def check_figures(output: Path, inputs: Path, server: TritonServer) -> None:
    """Figures and labels against a client that asks for each event itself."""
    total = TrackMetrics.zero()
    with TrackingClient(server.grpc_url) as client:
        for file in some(inputs, 3):
            name = Path(file).relative_to(inputs).with_suffix("")
            one = TrackMetrics.zero()
            for event in read_events(file):
                labels = client.find_tracks(event)
                np.testing.assert_array_equal(read_labels(output / "tracks" / f"{name}.parquet", event), labels)
                one += track_metrics(labels, event)
            written = json.loads((output / "figures" / f"{name}.json").read_text())["metrics"]
            assert written["fake_rate"] == {
                "numerator": one.fake_rate.numerator,
                "denominator": one.fake_rate.denominator,
            }
            total += one
    assert total.efficiency_double_majority.value > 0.9


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_batch_goes_on(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = command(some(inputs, FILES), trained_server, tmp_path / "out", "--workers", "1", "--in-flight", "1")
    process = started(arguments)
    wait_for_figures(process, tmp_path / "out", 3)
    sockets = psutil.Process(process.pid).net_connections()
    assert {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    before = {file: file.stat().st_mtime_ns for file in figures(tmp_path / "out")}
    again = started(arguments)
    printed, error = again.communicate(timeout=120)
    assert again.returncode == 0, error
    there = int(done(printed).split(" s, ")[1].split()[0])
    assert 3 <= there <= FILES
    assert {file: file.stat().st_mtime_ns for file in before} == before
    whole = started(command(some(inputs, FILES), trained_server, tmp_path / "whole"))
    whole.communicate(timeout=120)
    assert artefacts(tmp_path / "out") == artefacts(tmp_path / "whole")


@pytest.mark.server
def test_a_file_that_cannot_be_read_costs_the_others_nothing(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(Path(some(inputs, 1)[0]).read_bytes()[:-100])
    arguments = command([str(bad), *some(inputs, 5)], trained_server, tmp_path / "out")
    assert main(arguments) == 1
    printed, error = capsys.readouterr()
    assert done(printed).endswith("0 were there, 1 failed")
    assert "1 of 6 files failed\n" in error
    assert "bad.parquet: " in error
    assert "- not done: " in (tmp_path / "out" / "report.md").read_text()
    assert sum(1 for _ in (tmp_path / "out").glob("figures/**/*.json")) == 5
    assert main(arguments) == 1
    assert "5 were there, 1 failed" in capsys.readouterr().out


@pytest.mark.server
def test_a_file_that_has_an_event_twice(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose rows could not be told apart, at the file's two ends."""
    write_events(tmp_path / "twice.parquet", [EVENTS[0], *EVENTS[1:4], EVENTS[0]])
    files, output = [str(tmp_path / "twice.parquet"), *some(inputs, 1)], tmp_path / "out"
    assert main(command(files, trained_server, output, "--in-flight", "1")) == 1
    assert f"event {EVENTS[0].event_id} comes twice" in capsys.readouterr().err
    assert not list(output.rglob("*twice*"))
    assert sum(1 for _ in output.glob("figures/**/*.json")) == 1


@pytest.mark.server
def test_a_full_disk_leaves_nothing_half_written(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        assert main(command(some(inputs, 40), trained_server, disk / "out")) == 1
        error = capsys.readouterr().err
        assert "cannot be written: No space left on device" in error
        assert "files are done: the same command goes on" in error
        finals = [file for file in artefacts(disk / "out") if file.endswith(".parquet")]
        assert finals
        for file in finals:
            assert (disk / "out" / file).read_bytes()[-4:] == b"PAR1"
        for figures in (disk / "out").glob("figures/**/*.json"):
            assert json.loads(figures.read_text())["tracks_sha256"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.server
@pytest.mark.parametrize("kind", ["address", "file"])
def test_a_scheduler_that_is_away(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        where = address if kind == "address" else str(tmp_path / "scheduler.json")
        if kind == "file":
            Path(where).write_text(json.dumps({"address": address}))
        arguments = command(some(inputs, 2), trained_server, tmp_path / "out", "--scheduler", where, "--wait", "1")
        assert main(arguments) == 3
    assert f"{where}: no Dask scheduler answers" in capsys.readouterr().err


@contextmanager
def dask_scheduler(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A scheduler without workers, and its file."""
    file, words = folder / "scheduler.json", [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    local = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    with subprocess.Popen([*words, *local], stderr=subprocess.DEVNULL) as scheduler:
        try:
            while not file.exists():
                assert scheduler.poll() is None
                time.sleep(0.01)
            yield scheduler, file
        finally:
            scheduler.kill()


@pytest.mark.server
def test_a_scheduler_without_a_worker(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with dask_scheduler(tmp_path) as (_, file):
        where = ("--scheduler", str(file), "--wait", "10")
        assert main(command(some(inputs, 2), trained_server, tmp_path / "out", *where)) == 3
    assert "there has been no Dask worker for 10 s" in capsys.readouterr().err


@pytest.mark.server
def test_a_scheduler_that_goes_away(trained_server: TritonServer, inputs: Path, tmp_path: Path) -> None:
    with dask_scheduler(tmp_path) as (scheduler, file):
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-nanny"]
        options = ["--nthreads", "1", "--no-dashboard", "--death-timeout", "30"]
        with subprocess.Popen([*worker, *options], cwd=tmp_path, stderr=subprocess.DEVNULL) as working:
            where = ("--scheduler", str(file), "--wait", "60")
            process = started(command(some(inputs, 100), trained_server, tmp_path / "out", *where))
            wait_for_figures(process, tmp_path / "out", 3)
            scheduler.kill()
            _, error = process.communicate(timeout=120)
            working.kill()
    assert process.returncode == 3, error
    assert "the Dask scheduler has gone away" in error
    assert "files are done: the same command goes on" in error


@pytest.mark.server
@pytest.mark.parametrize("after", [0, 3])
def test_workers_that_are_gone_for_good(trained_server: TritonServer, inputs: Path, tmp_path: Path, after: int) -> None:
    """Each ends while it starts, or is killed, later, as soon as it is there; what is done by then stays."""
    output = tmp_path / "out"
    soon = os.environ | {"DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "1s"}
    if not after:
        soon["DASK_DISTRIBUTED__WORKER__PRELOAD"] = json.dumps(["import os; os._exit(9)"])
    process = started(command(some(inputs, FILES), trained_server, output), env=soon)
    wait_for_figures(process, output, after)
    while after and process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            for worker in workers(process.pid):
                worker.kill()
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1, error
    assert error.splitlines()[-1].startswith("exatrkx_batch: ")
    assert ("there has been no Dask worker for 1 s" if after else "the workers do not start") in error
    assert "Traceback" not in error
    assert ("files are done: the same command goes on" in error) == bool(after)
    assert len(list(output.glob("figures/**/*.json"))) >= after


def test_a_manifest_of_other_inputs_names_what_differs(tmp_path: Path) -> None:
    own = tmp_path / "in"
    own.mkdir()
    for number in (1, 2, 3):
        np.savetxt(own / f"event{number}.csv", features(EVENTS[number]), delimiter=",")
    service = {"model": "exatrkx_ensemble", "frnn radius": "1.0"}
    files = freeze([str(own)])
    running = "another run is writing to it"
    with settled(tmp_path / "out", files, service), pytest.raises(OutputRefusedError, match=running):
        settled(tmp_path / "out", files, service).__enter__()
    (own / "event1.csv").unlink()
    (own / "event2.csv").write_text("0.1,0.2,0.3\n")
    np.savetxt(own / "event4.csv", features(EVENTS[4]), delimiter=",")
    with pytest.raises(OutputRefusedError, match="is of another run") as told:
        settled(tmp_path / "out", freeze([str(own)]), {**service, "frnn radius": "2.0"}).__enter__()
    text = str(told.value)
    for part in (
        "event1.csv is missing",
        "event2.csv is ",
        "event4.csv is ",
        "frnn radius of the service is 2.0, not 1.0",
    ):
        assert part in text
    assert "event3.csv" not in text


@pytest.mark.server
def test_an_output_folder_of_another_run(
    trained_server: TritonServer, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    assert main(command(some(inputs, 2), trained_server, output)) == 2
    assert "has notes.txt in it and no manifest.json" in capsys.readouterr().err
    assert artefacts(output) == {"notes.txt": b"mine"}
    other = tmp_path / "other"
    assert main(command(some(inputs, 2), trained_server, other)) == 0
    before = artefacts(other)
    capsys.readouterr()
    assert main(command(some(inputs, 3), trained_server, other)) == 2
    assert "is of another run: " in capsys.readouterr().err
    assert artefacts(other) == before


@pytest.mark.server
def test_named_columns_are_frozen(
    trained_server: TritonServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event, table = EVENTS[0], tmp_path / "table.csv"
    places = np.column_stack([event.x, event.y, event.z, np.full(len(event), 7)])
    np.savetxt(table, places, fmt=["%.9g", "%.9g", "%.9g", "%d"], delimiter=",", header="hx,hy,hz,run", comments="")
    mapping, output = "x=hx,y=hy,z=hz,event=run", tmp_path / "out"
    assert main(command([str(table)], trained_server, output, "--columns", mapping)) == 0
    before = artefacts(output)
    assert main(command([str(table)], trained_server, output, "--columns", mapping)) == 0
    assert "1 were there" in capsys.readouterr().out
    with TrackingClient(trained_server.grpc_url) as client:
        found = read_labels(output / "tracks" / "table.parquet", replace(event, event_id=7))
        np.testing.assert_array_equal(found, client.find_tracks(event))
    for other, told in ((mapping.replace("x=hx,y=hy", "x=hy,y=hx"), "column of x is hy, not hx"), (None, "column of")):
        assert main(command([str(table)], trained_server, output, *(["--columns", other] if other else []))) == 2
        assert told in capsys.readouterr().err
    assert artefacts(output) == before


@pytest.mark.server
def test_the_direct_pipeline_takes_the_place_of_a_server_that_ends(
    trained_server: TritonServer,
    server: TritonServer,
    inputs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the same bytes; and with networks that are not the server's it takes no place."""
    files, output, whole = some(inputs, FILES), tmp_path / "out", tmp_path / "whole"
    assert main(command(files, trained_server, whole)) == 0
    fall_back = ("--fall-back", "direct", "--wait", "0", "--retry-for", "0.1", "--workers", "1", "--in-flight", "1")
    with TritonServer(trained_server.model_repository, replace(trained_server.options, log_file=None)) as mortal:
        arguments = command(files, mortal, output, *fall_back)
        process = started(arguments)
        wait_for_figures(process, output, 3)
        os.killpg(mortal.pid, signal.SIGKILL)
        printed, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert f"grpc://{mortal.grpc_url} " in (who := who_answered(printed))
        assert "direct " in who
        assert artefacts(output) == artefacts(whole)
        for file in list(output.glob("tracks/**/*.parquet"))[:3]:
            file.unlink()
        capsys.readouterr()
        assert main(arguments) == 0
        assert who_answered(capsys.readouterr().out) == "answered: direct 6"
        assert artefacts(output) == artefacts(whole)
        other, files = tmp_path / "other", some(inputs, 1)
        assert main(command(files, server, other)) == 0
        before = artefacts(other)
        assert main(command(files, server, other, *fall_back)) == 3
        assert "the pipeline here is not the service's: " in capsys.readouterr().err
        assert main(command(files, mortal, other, *fall_back)) == 2
        assert "is of another run: applyfilter filter_cut of the service is " in capsys.readouterr().err
        assert artefacts(other) == before


def who_answered(printed: str) -> str:
    return next(line for line in printed.splitlines() if line.startswith("answered:"))


def test_files_whose_tracks_would_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("e.csv", "e.parquet"):
        write_events(tmp_path / name, [EVENTS[0]])
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "their tracks would be one file" in capsys.readouterr().err
