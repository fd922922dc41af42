"""Readiness of `deploy/serve.py`, and its restarts: real servers whose processes are killed, stopped and misled."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil
import pytest
from ordered_server import COMPUTE, FLOOD, GOOD, MODEL, REFUSE, SLEEP, SLOW, WRONG, OrderedRepository
from serve_process import LINE_TIMEOUT_S, ROOT, Serving, gone
from tiny_networks import clumps

from exatrkx_client.address import Address
from exatrkx_client.errors import ClientError
from exatrkx_client.triton_api import TritonApi

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.server

FEW_FILES: Final = 300

QUEUE: Final = 60
"""Slow requests at once: 18 s of them, which is longer than a pipeline may be silent."""


@pytest.fixture
def ordered(tmp_path: Path) -> OrderedRepository:
    return OrderedRepository(tmp_path / "repository")


@pytest.fixture
def frnn(tmp_path: Path) -> Path:
    """A repository with one stage of the project, which loads in a second."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "model_repository" / "frnn", tmp_path / "repository" / "frnn", ignore=ignored)
    return tmp_path / "repository"


@contextlib.contextmanager
def served(repository: Path, directory: Path, *arguments: str) -> Iterator[Serving]:
    with Serving(repository, directory, "--free-ports", "--restart-delay=0", *arguments) as serving:
        serving.ready_line()
        yield serving


def stage(serving: Serving, model: str) -> psutil.Process:
    """The process of a Python model."""
    found = [
        one for one in serving.family() if f"/{model}/1/" in " ".join(one.cmdline()) and "stub" in one.cmdline()[0]
    ]
    assert len(found) == 1
    return found[0]


def labels(serving: Serving, model: str) -> list[int]:
    with TritonApi(Address.parse(serving.addresses()["http_url"])) as api:
        features = clumps(5, 4)[0]
        found: list[int] = api.infer(model, {"FEATURES": features}, ("LABELS",)).tensors["LABELS"].tolist()
        return found


def test_a_stage_or_the_server_killed_or_stopped(tiny_repository: Path, tmp_path: Path) -> None:
    """Each makes it not ready for its own reason, and it comes back: same ports, same answer."""
    arguments = ("--models=exatrkx_ensemble", "--custom-backend=python")
    with served(tiny_repository, tmp_path, *arguments) as serving:
        right, addresses = labels(serving, "exatrkx_ensemble"), serving.addresses()
        faults = [("wcc", "SIGKILL"), ("gnn", "SIGSTOP"), ("", "SIGKILL"), ("", "SIGSTOP"), ("", "SIGABRT")]
        for restarts, (model, number) in enumerate(faults, start=1):
            victim = stage(serving, model) if model else psutil.Process(serving.addresses()["pid"])
            family = psutil.Process(serving.addresses()["pid"]).children()
            before = serving.reasons()
            victim.send_signal(signal.Signals[number])
            how = "is stopped" if number == "SIGSTOP" else number
            reason = serving.await_reason(how, len(before))
            assert str(victim.pid) in reason or not model
            serving.await_restart(restarts)
            assert gone(family)
            assert serving.metric("exatrkx_restarts_total") == restarts
            assert labels(serving, "exatrkx_ensemble") == right
            ours = serving.addresses()
            assert {**ours, "pid": 0} == {**addresses, "pid": 0}
        assert serving.health("/live") == (200, "live")
        serving.process.terminate()
        assert serving.end()[0] == 0


def test_a_wrong_answer(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path) as serving:
        ordered.give(WRONG)
        serving.await_reason(f"{MODEL}: 28 of 28 labels differ from those of the same event at the start")
        ordered.give(GOOD)
        serving.await_health(200)
        assert serving.metric("exatrkx_failures_total") >= 1
        assert re.search(
            r'^exatrkx_failures_total\{reason="wrong"\} [1-9]', serving.health("/metrics")[1], re.MULTILINE
        )


def test_a_stage_that_hangs_without_being_stopped(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path, "--hang-timeout=5") as serving:
        ordered.give(SLEEP)
        serving.await_health(503, "none of its processes computes")
        ordered.give(GOOD)
        serving.await_health(200)
        assert serving.metric("exatrkx_restarts_total") >= 1


def test_a_stage_that_computes_without_end(ordered: OrderedRepository, tmp_path: Path) -> None:
    """It is not hung when the first timeout is over, but when the second is."""
    with served(ordered.folder, tmp_path, "--hang-timeout=5", "--busy-timeout=12") as serving:
        ordered.give(COMPUTE)
        reason = serving.await_health(503, "its processes compute")
        assert re.search(rf"{MODEL}: no answer for \d+ s; its processes compute", reason)
        assert "none of its processes computes" not in serving.log.read_text()
        ordered.give(GOOD)
        serving.await_health(200)


def test_a_queue_of_good_work_is_no_hang(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path, "--hang-timeout=5") as serving:
        ordered.give(SLOW)
        url = serving.addresses()["http_url"]
        with TritonApi(Address.parse(url), LINE_TIMEOUT_S) as api, ThreadPoolExecutor(QUEUE) as clients:
            events = [np.full((3, 3), number, dtype=np.float32) for number in range(QUEUE)]
            answers = list(clients.map(lambda event: api.infer(MODEL, {"FEATURES": event}).tensors["LABELS"], events))
        assert [answer.tolist() for answer in answers] == [[0, 1, 2]] * QUEUE
        assert serving.health() == (200, "ready")
        assert serving.metric("exatrkx_restarts_total") == serving.metric("exatrkx_failures_total") == 0


def test_a_pipeline_that_only_refuses_is_hung(ordered: OrderedRepository, tmp_path: Path) -> None:
    """A queue that is full and does not move."""
    with served(ordered.folder, tmp_path, "--hang-timeout=5") as serving:
        ordered.give(REFUSE)
        serving.await_health(503, "none of its processes computes; too many requests wait: try later")
        ordered.give(GOOD)
        serving.await_health(200)


def test_a_pipeline_that_refuses_while_others_are_served(ordered: OrderedRepository, tmp_path: Path) -> None:
    """It may be their queue that is full: no hang, up to the second timeout."""
    OrderedRepository(ordered.folder, "other")
    with served(ordered.folder, tmp_path, "--hang-timeout=10", "--busy-timeout=25", "--no-restart") as serving:
        ordered.give(REFUSE)
        event = np.zeros((3, 3), dtype=np.float32)
        with TritonApi(Address.parse(serving.addresses()["http_url"])) as api:
            while serving.process.poll() is None:
                with contextlib.suppress(ClientError):
                    api.infer("other", {"FEATURES": event})
        code, errors = serving.end()
    assert code == 1
    assert "others are served; too many requests wait: try later" in errors


def test_given_up_after_the_bound(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path, "--max-restarts=2") as serving:
        family = serving.family()
        shutil.rmtree(ordered.folder / MODEL / "1")
        stage(serving, MODEL).kill()
        code, errors = serving.end()
        assert code == 1
        assert "starting the server again in 0 s (2 of 2)" in errors
        assert "given up after 2 restarts in a row" in errors
        assert "was killed by SIGKILL" in errors
        assert gone(family)
        assert not serving.ports_file.exists()


def test_ports_file_that_cannot_be_written_again(frnn: Path, tmp_path: Path) -> None:
    ports_file = tmp_path / "folder" / "ports.json"
    ports_file.parent.mkdir()
    with served(frnn, tmp_path, f"--ports-file={ports_file}") as serving:
        shutil.copy(ports_file, serving.ports_file)
        shutil.rmtree(ports_file.parent)
        stage(serving, "frnn").kill()
        serving.await_reason("frnn: its process")
        serving.await_restart()
        serving.process.terminate()
        code, errors = serving.end()
    assert code == 0
    assert f"warning: {ports_file}: " in errors


def test_no_restart(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path, "--no-restart") as serving:
        family = serving.family()
        stage(serving, MODEL).kill()
        code, errors = serving.end()
        assert code == 1
        assert f"{MODEL}: its process" in errors
        assert "was killed by SIGKILL" in errors
        assert gone(family)


def test_stopped_while_it_waits_for_the_next_start(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path, "--restart-delay=3600") as serving:
        stage(serving, MODEL).kill()
        serving.await_health(503, "starting again after")
        serving.process.terminate()
        assert serving.end()[0] == 0


def test_a_pipeline_that_never_answers_is_not_ready(ordered: OrderedRepository, tmp_path: Path) -> None:
    ordered.give(SLEEP)
    with Serving(ordered.folder, tmp_path, "--free-ports", "--hang-timeout=5") as serving:
        code, errors = serving.end()
    assert code == 1
    assert f"{MODEL}: no answer for" in errors


def test_a_flood_of_lines_is_bounded(ordered: OrderedRepository, tmp_path: Path) -> None:
    with served(ordered.folder, tmp_path, "--log-max-mb=1", "--probe-every=0.1") as serving:
        ordered.give(FLOOD)
        older = serving.log.with_name(f"{serving.log.name}.1")
        serving.until(older.exists)
        ordered.give(GOOD)
        before = serving.metric("exatrkx_probe_seconds_count")
        serving.until(lambda: serving.metric("exatrkx_probe_seconds_count") > before + 10)
        serving.until(lambda: serving.log.stat().st_size <= 1 << 20)
        assert older.stat().st_size <= 1 << 20
        assert serving.health() == (200, "ready")


def limited(files: int) -> list[str]:
    """A command before another one, which may then open only as many files."""
    return ["bash", "-c", f'ulimit -n {files}; exec "$@"', "limited"]


def test_too_few_descriptors_to_start(frnn: Path, tmp_path: Path) -> None:
    with Serving(frnn, tmp_path, "--free-ports", limits=limited(64)) as serving:
        code, errors = serving.end()
    assert code == 1
    assert errors == "serve.py: 64 files may be open at once (ulimit -n): a server needs 256, its clients one each\n"


def test_descriptors_that_clients_use_up(ordered: OrderedRepository, tmp_path: Path) -> None:
    """Not ready while there is none, without a restart, and with a log that stays small."""
    with Serving(ordered.folder, tmp_path, "--free-ports", "--log-max-mb=1", limits=limited(FEW_FILES)) as serving:
        serving.ready_line()
        address = Address.parse(serving.addresses()["http_url"])
        with contextlib.ExitStack() as clients:
            for _ in range(FEW_FILES):
                clients.enter_context(socket.create_connection((address.host, address.port)))
            serving.await_health(503, "300 of 300 file descriptors are in use")
        serving.await_health(200)
        assert serving.metric("exatrkx_restarts_total") == 0
        older = serving.log.with_name(f"{serving.log.name}.1")
        assert not older.exists() or older.stat().st_size <= 1 << 20


@pytest.mark.parametrize("name", ["détecteur", 'a b\'s "$HOME" (`id`); #\\&\n|*'])
def test_any_name_of_a_folder(frnn: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    frnn.rename(folder / "repository")
    with served(folder / "repository", folder) as serving:
        assert serving.health() == (200, "ready")


def test_folder_of_temporary_files_with_a_blank(frnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "a b"))
    with Serving(frnn, tmp_path, "--free-ports") as serving:
        code, errors = serving.end()
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert "TMPDIR" in errors


def test_log_folder_that_is_not_there_is_made(frnn: Path, tmp_path: Path) -> None:
    log = tmp_path / "new" / "folder" / "server.log"
    with served(frnn, tmp_path, f"--log-file={log}"):
        assert "successfully loaded 'frnn'" in log.read_text()


def test_log_that_cannot_be_written(frnn: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Serving(frnn, tmp_path, "--free-ports", f"--log-file={tmp_path / 'file' / 'log'}") as serving:
        code, errors = serving.end()
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert str(tmp_path / "file") in errors


@pytest.mark.parametrize("option", ["--allow-http=false", "--http-port=1", "--http-po=1", "--id=me", "--log-file=x"])
def test_options_that_would_hide_it(frnn: Path, tmp_path: Path, option: str) -> None:
    with Serving(frnn, tmp_path, "--free-ports", "--", option) as serving:
        code, errors = serving.end()
    assert code == 2
    assert f"{option} cannot be given after --" in errors


def test_a_stage_without_a_pipeline_is_watched(frnn: Path, tmp_path: Path) -> None:
    with served(frnn, tmp_path) as serving:
        stage(serving, "frnn").kill()
        serving.await_reason("frnn: its process")
        serving.await_restart()


def test_health_endpoint(frnn: Path, tmp_path: Path) -> None:
    with served(frnn, tmp_path) as serving:
        assert serving.health("/live") == (200, "live")
        assert serving.health("/") == (404, "there are /live, /ready and /metrics")
        samples = [line for line in serving.health("/metrics")[1].splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r'[a-z_]+(\{[a-z]+="[\w.-]+"\})? [0-9.]+', line) for line in samples)
        assert serving.metric("exatrkx_ready") == 1


def test_health_port_that_is_taken(frnn: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Serving(frnn, tmp_path, "--free-ports", f"--health-port={port}") as serving:
            code, errors = serving.end()
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port} (--health-port)" in errors
