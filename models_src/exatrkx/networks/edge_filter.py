"""Filter: a quick look at each edge by itself, which drops most of the wrong ones before the GNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from exatrkx.networks.geometry import NUM_EDGE_FEATURES, NUM_NODE_FEATURES, edge_features, node_features, outwards
from exatrkx.networks.layers import EdgeInput, mlp

if TYPE_CHECKING:
    from torch import Tensor


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
