"""Embedding: spacepoints to points of a metric space in which neighbours on a track are near each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from exatrkx.networks.geometry import NUM_NODE_FEATURES, node_features
from exatrkx.networks.layers import mlp

if TYPE_CHECKING:
    from torch import Tensor

CIRCLE_SCALE: Final = 10.0
"""Radius of a circle for an output of 1. A radian is many search radii: without it the training begins with all
spacepoints of a layer in one heap."""


class Embedding(nn.Module):
    """A multilayer perceptron on each spacepoint's r and z, which says where it lies and on how large circles.

    Metric learning as in Ju et al., Eur. Phys. J. C 81 (2021) 876, section 3.1, and equivariant: where the event is
    turned about the beam, its points are turned, and their distances stay as they were. The network need not learn
    from examples that the detector looks the same from all around.

    Shapes:
        features: [N,3] FP32, the contract's columns; N may be 0.
        returns: [N,dimension] FP32.

    Args:
        hidden: width of the perceptron.
        layers: of the perceptron.
        dimension: of the space.
        circles: pairs of its coordinates that turn with the event; the others do not depend on φ.

    Raises:
        ValueError: the space has fewer dimensions than the circles take.
    """

    def __init__(self, *, hidden: int = 128, layers: int = 4, dimension: int = 8, circles: int = 2) -> None:
        super().__init__()
        if dimension < 2 * circles:
            raise ValueError(f"{circles} circles take {2 * circles} dimensions, found {dimension}")
        self.circles = circles
        outputs = dimension - circles
        self.mlp = mlp([NUM_NODE_FEATURES, *[hidden] * (layers - 1), outputs], final_activation=False)

    def forward(self, features: Tensor) -> Tensor:
        place = self.mlp(node_features(features))  # [N, dimension - circles]
        phi = features[:, 1:2] * math.pi
        radius = CIRCLE_SCALE * place[:, : self.circles]
        return torch.cat((radius * torch.cos(phi), radius * torch.sin(phi), place[:, self.circles :]), dim=1)
