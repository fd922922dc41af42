"""Tensor contract of the served models: names, data types and shapes, written once.

The model configurations, the adapters, the client and the tests are all derived from, or checked against, this file.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from exatrkx.errors import ContractError

VARIABLE: Final = -1
"""A dimension that differs from request to request."""

NUMPY_TYPES: Final[dict[str, np.dtype[Any]]] = {"FP32": np.dtype(np.float32), "INT64": np.dtype(np.int64)}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Tensor specification: its name, its Triton data type and its shape, with `VARIABLE` where any size goes.

    A model answers without an `optional` input, too.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]
    optional: bool = False

    @property
    def numpy_type(self) -> np.dtype[Any]:
        return NUMPY_TYPES[self.datatype]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape may be sent as this tensor."""
        if len(shape) != len(self.dims):
            return False
        for want, have in zip(self.dims, shape, strict=True):  # noqa: SIM110 - in every step of every request: fewer calls
            if want not in (VARIABLE, have):
                return False
        return True

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} [{','.join(str(d) for d in self.dims)}]"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Model specification: its name and its tensors."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def input(self, name: str) -> TensorSpec:
        return _named(self.inputs, name)

    def output(self, name: str) -> TensorSpec:
        return _named(self.outputs, name)


def _named(tensors: tuple[TensorSpec, ...], name: str) -> TensorSpec:
    return next(tensor for tensor in tensors if tensor.name == name)


NUM_FEATURES: Final = 3
"""Columns of FEATURES that hold the position, its first ones whatever networks take; the shipped ones take no more."""

_FEATURES: Final = (VARIABLE, NUM_FEATURES)
_EDGES: Final = (2, VARIABLE)
_PER_ROW: Final = (VARIABLE,)

# Whose an event is, see `exatrkx.digest`: the digest of FEATURES as a network was given them; that of the request, with
# LABELS' or what else a step gives; and where a whole pipeline gives edges and scores, with those of both.
# As inputs both are optional: who calls one stage by itself needs neither.
FEATURES_DIGEST: Final = TensorSpec("FEATURES_DIGEST", "INT64", (1,), optional=True)
REQUEST_DIGEST: Final = TensorSpec("REQUEST_DIGEST", "INT64", (1,))
EDGES_DIGEST: Final = TensorSpec("EDGES_DIGEST", "INT64", (1,))
_EARLIER_DIGEST: Final = replace(REQUEST_DIGEST, optional=True)
_NETWORK_DIGEST: Final = TensorSpec("OUTPUT__1", "INT64", (1,))

# What a whole pipeline takes and gives, whichever way it is served.
FEATURES: Final = TensorSpec("FEATURES", "FP32", _FEATURES)
_PIPELINE_INPUTS: Final = (FEATURES,)
_PIPELINE_OUTPUTS: Final = (
    TensorSpec("LABELS", "INT64", _PER_ROW),
    TensorSpec("EDGE_INDEX", "INT64", _EDGES),
    TensorSpec("EDGE_SCORES", "FP32", _PER_ROW),
    REQUEST_DIGEST,
    EDGES_DIGEST,
)

EMBED: Final = ModelSpec(
    "embed",
    inputs=(TensorSpec("INPUT__0", "FP32", _FEATURES),),
    outputs=(TensorSpec("OUTPUT__0", "FP32", (VARIABLE, VARIABLE)), _NETWORK_DIGEST),
)
FRNN: Final = ModelSpec(
    "frnn",
    inputs=(TensorSpec("EMBEDDING", "FP32", (VARIABLE, VARIABLE)), FEATURES_DIGEST),
    outputs=(TensorSpec("EDGE_INDEX", "INT64", _EDGES), TensorSpec("NUM_NODES", "INT64", (1,)), REQUEST_DIGEST),
)
FILTER: Final = ModelSpec(
    "filter",
    inputs=(TensorSpec("INPUT__0", "FP32", _FEATURES), TensorSpec("INPUT__1", "INT64", _EDGES)),
    outputs=(TensorSpec("OUTPUT__0", "FP32", _PER_ROW), _NETWORK_DIGEST),
)
APPLYFILTER: Final = ModelSpec(
    "applyfilter",
    inputs=(
        TensorSpec("EDGE_SCORES", "FP32", _PER_ROW),
        TensorSpec("EDGE_INDEX", "INT64", _EDGES),
        FEATURES_DIGEST,
        _EARLIER_DIGEST,
    ),
    outputs=(TensorSpec("FILTERED_EDGE_INDEX", "INT64", _EDGES), REQUEST_DIGEST),
)
GNN: Final = ModelSpec("gnn", inputs=FILTER.inputs, outputs=FILTER.outputs)
WCC: Final = ModelSpec(
    "wcc",
    inputs=(
        TensorSpec("EDGE_INDEX", "INT64", _EDGES),
        TensorSpec("EDGE_SCORES", "FP32", _PER_ROW),
        TensorSpec("NUM_NODES", "INT64", (1,)),
        replace(FEATURES, optional=True),  # for track completion alone
        FEATURES_DIGEST,
        _EARLIER_DIGEST,
    ),
    # The edges and their scores pass through: Triton's ensemble leaves out a step none of whose outputs a request asks
    # for, even where a later step needs them, so an output of the whole can only come out of its last step.
    outputs=_PIPELINE_OUTPUTS,
)
ENSEMBLE: Final = ModelSpec("exatrkx_ensemble", _PIPELINE_INPUTS, _PIPELINE_OUTPUTS)
CUSTOM: Final = ModelSpec("exatrkx_custom", _PIPELINE_INPUTS, _PIPELINE_OUTPUTS)

STEPS: Final = (EMBED, FRNN, FILTER, APPLYFILTER, GNN, WCC)
"""The ensemble's steps, in the order in which an event passes them."""

STAGES: Final = (FRNN, APPLYFILTER, WCC)
"""Those between the networks: Python models of the repository, which the compiled backend can serve instead."""

MODELS: Final[dict[str, ModelSpec]] = {spec.name: spec for spec in (*STEPS, ENSEMBLE, CUSTOM)}

FEATURE_TENSORS: Final = (FEATURES.name, EMBED.inputs[0].name)
"""What the tensor with the columns of FEATURES is called: by a pipeline, and by a network."""


def with_num_features(spec: ModelSpec, count: int) -> ModelSpec:
    """The model of networks that take `count` columns of FEATURES, and not only the position."""
    inputs = (replace(one, dims=(VARIABLE, count)) if one.dims == _FEATURES else one for one in spec.inputs)
    return replace(spec, inputs=tuple(inputs))


def num_features(spec: ModelSpec) -> int:
    """Columns of FEATURES that a pipeline takes; those of the position alone where it does not say."""
    sizes = (one.dims[1] for one in spec.inputs if one.name == FEATURES.name and len(one.dims) == len(_FEATURES))
    return max(next(sizes, NUM_FEATURES), NUM_FEATURES)


@functools.cache
def features_spec(count: int) -> TensorSpec:
    """FEATURES of so many columns."""
    return replace(FEATURES, dims=(VARIABLE, count))


@dataclass(frozen=True, slots=True)
class ExtraFeature:
    """Column of FEATURES after those of the position: what it is called in an event, and what it is divided by."""

    name: str
    scale: float = 1.0

    def __str__(self) -> str:
        return self.name if self.scale == 1.0 else f"{self.name}/{self.scale!r}".removesuffix(".0")


_EXTRA_FEATURE: Final = re.compile(r"""([^\s,/=\\"'{}]+)(?:/([^/]+))?""")


@functools.cache
def extra_features(text: str) -> tuple[ExtraFeature, ...]:
    """The columns after the position, in their order, of a text such as `charge/100,count`; an empty one has none.

    Raises:
        ContractError: a name is none, or there twice; or a scale is not positive and finite.
    """
    found: dict[str, ExtraFeature] = {}
    for entry in map(str.strip, text.split(",") if text.strip() else ()):
        match = _EXTRA_FEATURE.fullmatch(entry)
        try:
            scale = float(match[2] or 1.0) if match else math.nan
        except ValueError:
            scale = math.nan
        if match is None or not (math.isfinite(scale) and scale > 0):
            raise ContractError(f"extra_features: expected NAME or NAME/SCALE with commas between, found {entry!r}")
        if match[1] in found:
            raise ContractError(f"extra_features: {match[1]} is there twice")
        found[match[1]] = ExtraFeature(match[1], scale)
    return tuple(found.values())


NOISE_LABEL: Final = -1
"""The label of a spacepoint that is on no track candidate."""
