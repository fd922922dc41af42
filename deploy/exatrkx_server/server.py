"""Triton server as a child process, which never outlives the process that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.serving.admission import resident_mib
from exatrkx.serving.limits import METRICS_URL_VARIABLE
from exatrkx_client.address import Address
from exatrkx_client.credentials import Credentials
from exatrkx_client.errors import ClientError
from exatrkx_client.http_transport import HttpTransport
from exatrkx_client.triton_api import TritonApi
from exatrkx_server.access import Keys
from exatrkx_server.command import command_line
from exatrkx_server.errors import PortInUseError, ServerStartError, StartCancelledError
from exatrkx_server.log import ServerLog
from exatrkx_server.options import Ports, ServerOptions, check_free, free_ports
from exatrkx_server.placement import placed
from exatrkx_server.preparation import Preparation, prepare
from exatrkx_server.processes import remove_shared_memory, scratch_directory, start_process, stop_process_group
from exatrkx_server.resources import Devices
from exatrkx_server.secret_arguments import place_secrets

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from exatrkx_server.backends import Backend

_ASK_TIMEOUT_S = 2.0
_LIST_TIMEOUT_S = 30.0
_POLL_S = 0.05
_PORT_ATTEMPTS = 5


class TritonServer:
    """A context manager: ready inside the `with`, and gone with all its processes after it.

    Start it from a thread that lives as long as the server: the kernel stops the server when that thread ends.

    Args:
        model_repository: directory of the models.
        options: how it is run.
        cancelled: asked again and again while the models load; the start ends when it says True.

    Raises (on entering):
        ServerSetupError: something that the server needs is not installed.
        PortInUseError: one of the ports is taken.
        ServerStartError: a model did not load, or the server ended; the text gives the reason.
        StartCancelledError: `cancelled` said so.
    """

    def __init__(
        self,
        model_repository: Path,
        options: ServerOptions | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model_repository = model_repository
        self.options = options or ServerOptions()
        self._cancelled = cancelled
        self.ports = Ports()
        self.backends: list[Backend] = []
        self.devices = Devices(0)
        self.ready_after_s = 0.0
        self.secrets_visible = False
        self._keys = Keys("")
        self._resources = contextlib.ExitStack()
        self._identity = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared: Preparation
        log_file = self.options.log_file
        self._log = ServerLog(log_file, self.options.log_max_bytes) if log_file else None

    @property
    def http_url(self) -> str:
        return f"http://{self._address(self.ports.http, self.options.access.http_host(self.options.host))}"

    @property
    def grpc_url(self) -> str:
        """`host:port`, or a URL where it is encrypted."""
        return f"{'grpcs://' if self.options.access.tls else ''}{self._address(self.ports.grpc, self.options.host)}"

    @property
    def metrics_url(self) -> str:
        return f"{self.local_url(self.ports.metrics)}/metrics"

    @property
    def log(self) -> ServerLog:
        if self._log is None:
            raise ServerStartError("the server has not been started, so there is no log")
        return self._log

    @property
    def log_file(self) -> Path:
        return self.log.path

    @property
    def pid(self) -> int:
        """The server's process; its Python models are its children, all in the process group of the same number."""
        if self._process is None:
            raise ServerStartError("the server has not been started")
        return self._process.pid

    @property
    def resident_bytes(self) -> int:
        """Memory of the server's processes; 0 where none runs."""
        process = self._process  # another thread may be stopping it
        return resident_mib(process.pid) << 20 if process is not None else 0

    def __enter__(self) -> TritonServer:
        try:
            self._start()
        except BaseException:  # an interrupt too: nothing may be left behind
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ending(self) -> str | None:
        """Why the server ended, if it has; None while it runs."""
        code = self._process.poll() if self._process is not None else 0
        if code is None:
            return None
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        return f"the server ended {how}: {self.log.last_errors()}"

    def api(self, timeout_s: float) -> TritonApi:
        """A connection to the server that may ask for what is closed, too; each question may take `timeout_s`."""
        return TritonApi(replace(Address.parse(self.http_url), direct=True), timeout_s, self._keys.credentials)

    def stop(self) -> None:
        """Stop the server and every process of it. Does nothing the second time."""
        # Triton itself gives up on requests in flight after stop_timeout_s; then come the models' own ends.
        self._stop_process(self.options.stop_timeout_s + 10.0)
        self._resources.close()

    def halt(self) -> None:
        """Kill the server and every process of it; `restart` starts it again."""
        self._stop_process(0.0)

    def restart(self) -> None:
        """Start the server again, on the same ports. Raises as entering does."""
        self.halt()
        try:
            self._launch(self.ports)
        except BaseException:
            self.halt()
            raise

    def _stop_process(self, grace_s: float) -> None:
        process, self._process = self._process, None
        if process is not None:
            stop_process_group(process, grace_s=grace_s)
            remove_shared_memory(self._identity)

    def _start(self) -> None:
        if not self.model_repository.is_dir():
            raise ServerStartError(f"{self.model_repository}: no such model repository")
        scratch = Path(self._resources.enter_context(scratch_directory()))
        self._prepared = prepare(self.model_repository, self.options, scratch)
        self.backends, self.devices = self._prepared.backends, self._prepared.devices
        if self._log is None:
            handle, name = tempfile.mkstemp(prefix="exatrkx-triton-", suffix=".log")
            os.close(handle)
            self._log = ServerLog(Path(name), self.options.log_max_bytes)
        self._resources.enter_context(self._log.bounded())
        self._keys = self.options.access.keys()  # of every start: connections outlive one
        self._launch(self.options.ports)

    def _launch(self, ports: Ports | None) -> None:
        """Start the prepared server on these ports, or on free ones."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.ports = ports or free_ports(self.options.host)
            check_free(self.options.host, self.ports)
            secrets = self.options.access.restrictions(self.options.host, self._keys)
            self._identity = f"exatrkx-{uuid.uuid4().hex[:12]}"
            command = command_line(
                self._prepared.installation,
                self._prepared.repository,
                self._prepared.backend_directory,
                options=self.options,
                ports=self.ports,
                identity=self._identity,
                python_backends=[backend.name for backend in self.backends if backend.runs_python],
                gpus=self.devices.gpus,
                secret_arguments=secrets,
            )
            try:
                metrics = {METRICS_URL_VARIABLE: self.metrics_url}
                self._run(command, {**self._prepared.variables, **metrics, **secrets})
            except PortInUseError:
                # Free a moment ago: somebody else was faster.
                self.halt()
                if ports is not None or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                return

    def _run(self, command: list[str], variables: Mapping[str, str]) -> None:
        began = time.monotonic()
        self.log.begin()
        self._process = start_process(command, variables, self.log_file)
        if any(word.startswith("$") for word in command):
            self.secrets_visible = not place_secrets(self._process.pid)
        deadline = began + self.options.start_timeout_s
        # Triton opens its ports after it has tried to load every model.
        with self.api(_ASK_TIMEOUT_S) as api:
            self._await(lambda: api.server_name() == self._identity, deadline)
        if not any(argument.startswith("--allow-metrics") for argument in self.options.extra_arguments):
            metrics = replace(Address.parse(self.metrics_url.removesuffix("/metrics")), direct=True)
            # Opened last; Triton serves on without it when the port is taken.
            with contextlib.closing(HttpTransport(metrics, Credentials())) as http:
                self._await(lambda: http.answers("/metrics", _ASK_TIMEOUT_S), deadline)
        self._check_models()
        self._check_devices()
        self.ready_after_s = time.monotonic() - began

    def _await(self, condition: Callable[[], bool], deadline: float) -> None:
        while True:
            ending = self.ending  # before the log is read, which is then complete
            if self.log.port_was_taken():
                raise PortInUseError(self.log.last_errors())
            if ending is not None:
                raise ServerStartError(f"{ending}\nlog: {self.log_file}")
            if self._cancelled():
                raise StartCancelledError("stopped while the models were loading")
            with contextlib.suppress(ClientError):  # nobody answers yet
                if condition():
                    return
            if time.monotonic() > deadline:
                raise ServerStartError(
                    f"not ready after {self.options.start_timeout_s:g} s: {self.log.last_errors()}\n"
                    f"log: {self.log_file}"
                )
            time.sleep(_POLL_S)

    def _check_models(self) -> None:
        try:
            with self.api(_LIST_TIMEOUT_S) as api:
                states = api.model_states()
        except ClientError as error:
            raise ServerStartError(f"{self.ending or error}\nlog: {self.log_file}") from error
        known = {model.name for model in states}
        wanted = set(self.options.models) or known
        problems = [f"{name}: not in {self.model_repository}" for name in sorted(wanted - known)]
        problems += [str(model) for model in states if model.name in wanted and not model.ready]
        if not wanted:
            problems = [f"{self.model_repository}: no models"]
        if problems:
            raise ServerStartError("models that did not load:\n  " + "\n  ".join(problems) + f"\nlog: {self.log_file}")

    def _check_devices(self) -> None:
        prepared, models = self._prepared, self.options.models
        try:
            with self.api(_LIST_TIMEOUT_S) as api:
                self.devices = placed(prepared.devices, api, prepared.repository, models, prepared.backends)
        except ClientError as error:
            raise ServerStartError(f"{self.ending or error}\nlog: {self.log_file}") from error
        if self.devices.problem and self.options.device == "gpu":
            raise ServerStartError(f"--device gpu: {self.devices.problem}")

    def local_url(self, port: int) -> str:
        """Where this machine reaches what listens for HTTP beside the server."""
        return f"http://{self._address(port, self.options.host)}"

    @staticmethod
    def _address(port: int, host: str) -> str:
        # A server that listens on every address is asked on this machine's own.
        return Address("http", {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port).target  # noqa: S104 - compared
