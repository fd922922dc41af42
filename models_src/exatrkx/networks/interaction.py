"""GNN: an interaction network, in which edges learn from the edges around them whether they are part of a track."""

from __future__ import annotations

import torch
from torch import Tensor, nn  # Tensor at run time too: MessagePassing evaluates the annotations
from torch_geometric.nn import MessagePassing

from exatrkx.networks.geometry import NUM_EDGE_FEATURES, NUM_NODE_FEATURES, edge_features, node_features, outwards
from exatrkx.networks.layers import EdgeInput, mlp


class Interaction(MessagePassing):  # type: ignore[misc]  # torch_geometric is untyped
    """One round: each edge is updated from its two nodes, then each node from its edges, inward and outward apart.

    Source: Battaglia et al., NeurIPS 2016 (arXiv:1612.00222), with residual connections.
    """

    def __init__(self, size: int) -> None:
        super().__init__(aggr="sum", node_dim=0)
        self.edge_input = EdgeInput(size, size, size)
        self.edge_output = nn.Linear(size, size)
        self.node_mlp = mlp([3 * size, size, size], final_activation=False)

    def forward(self, node: Tensor, edge: Tensor, inner: Tensor, outer: Tensor) -> tuple[Tensor, Tensor]:
        size = (node.size(0), node.size(0))
        edge = edge + self.edge_output(self.edge_input(node, edge, inner, outer))  # [E, size]
        from_inside = self.propagate(torch.stack((inner, outer)), size=size, edge=edge)  # [N, size]
        from_outside = self.propagate(torch.stack((outer, inner)), size=size, edge=edge)  # [N, size]
        node = node + self.node_mlp(torch.cat((node, from_inside, from_outside), dim=1))
        return node, edge

    def message(self, edge: Tensor) -> Tensor:
        return edge


class InteractionNetwork(nn.Module):
    """Encoder, rounds of interaction, and a score for each edge.

    Shapes:
        features: [N,3] FP32, the contract's columns.
        edge_index: [2,E] INT64; the order of the rows does not matter; E may be 0.
        returns: [E] FP32 logits.
    """

    def __init__(self, *, hidden: int = 48, rounds: int = 5) -> None:
        super().__init__()
        self.node_encoder = mlp([NUM_NODE_FEATURES, hidden, hidden], final_activation=False)
        self.edge_input = EdgeInput(NUM_NODE_FEATURES, NUM_EDGE_FEATURES, hidden)
        self.edge_encoder = nn.Linear(hidden, hidden)
        self.rounds = nn.ModuleList([Interaction(hidden) for _ in range(rounds)])
        self.score = mlp([hidden, hidden, 1], final_activation=False)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        inner, outer = outwards(features, edge_index)
        points = node_features(features)
        edge = self.edge_input(points, edge_features(features, inner, outer), inner, outer)
        edge = self.edge_encoder(edge)  # [E, hidden]
        node = self.node_encoder(points)  # [N, hidden]
        for interaction in self.rounds:
            node, edge = interaction(node, edge, inner, outer)
        return self.score(edge).squeeze(1)  # type: ignore[no-any-return]  # [E,1] -> [E]
