"""find_tracks.py as it is typed: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import handmade
import numpy as np
import pyarrow.parquet as pq
import pytest

from exatrkx.events.event import Event, features, positions
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.saved_tracks import read_labels
from exatrkx.files import write_files
from exatrkx.project_files import project_files
from exatrkx.serving.model_config import edited_configs, read_working_point
from exatrkx_client import TrackingClient, find_tracks
from exatrkx_client.report import Report
from exatrkx_server import ServerOptions, TritonServer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "client" / "find_tracks.py"
NO_SERVER = ["--url", "127.0.0.1:9", "--wait", "0"]


def clump_event(number: int, clumps: int, lost: int = 0) -> Event:
    """An event of particles whose 7 spacepoints lie together, but for `lost` single ones; and its truth."""
    random = np.random.default_rng(number)
    centres = [(0.3, phi, z) for z in (-0.5, 0.0, 0.5) for phi in np.linspace(-0.9, 0.9, 7)][: clumps + lost]
    sizes = [7] * clumps + [1] * lost
    array = np.repeat(np.reshape(centres, (-1, 3)), sizes, axis=0) + random.uniform(-0.005, 0.005, (sum(sizes), 3))
    x, y, z = positions(array.astype(np.float32))
    ways = [[7 * i + j for j in range(7)] for i in range(clumps)]
    return replace(handmade.event(sum(sizes), ways), event_id=number, x=x, y=y, z=z)


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("events") / "events.parquet"
    write_events(file, [clump_event(4, 5), clump_event(9, 3, lost=2), clump_event(2, 0), clump_event(11, 0, lost=1)])
    return file


def rows_of(output: str) -> list[list[str]]:
    """The table's cells, without the times."""
    return [line.split()[:-1] for line in output.split("\n\n", maxsplit=1)[0].splitlines()]


@pytest.mark.server
@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("grpc", []),
        ("http", ["--in-flight", "4"]),
        ("grpc", ["--model", "exatrkx_custom", "--in-flight", "4"]),
        ("http", ["--model", "exatrkx_custom"]),
    ],
)
def test_events_in_tracks_out(
    server: TritonServer, events_file: Path, tmp_path: Path, protocol: str, options: list[str]
) -> None:
    output = tmp_path / "new" / "tracks.parquet"
    url = server.grpc_url if protocol == "grpc" else server.http_url
    command = [sys.executable, str(SCRIPT), str(events_file), "--url", url, "--output", str(output), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert rows_of(done.stdout) == [
        ["event", "spacepoints", "tracks", "efficiency", "fake", "rate"],
        ["4", "35", "5", "1.000", "0.000"],
        ["9", "23", "3", "1.000", "0.000"],
        ["2", "0", "0", "–", "–"],
        ["11", "1", "0", "–", "–"],
        ["total", "59", "8", "1.000", "0.000"],
    ]
    assert "(8 of 8), double majority, of charged primaries with pT > 1 GeV, |η| < 3, ≥ 7 spacepoints" in done.stdout
    assert f"tracks:     {output}, one row for each spacepoint" in done.stdout
    with TrackingClient(url) as client:
        for event in (clump_event(4, 5), clump_event(9, 3, lost=2)):
            np.testing.assert_array_equal(read_labels(output, event), client.find_tracks(event))
            identity = client.identity()
    assert pq.read_table(output)["event_id"].to_pylist() == [4] * 35 + [9] * 23 + [11]
    kept = json.loads(Path(f"{output}.settings.json").read_text())
    assert (kept["events"], kept["per"], kept["limit"]) == ([str(events_file)], "spacepoint", None)
    assert identity.items() <= kept.items() or "--model" in options
    assert "settings:   exatrkx 0." in done.stdout


@pytest.mark.server
def test_other_formats_one_row_per_track_and_a_limit(
    server: TritonServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2, 10):
        np.savetxt(tmp_path / f"event{number}.csv", features(clump_event(number, 2)), delimiter=",", fmt="%.9g")
    output = tmp_path / "out" / "tracks.csv"
    arguments = [str(tmp_path), "--url", server.grpc_url, "--limit", "2", "--per", "track", "--output", str(output)]
    assert find_tracks.main(arguments) == 0
    printed = capsys.readouterr().out
    assert rows_of(printed) == [
        ["event", "spacepoints", "tracks"],
        ["1", "14", "2"],
        ["2", "14", "2"],
        ["total", "28", "4"],
    ]
    assert "efficiency" not in printed
    lines = output.read_text().splitlines()
    assert lines[0].startswith('"event_id","label","spacepoints","charge","pt","eta","phi","d0","z0","pt_error",')
    assert [line.rpartition('"')[0] for line in lines[1:]] == [
        '1,0,"0 1 2 3 4 5 6',
        '1,1,"7 8 9 10 11 12 13',
        '2,0,"0 1 2 3 4 5 6',
        '2,1,"7 8 9 10 11 12 13',
    ]


@pytest.mark.server
def test_tracks_with_their_fits_in_another_field(trained_server: TritonServer, tmp_path: Path) -> None:
    """In half of the field every pT is the half."""
    events = str(project_files().events / "ttbar_mu0.parquet")
    momenta = []
    for field in ("2", "-1"):
        output = tmp_path / f"{field}.parquet"
        arguments = ["--limit", "2", "--per", "track", "--field", field, "--beam", "0.1", "0", "--output", str(output)]
        assert find_tracks.main([events, "--url", trained_server.grpc_url, *arguments]) == 0
        table = pq.read_table(output)
        momenta.append(np.array(table["pt"]) * np.array(table["charge"]))
    straight = np.abs(momenta[0]) > 3.0
    assert np.count_nonzero(straight) > 20
    np.testing.assert_allclose(momenta[1][straight], -momenta[0][straight] / 2.0, rtol=0.05)


@pytest.mark.parametrize("wrong", [["--field", "0"], ["--field", "nan"], ["--beam", "0", "inf"], ["--beam", "1"]])
def test_no_field_and_no_beam_line(events_file: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        find_tracks.parse([str(events_file), *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.server
def test_metrics_of_a_run(server: TritonServer, events_file: Path, tmp_path: Path) -> None:
    """Who answered, after a server that is not there: all events by the one that is, each counted once."""
    file = tmp_path / "new" / "night.prom"
    arguments = [str(events_file), "--url", "127.0.0.1:9", "--url", server.grpc_url, "--metrics", str(file)]
    assert find_tracks.main(arguments) == 0
    labels = f'run="night",model="exatrkx_ensemble",answered_by="grpc://{server.grpc_url}"'
    text = file.read_text()
    assert f"exatrkx_client_event_seconds_count{{{labels}}} 4\n" in text
    (retries,) = re.findall(r"^exatrkx_client_retries_total\{.*\} (\d+)$", text, re.MULTILINE)
    assert int(retries) == 0  # who was away was known before the first event
    assert re.findall(r"^exatrkx_client_failures_total\{.*", text, re.MULTILINE) == []


@pytest.mark.server
def test_the_same_event_twice_is_said(
    server: TritonServer, events_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again.parquet"
    again.write_bytes(events_file.read_bytes())
    assert find_tracks.main([str(events_file), str(again), "--url", server.grpc_url]) == 0
    assert "event 4 came twice" in capsys.readouterr().err


@pytest.mark.server
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("gnn", "model 'gnn' does not keep the contract: input FEATURES FP32 [-1,3] is missing"),
        ("absent", "the server answers, but model 'absent' is not ready"),
    ],
)
def test_a_model_that_is_no_pipeline(
    server: TritonServer, events_file: Path, capsys: pytest.CaptureFixture[str], model: str, reason: str
) -> None:
    assert find_tracks.main([str(events_file), "--url", server.grpc_url, "--model", model, "--wait", "0.2"]) == 3
    assert reason in capsys.readouterr().err


@pytest.mark.server
def test_an_event_that_the_server_refuses(
    server: TritonServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corner = np.full(20_000, 100.0, dtype=np.float32)  # mm
    crowd = replace(clump_event(6, 0), x=corner, y=corner, z=corner)
    write_events(tmp_path / "events.parquet", [clump_event(5, 1), crowd, clump_event(7, 1)])
    output = tmp_path / "tracks.parquet"
    arguments = [str(tmp_path / "events.parquet"), "--url", server.grpc_url, "--output", str(output)]
    assert find_tracks.main(arguments) == 2
    error = capsys.readouterr().err
    assert "find_tracks.py: event 6: " in error
    assert "more than max_edges = 200000 edges" in error
    assert not output.exists()
    assert "1 finished events are kept in" in error
    assert find_tracks.main([*arguments, "--resume", "--skip-bad", "--in-flight", "3"]) == 0
    assert pq.read_table(output)["event_id"].to_pylist() == [5] * 7 + [7] * 7
    assert "find_tracks.py: skipped 1: event 6: " in capsys.readouterr().err


@pytest.mark.server
def test_a_run_does_not_go_on_with_other_networks(
    server: TritonServer, tiny_repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corner = np.full(20_000, 100.0, dtype=np.float32)  # mm; refused, so that the run ends in the middle
    crowd = replace(clump_event(6, 0), x=corner, y=corner, z=corner)
    write_events(tmp_path / "events.parquet", [clump_event(5, 1), crowd, clump_event(7, 1)])
    output = tmp_path / "tracks.parquet"
    arguments = [str(tmp_path / "events.parquet"), "--model", "exatrkx_custom", "--output", str(output), "--url"]
    assert find_tracks.main([*arguments, server.grpc_url]) == 2
    other = Path(shutil.copytree(tiny_repository, tmp_path / "other"))
    write_files(edited_configs(other, read_working_point(other), {"gnn": "0" * 64}))
    with TritonServer(other, ServerOptions(models=("exatrkx_custom",), custom_backend="python")) as changed:
        capsys.readouterr()
        assert find_tracks.main([*arguments, changed.grpc_url, "--resume", "--skip-bad"]) == 2
        assert find_tracks.main([*arguments, changed.grpc_url, "--url", server.grpc_url]) == 3
    told = capsys.readouterr().err.splitlines()
    assert re.search(r"is of another run: exatrkx_custom gnn_weights_sha256 [0-9a-f]{16}, not 0{16}; without", told[0])
    assert re.search(r"serves others than .*: exatrkx_custom gnn_weights_sha256 [0-9a-f]{64}, not 0{64}", told[1])
    assert find_tracks.main([*arguments, server.grpc_url, "--resume", "--skip-bad"]) == 0
    assert pq.read_table(output)["event_id"].to_pylist() == [5] * 7 + [7] * 7


def test_a_server_that_is_not_there(events_file: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(events_file), *NO_SERVER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert re.fullmatch(r"find_tracks\.py: not ready within 0 s: grpc://127\.0\.0\.1:9: .*refused\n", done.stderr)
    assert done.stdout == ""


@pytest.mark.server
def test_who_answered_is_said_where_more_than_one_could(
    server: TritonServer, events_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = ["--url", "127.0.0.1:9", "--url", server.http_url]
    assert find_tracks.main([str(events_file), *urls]) == 0
    printed, error = capsys.readouterr()
    assert f"\nanswered:   {server.http_url} 4\n" in printed
    assert "sent again" not in printed, "who did not say which model it has gets no event"
    assert error == ""


def test_the_pipeline_in_this_process_where_no_server_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    np.savetxt(tmp_path / "event1.csv", features(clump_event(1, 2)), delimiter=",", fmt="%.9g")
    assert find_tracks.main([str(tmp_path), "--fall-back", "direct", *NO_SERVER]) == 0
    assert "\nanswered:   direct 1\n" in capsys.readouterr().out
    (said,) = caplog.messages
    assert re.fullmatch(r"not ready within 0 s: .*refused; the pipeline in this process takes the server's place", said)


def test_the_pipeline_in_this_process_where_it_is_not_installed(events_file: Path) -> None:
    script = "import sys; sys.modules['torch'] = None; from exatrkx_client import find_tracks as f; sys.exit(f.main())"
    command = [sys.executable, "-c", script, str(events_file), "--fall-back", "direct", *NO_SERVER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    reason = "the direct pipeline needs torch: pip install 'exatrkx[torch]'"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"find_tracks.py: {reason}\n")


@pytest.mark.server
def test_servers_that_go_away_and_stay_away(
    tiny_repository: Path, events_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServerOptions(models=("exatrkx_custom",), custom_backend="python", stop_timeout_s=1)
    with TritonServer(tiny_repository, options) as mortal:

        def header(_: Report) -> str:
            """The last thing before the first event is sent."""
            mortal.stop()
            return ""

        monkeypatch.setattr(Report, "header", header)
        urls = ["--url", mortal.grpc_url, "--url", mortal.http_url]
        arguments = [str(events_file), *urls, "--model", "exatrkx_custom", "--retry-for", "0.3"]
        assert find_tracks.main(arguments) == 3
    error = capsys.readouterr().err
    assert re.fullmatch(r"find_tracks\.py: (grpc|http)://127\.0\.0\.1:.*refused.* \(after \d+ attempts\)\n", error)


@pytest.mark.parametrize(
    ("text", "arguments", "reason"),
    [
        ("x,y\n1,2\n", [], "events.csv: column 'z' is missing; found 'x', 'y'"),
        ("x,y,z\n1,2,3\n", ["--output", "tracks.json"], "tracks.json: a file of tracks ends in .parquet or .csv"),
        ("x,y,z\n1,2,3\n", ["absent.csv"], "absent.csv: no such file or folder"),
    ],
)
def test_bad_input_is_told_before_a_missing_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, arguments: list[str], reason: str
) -> None:
    (tmp_path / "events.csv").write_text(text)
    assert find_tracks.main([str(tmp_path / "events.csv"), *arguments, *NO_SERVER]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_a_file_without_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_events(tmp_path / "events.parquet", [])
    assert find_tracks.main([str(tmp_path / "events.parquet"), *NO_SERVER]) == 2
    assert "no events" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "the following arguments are required: events"),
        (["e", "--url", "ftp://host"], "--url: 'ftp://host': the scheme must be one of"),
        (["e", "--url", "http://host", "--protocol", "grpc"], "--url: 'http://host' is an address for http"),
        (["e", "--url", "host", "--url", "[::1", "--url", "host"], "--url: not a server's address: '[::1'"),
        (["e", "--retry-for", "-1"], "--retry-for: must be at least 0, found -1"),
        (["e", "--fall-back", "home"], "--fall-back/--fallback: invalid choice: 'home'"),
        (["e", "--in-flight", "0"], "--in-flight: must be at least 1, found 0"),
        (["e", "--limit", "9223372036854775808"], "--limit: must be at most 9.22337e+18, found 9223372036854775808"),
        (["e", "--limit", "many"], "--limit: invalid number value: 'many'"),
        (["e", "--timeout", "nan"], "--timeout: must be at least 0.001, found nan"),
        (["e", "--per", "hit"], "--per: invalid choice: 'hit'"),
    ],
)
def test_command_lines_that_are_none(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str) -> None:
    with pytest.raises(SystemExit) as ended:
        find_tracks.main(arguments)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_ctrl_c_ends_in_one_line(events_file: Path, protocol: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"{protocol}://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, str(SCRIPT), str(events_file), "--url", url, "--wait", "60"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()  # so it waits for an answer
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        connection.close()
    assert (process.returncode, error) == (130, "find_tracks.py: interrupted\n")
