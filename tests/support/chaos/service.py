"""The whole service as it runs for users, in a /dev/shm of its own, and the faults that are done to it.

`exatrkx serve` supervises a Triton server, which has a process for each Python model. Each of them can be killed and
paused here, the service as a whole too, and the shared memory through which they talk can be filled.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from exatrkx_server import free_ports
from exatrkx_server.stage_processes import stage_processes

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).resolve().parents[3]
READY_S: Final = 120.0
GONE_S: Final = 30.0
SHARED_MEMORY_MIB: Final = 512
_POLL_S: Final = 0.1
_MIB: Final = 1 << 20


def own_shared_memory() -> list[str]:
    """A command's beginning that gives it a /dev/shm of its own; empty where this machine does not allow that."""
    script = f'mount -t tmpfs -o size={SHARED_MEMORY_MIB}m tmpfs /dev/shm && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    with contextlib.suppress(OSError):
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return []


@dataclass(frozen=True)
class Part:
    """One process of the service by what it is: `serve`, `tritonserver`, or the Python model that it serves."""

    name: str
    process: psutil.Process


class Service:
    """A running `exatrkx serve`, on ports that it keeps over every restart. A context manager."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._ports = free_ports("127.0.0.1")
        self._health_port = free_ports("127.0.0.1").http
        self._prefix = own_shared_memory()
        self._seen: dict[int, psutil.Process] = {}
        self._before = set(Path("/dev/shm").glob("exatrkx-*"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self._ports.grpc}"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [*self._prefix, sys.executable, str(ROOT / "deploy" / "serve.py"), *self._arguments]
        command += ["--http-port", str(self._ports.http), "--grpc-port", str(self._ports.grpc)]
        command += ["--metrics-port", str(self._ports.metrics), "--health-port", str(self._health_port)]
        command += ["--log-file", str(self._folder / "tritonserver.log")]
        with (self._folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop it as a user does. Raises AssertionError where one of its processes stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(GONE_S)
        self.assert_gone()

    def assert_gone(self) -> None:
        """Every process that ever was part of the service has ended."""
        deadline = time.monotonic() + GONE_S
        while (alive := [process for process in self._seen.values() if process.is_running()]) and (
            time.monotonic() < deadline
        ):
            time.sleep(_POLL_S)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert not alive, f"left behind: {alive}"

    def leftovers(self) -> list[Path]:
        """Temporary directories and shared memory of any of its processes."""
        scratch = Path(tempfile.gettempdir()).glob("exatrkx-backends-*")
        shared = [] if self._prefix else Path("/dev/shm").glob("exatrkx-*")  # its own is gone with its namespace
        mine = [path for path in scratch if int(path.name.split("-")[2]) in self._seen]
        return mine + sorted(set(shared) - self._before)

    def parts(self) -> list[Part]:
        """Its processes now, the supervisor first."""
        assert self._process is not None
        root = psutil.Process(self._process.pid)
        found = [Part("serve", root)]
        for process in root.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name().startswith("tritonserver"):
                    found.append(Part("tritonserver", process))
                    models = stage_processes(process.pid).items()  # it leads the group
                    found += [Part(name, psutil.Process(pid)) for pid, name in models]
        self._seen |= {part.process.pid: part.process for part in found}
        return found

    def part(self, name: str) -> psutil.Process:
        return next(part.process for part in self.parts() if part.name == name)

    def ready(self) -> str:
        """Empty where the service says that it is ready; else why it is not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port}/ready", timeout=5.0):
                return ""
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:
            return str(error)

    def wait_until(self, *, ready: bool, within_s: float = READY_S) -> None:
        """Wait until it says that it is ready, or that it is not. Raises AssertionError where it does not in time."""
        deadline = time.monotonic() + within_s
        while (not (reason := self.ready())) != ready:
            assert self._process is not None
            state = f"still {'not ready: ' + reason if ready else 'ready'} after {within_s:g} s; {self._last_words()}"
            assert self._process.poll() is None, f"the service ended with code {self._process.poll()}: {state}"
            assert time.monotonic() < deadline, state
            time.sleep(_POLL_S)

    def wait_until_ready(self) -> None:
        self.wait_until(ready=True)
        self.parts()

    def kill(self, name: str) -> None:
        """`kill -9` of one part; where it is the supervisor, another one is started, as systemd would."""
        self.part(name).kill()
        if name == "serve":
            assert self._process is not None
            self._process.wait(GONE_S)
            self.assert_gone()
            self.start()

    def pause(self, names: Sequence[str], seconds: float) -> None:
        """Stop these parts and continue them, as a suspended machine or a debugger does."""
        processes = [part.process for part in self.parts() if part.name in names]
        for process in processes:
            process.suspend()
        try:
            time.sleep(seconds)  # the fault itself
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def fill_shared_memory(self, seconds: float) -> None:
        """Leave no room in the service's /dev/shm for this long. Only where it has one of its own."""
        filler = Path(f"/proc/{self.part('tritonserver').pid}/root/dev/shm/filler")
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:  # ends with: no space left
            while file.write(bytes(_MIB)) == _MIB:
                pass
        time.sleep(seconds)  # the fault itself
        filler.unlink()

    @property
    def has_own_shared_memory(self) -> bool:
        return bool(self._prefix)

    def memory_mib(self) -> float:
        """Memory of all its processes, shared pages counted once (proportional set size)."""
        return float(sum(part.process.memory_full_info().pss for part in self.parts())) / _MIB

    def _last_words(self) -> str:
        return json.dumps((self._folder / "serve.log").read_text(errors="replace")[-2000:])
