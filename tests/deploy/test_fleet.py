"""A server for each GPU: which GPUs, how each server is started, and what becomes of one is nothing to the others.

GPUs are those that CUDA_VISIBLE_DEVICES names, and their libraries stand-ins, as in test_server_devices.py.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import psutil
import pytest
from gpu_stand_ins import CUPY, TORCH, Interpreter, command, interpreter
from serve_process import LINE_TIMEOUT_S, gone

from exatrkx_client.address import Address
from exatrkx_client.arguments import add_client_arguments, check_client_arguments
from exatrkx_client.triton_api import TritonApi
from exatrkx_server.command import default_memory_gib
from exatrkx_server.errors import ServerOptionError
from exatrkx_server.fleet import chosen_gpus, members
from exatrkx_server.serve_options import parse_arguments, server_options

__all__ = ["interpreter"]

ONE_EACH: Final = {"cupy": CUPY.format(gpus=1), "torch": TORCH.format(gpus=1)}
"""The libraries of a process that sees one GPU."""

# It says how it was started, and ends: in a folder of its own for each GPU.
RECORDER: Final = """#!/bin/sh
mkdir -p "{folder}/$CUDA_VISIBLE_DEVICES"
printf "%s\\n" "$@" > "{folder}/$CUDA_VISIBLE_DEVICES/arguments"
env > "{folder}/$CUDA_VISIBLE_DEVICES/environment"
exit 1
"""


@pytest.mark.parametrize(
    ("choice", "visible", "gpus"),
    [("all", "0,1,2", "0,1,2"), ("0,2", "0,1,2", "0,2"), ("1", "3,GPU-ab12", "GPU-ab12"), (" 1 , 0 ", "5,7", "7,5")],
)
def test_gpus_by_their_number_among_those_visible(choice: str, visible: str, gpus: str) -> None:
    assert ",".join(chosen_gpus(choice, {"CUDA_VISIBLE_DEVICES": visible})) == gpus


def test_gpus_of_the_machine(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    assert chosen_gpus("all", {}, tmp_path) == ("0", "1")


@pytest.mark.parametrize(
    ("choice", "visible", "reason"),
    [
        ("all", "", "no GPU is visible here"),
        ("2", "0,1", r"expected all or numbers of GPUs, here 0 … 1, found '2'"),
        ("0,-1", "0", "here 0, found '-1'"),
        ("0,", "0", "found ''"),
        ("both", "0,1", "found 'both'"),
        ("1,1", "0,1", "a GPU is named twice in '1,1'"),
    ],
)
def test_gpus_that_there_are_not(choice: str, visible: str, reason: str) -> None:
    with pytest.raises(ServerOptionError, match=reason):
        chosen_gpus(choice, {"CUDA_VISIBLE_DEVICES": visible})


def options_of(*arguments: str) -> argparse.Namespace:
    return parse_arguments(["--model-repository", "models", *arguments], "")


def test_each_has_ports_a_log_and_a_share_of_the_memory_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "triton.log"
    first, second = members(options_of("--gpus=all", f"--log-file={log}", "--health-port=8003"), ("0", "4"), tmp_path)
    assert (first.gpu, second.gpu) == ("0", "4")
    ours, others = server_options(first.arguments), server_options(second.arguments)
    assert (ours.device, others.device) == ("gpu", "gpu")
    for name, port in {"http": 8000, "grpc": 8001, "metrics": 8002}.items():
        assert (getattr(ours.ports, name), getattr(others.ports, name)) == (port, port + 10)
    assert (first.arguments.health_port, second.arguments.health_port) == (8003, 8013)
    assert (ours.log_file, others.log_file) == (tmp_path / "triton.gpu0.log", tmp_path / "triton.gpu4.log")
    assert ours.max_memory_gib == others.max_memory_gib == pytest.approx(default_memory_gib() / 2)
    assert first.arguments.ports_file != second.arguments.ports_file
    (only,) = members(options_of("--gpus=0", "--max-memory=3", "--log-file=/dev/null"), ("0",), tmp_path)
    assert (only.arguments.max_memory, only.arguments.log_file) == (3.0, Path("/dev/null"))


def test_ports_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ServerOptionError, match="the ports of 2 servers do not fit below 65535"):
        members(options_of("--gpus=0,1", "--http-port=65530"), ("0", "1"), tmp_path)


def test_the_cpu_has_no_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        options_of("--gpus=0", "--device=cpu")
    assert "--gpus and --device cpu: no server would have a GPU" in capsys.readouterr().err


def test_what_each_server_is_started_with(interpreter: Interpreter, tmp_path: Path) -> None:
    interpreter.put(**ONE_EACH)
    program = tmp_path / "opt" / "bin" / "tritonserver"
    program.parent.mkdir(parents=True)
    (tmp_path / "opt" / "backends" / "python").mkdir(parents=True)
    program.write_text(RECORDER.format(folder=tmp_path))
    program.chmod(0o755)
    variables = interpreter.environment("3,GPU-ab")
    variables["PATH"] = os.pathsep.join([str(program.parent), variables["PATH"]])
    log = tmp_path / "triton.log"
    # One that does not start ends all: with a second for each, both are seen in any case.
    for gpu, name in enumerate(("3", "GPU-ab")):
        arguments = ("--gpus", str(gpu), "--log-file", str(log), "--models", "exatrkx_custom")
        done = subprocess.run(
            command(interpreter, *arguments), env=variables, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert f"GPU {name}: the server ended with code 1" in done.stderr
        assert f"the server on GPU {name} did not start, so the others stop" in done.stderr
        started = (tmp_path / name / "arguments").read_text().splitlines()
        assert f"--cuda-memory-pool-byte-size=0:{512 << 20}" in started, "its GPU is the only one that it sees"
        assert f"CUDA_VISIBLE_DEVICES={name}" in (tmp_path / name / "environment").read_text().splitlines()
        assert (tmp_path / f"triton.gpu{name}.log").exists()


class Fleet:
    """A running `serve.py --gpus all` with two real servers."""

    def __init__(self, interpreter: Interpreter, directory: Path, *arguments: str) -> None:
        interpreter.put(**ONE_EACH)
        self.list = directory / "servers.json"
        options = ("--gpus", "all", "--models", "frnn", "--restart-delay", "0", "--ports-file", str(self.list))
        self.process = subprocess.Popen(
            command(interpreter, *options, "--log-file", str(directory / "log"), *arguments),
            env=interpreter.environment("0,1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=LINE_TIMEOUT_S)

    def lines(self, number: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline() for _ in range(number)]

    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.list.read_text())["servers"]
        return found

    def error_line(self, text: str) -> None:
        """Wait for a line of standard error."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"no {text!r}")

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=LINE_TIMEOUT_S)
        return self.process.returncode, errors


def edges_of(server: dict[str, Any]) -> int:
    with TritonApi(Address.parse(server["http_url"])) as api:
        points = np.zeros((3, 8), dtype=np.float32)
        return int(api.infer("frnn", {"EMBEDDING": points}, ("EDGE_INDEX",)).tensors["EDGE_INDEX"].shape[1])


def is_server_of(process: psutil.Process, server: dict[str, Any]) -> bool:
    port = server["grpc_url"].rpartition(":")[2]
    return f"--grpc-port={port}" in process.cmdline()


@pytest.mark.server
def test_two_servers_of_which_one_is_killed_and_one_given_up(interpreter: Interpreter, tmp_path: Path) -> None:
    with Fleet(interpreter, tmp_path, "--max-restarts", "1") as fleet:
        *own, both = sorted(fleet.lines(3))  # a server's file, for which the last waits, comes before its line
        assert [line.partition(": ready after")[0] for line in own] == ["GPU 0", "GPU 1"]
        assert both.startswith("ready: 2 servers, gRPC ")
        assert f"listed in {fleet.list}" in both
        first, second = fleet.servers()
        assert [first["gpu"], second["gpu"]] == ["0", "1"]
        assert [edges_of(first), edges_of(second)] == [3, 3]

        os.kill(first["pid"], signal.SIGKILL)
        fleet.error_line("GPU 0: ready after")
        assert [edges_of(first), edges_of(second)] == [3, 3], "the first on the same ports again"

        again = [
            child for child in psutil.Process(fleet.process.pid).children(recursive=True) if is_server_of(child, first)
        ]
        again[0].kill()  # once more than it is started again
        fleet.error_line("the server on GPU 0 was given up; 1 left")
        assert edges_of(second) == 3
        family = psutil.Process(fleet.process.pid).children(recursive=True)
        fleet.process.send_signal(signal.SIGTERM)
        code, errors = fleet.end()
        assert (code, gone(family), fleet.list.exists()) == (1, True, False)
        assert "the servers on these GPUs were given up: 0" in errors


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_all_end_with_the_command(interpreter: Interpreter, tmp_path: Path, number: signal.Signals) -> None:
    with Fleet(interpreter, tmp_path) as fleet:
        fleet.lines(3)
        family = psutil.Process(fleet.process.pid).children(recursive=True)
        assert len(family) >= 4, "two servers, and who watches each"
        fleet.process.send_signal(number)
        code, errors = fleet.end()
        assert (code, errors) == ((0, "") if number == signal.SIGTERM else (-signal.SIGKILL, ""))
        assert gone(family)


def client_urls(*arguments: str) -> list[str]:
    parser = argparse.ArgumentParser()
    add_client_arguments(parser)
    options = parser.parse_args(arguments)
    check_client_arguments(parser, options)
    urls: list[str] = options.url
    return urls


def test_a_client_takes_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    servers = tmp_path / "servers.json"
    servers.write_text(
        json.dumps({"servers": [{"grpc_url": "127.0.0.1:8001"}, {"grpc_url": "grpcs://127.0.0.1:8011"}]})
    )
    listed = ["127.0.0.1:8001", "grpcs://127.0.0.1:8011"]
    assert client_urls("--servers", str(servers)) == listed
    assert client_urls("--servers", str(servers), "--url", "other:1") == ["other:1", *listed]
    assert client_urls() == ["127.0.0.1:8001"]
    servers.write_text('{"grpc_url": "127.0.0.1:8021", "pid": 1}')  # what a single server writes
    assert client_urls("--servers", str(servers)) == ["127.0.0.1:8021"]
    for content in ("", "[]", "{}", '{"servers": [1]}'):
        servers.write_text(content)
        with pytest.raises(SystemExit, match="2"):
            client_urls("--servers", str(servers))
        assert f"--servers: {servers}: no list of servers" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        client_urls("--servers", str(tmp_path))
    assert f"--servers: {tmp_path}: Is a directory" in capsys.readouterr().err
