"""Graph neural network (GNN) on triplets: edges learn from their continuations whether they belong to a track.

A graph network on the line graph: its nodes are the edges, its links the triplets. Each round is one step of belief
propagation along the tracks, with learnt beliefs: an edge is told how well the best of its continuations, outwards and
inwards, fit and are themselves continued, and what competes with it for its two spacepoints.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn  # Tensor at run time too: MessagePassing evaluates the annotations
from torch_geometric.nn import MessagePassing

from exatrkx.networks.geometry import (
    NUM_EDGE_FEATURES,
    NUM_NODE_FEATURES,
    NUM_TRIPLET_FEATURES,
    continuations,
    edge_features,
    node_features,
    outwards,
    segments,
    triplet_features,
)
from exatrkx.networks.mlp import EdgeInput, mlp

NUM_CONTEXT: Final = 4
"""What a round tells an edge: support outwards and inwards, and competition at its inner and outer spacepoint."""

UNLIKELY: Final = -6.0
"""Logit below which a triplet is forgotten: its part in any sum is too small to matter."""

LARGEST: Final = 12.0
"""Bound of logits in exponents, so that their sums are finite in FP32."""


class LineGraph(NamedTuple):
    """Line graph that the rounds work on: N spacepoints, E edges, T triplets.

    Attributes:
        links: [2,T] first and second edge of each triplet.
        triplet: [T] logits: are both of one track?
        inner, outer: [E] the spacepoints of each edge.
        nodes: [N], of which only the length counts.
    """

    links: Tensor
    triplet: Tensor
    inner: Tensor
    outer: Tensor
    nodes: Tensor


class Evidence(NamedTuple):
    """Logits of E edges and T triplets; all but `scores` are there to learn from.

    Attributes:
        scores: [E] logits: is the edge part of a track?
        early: [E] logits of the same before each round.
        first, second: [T] the edges of each triplet.
        triplets: [T] logits: are both edges of one track?
    """

    scores: Tensor
    early: list[Tensor]
    first: Tensor
    second: Tensor
    triplets: Tensor


class Support(MessagePassing):  # type: ignore[misc]  # torch_geometric is untyped
    """Message passing: log(1 + Σ exp(triplet + belief)) over the triplets of an edge on one side, its continuations.

    Source: the sum-product rule of belief propagation, Pearl, AAAI 1982, for "at least one".
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum", node_dim=0)

    def forward(self, links: Tensor, triplet: Tensor, belief: Tensor) -> Tensor:
        """[2,T] from and to, [T] logits, [E] logits -> [E]."""
        return torch.log1p(self.propagate(links, belief=belief, triplet=triplet))

    def message(self, belief_j: Tensor, triplet: Tensor) -> Tensor:
        return torch.exp(triplet + belief_j)


class Round(nn.Module):
    """Round of belief propagation: beliefs from the edges' states, their propagation, and the new states."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.beliefs = nn.Linear(size + NUM_CONTEXT, 3)
        self.support = Support()
        self.update = mlp([size + NUM_CONTEXT, size, size], final_activation=False)

    def forward(self, edge: Tensor, context: Tensor, graph: LineGraph) -> tuple[Tensor, Tensor, Tensor]:
        """[E,size], [E,4] -> both anew, and the edges' logits [E] before that."""
        beliefs = self.beliefs(torch.cat((edge, context), dim=1)).clamp(-LARGEST, LARGEST)
        score, outwards_belief, inwards_belief = beliefs.unbind(dim=1)  # [E] each
        context = torch.stack(
            (
                self.support(graph.links.flip(0), graph.triplet, outwards_belief),
                self.support(graph.links, graph.triplet, inwards_belief),
                _competition(score, graph.inner, graph.nodes),
                _competition(score, graph.outer, graph.nodes),
            ),
            dim=1,
        )
        return edge + self.update(torch.cat((edge, context), dim=1)), context, score


class TripletNetwork(nn.Module):
    """Encoder of edges, scores of triplets, rounds of belief propagation, and a score for each edge.

    Shapes:
        features: [N,3] FP32, the contract's columns.
        edge_index: [2,E] INT64; the order of the rows does not matter; E may be 0.
        returns: [E] FP32 logits.

    Args:
        hidden: width of an edge's state.
        triplet_hidden: width of the triplets' network.
        rounds: of belief propagation.
        most: continuations of one edge that are looked at.
    """

    def __init__(self, *, hidden: int = 32, triplet_hidden: int = 24, rounds: int = 4, most: int = 10) -> None:
        super().__init__()
        self.most = most
        self.edge_input = EdgeInput(NUM_NODE_FEATURES, NUM_EDGE_FEATURES, hidden)
        self.edge_encoder = mlp([hidden, hidden], final_activation=True)
        self.rank = nn.Linear(hidden, 1)
        self.triplet = nn.Sequential(
            nn.Linear(NUM_TRIPLET_FEATURES, triplet_hidden), nn.ReLU(inplace=True), nn.Linear(triplet_hidden, 1)
        )
        self.rounds = nn.ModuleList([Round(hidden) for _ in range(rounds)])
        self.score = mlp([hidden + NUM_CONTEXT, hidden, 1], final_activation=False)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return self.evidence(features, edge_index).scores

    def evidence(self, features: Tensor, edge_index: Tensor) -> Evidence:
        """The scores, and what they were made of."""
        inner, outer = outwards(features, edge_index)
        edge = self.edge_input(node_features(features), edge_features(features, inner, outer), inner, outer)
        edge = self.edge_encoder(edge)  # [E, hidden]
        rank = self.rank(edge).squeeze(1)  # [E,1] -> [E]
        first, second = continuations(inner, outer, features[:, 0], rank.detach(), self.most)
        triplet = self._triplets(features, inner, outer, first, second)  # [T]
        likely = torch.nonzero(triplet > UNLIKELY).squeeze(1)
        links = torch.stack((first.index_select(0, likely), second.index_select(0, likely)))  # [2,T']
        graph = LineGraph(links, triplet.index_select(0, likely).clamp(max=LARGEST), inner, outer, features[:, 0])
        context = torch.zeros_like(edge[:, :NUM_CONTEXT])
        early = [rank]
        for one in self.rounds:
            edge, context, score = one(edge, context, graph)
            early.append(score)
        scores = self.score(torch.cat((edge, context), dim=1)).squeeze(1)  # [E,1] -> [E]
        return Evidence(scores, early, first, second, triplet)

    def _triplets(self, features: Tensor, inner: Tensor, outer: Tensor, first: Tensor, second: Tensor) -> Tensor:
        helix = segments(features, inner, outer)  # [E,6]
        radius = features[:, 0].index_select(0, outer).index_select(0, first)
        between = triplet_features(helix.index_select(0, first), helix.index_select(0, second), radius)  # [T,14]
        return self.triplet(between).squeeze(1)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped


def _competition(score: Tensor, end: Tensor, nodes: Tensor) -> Tensor:
    """[E] log(1 + Σ exp(score)) over the edges that have the same spacepoint at this end, the edge itself included."""
    total = torch.zeros_like(nodes).index_add(0, end, torch.exp(score))  # [N]
    return torch.log1p(total).index_select(0, end)
