"""The whole service as it runs for users, in a /dev/shm of its own, and the faults that are done to it.

`exatrkx serve` supervises a Triton server, which has a process for each Python model. Each of them can be killed and
paused here, the service as a whole too, and the shared memory through which they talk can be filled.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import psutil

from exatrkx_server import free_ports
from exatrkx_server.stage_processes import stage_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

Value = TypeVar("Value")

ROOT: Final = Path(__file__).resolve().parents[3]
SHARED_MEMORY_MIB: Final = 512

PATIENCE_S: Final = 300.0
"""What has not happened after so long does not happen: this bounds a test that fails, and judges no time."""

_RESTARTS: Final = re.compile(r"^exatrkx_restarts_total (\d+)$", re.MULTILINE)
_PROBES: Final = re.compile(r"^exatrkx_probe_seconds_count\{model=\"(.+)\"\} (\d+)$", re.MULTILINE)
_POLL_S: Final = 0.1
_MIB: Final = 1 << 20


@contextlib.contextmanager
def own_shared_memory() -> Iterator[int | None]:
    """A process with a /dev/shm of its own, for others to enter; None where this machine does not allow that."""
    script = f"mount -t tmpfs -o size={SHARED_MEMORY_MIB}m tmpfs /dev/shm && echo mounted && exec cat"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    # It ends when its input does.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout is not None
        yield holder.pid if holder.stdout.readline() else None


@dataclass(frozen=True)
class Part:
    """One process of the service by what it is: `serve`, `tritonserver`, or the Python model that it serves."""

    name: str
    process: psutil.Process


def own_mib(pid: int) -> float:
    """A process's memory that no file backs; what it shares with others is shared out (proportional set size)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    kib = {name: int(value.split()[0]) for name, value in (line.split(":") for line in lines)}
    return (kib["Pss_Anon"] + kib["Pss_Shmem"]) / 1024


@dataclass(frozen=True)
class Usage:
    """Resource usage of all processes of a service; memory without the files, for which others may pay a part."""

    memory_mib: float
    open_files: int
    shared_memory_files: int

    def __str__(self) -> str:
        return f"{self.memory_mib:.0f} MiB, {self.open_files} open files, {self.shared_memory_files} in /dev/shm"


class Service:
    """A running `exatrkx serve`, on ports that it keeps over every restart. A context manager."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._ports = free_ports("127.0.0.1")
        self._health_port = free_ports("127.0.0.1").http
        self._resources = contextlib.ExitStack()
        self._namespace: int | None = None
        self._shared_memory = Path("/dev/shm")
        self._before: set[Path] = set()
        self._seen: dict[int, psutil.Process] = {}
        self._killed_restarts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        try:
            self._namespace = self._resources.enter_context(own_shared_memory())
            if self.has_own_shared_memory:
                self._shared_memory = Path(f"/proc/{self._namespace}/root/dev/shm")
            self._before = set(self._shared_memory.iterdir())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._resources:
            self.stop()

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self._ports.grpc}"

    @property
    def has_own_shared_memory(self) -> bool:
        return self._namespace is not None

    @property
    def restarts(self) -> int:
        """Starts of its Triton server after the first."""
        found = _RESTARTS.search(self._ask("/metrics"))
        assert found
        return self._killed_restarts + int(found[1])

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        enter = ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", str(self._namespace)]
        command = [*enter * self.has_own_shared_memory, sys.executable, str(ROOT / "deploy" / "serve.py")]
        command += ["--http-port", str(self._ports.http), "--grpc-port", str(self._ports.grpc)]
        command += ["--metrics-port", str(self._ports.metrics), "--health-port", str(self._health_port)]
        command += ["--log-file", str(self._folder / "tritonserver.log"), *self._arguments]
        with (self._folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop it as a user does; nothing the second time. Raises AssertionError where anything of it stays."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(PATIENCE_S)
            self._wait_for(self._end, "end")
            assert process.returncode == 0, f"it ended with code {process.returncode}; {self.last_words()}"
            assert not self.leftovers(), self.leftovers()

    def leftovers(self) -> list[Path]:
        """Temporary directories and shared memory of any of its processes."""
        scratch = Path(tempfile.gettempdir()).glob("exatrkx-backends-*")
        mine = [path for path in scratch if int(path.name.split("-")[2]) in self._seen]
        return mine + sorted(set(self._shared_memory.glob("exatrkx-*")) - self._before)

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

    def usage(self) -> Usage:
        """What it takes now."""

        def add_up() -> Usage:
            processes = [part.process for part in self.parts()]
            memory = sum(own_mib(process.pid) for process in processes)
            files = sum(process.num_fds() for process in processes)
            return Usage(memory, files, len(set(self._shared_memory.iterdir()) - self._before))

        return self._while_ready(add_up)

    def wait_until_ready(self) -> None:
        """Wait until it says that it is ready."""
        self._wait_for(self._unready, "be ready")
        self.parts()

    def recovered(self, over: float) -> float:
        """When it was well after a fault that was over at this time, by `time.monotonic`: waits until that is known.

        Triton may end by SIGSEGV just after a pause, when its supervisor still says that it is ready. Of two more
        answers to each of its probes the second one was asked for after the fault.
        """
        self.wait_until_ready()
        restarts, before = self.restarts, self._probes()
        self._wait_for(
            lambda: ", ".join(name for name, count in self._probes().items() if count < before.get(name, 0) + 2),
            "answer",
        )
        self.wait_until_ready()
        return over if self.restarts == restarts else time.monotonic()

    def _probes(self) -> dict[str, int]:
        """How many probes each pipeline, and the server, have answered."""
        return {name: int(count) for name, count in _PROBES.findall(self._ask("/metrics"))}

    def kill(self, name: str) -> None:
        """`kill -9` of one part, which its supervisor has to notice.

        Where it is the supervisor itself, another one is started, as systemd would.
        """

        def strike() -> int:
            before = self.restarts
            self._named([name])[0].kill()
            return before

        restarts = self._while_ready(strike)
        if name == "serve":
            assert self._process is not None
            self._process.wait(PATIENCE_S)
            self._wait_for(self._end, "end")
            self._killed_restarts = restarts + 1
            self.start()
        else:
            self._wait_for(lambda: "" if self.restarts > restarts else f"{name} was killed", "start again")

    def pause(self, names: Collection[str], seconds: float) -> None:
        """Stop these parts and continue them, as a suspended machine or a debugger does."""
        processes = self._while_ready(lambda: self._named(names))
        try:
            for process in processes:
                process.suspend()
            time.sleep(seconds)  # the fault itself
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextlib.contextmanager
    def full_shared_memory(self) -> Iterator[None]:
        """No room in the service's /dev/shm meanwhile. Only where it has one of its own."""
        filler = self._shared_memory / "filler"
        try:
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:  # ends with: no space left
                while file.write(bytes(_MIB)) == _MIB:
                    pass
            yield
        finally:
            filler.unlink()

    def fill_shared_memory(self, seconds: float) -> None:
        """Leave no room there for this long."""
        with self.full_shared_memory():
            time.sleep(seconds)  # the fault itself

    def last_words(self) -> str:
        return (self._folder / "serve.log").read_text(errors="replace")[-2000:]

    def _named(self, names: Collection[str]) -> list[psutil.Process]:
        """The processes of these parts; raises psutil.NoSuchProcess where one is just being started again."""
        found = {part.name: part.process for part in self.parts()}
        if missing := set(names) - set(found):
            raise psutil.NoSuchProcess(-1, ", ".join(missing))
        return [found[name] for name in names]

    def _while_ready(self, action: Callable[[], Value]) -> Value:
        """Do it with processes that are there: again, where one of them has ended meanwhile."""
        while True:
            self.wait_until_ready()
            with contextlib.suppress(psutil.NoSuchProcess):
                return action()

    def _ask(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port}{path}", timeout=PATIENCE_S) as answer:
            return str(answer.read(), "utf-8")

    def _unready(self) -> str:
        """Why it is not ready; empty where it says that it is. Raises AssertionError where it has ended."""
        assert self._process is not None
        assert self._process.poll() is None, f"it ended with code {self._process.returncode}; {self.last_words()}"
        try:
            self._ask("/ready")
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError as error:
            return str(error)
        return ""

    def _end(self) -> str:
        """Which of the processes that ever were part of it have not ended."""
        return ", ".join(str(process) for process in self._seen.values() if _is_alive(process))

    def _wait_for(self, unmet: Callable[[], str], what: str) -> None:
        """Wait until nothing is unmet any more. Raises AssertionError where that does not come."""
        deadline = time.monotonic() + PATIENCE_S
        while reason := unmet():
            assert time.monotonic() < deadline, f"it does not {what}: {reason}; {self.last_words()}"
            time.sleep(_POLL_S)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
