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
    all_at_once,
    by_inner_node,
    continuations,
    edge_features,
    may_be_one_track,
    node_table,
    outwards,
    segments,
    triplet_features,
)
from exatrkx.networks.mlp import EdgeInput, mlp, update_states
from exatrkx.networks.tables import (
    Perceptron,
    block_rows,
    columns_at,
    ends_at,
    joined,
    loops_survive_tracing,
    perceptron,
    perceptron_weights,
)

NUM_CONTEXT: Final = 4
"""What a round tells an edge: support outwards and inwards, and competition at its inner and outer spacepoint."""

UNLIKELY: Final = -6.0
"""Logit below which a triplet is forgotten: its part in any sum is too small to matter."""

FULL_ROUNDS: Final = 2
"""Rounds of all edges: after one alone tracks are lost, or fall into pieces."""


class LineGraph(NamedTuple):
    """Line graph that the rounds work on, from E edges to their context: E edges, N spacepoints, T triplets.

    Attributes:
        links: [2,2T+2E] INT32, half the memory of INT64: from where a message is read in [3,E] beliefs, to where it is
            summed in [2E+2N] totals: for each triplet one to its first and one to its second edge, for each edge one
            to each of its spacepoints.
        weight: [2T+2E] logits: for a triplet, are both of one track? 0 for an edge that competes at its spacepoint.
        context: [4E] INT32 the totals that an edge is told of.
        totals: [2E+2N], of which only the length counts.
    """

    links: Tensor
    weight: Tensor
    context: Tensor
    totals: Tensor


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
    """Message passing: log(1 + Σ exp(weight + belief)) over what links to an entry: its continuations on one side, say.

    Source: the sum-product rule of belief propagation, Pearl, AAAI 1982, for "at least one".
    """

    def __init__(self) -> None:
        super().__init__(aggr="sum", node_dim=0)

    def forward(self, links: Tensor, weight: Tensor, belief: Tensor, totals: Tensor) -> Tensor:
        """[2,L] from and to, [L] logits, [B] logits, [M] of which only the length counts -> [M]."""
        return torch.log1p(self.propagate(links, belief=(belief, None), weight=weight, size=(None, totals.size(0))))

    def message(self, belief_j: Tensor, weight: Tensor) -> Tensor:
        return belief_j.add_(weight).exp_()

    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: int) -> Tensor:
        return inputs.new_zeros(dim_size).index_add_(0, index, inputs)  # the library's own takes INT64 alone


class Round(nn.Module):
    """Round of belief propagation: the edges' beliefs, their propagation, and what that changes of the states."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.beliefs = nn.Linear(size + NUM_CONTEXT, 3)
        self.support = Support()
        self.update = mlp([size + NUM_CONTEXT, size, size], final_activation=False)

    def forward(self, beliefs: Tensor, graph: LineGraph) -> Tensor:
        """[3,E] the edges' logits, outward and inward beliefs -> [E,4] their context."""
        totals: Tensor = self.support(graph.links, graph.weight, beliefs.flatten(), graph.totals)
        return totals.index_select(0, graph.context).view(-1, NUM_CONTEXT)


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
        rows = self.block_rows
        encoder = perceptron_weights([*self.edge_input.weights(), *self.edge_encoder.parameters()])
        rounds = cast("list[Round]", list(self.rounds))
        heads = [*(_weights(one.beliefs) for one in rounds), _weights(self.score)]
        states, found, rank, ends, helices = encode_edges(
            features, edge_index, encoder, _weights(self.rank), heads[0], rows
        )
        first, second, triplet = score_triplets(
            features, ends, helices, rank.detach(), list(self.triplet.parameters()), self.most, least, rows
        )
        triplets = first, second, triplet
        if least == -math.inf:  # those that are unlikely have a score, but no part in anything
            likely = torch.nonzero(triplet > UNLIKELY).squeeze(1)
            triplets = first[likely], second[likely], triplet[likely].clamp(max=tables.LARGEST)
        graph = LineGraph(*line_graph(triplets, torch.zeros_like(rank), ends, features))
        early, scores = [rank], rank
        for i, (one, head) in enumerate(zip(rounds, heads[1:], strict=True)):
            beliefs = found.clamp(-tables.LARGEST, tables.LARGEST)  # [3,E]
            early.append(beliefs[0])
            if i == FULL_ROUNDS and least > -math.inf:
                scores = found[0]
                del graph  # there need not be memory for two
                states, beliefs, triplets, own, ends = leave_out(scores, states, beliefs, triplets, ends, features)
                graph = LineGraph(*line_graph(triplets, own, ends, features))
            states, found = update_states(states, one(beliefs, graph), _weights(one.update), head, rows)
        found = found.squeeze(0)
        if scores is not rank:
            found = put_back(scores, found)
        return Evidence(found, early, first, second, triplet)


def _weights(network: nn.Module) -> Perceptron:
    return perceptron_weights(network.parameters())


@loops_survive_tracing
def line_graph(
    triplets: tuple[Tensor, Tensor, Tensor], own: Tensor, ends: Tensor, features: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The parts of a `LineGraph`.

    Args:
        triplets: [T] first edges, second edges and logits, of `score_triplets`.
        own: [E] logits: has the edge a part in the competition at its spacepoints?
        ends: [2,E] spacepoints of each edge.
        features: [N,3], of which only the length counts.
    """
    first, second, triplet = triplets
    num_edges, num_nodes = ends.size(1), features.size(0)
    both, ends = torch.arange(2 * num_edges, dtype=torch.int32, device=ends.device), ends.to(torch.int32)
    context = torch.cat((both, ends[0] + 2 * num_edges, ends[1] + (2 * num_edges + num_nodes)))  # [4E]
    edges, competition = both[:num_edges], context[2 * num_edges :]
    of_second = (
        second + num_edges
    )  # its outward belief, of which the first one is told; and where it is told of that one
    links = [of_second, first + 2 * num_edges, edges, edges, first, of_second, competition]
    weight = torch.cat((triplet, triplet, own, own))
    totals = triplet.new_empty(2 * (num_edges + num_nodes))
    return torch.cat(links).view(2, -1), weight, context.view(4, -1).t().reshape(-1), totals


@loops_survive_tracing
def leave_out(  # noqa: PLR0917 - no keywords in a trace
    scores: Tensor,
    states: Tensor,
    beliefs: Tensor,
    triplets: tuple[Tensor, Tensor, Tensor],
    ends: Tensor,
    features: Tensor,
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
    """States, beliefs, triplets, own logits (of `line_graph`) and ends of edges with scores above `HOPELESS` alone.

    A GPU would wait for their number: where all edges are few enough there, all stay, and hopeless ones say nothing.
    """
    first, second, triplet = triplets
    if all_at_once(features, ends.size(1)):
        own = torch.where(scores > tables.HOPELESS, 0.0, -math.inf)
        triplet = triplet + own.index_select(0, first) + own.index_select(0, second)
        return states, beliefs, (first, second, triplet), own, ends
    likely = torch.nonzero(scores > tables.HOPELESS).squeeze(1)
    place = torch.full_like(scores, -1, dtype=torch.int32)
    place[likely] = torch.arange(likely.size(0), dtype=torch.int32, device=likely.device)
    first, second = place.index_select(0, first), place.index_select(0, second)
    both = torch.nonzero(torch.minimum(first, second) >= 0).squeeze(1)
    left = first.index_select(0, both), second.index_select(0, both), triplet.index_select(0, both)
    beliefs = beliefs.index_select(1, likely)
    return states.index_select(0, likely), beliefs, left, torch.zeros_like(beliefs[0]), ends.index_select(1, likely)


@loops_survive_tracing
def put_back(scores: Tensor, found: Tensor) -> Tensor:
    """[E] scores, but for those above `HOPELESS`, which are `found` among them or of them alone."""
    likely = scores > tables.HOPELESS
    if found.size(0) < scores.size(0):
        return scores.masked_scatter(likely, found)
    return torch.where(likely, found, scores)


@loops_survive_tracing
def encode_edges(  # noqa: PLR0917 - no keywords in a trace
    features: Tensor, edge_index: Tensor, encoder: Perceptron, rank: Perceptron, head: Perceptron, rows: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """States of the edges before the first round, and what the triplets are made of.

    Args:
        features: [N,3].
        edge_index: [2,E].
        encoder: parameters of a perceptron on the edges, [E,16] -> [E,size].
        rank: those of a linear layer on their states, [E,size] -> [E,1].
        head: those of a perceptron on the states and a context, [E,size+C] -> [E,K].
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [E,size+C] states with a context of zeros, [K,E] of `head`, [E] ranks, [2,E] ends outwards, [12,E] segments.
    """
    nodes = node_table(features)
    rows = block_rows(nodes, rows)
    distance = nodes[tables.DISTANCE]
    if edge_index.size(1) <= rows:
        return encode_block(nodes, distance, edge_index, encoder, rank, head)
    num_edges = edge_index.size(1)
    ends = torch.empty_like(edge_index)
    states = nodes.new_empty((num_edges, head[0][0].size(1)))
    found = nodes.new_empty((head[0][-1].size(0), num_edges))
    ranks = nodes.new_empty(num_edges)
    helices = nodes.new_empty((tables.NUM_SEGMENT_COLUMNS, num_edges))
    for begin in range(0, num_edges, rows):
        block = slice(begin, begin + rows)
        states[block], found[:, block], ranks[block], ends[:, block], helices[:, block] = encode_block(
            nodes, distance, edge_index[:, block], encoder, rank, head
        )
    return states, found, ranks, ends, helices


def encode_block(  # noqa: PLR0917 - no keywords in a trace
    nodes: Tensor, distance: Tensor, edge_index: Tensor, encoder: Perceptron, rank: Perceptron, head: Perceptron
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """`encode_edges` of one block."""
    ends = outwards(distance, edge_index)
    inner, outer = ends_at(nodes, ends)
    state = perceptron(edge_features(inner, outer).t(), encoder)
    states = constant_pad_nd(state, [0, head[0][0].size(1) - state.size(1)])
    return states, perceptron(states, head).t(), perceptron(state, rank).squeeze(1), ends, segments(inner, outer)


@loops_survive_tracing
def score_triplets(  # noqa: PLR0917 - no keywords in a trace
    features: Tensor,
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
        features: [N,3], of which only the length counts.
        ends: [2,E] of `encode_edges`.
        helices: [12,E] table of segments.
        rank: [E], by which the continuations of an edge are chosen.
        weights: weight and bias of two linear layers, with ReLU between them.
        most: continuations of one edge that are looked at.
        least: logit that the triplets returned are above.
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [T] first edges and [T] second edges, INT32, and [T] logits, at most `tables.LARGEST` where there is a least
        one. On a GPU there may be triplets with a logit of −∞ among them, which are none.
    """
    num_edges = ends.size(1)
    edges, start, leaving = by_inner_node(ends[0], features[:, 0], rank)
    bent = helices[tables.KINK :]
    if least > -math.inf and all_at_once(features, num_edges):
        place, real = continuations(ends[1], start, leaving, most, num_edges)
        second = edges.take(place).flatten()
        outer = columns_at(helices, second).view(tables.NUM_SEGMENT_COLUMNS, most, num_edges)
        logit = triplet_logits(helices.unsqueeze(1), outer, weights)
        likely = (real & may_be_one_track(bent.unsqueeze(1), outer[tables.KINK :])).flatten() & (logit > least)
        first = torch.arange(num_edges, dtype=torch.int32, device=place.device).expand(place.size()).flatten()
        return first, second.to(torch.int32), torch.where(likely, logit.clamp(max=tables.LARGEST), -math.inf)
    in_order = columns_at(helices, edges)
    bent_in_order = in_order[tables.KINK :]
    rows = max(1, block_rows(features, rows) // 4)
    firsts: list[Tensor] = []
    seconds: list[Tensor] = []
    logits: list[Tensor] = []
    for begin in range(0, max(1, num_edges), rows):
        block = slice(begin, begin + rows)
        place, real = continuations(ends[1, block], start, leaving, most, num_edges)
        bent_outer = columns_at(bent_in_order, place.flatten()).view(bent.size(0), most, place.size(1))
        real = real & may_be_one_track(bent[:, block].unsqueeze(1), bent_outer)
        found = torch.nonzero(real.flatten()).squeeze(1)
        first, place = found % max(1, real.size(1)) + begin, place.flatten().index_select(0, found)
        logit = triplet_logits(columns_at(helices, first), columns_at(in_order, place), weights)
        if least > -math.inf:
            likely = torch.nonzero(logit > least).squeeze(1)
            first, place, logit = first[likely], place[likely], logit[likely].clamp(max=tables.LARGEST)
        firsts.append(first.to(torch.int32))
        seconds.append(edges.index_select(0, place).to(torch.int32))
        logits.append(logit)
    return joined(firsts), joined(seconds), joined(logits)


def triplet_logits(first: Tensor, second: Tensor, weights: list[Tensor]) -> Tensor:
    """[12,T], [12,T] columns of segments, or any shapes that broadcast -> [T]."""
    between = triplet_features(first, second).flatten(1)
    hidden = torch.mm(weights[0], between).add_(weights[1].unsqueeze(1)).relu_()  # [hidden,T]
    return torch.mm(weights[2], hidden).squeeze(0) + weights[3]
