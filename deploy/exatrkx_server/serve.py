"""Server command: a Triton server in the foreground, with this project's model repository, watched and kept running.

One line on standard output when every model is ready; what happens later is on standard error and in the log file,
where the server's own output goes, too. SIGINT (Ctrl-C) and SIGTERM stop it cleanly. The exit code is 0 after such a
stop; 1, with the reason on standard error, when the server cannot start, a model does not load, or the server fails
more often than it is to be started again.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

from exatrkx.commands import program, run_command
from exatrkx.errors import OutputError
from exatrkx.files import write_files
from exatrkx_server.command import memory_limit_mib
from exatrkx_server.errors import ServingError, StartCancelledError
from exatrkx_server.fleet import Member, serve_each
from exatrkx_server.health import Health, health_endpoint
from exatrkx_server.options import numeric_host
from exatrkx_server.probe import check_probing
from exatrkx_server.processes import StopRequest
from exatrkx_server.repository import default_repository
from exatrkx_server.resources import raise_descriptor_limit
from exatrkx_server.serve_options import parse_arguments, server_options, supervision_options
from exatrkx_server.server import TritonServer
from exatrkx_server.supervisor import Supervisor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path


def server_from(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> TritonServer:
    """The server that the command line asks for, not yet started."""
    repository = getattr(arguments, "model_repository", None) or default_repository()
    return TritonServer(repository, server_options(arguments), cancelled)


def write_ports_file(path: Path, server: TritonServer, health_url: str) -> None:
    """The server's addresses and process, as JSON; a reader sees the whole file or none."""
    addresses = {
        "http_url": server.http_url,
        "grpc_url": server.grpc_url,
        "metrics_url": server.metrics_url,
        "health_url": health_url,
        "pid": server.pid,
    }
    write_files({path: (json.dumps(addresses, indent=2) + "\n").encode()})


def ready_line(server: TritonServer, health_url: str) -> str:
    """Everything that a client needs, on one line."""
    backends = ", ".join(str(backend) for backend in server.backends)
    access, host = server.options.access, server.options.host
    remarks = "".join(f"{remark}; " for remark in access.remarks(host, secrets_visible=server.secrets_visible))
    http = server.http_url if access.infers_over_http(host) else f"{server.http_url} (no inference)"
    return (
        f"ready after {server.ready_after_s:.1f} s: gRPC {server.grpc_url}, HTTP {http}, "
        f"metrics {server.metrics_url}; {server.devices}; backends: {backends}; stages: {server.options.stages}; "
        f"health: {health_url}/ready; {remarks}log: {server.log_file}"
    )


def gauges(server: TritonServer) -> dict[str, tuple[str, Callable[[], int]]]:
    """What the server takes, and what it may: metrics of the health endpoint, besides its own."""
    options = server.options
    return {
        "exatrkx_memory_bytes": ("Resident memory of the server's processes.", lambda: server.resident_bytes),
        "exatrkx_max_memory_bytes": ("What they may take.", lambda: memory_limit_mib(options) << 20),
        "exatrkx_max_queue": ("Requests that may wait in the server.", lambda: options.max_queue),
    }


def list_ports(server: TritonServer, health_url: str, ports_file: Path | None, *, again: bool, where: str) -> None:
    """Write the ports file, if there is to be one; `again`: after a restart, when it is there.

    Raises:
        OutputError: it cannot be written the first time.
    """
    try:
        if ports_file:
            write_ports_file(ports_file, server, health_url)
    except OutputError as error:
        if not again:
            raise
        say(f"{where}warning: {error}")  # no reason to stop serving: the addresses are the same


def tell_ready(server: TritonServer, health_url: str, *, again: bool, where: str) -> None:
    """The ready line: on standard output, after a restart on standard error."""
    line = f"{where}{ready_line(server, health_url)}"
    if again:
        say(line)
    else:
        print(line, flush=True)


def serve(arguments: argparse.Namespace, stop: StopRequest, where: str = "") -> None:
    """Serve until a stop is requested; what is told of it begins with `where`.

    Raises:
        ServingError: the server could not start, or failed too often; the text gives the reason.
    """
    if arguments.probe_every:
        check_probing()
    raise_descriptor_limit()
    health = Health()

    def stopping() -> bool:
        health.beat()
        return stop.made

    def tell(text: str) -> None:
        say(f"{where}{text}")

    with contextlib.ExitStack() as cleanup:
        host = numeric_host(arguments.host)
        health_port = cleanup.enter_context(health_endpoint(host, arguments.health_port, health))
        if arguments.ports_file:
            cleanup.callback(arguments.ports_file.unlink, missing_ok=True)
        try:
            server = cleanup.enter_context(server_from(arguments, stopping))
        except StartCancelledError:
            return  # as good a time as any other
        health.gauges.update(gauges(server))
        health_url = server.local_url(health_port)
        for warning in server.options.access.warnings():
            tell(f"warning: {warning}")
        ports_file = arguments.ports_file
        Supervisor(
            server,
            supervision_options(arguments),
            health,
            stopping=stopping,
            # Whoever is told that it is ready may look for the file then.
            before_ready=lambda: list_ports(server, health_url, ports_file, again=health.restarts > 0, where=where),
            on_ready=lambda: tell_ready(server, health_url, again=health.restarts > 0, where=where),
            say=tell,
        ).run()


def serve_on_gpus(arguments: argparse.Namespace, stop: StopRequest) -> None:
    """Serve on several GPUs, by a server and a process for each, until a stop is requested.

    Raises:
        ServingError: a server did not start, or was given up.
    """

    def serve_member(member: Member) -> int:
        where = f"GPU {member.gpu}: "

        def work() -> None:
            try:
                serve(member.arguments, stop, where)
            except ServingError as error:
                raise ServingError(f"{where}{error}") from error

        return run_command("serve.py", work)

    serve_each(arguments, stop, serve_member, say)


def say(text: str) -> None:
    """A line on standard error, where somebody reads it."""
    with contextlib.suppress(OSError):
        print(f"{program('serve.py')}: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes. Returns the exit code."""

    def work() -> None:
        options = parse_arguments(arguments, __doc__.partition("\n")[0] if __doc__ else "")
        (serve_on_gpus if options.gpus else serve)(options, StopRequest())

    return run_command("serve.py", work)


if __name__ == "__main__":
    sys.exit(main())
