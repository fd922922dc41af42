"""Loops over blocks of the GNN on triplets: states of edges, scores of triplets, and the step after each round."""

from __future__ import annotations

import math

import torch
from torch import Tensor  # at run time too: TorchScript evaluates the annotations

from exatrkx.networks import scales
from exatrkx.networks.blocks import block_rows, loops_survive_tracing, perceptron
from exatrkx.networks.geometry import by_inner_node, continuations, edge_features, outwards, segments, triplet_features


@loops_survive_tracing
def encode_edges(
    nodes: Tensor, edge_index: Tensor, encoder: list[Tensor], rank: list[Tensor], rows: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States of the edges before the first round, and what the triplets are made of.

    Args:
        nodes: [N,8] table of nodes.
        edge_index: [2,E].
        encoder: parameters of a perceptron on the edges.
        rank: those of a linear layer on their states.
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [E,size] states, [E] ranks, [2,E] ends outwards, [E,9] table of segments.
    """
    rows = block_rows(nodes, rows)
    distance = nodes[:, scales.DISTANCE].contiguous()
    ends = torch.empty_like(edge_index)
    states = nodes.new_empty((edge_index.size(1), encoder[-1].size(0)))
    ranks = nodes.new_empty(edge_index.size(1))
    helices = nodes.new_empty((edge_index.size(1), scales.NUM_SEGMENT_COLUMNS))
    for begin in range(0, edge_index.size(1), rows):
        end = min(begin + rows, edge_index.size(1))
        both = outwards(distance, edge_index[:, begin:end])
        inner, outer = nodes.index_select(0, both[0]).t(), nodes.index_select(0, both[1]).t()
        state = perceptron(edge_features(inner, outer).t(), encoder)
        ends[:, begin:end] = both
        helices[begin:end] = segments(inner, outer).t()
        states[begin:end] = state
        ranks[begin:end] = perceptron(state, rank).squeeze(1)
    return states, ranks, ends, helices


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
        hidden = torch.addmm(weights[1], between.t(), weights[0].t()).relu_()
        logit = torch.addmm(weights[3], hidden, weights[2].t()).squeeze(1)
        if least > -math.inf:
            likely = torch.nonzero(logit > least).squeeze(1)
            first, place, logit = first[likely], place[likely], logit[likely]
        firsts.append(first)
        seconds.append(edges.index_select(0, place))
        logits.append(logit)
    return torch.cat(firsts), torch.cat(seconds), torch.cat(logits)


@loops_survive_tracing
def read_states(states: Tensor, context: Tensor, head: list[Tensor], rows: int) -> Tensor:
    """[E,size], [C,E] -> [K,E]: a perceptron `head` on the states and their context."""
    rows = block_rows(states, rows)
    found = states.new_empty((head[-1].size(0), states.size(0)))
    for begin in range(0, states.size(0), rows):
        found[:, begin : begin + rows] = _in_context(
            states[begin : begin + rows], context[:, begin : begin + rows], head
        ).t()
    return found


@loops_survive_tracing
def update_states(
    states: Tensor, context: Tensor, update: list[Tensor], head: list[Tensor], rows: int
) -> tuple[Tensor, Tensor]:
    """[E,size], [C,E] -> the states with what a perceptron `update` adds, and [K,E] of another one, `head`, on those.

    Without gradients the states are written over.
    """
    rows = block_rows(states, rows)
    after = torch.empty_like(states) if torch.is_grad_enabled() else states
    found = states.new_empty((head[-1].size(0), states.size(0)))
    for begin in range(0, states.size(0), rows):
        end = min(begin + rows, states.size(0))
        state, around = states[begin:end], context[:, begin:end]
        state = state + _in_context(state, around, update)
        after[begin:end] = state
        found[:, begin:end] = _in_context(state, around, head).t()
    return after, found


def _in_context(state: Tensor, context: Tensor, weights: list[Tensor]) -> Tensor:
    """[B,size], [C,B] -> [B,K]: a perceptron on both; the context moves the first layer's bias."""
    size = state.size(1)
    bias = torch.addmm(weights[1], context.t(), weights[0][:, size:].t())  # [B,hidden]
    return perceptron(state, [weights[0][:, :size], bias] + weights[2:])  # noqa: RUF005 - TorchScript unpacks no list
