"""Model configurations (config.pbtxt): the working point, number by number, and the backend of a model.

The files are edited as text, value by value, so that what a person wrote around the values stays.
"""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from exatrkx.errors import ContractError
from exatrkx.working_point import WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "frnn": ("radius", "max_neighbors", "max_edges"),
    "applyfilter": ("filter_cut",),
    "wcc": ("gnn_cut", "min_hits", "track_building"),
    "exatrkx_custom": tuple(field.name for field in fields(WorkingPoint)),
}
"""The working point's fields that each model reads from its `parameters`."""

_BACKEND: Final = re.compile(r'^(\s*backend\s*:\s*)"[^"]*"', re.MULTILINE)

# A step reads only its own fields; these stand for the others, so that one class checks them all.
_UNREAD: Final = WorkingPoint(radius=1.0, max_neighbors=1, filter_cut=0.5, gnn_cut=0.5)


def config_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """Names and texts of a model configuration's `parameters`, as Triton gives it to a model (its JSON, parsed)."""
    return {name: value["string_value"] for name, value in config.get("parameters", {}).items()}


def working_point_of(model: str, parameters: Mapping[str, str]) -> WorkingPoint:
    """The working point as one model reads it; only the fields of `PARAMETERS[model]` mean anything.

    Raises:
        ContractError: a parameter of the model is missing, not a number or out of range.
    """
    names = PARAMETERS[model]
    missing = [name for name in names if name not in parameters]
    if missing:
        raise ContractError(f"{model}: config.pbtxt has no parameter {', '.join(missing)}")
    values: dict[str, object] = {**asdict(_UNREAD), **{name: parameters[name] for name in names}}
    return WorkingPoint.from_mapping(values, f"{model}: parameters of config.pbtxt")


def write_working_point(repository: Path, working_point: WorkingPoint) -> list[Path]:
    """Set the parameters in the config.pbtxt of every model of a repository that reads the working point.

    Returns:
        The files that have changed.

    Raises:
        ContractError: a configuration lacks one of its parameters; no file has then been changed.
    """
    values = asdict(working_point)
    edited = {}
    for model, names in PARAMETERS.items():
        path = repository / model / "config.pbtxt"
        text = path.read_text()
        for name in names:
            text = _replace(text, name, str(values[name]), path)
        edited[path] = text
    changed = [path for path, text in edited.items() if path.read_text() != text]
    for path in changed:
        path.write_text(edited[path])
    return changed


def read_working_point(repository: Path) -> WorkingPoint:
    """The working point that a repository will be served with.

    Raises:
        ContractError: a parameter is missing or wrong, or the custom backend's differs from the ensemble's.
    """
    values: dict[str, object] = {}
    for model, names in PARAMETERS.items():
        path = repository / model / "config.pbtxt"
        text = path.read_text()
        for name in names:
            found = _find(text, name, path).group("value")
            if values.setdefault(name, found) != found:
                raise ContractError(f"{path}: {name} is {found}, and {values[name]} in another model's config.pbtxt")
    return WorkingPoint.from_mapping(values, str(repository))


def with_backend(text: str, backend: str, path: Path) -> str:
    """The text of a config.pbtxt, `path`, with another backend in it.

    Raises:
        ContractError: it does not name exactly one backend.
    """
    changed, count = _BACKEND.subn(rf'\g<1>"{backend}"', text)
    if count != 1:
        raise ContractError(f"{path}: expected one line with a backend, found {count}")
    return changed


def _find(text: str, name: str, path: Path) -> re.Match[str]:
    # A parameter as protobuf's text format writes it, with or without the optional colons and commas.
    entry = rf'key\s*:\s*"{name}"[\s,;]*value\s*:?\s*\{{\s*string_value\s*:\s*"(?P<value>[^"]*)"'
    match = re.search(entry, text)
    if match is None:
        raise ContractError(f"{path}: no parameter {name}")
    return match


def _replace(text: str, name: str, value: str, path: Path) -> str:
    match = _find(text, name, path)
    return text[: match.start("value")] + value + text[match.end("value") :]
