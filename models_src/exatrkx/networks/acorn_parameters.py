"""Hyper-parameters of a network of acorn: what its checkpoint says of sizes, activations and columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from exatrkx.checks import MM_PER_UNIT
from exatrkx.contract import ExtraFeature
from exatrkx.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping

POSITION: Final = {"r": MM_PER_UNIT, "phi": math.pi, "z": MM_PER_UNIT}
"""The first columns of FEATURES, and what they are divided by."""
_PREFIX: Final = "hit_"
_ACTIVATIONS: Final = ("ReLU", "LeakyReLU", "GELU", "SiLU", "Tanh", "ELU", "Sigmoid")


class HyperParameters:
    """Hyper-parameters of a checkpoint; `where` is named in errors."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def get(self, name: str, kind: type | tuple[type, ...], otherwise: Any = ...) -> Any:
        """The value of one.

        Raises:
            ContractError: it is missing, without a value to take otherwise, or of another type.
        """
        value = self.values.get(name, otherwise)
        if value is ...:
            raise ContractError(f"{self.where}: no hyper-parameter {name}; found {', '.join(sorted(self.values))}")
        if not isinstance(value, kind) and value != otherwise:
            raise ContractError(f"{self.where}: hyper-parameter {name}: found {value!r}")
        return value

    def activation(self, name: str) -> str | None:
        """The name of an activation function; None for none.

        Raises:
            ContractError: it is none that is known.
        """
        value = self.get(name, str, None)
        if value not in (None, *_ACTIVATIONS):
            raise ContractError(f"{self.where}: {name} must be one of {', '.join(_ACTIVATIONS)}, found {value!r}")
        return value  # type: ignore[no-any-return]  # just looked at

    def features(self) -> tuple[ExtraFeature, ...]:
        """The columns that the network takes, in its order.

        Raises:
            ContractError: names and scales do not fit each other.
        """
        names, scales = self.get("node_features", list), self.get("node_scales", list)
        if not names or len(names) != len(scales) or len(set(names)) != len(names):
            raise ContractError(f"{self.where}: node_features and node_scales do not fit: {names}, {scales}")
        columns = [ExtraFeature(str(name), float(scale)) for name, scale in zip(names, scales, strict=True)]
        if not all(math.isfinite(one.scale) and one.scale > 0 for one in columns):
            raise ContractError(f"{self.where}: node_scales must be positive, found {scales}")
        return tuple(columns)


def plain(name: str) -> str:
    """The name of a column; `hit_r`, `hit_phi` and `hit_z` are r, φ and z."""
    short = name.removeprefix(_PREFIX)
    return short if short in POSITION else name
