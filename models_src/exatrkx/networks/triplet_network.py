"""Graph neural network (GNN) on triplets: edges learn from their continuations whether they belong to a track.

A graph network on the line graph: its nodes are the edges, its links the triplets. Each round is one step of belief
propagation along the tracks, with learnt beliefs: an edge is told how well the best of its continuations, outwards and
inwards, fit and are themselves continued, and what competes with it for its two spacepoints.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, constant_pad_nd, nn  # Tensor at run time too: MessagePassing evaluates the annotations
from torch_geometric.nn import MessagePassing

from exatrkx.networks import tables
from exatrkx.networks.geometry import (
    by_inner_node,
    continuations,
    edge_features,
    node_table,
    outwards,
    segments,
    triplet_features,
)
from exatrkx.networks.mlp import EdgeInput, mlp, update_states
from exatrkx.networks.tables import block_rows, columns_at, loops_survive_tracing, perceptron

NUM_CONTEXT: Final = 4
"""What a round tells an edge: support outwards and inwards, and competition at its inner and outer spacepoint."""

UNLIKELY: Final = -6.0
"""Logit below which a triplet is forgotten: its part in any sum is too small to matter."""

HOPELESS: Final = -7.0
"""Logit below which an edge is left out of the rounds that follow the first `FULL_ROUNDS`."""

FULL_ROUNDS: Final = 2
"""Rounds of all edges: after one alone tracks are lost, or fall into pieces."""

LARGEST: Final = 12.0
"""Bound of logits in exponents, so that their sums are finite in FP32."""


class LineGraph(NamedTuple):
    """Line graph that the rounds work on: N spacepoints, E edges, T triplets.

    Attributes:
        links: [2,T] first and second edge of each triplet.
        backward: [2,T] second and first.
        triplet: [T] logits: are both of one track?
        inner, outer: [E] the spacepoints of each edge.
        nodes: [N], of which only the length counts.
    """

    links: Tensor
    backward: Tensor
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
    """Round of belief propagation: the edges' beliefs, their propagation, and what that changes of the states."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.beliefs = nn.Linear(size + NUM_CONTEXT, 3)
        self.support = Support()
        self.update = mlp([size + NUM_CONTEXT, size, size], final_activation=False)

    def forward(self, beliefs: Tensor, graph: LineGraph) -> Tensor:
        """[3,E] -> [4,E]: the edges' logits, outward and inward beliefs to their context."""
        score, outwards_belief, inwards_belief = beliefs.unbind()  # [E] each
        return torch.stack(
            (
                self.support(graph.backward, graph.triplet, outwards_belief),
                self.support(graph.links, graph.triplet, inwards_belief),
                _competition(score, graph.inner, graph.nodes),
                _competition(score, graph.outer, graph.nodes),
            )
        )


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

    Attributes:
        block_rows: edges of a block; 0 for what suits the device.
    """

    def __init__(self, *, hidden: int = 32, triplet_hidden: int = 24, rounds: int = 4, most: int = 10) -> None:
        super().__init__()
        self.block_rows = 0
        self.most = most
        self.edge_input = EdgeInput(tables.NUM_NODE_FEATURES, tables.NUM_EDGE_FEATURES, hidden)
        self.edge_encoder = mlp([hidden, hidden], final_activation=True)
        self.rank = nn.Linear(hidden, 1)
        self.triplet = nn.Sequential(
            nn.Linear(tables.NUM_TRIPLET_FEATURES, triplet_hidden), nn.ReLU(inplace=True), nn.Linear(triplet_hidden, 1)
        )
        self.rounds = nn.ModuleList([Round(hidden) for _ in range(rounds)])
        self.score = mlp([hidden + NUM_CONTEXT, hidden, 1], final_activation=False)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        return self._evidence(features, edge_index, UNLIKELY).scores

    def evidence(self, features: Tensor, edge_index: Tensor) -> Evidence:
        """The scores, and what they were made of."""
        return self._evidence(features, edge_index, -math.inf)

    def _evidence(self, features: Tensor, edge_index: Tensor, least: float) -> Evidence:
        """The scores, and of the triplets those with logits above `least`; others than likely ones have no part.

        With such a bound, hopeless edges keep the score that they have after `FULL_ROUNDS`.
        """
        rows, nodes = self.block_rows, node_table(features)
        encoder = [*self.edge_input.weights(), *self.edge_encoder.parameters()]
        rounds = cast("list[Round]", list(self.rounds))
        heads = [*(_weights(one.beliefs) for one in rounds), _weights(self.score)]
        states, found, rank, ends, helices = encode_edges(
            nodes, edge_index, encoder, _weights(self.rank), heads[0], rows
        )
        first, second, triplet = score_triplets(
            nodes, ends, helices, rank.detach(), _weights(self.triplet), self.most, least, rows
        )
        graph = _line_graph(first, second, triplet, ends, nodes[:, 0])
        early, scores, likely = [rank], rank, None
        for i, (one, head) in enumerate(zip(rounds, heads[1:], strict=True)):
            beliefs = found.clamp(-LARGEST, LARGEST)  # [3,E]
            early.append(beliefs[0])
            if i == FULL_ROUNDS and least > -math.inf:
                scores = found[0]
                likely = torch.nonzero(scores > HOPELESS).squeeze(1)
                states, beliefs = states.index_select(0, likely), beliefs.index_select(1, likely)
                graph = _subgraph(graph, likely)
            states, found = update_states(states, one(beliefs, graph), _weights(one.update), head, rows)
        found = found.squeeze(0)
        if likely is not None:
            found = scores.index_copy(0, likely, found)
        return Evidence(found, early, first, second, triplet)


def _weights(network: nn.Module) -> list[Tensor]:
    return [*network.parameters()]


def _line_graph(first: Tensor, second: Tensor, triplet: Tensor, ends: Tensor, nodes: Tensor) -> LineGraph:
    likely = torch.nonzero(triplet > UNLIKELY).squeeze(1)
    links = torch.stack((first.index_select(0, likely), second.index_select(0, likely)))  # [2,T']
    triplet = triplet.index_select(0, likely).clamp(max=LARGEST)
    return LineGraph(links, links.flip(0), triplet, ends[0], ends[1], nodes)


def _subgraph(graph: LineGraph, kept: Tensor) -> LineGraph:
    """[E'] of the edges -> the line graph of these alone."""
    place = torch.full_like(graph.inner, -1).index_copy(0, kept, torch.arange(kept.size(0), device=kept.device))
    links = place.index_select(0, graph.links.flatten()).view_as(graph.links)  # [2,T']
    both = torch.nonzero(links.amin(0) >= 0).squeeze(1)
    links = links.index_select(1, both)
    triplet, inner, outer = graph.triplet.index_select(0, both), graph.inner[kept], graph.outer[kept]
    return LineGraph(links, links.flip(0), triplet, inner, outer, graph.nodes)


def _competition(score: Tensor, end: Tensor, nodes: Tensor) -> Tensor:
    """[E] log(1 + Σ exp(score)) over the edges that have the same spacepoint at this end, the edge itself included."""
    total = torch.zeros_like(nodes).index_add(0, end, torch.exp(score))  # [N]
    return torch.log1p(total).index_select(0, end)


@loops_survive_tracing
def encode_edges(  # noqa: PLR0917 - no keywords in a trace
    nodes: Tensor, edge_index: Tensor, encoder: list[Tensor], rank: list[Tensor], head: list[Tensor], rows: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """States of the edges before the first round, and what the triplets are made of.

    Args:
        nodes: [N,8] table of nodes.
        edge_index: [2,E].
        encoder: parameters of a perceptron on the edges, [E,16] -> [E,size].
        rank: those of a linear layer on their states, [E,size] -> [E,1].
        head: those of a perceptron on the states and a context, [E,size+C] -> [E,K].
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [E,size+C] states with a context of zeros, [K,E] of `head`, [E] ranks, [2,E] ends outwards, [E,9] segments.
    """
    rows = block_rows(nodes, rows)
    num_edges, size, width = edge_index.size(1), encoder[-1].size(0), head[0].size(1)
    distance = nodes[:, tables.DISTANCE].contiguous()
    ends = torch.empty_like(edge_index)
    states = nodes.new_empty((num_edges, width))
    found = nodes.new_empty((head[-1].size(0), num_edges))
    ranks = nodes.new_empty(num_edges)
    helices = nodes.new_empty((num_edges, tables.NUM_SEGMENT_COLUMNS))
    for begin in range(0, num_edges, rows):
        end = min(begin + rows, num_edges)
        both = outwards(distance, edge_index[:, begin:end])
        inner, outer = columns_at(nodes, both[0]), columns_at(nodes, both[1])
        state = perceptron(edge_features(inner, outer).t(), encoder)
        joined = constant_pad_nd(state, [0, width - size])
        ends[:, begin:end] = both
        helices[begin:end] = segments(inner, outer).t()
        states[begin:end] = joined
        found[:, begin:end] = perceptron(joined, head).t()
        ranks[begin:end] = perceptron(state, rank).squeeze(1)
    return states, found, ranks, ends, helices


@loops_survive_tracing
def score_triplets(  # noqa: PLR0917 - no keywords in a trace
    nodes: Tensor,
    ends: Tensor,
    helices: Tensor,
    rank: Tensor,
    weights: list[Tensor],
    most: int,
    least: float,
    rows: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Triplets, and how likely both of their edges are of one track.

    Args:
        nodes: [N,8], of which only the length counts.
        ends: [2,E] of `encode_edges`.
        helices: [E,9] table of segments.
        rank: [E], by which the continuations of an edge are chosen.
        weights: weight and bias of two linear layers, with ReLU between them.
        most: continuations of one edge that are looked at.
        least: logit that the triplets returned are above.
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [T] first edges, [T] second edges, [T] logits.
    """
    rows = max(1, block_rows(nodes, rows) // most)
    edges, start, leaving = by_inner_node(ends[0], nodes[:, 0], rank)
    in_order = helices.index_select(0, edges)
    firsts: list[Tensor] = []
    seconds: list[Tensor] = []
    logits: list[Tensor] = []
    for begin in range(0, max(1, ends.size(1)), rows):
        first, place = continuations(ends[1, begin : begin + rows], start, leaving, most)
        first += begin
        between = triplet_features(columns_at(helices, first), columns_at(in_order, place))
        hidden = torch.mm(weights[0], between).add_(weights[1].unsqueeze(1)).relu_()  # [hidden,T]
        logit = torch.mm(weights[2], hidden).squeeze(0) + weights[3]
        if least > -math.inf:
            likely = torch.nonzero(logit > least).squeeze(1)
            first, place, logit = first[likely], place[likely], logit[likely]
        firsts.append(first)
        seconds.append(edges.index_select(0, place))
        logits.append(logit)
    return torch.cat(firsts), torch.cat(seconds), torch.cat(logits)
