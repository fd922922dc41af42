"""Loops over blocks of the GNN on triplets: states of edges, scores of triplets, and the step after each round."""

from __future__ import annotations

import math

import torch
from torch import Tensor, constant_pad_nd  # Tensor at run time too: TorchScript evaluates the annotations

from exatrkx.networks import scales
from exatrkx.networks.blocks import block_rows, loops_survive_tracing, perceptron
from exatrkx.networks.geometry import by_inner_node, continuations, edge_features, outwards, segments, triplet_features


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
    distance = nodes[:, scales.DISTANCE].contiguous()
    ends = torch.empty_like(edge_index)
    states = nodes.new_empty((num_edges, width))
    found = nodes.new_empty((head[-1].size(0), num_edges))
    ranks = nodes.new_empty(num_edges)
    helices = nodes.new_empty((num_edges, scales.NUM_SEGMENT_COLUMNS))
    for begin in range(0, num_edges, rows):
        end = min(begin + rows, num_edges)
        both = outwards(distance, edge_index[:, begin:end])
        inner, outer = nodes.index_select(0, both[0]).t(), nodes.index_select(0, both[1]).t()
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
        between = triplet_features(helices.index_select(0, first).t(), in_order.index_select(0, place).t())
        hidden = torch.mm(weights[0], between).add_(weights[1].unsqueeze(1)).relu_()  # [hidden,T]
        logit = torch.mm(weights[2], hidden).squeeze(0) + weights[3]
        if least > -math.inf:
            likely = torch.nonzero(logit > least).squeeze(1)
            first, place, logit = first[likely], place[likely], logit[likely]
        firsts.append(first)
        seconds.append(edges.index_select(0, place))
        logits.append(logit)
    return torch.cat(firsts), torch.cat(seconds), torch.cat(logits)


@loops_survive_tracing
def update_states(
    states: Tensor, context: Tensor, update: list[Tensor], head: list[Tensor], rows: int
) -> tuple[Tensor, Tensor]:
    """The step after a round: the states in their new context, and what is read from them.

    Args:
        states: [E,size+C] and their context; written over, unless there are gradients.
        context: [C,E] that takes the place of theirs.
        update: parameters of a perceptron, [E,size+C] -> [E,size], whose output is added to the states.
        head: those of another one, [E,size+C] -> [E,K], on what they are then.
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [E,size+C] states and their context, [K,E] of `head`.
    """
    rows = block_rows(states, rows)
    size = update[-1].size(0)
    after = torch.empty_like(states) if torch.is_grad_enabled() else states
    found = states.new_empty((head[-1].size(0), states.size(0)))
    for begin in range(0, states.size(0), rows):
        end = min(begin + rows, states.size(0))
        joined, around = states[begin:end], context[:, begin:end].t()
        if torch.is_grad_enabled():
            joined = torch.cat((joined[:, :size], around), dim=1)
            joined = torch.cat((joined[:, :size] + perceptron(joined, update), around), dim=1)
            after[begin:end] = joined
        else:
            joined[:, size:] = around
            joined[:, :size] += perceptron(joined, update)
        found[:, begin:end] = perceptron(joined, head).t()
    return after, found
