"""Model configurations (config.pbtxt): the working point, columns of FEATURES, digests of weights, a model's backend.

The files are read as what they are, protobuf's text format. They are edited as text, value by value, so that what a
person wrote around the values stays. Reading and editing need protobuf and tritonclient, which a served model does not.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from exatrkx.contract import CUSTOM, ENSEMBLE, FEATURE_TENSORS, MODELS, NUM_FEATURES
from exatrkx.errors import ContractError
from exatrkx.working_point import COMPLETION_CUTS, PIPELINE_PARAMETERS, UNLESS_SAID, WorkingPoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXTRA_FEATURES: Final = "extra_features"
"""The parameter, of a whole pipeline, that says which columns of FEATURES follow the position."""

OPTIONAL: Final = (*COMPLETION_CUTS, "min_track_hits", *UNLESS_SAID)
"""Fields that a configuration may lack: without a `completion_reach` there is no track completion."""

PARAMETERS: Final[dict[str, tuple[str, ...]]] = {
    "frnn": ("radius", "max_neighbors", "max_edges", "graph_construction"),
    "applyfilter": ("filter_cut",),
    "wcc": ("gnn_cut", "min_hits", "track_building", *COMPLETION_CUTS, "min_track_hits"),
    CUSTOM.name: PIPELINE_PARAMETERS,
    ENSEMBLE.name: (EXTRA_FEATURES,),
}
"""The working point's fields that each model reads from its `parameters`."""

WEIGHTS: Final = "weights_sha256"
"""Parameter of a network's model, and with its name before it of the custom backend: whose weights are served."""

_BACKEND: Final = re.compile(r'^(\s*backend\s*:\s*)"[^"]*"', re.MULTILINE)

_NO_OTHERS: Final[Mapping[str, str]] = MappingProxyType({})

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
    missing = [name for name in names if name not in parameters and name not in OPTIONAL]
    if missing:
        raise ContractError(f"{model}: config.pbtxt has no parameter {', '.join(missing)}")
    values: dict[str, object] = {**asdict(_UNREAD), **{name: parameters[name] for name in names if name in parameters}}
    return WorkingPoint.from_mapping(values, f"{model}: parameters of config.pbtxt")


def config_num_features(config: Mapping[str, Any]) -> int:
    """Columns of FEATURES in a model's configuration (Triton's JSON, parsed); where it takes none, the position's."""
    sizes = (one["dims"] for one in config.get("input", ()) if one["name"] in FEATURE_TENSORS)
    return next((int(dims[1]) for dims in sizes if len(dims) > 1), NUM_FEATURES)


def parse_config(text: str, path: Path) -> Any:
    """The `ModelConfig` message of a config.pbtxt's text; `path` is named in errors.

    Raises:
        ContractError: it is none.
    """
    # Here, because served models have neither.
    from google.protobuf import text_format  # type: ignore[import-untyped]  # noqa: PLC0415  # stubs are apart
    from tritonclient.grpc import model_config_pb2  # noqa: PLC0415

    try:
        return text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ContractError(f"{path}: no model configuration: {error}") from error


def edited_configs(
    repository: Path, working_point: WorkingPoint, weights: Mapping[str, str] = _NO_OTHERS
) -> dict[Path, bytes]:
    """Every config.pbtxt of a repository that another working point or other weights change, with its new content.

    A field of `UNLESS_SAID` is added at the end where it is needed; the columns of FEATURES are in `dims`.

    Args:
        repository: whose configurations these are.
        working_point: for each model of `PARAMETERS`.
        weights: digests by network, `exatrkx.networks.storage.hash_weights`; of others what is there stays.

    Raises:
        ContractError: a configuration lacks one of its parameters, or has it in a form that cannot be edited.
    """
    values = asdict(working_point)
    new = {model: {name: str(values[name]) for name in names} for model, names in PARAMETERS.items()}
    for network, digest in weights.items():
        new[network] = {WEIGHTS: digest}
        new[CUSTOM.name][f"{network}_{WEIGHTS}"] = digest
    edited = {}
    for model in MODELS:
        path = repository / model / "config.pbtxt"
        before = path.read_text()
        wanted = parse_config(before, path)
        text = _with_columns(before, wanted, working_point.num_features)
        text = _with_parameters(text, wanted, new.get(model, {}), path)
        if parse_config(text, path) != wanted:
            form = 'key: "…" value { string_value: "…" }'
            raise ContractError(
                f"{path}: cannot be edited: expected each parameter once, comments too, as {form}, and the name of a "
                "tensor before its dims: [ … ]"
            )
        if text != before:
            edited[path] = text.encode()
    return edited


def _with_parameters(text: str, wanted: Any, parameters: Mapping[str, str], path: Path) -> str:
    """The text with these parameters, which `wanted`, the message, is given, too."""
    for name, value in parameters.items():
        if name not in wanted.parameters:
            if name in OPTIONAL and value == str(getattr(_UNREAD, name)):
                continue
            if name not in UNLESS_SAID:
                raise ContractError(f"{path}: no parameter {name}")
            text = text.rstrip("\n") + f'\nparameters {{ key: "{name}"  value {{ string_value: "{value}" }} }}\n'
        elif wanted.parameters[name].string_value != value:
            text = _replace(text, name, value)
        wanted.parameters[name].string_value = value
    return text


def _with_columns(text: str, wanted: Any, columns: int) -> str:
    """The text with so many columns of FEATURES in inputs and warm-up, which `wanted`, the message, is given, too."""
    matrices = [one.dims for one in wanted.input if one.name in FEATURE_TENSORS]
    matrices += [
        sample.inputs[name].dims for sample in wanted.model_warmup for name in FEATURE_TENSORS if name in sample.inputs
    ]
    for dims in matrices:
        dims[1] = columns
    names = "|".join(FEATURE_TENSORS)
    entry = (
        rf'((?:name\s*:\s*"(?:{names})"|key\s*:\s*"(?:{names})"\s*value\s*:?\s*\{{)[^{{}}\[]*\[\s*-?\d+\s*,\s*)-?\d+'
    )
    return re.sub(entry, rf"\g<1>{columns}", text)


def read_working_point(repository: Path) -> WorkingPoint:
    """The working point that a repository will be served with.

    Raises:
        ContractError: a parameter is missing or wrong, or the custom backend's differs from the ensemble's.
    """
    values: dict[str, object] = {}
    for model, names in PARAMETERS.items():
        path = repository / model / "config.pbtxt"
        parameters = parse_config(path.read_text(), path).parameters
        for name in names:
            if name not in parameters and name not in OPTIONAL:
                raise ContractError(f"{path}: no parameter {name}")
            found = parameters[name].string_value if name in parameters else UNLESS_SAID.get(name)
            if found is None:
                continue
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


def _replace(text: str, name: str, value: str) -> str:
    # A parameter as protobuf's text format writes it, with or without the optional colons and commas.
    entry = rf'(key\s*:\s*"{name}"[\s,;]*value\s*:?\s*\{{\s*string_value\s*:\s*)"[^"]*"'
    return re.sub(entry, rf'\g<1>"{value}"', text, count=1)
