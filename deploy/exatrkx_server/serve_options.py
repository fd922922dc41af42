"""Command line of `exatrkx serve`, and the options of a server and of its supervision that it stands for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from exatrkx.checks import MAX_SPACEPOINTS
from exatrkx.commands import at_least, command_parser
from exatrkx.serving.limits import MAX_QUEUE
from exatrkx_server.access import access_of, add_access_arguments
from exatrkx_server.options import DeviceChoice, Ports, Preference, ServerOptions, Stages, SupervisionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HIGHEST_PORT: Final = 65535

WARM_UP_SPACEPOINTS: Final = 2_000
"""Of the largest sample in the config.pbtxt files with which models are tried while they load: less than that is no
limit for a server."""


def parse_arguments(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """The command line; see `--help`."""
    parser = command_parser(
        "serve.py",
        description,
        "exatrkx serve --stages compiled",
        "exatrkx serve --free-ports --ports-file ports.json --model-repository my_repository",
        notes="Arguments after -- go to tritonserver as they are.",
        defaults=True,
    )
    parser.add_argument(
        "--model-repository",
        type=Path,
        default=argparse.SUPPRESS,
        help="directory of the models (default: that of this checkout; without one, a copy of the installed package's "
        "with the committed networks)",
    )
    parser.add_argument("--models", type=_names, default=(), metavar="A,B", help="load only these (default: all)")
    _add_addresses(parser)
    parser.add_argument("--log-file", type=Path, default=Path("tritonserver.log"))
    parser.add_argument(
        "--log-max-mb",
        type=at_least(int, 1),
        default=ServerOptions().log_max_bytes >> 20,
        help="MiB of the log, above which it begins anew; the older part is kept with .1 at the end of its name",
    )
    parser.add_argument(
        "--threads", type=at_least(int, 1), help="computing threads of each process (default: the usable cores)"
    )
    _add_implementations(parser)
    add_access_arguments(parser)
    parser.add_argument(
        "--start-timeout", type=at_least(float, 1.0, 86_400.0), default=120.0, help="seconds that loading may take"
    )
    _add_limits(parser)
    _add_supervision(parser)
    parser.add_argument("tritonserver_arguments", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.gpus and options.device == "cpu":
        parser.error("--gpus and --device cpu: no server would have a GPU")
    return options


def _add_addresses(parser: argparse.ArgumentParser) -> None:
    ports = Ports()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens it to the network")
    parser.add_argument("--http-port", type=_port(1), default=ports.http)
    parser.add_argument("--grpc-port", type=_port(1), default=ports.grpc)
    parser.add_argument("--metrics-port", type=_port(1), default=ports.metrics)
    parser.add_argument("--health-port", type=_port(0), default=0, help="of /live, /ready and /metrics; 0: a free one")
    parser.add_argument(
        "--latency-percentiles",
        action="store_true",
        help="the server's metrics have percentiles of times, too; a third of a millisecond of CPU time an event",
    )
    parser.add_argument("--free-ports", action="store_true", help="take three free ports instead")
    parser.add_argument("--ports-file", type=Path, help="write the server's addresses to this JSON file when ready")


def _add_implementations(parser: argparse.ArgumentParser) -> None:
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
        "--gpus",
        default="",
        metavar="all|0,1,…",
        help="a server for each of these GPUs, as with --device gpu: ports ten apart, a log for each, and --ports-file "
        "lists them",
    )
    parser.add_argument(
        "--cuda-memory-pool-mb",
        type=at_least(int, 1),
        default=512,
        help="MiB on each GPU for tensors between an ensemble's steps",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-spacepoints",
        type=at_least(int, WARM_UP_SPACEPOINTS),
        default=MAX_SPACEPOINTS,
        help=f"an event with more is refused: too large (at least {WARM_UP_SPACEPOINTS}, which models are tried with)",
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


def _port(least: int) -> Callable[[str], int]:
    """A reader of a TCP port's number, for argparse."""

    def read(text: str) -> int:
        if not least <= (number := int(text)) <= _HIGHEST_PORT:
            raise argparse.ArgumentTypeError(f"must be in [{least}, {_HIGHEST_PORT}], found {text}")
        return number

    read.__name__ = "number"  # what argparse calls it when it is none
    return read


def server_options(arguments: argparse.Namespace) -> ServerOptions:
    """How the command line wants the server to be run."""
    ports = Ports(arguments.http_port, arguments.grpc_port, arguments.metrics_port)
    return ServerOptions(
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
        latency_percentiles=arguments.latency_percentiles,
        start_timeout_s=arguments.start_timeout,
        access=access_of(arguments),
        extra_arguments=tuple(arguments.tritonserver_arguments),
    )


def supervision_options(arguments: argparse.Namespace) -> SupervisionOptions:
    """How the command line wants the server to be watched."""
    return SupervisionOptions(
        probe_every_s=arguments.probe_every,
        hang_timeout_s=arguments.hang_timeout,
        busy_timeout_s=arguments.busy_timeout,
        max_restarts=arguments.max_restarts,
        restart_delay_s=arguments.restart_delay,
    )
