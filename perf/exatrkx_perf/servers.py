"""The servers of a sweep: one for each model in each configuration; those of one configuration run side by side.

A server that is not asked anything uses no processor time, so that models can be measured in turn without a restart in
between, and each one's processor time and memory are its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exatrkx.contract import ENSEMBLE, STAGES
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.model_copies import copy_with_instances, models_backends
from exatrkx_perf.point import COMPILED_ENSEMBLE, DIRECT, MODELS
from exatrkx_perf.served import Addresses, ServedPipeline
from exatrkx_server import ServerError, ServerOptions, TritonServer, find_triton
from exatrkx_server.backends import COMPILED_STAGES, assemble, can_compile_stages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exatrkx_perf.events import Sample
    from exatrkx_perf.point import Configuration
    from exatrkx_server.backends import Backend
    from exatrkx_server.options import Preference, Stages


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What all servers of a sweep share.

    Attributes:
        repository: the model repository that is copied for each configuration.
        custom_backend: which implementation of this project's backends to serve.
        log_folder: where the servers' logs go.
        start_timeout_s: how long one may take to start.
    """

    repository: Path
    custom_backend: Preference = "auto"
    log_folder: Path = Path()
    start_timeout_s: float = 180.0


@contextlib.contextmanager
def serve(
    model: str, configuration: Configuration, settings: ServerSettings, sample: Sample, input_file: Path
) -> Iterator[ServedPipeline]:
    """A server for one model, ready and warm; stopped at the end of the `with`.

    Raises:
        MeasurementError: it did not start, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="exatrkx-perf-") as scratch, contextlib.ExitStack() as stack:
        repository = Path(scratch) / "model_repository"
        copy_with_instances(settings.repository, repository, configuration.instances)
        log = f"{model}-i{configuration.instances}-t{configuration.threads}.log"
        name, stages = _served_as(model)
        options = ServerOptions(
            models=(name,),
            stages=stages,
            threads=configuration.threads,
            custom_backend=settings.custom_backend,
            log_file=settings.log_folder / log,
            start_timeout_s=settings.start_timeout_s,
        )
        try:
            server = stack.enter_context(TritonServer(repository, options))
        except ServerError as error:
            raise MeasurementError(f"{model}: {error}") from error
        pipeline = ServedPipeline(name, addresses_of(server), sample, input_file)
        stack.callback(pipeline.close)
        pipeline.warm_up(configuration.instances)
        yield pipeline


def addresses_of(server: TritonServer) -> Addresses:
    """Where a server of ours is."""
    return Addresses(
        grpc=server.grpc_url,
        http=server.http_url.removeprefix("http://"),
        pid=server.pid,
        metrics=server.metrics_url,
        ready_s=server.ready_after_s,
    )


def backends_of(models: Sequence[str], settings: ServerSettings) -> dict[str, str]:
    """Which implementation of which backends will serve each model, such as `python (bundled), pytorch (python)`.

    Raises:
        ServerSetupError: there is no server, or the wanted backend is not built.
        PerfError: the model repository cannot be read.
    """
    known = _backends(settings)
    return {
        model: "torchscript" if model == DIRECT else describe(model, known, settings.repository) for model in models
    }


def measurable_models(settings: ServerSettings) -> list[str]:
    """Those of `MODELS` that can be served here: the compiled ensemble needs the compiled backend.

    Raises:
        ServerSetupError: there is no server, or the wanted backend is not built.
    """
    compiled = can_compile_stages(_backends(settings))
    return [model for model in MODELS if compiled or model != COMPILED_ENSEMBLE]


def describe(model: str, known: Sequence[Backend], repository: Path) -> str:
    """The backends of one served model, by name."""
    name, stages = _served_as(model)
    needed = models_backends(repository, name)
    if stages == "compiled":
        needed |= {stage.name: COMPILED_STAGES for stage in STAGES}
    by_name = {backend.name: str(backend) for backend in known}
    return ", ".join(sorted(by_name.get(backend, f"{backend} (missing)") for backend in set(needed.values())))


def _served_as(model: str) -> tuple[str, Stages]:
    """The name that a server knows a model of a `Point` by, and what its stages run in."""
    return (ENSEMBLE.name, "compiled") if model == COMPILED_ENSEMBLE else (model, "python")


def _backends(settings: ServerSettings) -> list[Backend]:
    with tempfile.TemporaryDirectory(prefix="exatrkx-perf-") as scratch:
        return assemble(Path(scratch), find_triton(), settings.custom_backend)
