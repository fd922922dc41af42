"""Several servers, one for each GPU: processes that serve as `exatrkx serve` does, and the list of their addresses.

Triton places every step of an ensemble on any GPU that a server sees, so each server sees one. Each is watched, and
started again, by a process of its own: what happens to one is nothing to the others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exatrkx.files import write_files
from exatrkx_server.command import default_memory_gib
from exatrkx_server.errors import ServerOptionError, ServerStartError, ServingError
from exatrkx_server.parent_death import end_with_parent
from exatrkx_server.repository import default_repository
from exatrkx_server.resources import VISIBLE_GPUS, gpu_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.context import ForkProcess

    from exatrkx_server.processes import StopRequest

ALL: Final = "all"
_PORTS_APART: Final = 10
_HIGHEST_PORT: Final = 65535
_PORTS: Final = ("http_port", "grpc_port", "metrics_port", "health_port")
_POLL_S: Final = 0.1
_STOP_S: Final = 60.0
"""More than a server may take for its end."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """The server of one GPU: the name that CUDA knows that by, and how it is run."""

    gpu: str
    arguments: argparse.Namespace


def chosen_gpus(choice: str, variables: Mapping[str, str], devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The GPUs that `all`, or a list of numbers of those that are visible, stands for, by the names that CUDA takes.

    Raises:
        ServerOptionError: none is visible, or not the one of a number; or one is named twice.
    """
    visible = gpu_names(variables, devices)
    if not visible:
        raise ServerOptionError("--gpus: no GPU is visible here")
    words = [word.strip() for word in choice.split(",")]
    numbers = [str(number) for number in range(len(visible))] if choice == ALL else words
    for word in numbers:
        if not word.isdecimal() or int(word) >= len(visible):
            expected = f"0 … {len(visible) - 1}" if len(visible) > 1 else "0"
            raise ServerOptionError(f"--gpus: expected {ALL} or numbers of GPUs, here {expected}, found {word!r}")
    chosen = tuple(visible[int(word)] for word in numbers)
    if len(set(chosen)) < len(chosen):
        raise ServerOptionError(f"--gpus: a GPU is named twice in {choice!r}")
    return chosen


def members(arguments: argparse.Namespace, gpus: Sequence[str], folder: Path) -> list[Member]:
    """How the server of each GPU is run, for a command line that asks for all of them.

    Ports are ten apart; each has a log of its own, writes its addresses into `folder`, and has its share of the
    memory.

    Raises:
        ServerOptionError: a port would be too large.
    """
    repository = getattr(arguments, "model_repository", None) or default_repository()
    memory = getattr(arguments, "max_memory", default_memory_gib() / len(gpus))
    found = []
    for number, gpu in enumerate(gpus):
        own = argparse.Namespace(**vars(arguments))
        own.gpus, own.device, own.model_repository, own.max_memory = "", "gpu", repository, memory
        for name in _PORTS:
            port = getattr(own, name)
            setattr(own, name, port and port + number * _PORTS_APART)
            if getattr(own, name) > _HIGHEST_PORT:
                raise ServerOptionError(f"--gpus: the ports of {len(gpus)} servers do not fit below {_HIGHEST_PORT}")
        own.ports_file = folder / f"{number}.json"
        if not arguments.log_file.exists() or arguments.log_file.is_file():  # a terminal or a pipe is there for all
            own.log_file = arguments.log_file.with_suffix(f".gpu{gpu}{arguments.log_file.suffix}")
        found.append(Member(gpu, own))
    return found


def serve_each(
    arguments: argparse.Namespace,
    stop: StopRequest,
    serve_member: Callable[[Member], int],
    say: Callable[[str], None],
) -> None:
    """Run a server on each GPU until a stop is requested, or none is left.

    Args:
        arguments: the command line.
        stop: when to stop.
        serve_member: serves on one GPU until then, in a process of its own; returns its exit code.
        say: gets what a person should know.

    Raises:
        ServingError: one did not start, so that none is left; or one was given up since.
    """
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="exatrkx-servers-")))
        running = {
            member: cleanup.enter_context(_process(member, serve_member))
            for member in members(arguments, chosen_gpus(arguments.gpus, os.environ), folder)
        }
        while not all(member.arguments.ports_file.exists() for member in running):
            for member, process in running.items():
                if stop.made:
                    return
                if process.exitcode is not None:
                    raise ServerStartError(f"the server on GPU {member.gpu} did not start, so the others stop")
            time.sleep(_POLL_S)
        if arguments.ports_file:
            cleanup.callback(arguments.ports_file.unlink, missing_ok=True)
        _tell_ready(list(running), arguments.ports_file)
        lost: list[str] = []
        while running and not stop.made:
            for member in [member for member, process in running.items() if process.exitcode is not None]:
                if not stop.made:
                    lost.append(member.gpu)
                    say(f"the server on GPU {member.gpu} was given up; {len(running) - 1} left")
                del running[member]
            time.sleep(_POLL_S)
        if lost:
            raise ServingError(f"the servers on these GPUs were given up: {', '.join(lost)}")


def _tell_ready(ready: Sequence[Member], servers_file: Path | None) -> None:
    servers: list[dict[str, Any]] = [
        {"gpu": member.gpu, **json.loads(member.arguments.ports_file.read_text())} for member in ready
    ]
    if servers_file:
        write_files({servers_file: (json.dumps({"servers": servers}, indent=2) + "\n").encode()})
    urls = ", ".join(server["grpc_url"] for server in servers)
    print(
        f"ready: {len(servers)} servers, gRPC {urls}{f'; listed in {servers_file}' if servers_file else ''}", flush=True
    )


@contextlib.contextmanager
def _process(member: Member, serve_member: Callable[[Member], int]) -> Any:
    """A process that serves on one GPU, which ends with the `with` and with this process."""
    parent = os.getpid()

    def run() -> None:
        end_with_parent(parent)
        os.environ[VISIBLE_GPUS] = member.gpu
        raise SystemExit(serve_member(member))

    # Forked, while there are no threads yet: it has the handlers of signals from its first moment.
    process: ForkProcess = multiprocessing.get_context("fork").Process(target=run, name=f"exatrkx-gpu{member.gpu}")
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(_STOP_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        process.close()
