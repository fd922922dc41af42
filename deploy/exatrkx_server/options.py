"""How a server is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from exatrkx_server.backends import Preference
    from exatrkx_server.ports import Ports

Stages = Literal["python", "compiled"]
"""What serves the steps between the networks: the repository's Python models, or the compiled backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How a server is run; see `deploy/serve.py --help` for each.

    Attributes:
        host: address to listen on.
        ports: where to listen; None for three free ones.
        models: the only models to load (an ensemble brings its steps); none for all of the repository.
        threads: computing threads of each process; None for the usable cores.
        log_file: where the server's output goes; None for a temporary file.
        custom_backend: which implementation of this project's backends to serve: the pipeline and, where the server has
            no LibTorch backend, the networks' runner.
        stages: what serves the ensemble's steps between the networks.
        cuda_memory_pool_mb: MiB of each GPU for tensors between an ensemble's steps.
        start_timeout_s: how long loading may take.
        stop_timeout_s: how long requests in flight may take after a stop was asked for.
        extra_arguments: more arguments for `tritonserver`.
    """

    host: str = "127.0.0.1"
    ports: Ports | None = None
    models: tuple[str, ...] = ()
    threads: int | None = None
    log_file: Path | None = None
    custom_backend: Preference = "auto"
    stages: Stages = "python"
    cuda_memory_pool_mb: int = 512
    start_timeout_s: float = 120.0
    stop_timeout_s: int = 10
    extra_arguments: tuple[str, ...] = ()
