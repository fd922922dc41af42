"""Identity of a service: what decides its answers, as far as its models' configurations tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exatrkx_client.errors import ServedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


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


def agreed(found: Iterable[tuple[str, dict[str, str]]], nothing: dict[str, str]) -> dict[str, str]:
    """The identity that all servers have; `nothing` where none was asked.

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
    return identities[0][1] if identities else nothing
