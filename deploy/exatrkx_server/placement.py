"""Placement: where the models of a running server really are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exatrkx_server.backends import Backend, models_backends

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from exatrkx_client.triton_api import TritonApi
    from exatrkx_server.resources import Devices


def placed(
    devices: Devices, api: TritonApi, repository: Path, models: Iterable[str], backends: list[Backend]
) -> Devices:
    """What holds of the devices that were chosen: a backend compiled without CUDA puts its models on the CPU.

    Args:
        devices: where models of `KIND_AUTO` should run.
        api: of the server, which is ready.
        repository: whose models it serves.
        models: those that it was told to load, or none for all.
        backends: its own.

    Raises:
        ClientError: the server does not say.
    """
    if not devices.gpus:
        return devices
    compiled = {backend.name for backend in backends if backend.implementation == "compiled"}
    found = models_backends(repository, models)
    on_cpu = [name for name, backend in found.items() if backend in compiled and _on_cpu(api, name)]
    if not on_cpu:
        return devices
    everything = len(on_cpu) == len(found)
    problem = f"compiled without CUDA, or configured for the CPU: {'all models' if everything else ', '.join(on_cpu)}"
    return replace(devices, gpus=0 if everything else devices.gpus, problem=problem)


def _on_cpu(api: TritonApi, model: str) -> bool:
    return all(group["kind"] == "KIND_CPU" for group in api.config(model)["instance_group"])
