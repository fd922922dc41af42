"""Server command: a Triton server in the foreground, with this project's model repository, watched and kept running.

One line on standard output when every model is ready; what happens later is on standard error and in the log file,
where the server's own output goes, too. SIGINT (Ctrl-C) and SIGTERM stop it cleanly. The exit code is 0 after such a
stop; 1, with the reason on standard error, when the server cannot start, a model does not load, or the server fails
more often than it is to be started again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from exatrkx.checks import MAX_SPACEPOINTS
from exatrkx.commands import EXIT_CODES, add_version, at_least, program, run_command
from exatrkx.serving.limits import MAX_QUEUE
from exatrkx_server.access import access_of, add_access_arguments
from exatrkx_server.errors import StartCancelledError
from exatrkx_server.health import Health, health_endpoint
from exatrkx_server.options import (
    DeviceChoice,
    Ports,
    Preference,
    ServerOptions,
    Stages,
    SupervisionOptions,
    numeric_host,
)
from exatrkx_server.probe import check_probing
from exatrkx_server.processes import StopRequest
from exatrkx_server.repository import default_repository
from exatrkx_server.resources import raise_descriptor_limit
from exatrkx_server.server import TritonServer
from exatrkx_server.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(
        prog=program("serve.py"),
        description=__doc__.partition("\n")[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog=f"Arguments after -- go to tritonserver as they are. {EXIT_CODES}",
    )
    add_version(parser)
    ports = Ports()
    parser.add_argument(
        "--model-repository",
        type=Path,
        default=argparse.SUPPRESS,
        help="directory of the models (default: that of this checkout; without one, a copy of the installed package's "
        "with the committed networks)",
    )
    parser.add_argument("--models", type=_names, default=(), metavar="A,B", help="load only these (default: all)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens it to the network")
    parser.add_argument("--http-port", type=int, default=ports.http)
    parser.add_argument("--grpc-port", type=int, default=ports.grpc)
    parser.add_argument("--metrics-port", type=int, default=ports.metrics)
    parser.add_argument("--health-port", type=int, default=0, help="of /live, /ready and /metrics; 0: a free one")
    parser.add_argument("--free-ports", action="store_true", help="take three free ports instead")
    parser.add_argument("--ports-file", type=Path, help="write the server's addresses to this JSON file when ready")
    parser.add_argument("--log-file", type=Path, default=Path("tritonserver.log"))
    parser.add_argument(
        "--log-max-mb",
        type=at_least(int, 1),
        default=ServerOptions().log_max_bytes >> 20,
        help="MiB of the log, above which it begins anew; the older part is kept with .1 at the end of its name",
    )
    parser.add_argument("--threads", type=int, help="computing threads of each process (default: the usable cores)")
    parser.add_argument(
        "--custom-backend",
        choices=get_args(Preference),
        default="auto",
        help="what serves exatrkx_custom and, where the server has no LibTorch backend, the networks; "
        "auto: what is compiled, where it is built; compiled: nothing else",
    )
    parser.add_argument(
        "--stages",
        choices=get_args(Stages),
        default="python",
        help="what serves frnn, applyfilter and wcc: the Python models of the repository, or the compiled backend",
    )
    parser.add_argument(
        "--device",
        choices=get_args(DeviceChoice),
        default="auto",
        help="where the models run; auto: on the GPUs, where there are some and CuPy works with them, else on the CPU; "
        "gpu: there and nowhere else",
    )
    parser.add_argument(
        "--cuda-memory-pool-mb", type=int, default=512, help="MiB on each GPU for tensors between an ensemble's steps"
    )
    add_access_arguments(parser)
    parser.add_argument("--start-timeout", type=float, default=120.0, help="seconds that loading may take")
    _add_limits(parser)
    _add_supervision(parser)
    parser.add_argument("tritonserver_arguments", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-spacepoints",
        type=at_least(int, 1),
        default=MAX_SPACEPOINTS,
        help="an event with more is refused: too large (at least the 2000 of the warm-up)",
    )
    parser.add_argument(
        "--max-queue",
        type=at_least(int, 1),
        default=MAX_QUEUE,
        help="while more requests wait in the server, events are refused: unavailable, try later",
    )
    parser.add_argument(
        "--max-memory",
        type=at_least(float, 0.1),
        default=argparse.SUPPRESS,
        metavar="GIB",
        help="a large event that would need more, with what the server's processes have, is refused: unavailable, try "
        "later; or too large (default: four fifths of the machine's, or of its container's)",
    )


def _add_supervision(parser: argparse.ArgumentParser) -> None:
    ours, seconds = SupervisionOptions(), at_least(float, 0.0)
    parser.add_argument(
        "--probe-every", type=seconds, default=ours.probe_every_s, help="seconds between two tiny events; 0: none"
    )
    parser.add_argument(
        "--hang-timeout",
        type=at_least(float, 1.0),
        default=ours.hang_timeout_s,
        help="seconds without an answer or any computing",
    )
    parser.add_argument(
        "--busy-timeout",
        type=at_least(float, 1.0),
        default=ours.busy_timeout_s,
        help="seconds of computing without any answer",
    )
    parser.add_argument(
        "--max-restarts", type=at_least(int, 0), default=ours.max_restarts, help="starts after failures in a row"
    )
    parser.add_argument(
        "--no-restart", dest="max_restarts", action="store_const", const=0, help="end at the first failure"
    )
    parser.add_argument(
        "--restart-delay",
        type=seconds,
        default=ours.restart_delay_s,
        help="before the first; each next waits twice as long",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def server_from(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> TritonServer:
    """The server that the command line asks for, not yet started."""
    ports = Ports(arguments.http_port, arguments.grpc_port, arguments.metrics_port)
    options = ServerOptions(
        host=arguments.host,
        ports=None if arguments.free_ports else ports,
        models=arguments.models,
        threads=arguments.threads,
        log_file=arguments.log_file,
        log_max_bytes=arguments.log_max_mb << 20,
        custom_backend=arguments.custom_backend,
        stages=arguments.stages,
        device=arguments.device,
        cuda_memory_pool_mb=arguments.cuda_memory_pool_mb,
        max_spacepoints=arguments.max_spacepoints,
        max_queue=arguments.max_queue,
        max_memory_gib=getattr(arguments, "max_memory", None),
        start_timeout_s=arguments.start_timeout,
        access=access_of(arguments),
        extra_arguments=tuple(arguments.tritonserver_arguments),
    )
    repository = getattr(arguments, "model_repository", None) or default_repository()
    return TritonServer(repository, options, cancelled)


def supervision_from(arguments: argparse.Namespace) -> SupervisionOptions:
    """How the command line wants the server to be watched."""
    return SupervisionOptions(
        probe_every_s=arguments.probe_every,
        hang_timeout_s=arguments.hang_timeout,
        busy_timeout_s=arguments.busy_timeout,
        max_restarts=arguments.max_restarts,
        restart_delay_s=arguments.restart_delay,
    )


def write_ports_file(path: Path, server: TritonServer, health_url: str) -> None:
    """The server's addresses and process, as JSON; a reader sees the whole file or none."""
    addresses = {
        "http_url": server.http_url,
        "grpc_url": server.grpc_url,
        "metrics_url": server.metrics_url,
        "health_url": health_url,
        "pid": server.pid,
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(addresses, indent=2) + "\n")
    unfinished.replace(path)


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


def serve(arguments: argparse.Namespace, stop: StopRequest) -> None:
    """Serve until a stop is requested.

    Raises:
        ServerError: the server could not start, or failed too often; the text gives the reason.
    """
    if arguments.probe_every:
        check_probing()
    raise_descriptor_limit()
    health = Health()

    def stopping() -> bool:
        health.beat()
        return stop.made

    with contextlib.ExitStack() as cleanup:
        host = numeric_host(arguments.host)
        health_port = cleanup.enter_context(health_endpoint(host, arguments.health_port, health))
        if arguments.ports_file:
            cleanup.callback(arguments.ports_file.unlink, missing_ok=True)
        try:
            server = cleanup.enter_context(server_from(arguments, stopping))
        except StartCancelledError:
            return  # as good a time as any other
        health_url = server.local_url(health_port)
        for warning in server.options.access.warnings():
            say(f"warning: {warning}")

        def ready() -> None:
            if arguments.ports_file:
                write_ports_file(arguments.ports_file, server, health_url)
            line = ready_line(server, health_url)
            if health.restarts:
                say(line)
            else:
                print(line, flush=True)

        Supervisor(server, supervision_from(arguments), health, stopping=stopping, on_ready=ready, say=say).run()


def say(text: str) -> None:
    """A line on standard error, where somebody reads it."""
    with contextlib.suppress(OSError):
        print(f"{program('serve.py')}: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes. Returns the exit code."""
    options = parse_arguments(arguments)
    stop = StopRequest()
    return run_command("serve.py", lambda: serve(options, stop))


if __name__ == "__main__":
    sys.exit(main())
