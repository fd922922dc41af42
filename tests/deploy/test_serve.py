"""`deploy/serve.py` as a user runs it: ready line, ports, log, reasons, and nothing left behind on any way out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest
import torch
from serve_process import Serving, gone
from serving import Caller
from tiny_networks import FILTER_LENGTH, TinyEdges, TinyEmbedding, save_scripted

from exatrkx_server import Ports, ServerOptions, ServerStartError, TritonServer, free_ports
from exatrkx_server import server as server_module

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.server

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with one model, which loads in a second."""
    shutil.copytree(
        ROOT / "model_repository" / "frnn",
        tmp_path / "repository" / "frnn",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path / "repository"


@pytest.fixture
def serving(repository: Path, tmp_path: Path) -> Iterator[Serving]:
    with Serving(repository, tmp_path, "--free-ports") as started:
        yield started


def shared_memory(server: str) -> set[str]:
    """Shared memory of the server with this name; other servers of this project may run beside it."""
    return {path.name for path in Path("/dev/shm").glob(f"{server}-*")}


def test_ready_line_ports_file_and_log(serving: Serving) -> None:
    line = serving.ready_line()
    addresses = json.loads(serving.ports_file.read_text())
    assert re.fullmatch(
        r"ready after \d+\.\d s: gRPC 127\.0\.0\.1:\d+, HTTP http://127\.0\.0\.1:\d+, "
        r"metrics http://127\.0\.0\.1:\d+/metrics; devices?: [^;]*; backends: .*; log: .*server\.log\n",
        line,
    )
    assert addresses["grpc_url"] in line
    assert addresses["http_url"] in line
    assert addresses["metrics_url"] in line
    assert addresses["pid"] in {process.pid for process in serving.family()}
    assert "successfully loaded 'frnn'" in serving.log.read_text()


def test_listens_on_this_machine_only(serving: Serving) -> None:
    serving.ready_line()
    listening = {
        connection.laddr.ip
        for process in serving.family()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_it_cleanly(serving: Serving, number: signal.Signals) -> None:
    serving.ready_line()
    family = serving.family()
    assert len(family) == 3  # serve.py, the server, frnn
    server = serving.server_name()
    assert shared_memory(server)
    serving.process.send_signal(number)
    assert serving.end() == (0, "")
    assert gone(family)
    assert not shared_memory(server)
    assert not serving.ports_file.exists()
    assert "successfully unloaded 'frnn'" in serving.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_that_was_ignored_stops_it(repository: Path, tmp_path: Path, number: signal.Signals) -> None:
    ignoring = ("sh", "-c", "trap '' INT TERM HUP; exec \"$@\"", "sh")  # as of a script's background, under nohup
    with Serving(repository, tmp_path, "--free-ports", limits=ignoring) as serving:
        serving.ready_line()
        family = serving.family()
        serving.process.send_signal(signal.SIGHUP)
        serving.process.send_signal(number)
        assert serving.end() == (0, "")
    assert gone(family)


def test_nohup_lets_it_live(repository: Path, tmp_path: Path) -> None:
    with Serving(repository, tmp_path, "--free-ports", limits=("nohup",)) as serving:
        serving.ready_line()
        serving.process.send_signal(signal.SIGHUP)
        status, _ = serving.health("/live")
        assert status == 200
        assert serving.process.poll() is None
        serving.process.terminate()
        assert serving.end()[0] == 0


def test_impatient_user(repository: Path, tmp_path: Path) -> None:
    """A second and a third Ctrl-C do not break off the stop."""
    pipe = tmp_path / "stopping"
    os.mkfifo(pipe)
    with (repository / "frnn" / "1" / "model.py").open("a") as model:
        model.write(f"TritonPythonModel.finalize = lambda self: open({str(pipe)!r}).read()\n")
    with Serving(repository, tmp_path, "--free-ports") as serving:
        serving.ready_line()
        family = serving.family()
        serving.process.send_signal(signal.SIGINT)
        held = os.open(pipe, os.O_WRONLY)  # returns when the stop has come to the model, which waits until it is closed
        for _ in range(2):
            serving.process.send_signal(signal.SIGINT)
        os.close(held)
        assert serving.end() == (0, "")
        assert gone(family)


def test_killed_serve_takes_the_server_along(serving: Serving) -> None:
    serving.ready_line()
    family = serving.family()
    server = serving.server_name()
    assert shared_memory(server)
    serving.process.kill()
    assert gone(family)
    assert not shared_memory(server)


def test_killed_server_ends_serve_with_the_reason(repository: Path, tmp_path: Path) -> None:
    serving = Serving(repository, tmp_path, "--free-ports", "--no-restart")
    serving.ready_line()
    family = serving.family()
    os.kill(json.loads(serving.ports_file.read_text())["pid"], signal.SIGKILL)
    code, errors = serving.end()
    assert code == 1
    assert "the server ended by SIGKILL" in errors
    assert gone(family)


def test_all_killed_at_once_leaves_no_model(serving: Serving) -> None:
    serving.ready_line()
    family = serving.family()
    os.kill(json.loads(serving.ports_file.read_text())["pid"], signal.SIGKILL)
    serving.process.kill()
    assert gone(family)


def tells_that_it_loads(repository: Path, directory: Path, then: str = "") -> Path:
    """Let the model wait, as it loads, until somebody opens the pipe that is returned; it then does `then`."""
    pipe, model = directory / "loading", repository / "frnn" / "1" / "model.py"
    os.mkfifo(pipe)
    future = "from __future__ import annotations\n"
    model.write_text(f"{future}open({str(pipe)!r}, 'w').close()\n{then}\n{model.read_text().replace(future, '')}")
    return pipe


def test_stopped_while_loading(repository: Path, tmp_path: Path) -> None:
    pipe = tells_that_it_loads(repository, tmp_path, "import time; time.sleep(3)")
    serving = Serving(repository, tmp_path, "--free-ports")
    with pipe.open() as loading:
        loading.read()
    family = serving.family()
    serving.process.terminate()
    assert serving.end() == (0, "")
    assert gone(family)


def refused(repository: Path, directory: Path, *arguments: str) -> str:
    """The reason that serve.py gives for not serving; it leaves no process."""
    serving = Serving(repository, directory, *arguments)
    code, errors = serving.end()
    assert code == 1
    assert not serving.ports_file.exists()
    return errors


def test_port_that_is_taken(repository: Path, tmp_path: Path) -> None:
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports.grpc)):
        arguments = [f"--{name}-port={getattr(ports, name)}" for name in ("http", "grpc", "metrics")]
        errors = refused(repository, tmp_path, *arguments)
    assert f"cannot listen on 127.0.0.1:{ports.grpc}" in errors
    assert "--free-ports" in errors


def test_one_port_for_two(repository: Path, tmp_path: Path) -> None:
    errors = refused(repository, tmp_path, "--http-port=9", "--grpc-port=9")
    assert "need different ports" in errors


def test_no_repository(tmp_path: Path) -> None:
    assert "nowhere: no such model repository" in refused(tmp_path / "nowhere", tmp_path, "--free-ports")


def test_empty_repository(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: no models" in refused(tmp_path / "empty", tmp_path, "--free-ports")


def test_model_that_is_not_there(repository: Path, tmp_path: Path) -> None:
    errors = refused(repository, tmp_path, "--free-ports", "--models", "frnn,tracks")
    assert "tracks" in errors
    assert str(tmp_path / "server.log") in errors


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('key: "radius"', 'key: "length"', "frnn: config.pbtxt has no parameter radius"),
        ('string_value: "0.1"', 'string_value: "-1"', "radius must be positive and finite, found -1.0"),
        ('string_value: "64"', 'string_value: "many"', "many"),
        ('name: "frnn"', 'name: "other"', "frnn"),
        ("max_batch_size", "max_batch", "frnn"),
    ],
)
def test_broken_configuration(repository: Path, tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = repository / "frnn" / "config.pbtxt"
    text = path.read_text()
    for name, number in (("radius", "0.1"), ("max_neighbors", "64")):  # whatever the working point is
        text = re.sub(rf'(key: "{name}"  value \{{ string_value: )"[^"]*"', rf'\1"{number}"', text)
    assert old in text
    path.write_text(text.replace(old, new))
    assert reason in refused(repository, tmp_path, "--free-ports")


def test_network_that_is_missing_or_broken(tiny_repository: Path, tmp_path: Path) -> None:
    """All reasons at once, each with its model; and the ensemble, which depends on them."""
    repository = tmp_path / "repository"
    shutil.copytree(tiny_repository, repository, ignore=shutil.ignore_patterns("__pycache__"))
    (repository / "embed" / "1" / "model.pt").unlink()
    (repository / "filter" / "1" / "model.pt").write_bytes(b"no TorchScript")
    save_scripted(TinyEmbedding(), repository / "gnn" / "1" / "model.pt")  # takes one input, the GNN gets two
    errors = refused(repository, tmp_path, "--free-ports", "--custom-backend", "python")
    reasons = {model: text for model, _, text in (line.strip().partition(": ") for line in errors.splitlines())}
    assert "embed/1/model.pt: no such file; exatrkx export writes it" in reasons["embed"]
    assert "filter/1/model.pt: no TorchScript network" in reasons["filter"]
    assert "gnn" in reasons
    assert "embed/1/model.pt: no such file" in reasons["exatrkx_custom"]
    assert "exatrkx_ensemble" in reasons


def test_an_ensemble_brings_its_steps(tiny_repository: Path, tmp_path: Path) -> None:
    options = ServerOptions(models=("exatrkx_ensemble",), log_file=tmp_path / "log")
    with TritonServer(tiny_repository, options) as running:
        caller = Caller(running)
        ready = {name: caller.is_ready(name) for name in ("exatrkx_ensemble", "wcc", "exatrkx_custom")}
        caller.close()
    assert ready == {"exatrkx_ensemble": True, "wcc": True, "exatrkx_custom": False}


@pytest.mark.parametrize("service", ["http", "grpc", "metrics"])
def test_free_port_that_somebody_takes_first(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """The server starts again with other ports."""
    with contextlib.ExitStack() as taken:
        drawn: list[Ports] = []

        def draw(host: str) -> Ports:
            ports = free_ports(host)
            if not drawn:
                taken.enter_context(socket.create_server((host, getattr(ports, service))))
            drawn.append(ports)
            return ports

        monkeypatch.setattr(server_module, "free_ports", draw)
        monkeypatch.setattr(server_module, "check_free", lambda _host, _ports: None)
        with TritonServer(repository, ServerOptions(log_file=tmp_path / "log")) as running:
            assert len(drawn) == 2
            assert running.ports == drawn[1]


def test_two_servers_side_by_side(repository: Path, tmp_path: Path) -> None:
    with (
        TritonServer(repository, ServerOptions(log_file=tmp_path / "one")) as one,
        TritonServer(repository, ServerOptions(log_file=tmp_path / "two")) as two,
    ):
        assert one.grpc_url != two.grpc_url
        assert one.pid != two.pid


def test_start_that_takes_too_long(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tells_that_it_loads(repository, tmp_path)
    server = TritonServer(repository, ServerOptions(log_file=tmp_path / "log", start_timeout_s=0.0))

    def go_on_and_stop() -> None:  # Triton stops no sooner than its models have loaded
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        TritonServer.stop(server)
        os.close(reader)

    monkeypatch.setattr(server, "stop", go_on_and_stop)
    with pytest.raises(ServerStartError, match="not ready after 0 s"), server:
        pass
    with pytest.raises(ServerStartError, match="has not been started"):
        _ = server.pid


def test_wrong_argument_for_tritonserver(repository: Path, tmp_path: Path) -> None:
    errors = refused(repository, tmp_path, "--free-ports", "--", "--no-such-option")
    assert "no-such-option" in errors


def test_threads_are_bounded(repository: Path, tmp_path: Path) -> None:
    with TritonServer(repository, ServerOptions(log_file=tmp_path / "log", threads=1)) as running:
        for process in psutil.Process(running.pid).children(recursive=True):
            environment = process.environ()
            assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "1"


def test_a_filter_with_one_score_too_many_is_refused(tiny_repository: Path, tmp_path: Path) -> None:
    """What a network returns is looked at too: a served answer has the shape that the contract says."""
    repository = tmp_path / "repository"
    shutil.copytree(tiny_repository / "filter", repository / "filter", ignore=shutil.ignore_patterns("__pycache__"))

    class OneTooMany(TinyEdges):
        def forward(self, features: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            step = features.index_select(0, edge_index[0])
            return torch.cat((step[:, 0], step[:1, 0]))

    save_scripted(OneTooMany(FILTER_LENGTH), repository / "filter" / "1" / "model.pt")
    assert "filter" in refused(repository, tmp_path, "--free-ports")
