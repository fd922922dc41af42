"""Options of a server: what it serves, on which device, with how many threads, and on which TCP ports."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Final, Literal

from exatrkx.checks import MAX_SPACEPOINTS
from exatrkx.serving.limits import MAX_QUEUE
from exatrkx_server.access import Access
from exatrkx_server.errors import PortInUseError, ServerOptionError

_LONGEST_DELAY_S: Final = 60.0
_MOST_DOUBLINGS: Final = 64  # 2.0 ** 1024 is none

Preference = Literal["auto", "compiled", "python"]
"""Which of two implementations of a backend to serve: the compiled one where it is built, or a certain one."""

Stages = Literal["python", "compiled"]
"""What serves the steps between the networks: the repository's Python models, or the compiled backend."""

DeviceChoice = Literal["auto", "cpu", "gpu"]
"""Where models run: on the GPUs where there are some that work, on the CPU, or on GPUs and nowhere else."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens. The defaults are Triton's."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How a server is run; see `deploy/serve.py --help` for each.

    Attributes:
        host: address to listen on, or a name of this machine, which becomes one.
        ports: where to listen; None for three free ones.
        models: the only models to load (an ensemble brings its steps); none for all of the repository.
        threads: computing threads of each process; None for the usable cores.
        log_file: what the server's output is appended to; None for a temporary file.
        log_max_bytes: bytes of the log, above which it begins anew; the older part, as large at most, is beside it.
        custom_backend: which implementation of this project's backends to serve: the pipeline and, where the server has
            no LibTorch backend, the networks' runner.
        stages: what serves the ensemble's steps between the networks.
        device: where the models run.
        cuda_memory_pool_mb: MiB of each GPU for tensors between an ensemble's steps.
        max_spacepoints: most spacepoints of an event.
        max_queue: most requests that wait in the server.
        max_memory_gib: memory of all processes of the server above which no large event is begun; None for four fifths
            of the machine's, or of its container's.
        latency_percentiles: whether the server's metrics have them, too.
        start_timeout_s: how long loading may take.
        stop_timeout_s: how long requests in flight may take after a stop was asked for.
        access: which of Triton's interfaces are open and to whom; TLS and token.
        extra_arguments: more arguments for `tritonserver`.

    Raises:
        ServerOptionError: nobody knows the host.
    """

    host: str = "127.0.0.1"
    ports: Ports | None = None
    models: tuple[str, ...] = ()
    threads: int | None = None
    log_file: Path | None = None
    log_max_bytes: int = 32 << 20
    custom_backend: Preference = "auto"
    stages: Stages = "python"
    device: DeviceChoice = "auto"
    cuda_memory_pool_mb: int = 512
    max_spacepoints: int = MAX_SPACEPOINTS
    max_queue: int = MAX_QUEUE
    max_memory_gib: float | None = None
    latency_percentiles: bool = False
    start_timeout_s: float = 120.0
    stop_timeout_s: int = 10
    access: Access = field(default_factory=Access)
    extra_arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", numeric_host(self.host))


def numeric_host(host: str) -> str:
    """The address of a host, of the fourth version of IP where it has several; Triton takes no names."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ServerOptionError(f"host {host!r}: {getattr(error, 'strerror', None) or error}") from error
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionOptions:
    """How a running server is watched, and started again; `exatrkx_server.watch` has the rule.

    Attributes:
        probe_every_s: seconds between two probes of each pipeline; 0 for none, so that a dead process and a server that
            hangs show, but no stage that does.
        hang_timeout_s: how long a pipeline may neither answer nor compute.
        busy_timeout_s: how long it may compute without an answer.
        max_restarts: how often in a row it is started again; 0 for never.
        restart_delay_s: wait before the first of these; twice as long before each further one, a minute at most.
    """

    probe_every_s: float = 2.0
    hang_timeout_s: float = 5.0
    busy_timeout_s: float = 300.0
    max_restarts: int = 5
    restart_delay_s: float = 1.0

    def delay_s(self, failures: int) -> float:
        """Wait before another start, after this many that failed in a row."""
        return min(self.restart_delay_s * 2.0 ** min(failures, _MOST_DOUBLINGS), _LONGEST_DELAY_S)


def address_family(host: str) -> socket.AddressFamily:
    """IPv6 or IPv4, by the look of an address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bind(host: str, port: int) -> socket.socket:
    # As the server will: a port whose last connections are only winding down is free.
    return socket.create_server((host, port), family=address_family(host))


def free_ports(host: str = "127.0.0.1") -> Ports:
    """Three different ports on which nobody listens.

    Another process may take one before the server does: `TritonServer` then starts again with three others.
    """
    with contextlib.ExitStack() as held:
        # All three at once, so that they differ.
        try:
            numbers = [held.enter_context(_bind(host, 0)).getsockname()[1] for _ in range(3)]
        except OSError as error:
            raise ServerOptionError(f"cannot listen on {host}: {os.strerror(error.errno or 0)}") from error
    return Ports(*numbers)


def check_free(host: str, ports: Ports) -> None:
    """Raise PortInUseError unless the server can listen on all three ports of this host."""
    numbers = astuple(ports)
    if len(set(numbers)) < len(numbers):
        raise PortInUseError(f"HTTP, gRPC and metrics need different ports, found {ports}")
    for number in numbers:
        try:
            _bind(host, number).close()
        except OSError as error:
            hint = "; try --free-ports" if error.errno == errno.EADDRINUSE else ""
            raise PortInUseError(f"cannot listen on {host}:{number}: {os.strerror(error.errno or 0)}{hint}") from error
