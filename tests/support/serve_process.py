"""A running `deploy/serve.py`, as a user runs it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import psutil

from exatrkx_client.address import Address
from exatrkx_client.triton_api import TritonApi

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
LINE_TIMEOUT_S: Final = 120
GONE_TIMEOUT_S: Final = 30


class Serving:
    """A running `deploy/serve.py`."""

    def __init__(self, repository: Path, directory: Path, *arguments: str, limits: Sequence[str] = ()) -> None:
        self.log = directory / "server.log"
        self.ports_file = directory / "ports.json"
        command = [*limits, sys.executable, str(ROOT / "deploy" / "serve.py"), "--model-repository", str(repository)]
        command += ["--log-file", str(self.log), "--ports-file", str(self.ports_file), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=directory, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ready_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate(timeout=LINE_TIMEOUT_S)[1])
        return line

    def family(self) -> list[psutil.Process]:
        """serve.py, the server and the server's models."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def server_name(self) -> str:
        """The name with which the server's shared memory begins, too."""
        with TritonApi(Address.parse(json.loads(self.ports_file.read_text())["http_url"])) as api:
            return api.server_name()

    def end(self) -> tuple[int, str]:
        """Exit code and what was written to standard error."""
        _, errors = self.process.communicate(timeout=LINE_TIMEOUT_S)
        return self.process.returncode, errors

    def addresses(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ports_file.read_text())
        return found

    def health(self, path: str = "/ready") -> tuple[int, str]:
        """Status and text of a page of the health endpoint."""
        try:
            with urllib.request.urlopen(f"{self.addresses()['health_url']}{path}", timeout=LINE_TIMEOUT_S) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode().strip()

    def await_health(self, status: int, text: str = "") -> str:
        """Wait until it is ready (200) or not (503), for this reason; returns the reason."""
        found: list[str] = []

        def there() -> bool:
            now, reason = self.health()
            found[:] = [reason]
            return now == status and text in reason

        self.until(there)
        return found[0]

    def reasons(self) -> list[str]:
        """Why it was not ready, each time: the first lines, out of the log."""
        return re.findall(r"^.* exatrkx_server: not ready: (.*)$", self.log.read_text(), re.MULTILINE)

    def await_reason(self, text: str, after: int = 0) -> str:
        """Wait until it was not ready for this reason, which is in the log however soon it is ready again.

        Args:
            text: of the reason.
            after: so many reasons before it do not count.
        """
        self.until(lambda: any(text in reason for reason in self.reasons()[after:]))
        return next(reason for reason in self.reasons()[after:] if text in reason)

    def await_restart(self, number: int = 1) -> None:
        """Wait until it is ready after this restart."""
        self.until(lambda: self.metric("exatrkx_restarts_total") >= number)  # before that it may still be ready
        self.await_health(200)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is to happen while it runs."""
        deadline = time.monotonic() + LINE_TIMEOUT_S
        while not condition():
            assert self.process.poll() is None, self.end()
            assert time.monotonic() < deadline, self.health()
            time.sleep(0.05)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = [line.rpartition(" ") for line in self.health("/metrics")[1].splitlines()]
        return sum(float(value) for left, _, value in lines if left.partition("{")[0] == name)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them end soon; what remains is ended."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_TIMEOUT_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return not alive
