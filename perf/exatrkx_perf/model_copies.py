"""The model repository with other numbers of instances: a copy whose configurations are parsed and written again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import text_format  # type: ignore[import-untyped]  # its stubs are a package of their own
from tritonclient.grpc import model_config_pb2

from exatrkx_perf.errors import PerfError
from exatrkx_server.backends import linked_copy, replace_link

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "config.pbtxt"


def copy_with_instances(source: Path, target: Path, instances: int) -> None:
    """Copy a model repository; every model of it that has instances has so many of each kind.

    The networks' files are links, not copies. An ensemble has no instances: its steps have.

    Args:
        source: a model repository.
        target: a folder that does not exist yet.
        instances: at least 1.

    Raises:
        PerfError: `source` is no model repository, or a configuration cannot be read; the text says where.
    """
    if instances < 1:
        raise PerfError(f"instances must be at least 1, found {instances}")
    if not any(source.glob(f"*/{CONFIG}")):
        raise PerfError(f"{source}: no model repository")
    linked_copy(source, target)
    for path in sorted(target.glob(f"*/{CONFIG}")):
        config = read_config(path)
        if not config.HasField("ensemble_scheduling"):
            set_instances(config, instances)
        replace_link(path, text_format.MessageToString(config))


def read_config(path: Path) -> model_config_pb2.ModelConfig:
    """Parse a model configuration.

    Raises:
        PerfError: it is not one; the text says where.
    """
    try:
        return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    except (OSError, text_format.ParseError) as error:
        raise PerfError(f"{path}: {error}") from error


def set_instances(config: model_config_pb2.ModelConfig, instances: int) -> None:
    """Set the count of every instance group, and make one where the configuration has none."""
    groups = config.instance_group or [config.instance_group.add()]
    for group in groups:
        group.count = instances


def models_backends(repository: Path, model: str) -> dict[str, str]:
    """The backend of each model that serving `model` needs: its own, or those of an ensemble's steps.

    Raises:
        PerfError: a configuration is missing or cannot be read.
    """
    config = read_config(repository / model / CONFIG)
    if not config.HasField("ensemble_scheduling"):
        return {model: config.backend}
    found: dict[str, str] = {}
    for step in config.ensemble_scheduling.step:
        found |= models_backends(repository, step.model_name)
    return found
