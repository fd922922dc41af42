"""Preparation of a server: what every start of it has in common, and what must be here before the first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exatrkx_server.backends import Backend, assemble, compile_stages, gpu_libraries, shell_safe
from exatrkx_server.command import environment, limit_environment
from exatrkx_server.installation import TritonInstallation, find_triton
from exatrkx_server.resources import Devices, check_descriptors, choose_devices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exatrkx_server.options import ServerOptions


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a server is started with.

    Attributes:
        repository: directory of the models, as the server is told.
        backend_directory: directory of their backends.
        variables: the environment.
    """

    installation: TritonInstallation
    repository: Path
    backend_directory: Path
    backends: list[Backend]
    devices: Devices
    variables: Mapping[str, str]


def prepare(model_repository: Path, options: ServerOptions, scratch: Path) -> Preparation:
    """Look for everything that a server needs, and put its files into the empty directory `scratch`.

    Raises:
        ServerSetupError: something is not installed, not built, or not as a server needs it.
    """
    check_descriptors()
    installation = find_triton()
    backend_directory = scratch / "backends"
    backend_directory.mkdir()
    backends = assemble(backend_directory, installation, options.custom_backend)
    repository = shell_safe(model_repository, scratch / "linked")
    if options.stages == "compiled":
        repository = scratch / "model_repository"
        compile_stages(model_repository, repository, backends)
    variables = environment(installation, options.threads)
    libraries = gpu_libraries(repository, options.models, backends)
    devices = choose_devices(options.device, libraries, variables)
    variables |= devices.environment | limit_environment(options)
    return Preparation(installation, repository, backend_directory, backends, devices, variables)
