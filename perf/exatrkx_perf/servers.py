"""The servers of a sweep: one for each model in each configuration; those of one configuration run side by side.

A server that is not asked anything uses no CPU time, so that models can be measured in turn without a restart in
between, and each one's CPU time and memory are its own. Each serves a copy of the model repository with the wanted
number of instances, whose configurations are parsed and written again.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import text_format  # type: ignore[import-untyped]  # its stubs are a package of their own

from exatrkx.contract import ENSEMBLE, STAGES
from exatrkx.serving.model_config import parse_config
from exatrkx_perf.errors import PerfError
from exatrkx_perf.points import COMPILED_ENSEMBLE, DIRECT, MODELS
from exatrkx_perf.served import ServedPipeline
from exatrkx_server import ServerOptions, TritonServer, find_triton
from exatrkx_server.access import Access
from exatrkx_server.backends import (
    COMPILED_STAGES,
    assemble,
    can_compile_stages,
    linked_copy,
    models_backends,
    replace_link,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from exatrkx_perf.events import EventSample
    from exatrkx_perf.points import Configuration
    from exatrkx_server.backends import Backend
    from exatrkx_server.options import Preference, Stages


CONFIG: Final = "config.pbtxt"
_START_TIMEOUT_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class SweepServers:
    """What all servers of a sweep share; the model repository is copied for each configuration."""

    repository: Path
    custom_backend: Preference = "auto"
    log_folder: Path = Path()


@contextlib.contextmanager
def serve(
    model: str, configuration: Configuration, settings: SweepServers, sample: EventSample, input_file: Path
) -> Iterator[ServedPipeline]:
    """A server for one model, ready and warm; stopped at the end of the `with`.

    Raises:
        ServerError: it did not start.
        ClientError: it does not answer.
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
            start_timeout_s=_START_TIMEOUT_S,
            access=Access(allow=("shared-memory",)),  # one of the ways of calling that are compared
        )
        server = stack.enter_context(TritonServer(repository, options))
        pipeline = stack.enter_context(contextlib.closing(ServedPipeline.of(server, name, sample, input_file)))
        pipeline.warm_up(configuration.instances)
        yield pipeline


def backends_of(models: Sequence[str], settings: SweepServers) -> dict[str, str]:
    """Which implementation of which backends will serve each model, such as `python (bundled), pytorch (python)`.

    Raises:
        ServerSetupError: there is no server, or the wanted backend is not built.
        PerfError: the model repository has no such model.
    """
    known = _backends(settings)
    return {
        model: "torchscript" if model == DIRECT else describe(model, known, settings.repository) for model in models
    }


def measurable_models(settings: SweepServers) -> list[str]:
    """Those of `MODELS` that can be served here: the compiled ensemble needs the compiled backend.

    Raises:
        ServerSetupError: there is no server, or the wanted backend is not built.
    """
    compiled = can_compile_stages(_backends(settings))
    return [model for model in MODELS if compiled or model != COMPILED_ENSEMBLE]


def describe(model: str, known: Sequence[Backend], repository: Path) -> str:
    """The backends of one served model, by name."""
    name, stages = _served_as(model)
    needed = models_backends(repository, [name])
    if not needed:
        raise PerfError(f"{repository}: no model {name}")
    if stages == "compiled":
        needed |= {stage.name: COMPILED_STAGES for stage in STAGES}
    by_name = {backend.name: str(backend) for backend in known}
    return ", ".join(sorted(by_name.get(backend, f"{backend} (missing)") for backend in set(needed.values())))


def _served_as(model: str) -> tuple[str, Stages]:
    """The name that a server knows a model of a `Point` by, and what its stages run in."""
    return (ENSEMBLE.name, "compiled") if model == COMPILED_ENSEMBLE else (model, "python")


def _backends(settings: SweepServers) -> list[Backend]:
    with tempfile.TemporaryDirectory(prefix="exatrkx-perf-") as scratch:
        return assemble(Path(scratch), find_triton(), settings.custom_backend)


def copy_with_instances(source: Path, target: Path, instances: int) -> None:
    """Copy a model repository to a new folder; every model of it that has instances has so many of each kind.

    The networks' files are links, not copies. An ensemble has no instances: its steps have.

    Raises:
        PerfError: `source` is no model repository.
        ContractError: a configuration cannot be read; the text says where.
    """
    if instances < 1:
        raise PerfError(f"instances must be at least 1, found {instances}")
    if not any(source.glob(f"*/{CONFIG}")):
        raise PerfError(f"{source}: no model repository")
    linked_copy(source, target)
    for path in sorted(target.glob(f"*/{CONFIG}")):
        config = parse_config(path.read_text(), path)
        if not config.HasField("ensemble_scheduling"):
            set_instances(config, instances)
        replace_link(path, text_format.MessageToString(config))


def set_instances(config: Any, instances: int) -> None:
    """Set the count of every instance group, and make one where the configuration has none."""
    groups = config.instance_group or [config.instance_group.add()]
    for group in groups:
        group.count = instances
