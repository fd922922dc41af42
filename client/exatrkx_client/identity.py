"""Identity of a service, or of a pipeline without one: what decides its answers, as far as configurations tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exatrkx.contract import EMBED, FILTER, GNN, MODELS
from exatrkx.project_files import project_files
from exatrkx_client.errors import ServedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from torch import nn

    from exatrkx.pipeline import Pipeline


def service_identity(model: str, config_of: Callable[[str], Mapping[str, Any]]) -> dict[str, str]:
    """The model's name and, of it or of an ensemble's steps, the parameters that are this project's.

    These are what an export writes there, the working point and digests of the weights. Triton's own, in capitals,
    are left out: they say how something is computed, and not what.

    Args:
        model: that is asked for tracks.
        config_of: the configuration of a model, as Triton's JSON has it.
    """
    config = config_of(model)
    steps = [step["model_name"] for step in config.get("ensemble_scheduling", {}).get("step", ())]
    configs = {name: config_of(name) for name in steps} | {model: config}
    return {"model": model} | {
        f"{name} {parameter}": str(value.get("string_value", ""))
        for name, one in configs.items()
        for parameter, value in sorted(one.get("parameters", {}).items())
        if not parameter.isupper()
    }


def pipeline_identity(model: str, pipeline: Pipeline) -> dict[str, str]:
    """Identity that a service with a pipeline's networks and working point has, as `exatrkx export` writes them there.

    Of a model that is none of this project's the name is all that is known.

    Args:
        model: under which they would be served.
        pipeline: whose weights are not frozen.
    """
    if model not in MODELS:
        return {"model": model}
    # Here, because a client that has a server needs none of them.
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # noqa: PLC0415

    from exatrkx.networks.storage import hash_weights  # noqa: PLC0415
    from exatrkx.serving.model_config import edited_configs, parse_config  # noqa: PLC0415

    repository = project_files().model_repository
    networks = {EMBED.name: pipeline.embed, FILTER.name: pipeline.edge_filter, GNN.name: pipeline.gnn}
    weights = {name: hash_weights(cast("nn.Module", network)) for name, network in networks.items()}
    edited = edited_configs(repository, pipeline.working_point, weights)

    def config_of(name: str) -> dict[str, Any]:
        path = repository / name / "config.pbtxt"
        text = (edited[path] if path in edited else path.read_bytes()).decode()
        return dict(MessageToDict(parse_config(text, path), preserving_proto_field_name=True))

    return service_identity(model, config_of)


def agreed(found: Iterable[tuple[str, dict[str, str]]]) -> dict[str, str]:
    """The identity that all servers have; empty where none was asked.

    Raises:
        ServedModelError: two differ; the text names them, and in what.
    """
    identities = list(found)
    for address, other in identities[1:]:
        first, known = identities[0]
        differ = sorted(name for name in {**known, **other} if known.get(name) != other.get(name))
        if differ:
            told = ", ".join(f"{name} {other.get(name)}, not {known.get(name)}" for name in differ)
            raise ServedModelError(f"{address}: serves others than {first}: {told}")
    return identities[0][1] if identities else {}
