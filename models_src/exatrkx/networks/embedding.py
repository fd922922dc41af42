"""Embedding: spacepoints to points of a metric space in which neighbours on a track are near each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from exatrkx.networks.geometry import NUM_POINT_FEATURES, point_features
from exatrkx.networks.layers import mlp

if TYPE_CHECKING:
    from torch import Tensor


class Embedding(nn.Module):
    """A multilayer perceptron on each spacepoint by itself.

    Source: metric learning as in Ju et al., Eur. Phys. J. C 81 (2021) 876, section 3.1.

    Shapes:
        features: [N,3] FP32, the contract's columns; N may be 0.
        returns: [N,dimension] FP32.
    """

    def __init__(self, *, hidden: int = 128, layers: int = 4, dimension: int = 8) -> None:
        super().__init__()
        self.mlp = mlp([NUM_POINT_FEATURES, *[hidden] * (layers - 1), dimension], final_activation=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.mlp(point_features(features))  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped
