"""Multilayer perceptrons (MLPs): the embedding of spacepoints and the filter of edges, and the layers of all networks.

The embedding takes spacepoints to points of a metric space in which neighbours on a track are near each other. The
filter is a quick look at each edge by itself, which drops most of the wrong ones before the GNN.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from exatrkx.networks.geometry import NUM_EDGE_FEATURES, NUM_NODE_FEATURES, edge_features, node_features, outwards

if TYPE_CHECKING:
    from torch import Tensor


def mlp(sizes: list[int], *, final_activation: bool) -> nn.Sequential:
    """Linear layers of these sizes, each but the last followed by LayerNorm and ReLU.

    LayerNorm and not batch normalisation: a network then answers the same for an event alone and among others,
    in training and at inference.

    Args:
        sizes: features in, hidden, …, out.
        final_activation: whether LayerNorm and ReLU follow the last layer too.
    """
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Linear(n_in, n_out))
        if final_activation or i < len(sizes) - 2:
            layers += [nn.LayerNorm(n_out), nn.ReLU()]
    return nn.Sequential(*layers)


class EdgeInput(nn.Module):
    """The first layer of an edge network: W₁ node(inner) + W₂ node(outer) + W₃ edge + b, then LayerNorm and ReLU.

    The same as one linear layer on the concatenation of the three, but the products with the nodes are computed once
    per node and not once per edge: a node has ten edges or more.
    """

    def __init__(self, node_size: int, edge_size: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(node_size, hidden)
        self.outer = nn.Linear(node_size, hidden, bias=False)
        self.edge = nn.Linear(edge_size, hidden, bias=False)
        self.activation = nn.Sequential(nn.LayerNorm(hidden), nn.ReLU())

    def forward(self, node: Tensor, edge: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
        hidden = self.edge(edge)  # [E, edge_size] -> [E, hidden]
        hidden = hidden + self.inner(node).index_select(0, inner)  # [N, node_size] -> [N, hidden] -> [E, hidden]
        hidden = hidden + self.outer(node).index_select(0, outer)
        return self.activation(hidden)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped


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


class EdgeFilter(nn.Module):
    """A multilayer perceptron on each edge: its geometry and its two spacepoints.

    Shapes:
        features: [N,3] FP32, the contract's columns.
        edge_index: [2,E] INT64; the order of the rows does not matter; E may be 0.
        returns: [E] FP32 logits.
    """

    def __init__(self, *, hidden: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.input = EdgeInput(NUM_NODE_FEATURES, NUM_EDGE_FEATURES, hidden)
        self.mlp = mlp([*[hidden] * (layers - 1), 1], final_activation=False)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        inner, outer = outwards(features, edge_index)
        edges = edge_features(features, inner, outer)
        hidden = self.input(node_features(features), edges, inner, outer)  # [E, hidden]
        return self.mlp(hidden).squeeze(1)  # type: ignore[no-any-return]  # [E,1] -> [E]
