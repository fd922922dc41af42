"""Command line and environment variables of `tritonserver`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exatrkx.arrays import MALLOC_ENVIRONMENT
from exatrkx.checks import MAX_SPACEPOINTS_VARIABLE
from exatrkx.serving.limits import MAX_MEMORY_VARIABLE, MAX_QUEUE_VARIABLE
from exatrkx_client import grpc_fork
from exatrkx_server.errors import ServerOptionError
from exatrkx_server.resources import COMPUTE_SLOTS, thread_environment, usable_cores, usable_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exatrkx_server.installation import TritonInstallation
    from exatrkx_server.options import Ports, ServerOptions

_LOADING_THREADS = 8
_MIB = 1 << 20
_GIB = 1 << 30
_MEMORY_SHARE: Final = 0.8
_HIDING: Final = ("allow-http", "log-file", "log-error")
"""Options of `tritonserver` that hide whether it is ready, or why it is not."""


def command_line(
    installation: TritonInstallation,
    model_repository: Path,
    backend_directory: Path,
    *,
    options: ServerOptions,
    ports: Ports,
    identity: str,
    python_backends: Sequence[str],
    gpus: int,
    secret_arguments: Iterable[str] = (),
) -> list[str]:
    """Program and arguments.

    Args:
        installation: the server's.
        model_repository: the models.
        backend_directory: the backends.
        options: how it is run.
        ports: where it listens.
        identity: the server's name, with which its shared memory's names begin, too.
        python_backends: those that run Python.
        gpus: how many it may use.
        secret_arguments: names of environment variables, each of which holds one more argument.
    """
    arguments = {
        "id": identity,
        "model-repository": model_repository.absolute(),
        "backend-directory": backend_directory,
        "http-address": _for_http(options.access.http_host(options.host)),
        "grpc-address": f"[{options.host}]" if ":" in options.host else options.host,
        "metrics-address": _for_http(options.host),
        "http-port": ports.http,
        "grpc-port": ports.grpc,
        "metrics-port": ports.metrics,
        # A model that does not load is asked for its reason afterwards, which the exit would hide in the log.
        "exit-on-error": "false",
        "exit-timeout-secs": options.stop_timeout_s,
        "model-load-thread-count": _LOADING_THREADS,
    }
    _check_extra(options.extra_arguments, arguments)
    command = [str(installation.binary), *(f"--{name}={value}" for name, value in arguments.items())]
    # The configurations are complete; completing them would start each Python model twice.
    command.append("--disable-auto-complete-config")
    for name in python_backends:
        command.append(f"--backend-config={name},stub-timeout-seconds={int(options.start_timeout_s)}")
        command.append(f"--backend-config={name},shm-region-prefix-name={identity}-")
    command += [f"--cuda-memory-pool-byte-size={gpu}:{options.cuda_memory_pool_mb * _MIB}" for gpu in range(gpus)]
    command += ["--metrics-config=summary_latencies=true"] * options.latency_percentiles
    command += _loading(options)
    return [*command, *options.access.arguments(), *(f"${name}" for name in secret_arguments), *options.extra_arguments]


def _loading(options: ServerOptions) -> list[str]:
    """Options that say what is loaded, where that is not simply all."""
    if not options.models and "model-control" not in options.access.allow:
        return []
    # That a client could load models then is no matter: whoever is not allowed to cannot ask for it.
    return ["--model-control-mode=explicit", *(f"--load-model={name}" for name in options.models or "*")]


def _for_http(host: str) -> str:
    """A numeric address as the library of Triton's HTTP server takes it."""
    return f"ipv6:{host}" if ":" in host else host


def _check_extra(extra: Sequence[str], ours: Iterable[str]) -> None:
    """Refuse what would leave `serve.py` with another server than the one that it asks, and reports on."""
    for argument in extra:
        name = argument.removeprefix("--").partition("=")[0]
        if argument.startswith("--") and any(
            known.startswith(name) for known in (*ours, *_HIDING)
        ):  # as getopt reads them
            raise ServerOptionError(f"{argument} cannot be given after --: readiness, addresses and log depend on it")


def environment(installation: TritonInstallation, threads: int | None) -> dict[str, str]:
    """The environment of the server and, inherited, of its Python models."""
    inherited = {name: value for name, value in os.environ.items() if grpc_fork.ENVIRONMENT.get(name) != value}
    # The Python models run the first `python3` on PATH: the one that runs this, with what is installed beside it.
    prefixes = {
        "PATH": [str(Path(sys.executable).parent)],
        "LD_LIBRARY_PATH": [str(directory) for directory in installation.library_path],
    }
    for name, directories in prefixes.items():
        value = os.pathsep.join([*directories, *filter(None, [inherited.get(name)])])
        if value:
            inherited[name] = value
    # One more than there are cores: one then has something to do while a slot is handed on.
    slots = {COMPUTE_SLOTS: inherited.get(COMPUTE_SLOTS) or str(usable_cores() + 1)}
    # For cuBLAS, whatever library calls it: single precision is what the answers are compared in.
    precision = {"NVIDIA_TF32_OVERRIDE": "0"}
    return inherited | slots | precision | thread_environment(threads or usable_cores()) | MALLOC_ENVIRONMENT


def default_memory_gib() -> float:
    """Memory that the servers of this machine, or of its container, may take."""
    return usable_memory() * _MEMORY_SHARE / _GIB


def limit_environment(options: ServerOptions) -> dict[str, str]:
    """Environment variables that tell the processes of the server their limits, see `exatrkx.serving.limits`."""
    return {
        MAX_SPACEPOINTS_VARIABLE: str(options.max_spacepoints),
        MAX_QUEUE_VARIABLE: str(options.max_queue),
        MAX_MEMORY_VARIABLE: str(memory_limit_mib(options)),
    }


def memory_limit_mib(options: ServerOptions) -> int:
    """MiB that all processes of the server may take."""
    memory = _GIB * (default_memory_gib() if options.max_memory_gib is None else options.max_memory_gib)
    return max(int(memory / _MIB), 1)
