"""Multilayer perceptrons (MLPs): the embedding of spacepoints and the filter of edges, and the layers of all networks.

The embedding takes spacepoints to points of a metric space in which neighbours on a track are near each other. The
filter is a quick look at each edge by itself, which drops most of the wrong ones before the GNN.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import torch
from torch import Tensor, nn  # Tensor at run time too: TorchScript evaluates the annotations

from exatrkx.networks import tables
from exatrkx.networks.geometry import edge_features, inside_window, node_table, on_circle, outwards
from exatrkx.networks.tables import (
    Perceptron,
    block_rows,
    ends_at,
    hidden_layers,
    joined,
    loops_survive_tracing,
    on_gpu,
    perceptron,
    perceptron_weights,
    with_block,
)


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

    One linear layer on the concatenation of the three; `weights` are those of `exatrkx.networks.tables.Perceptron`.
    """

    def __init__(self, node_size: int, edge_size: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(node_size, hidden)
        self.outer = nn.Linear(node_size, hidden, bias=False)
        self.edge = nn.Linear(edge_size, hidden, bias=False)
        self.activation = nn.Sequential(nn.LayerNorm(hidden), nn.ReLU())

    def weights(self) -> list[Tensor]:
        """Weight and bias of the linear layer, and those of the LayerNorm."""
        weight = torch.cat((self.inner.weight, self.outer.weight, self.edge.weight), dim=1)
        return [weight, self.inner.bias, *self.activation.parameters()]

    def forward(self, inner: Tensor, outer: Tensor, edge: Tensor) -> Tensor:
        """[E,node_size], [E,node_size], [E,edge_size] -> [E,hidden]."""
        return perceptron(torch.cat((inner, outer, edge), dim=1), (self.weights(), []))


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

    Attributes:
        block_rows: spacepoints of a block; 0 for what suits the device.

    Raises:
        ValueError: the space has fewer dimensions than the circles take.
    """

    def __init__(self, *, hidden: int = 128, layers: int = 4, dimension: int = 8, circles: int = 2) -> None:
        super().__init__()
        if dimension < 2 * circles:
            raise ValueError(f"{circles} circles take {2 * circles} dimensions, found {dimension}")
        self.block_rows = 0
        self.circles = circles
        outputs = dimension - circles
        self.mlp = mlp([tables.NUM_NODE_FEATURES, *[hidden] * (layers - 1), outputs], final_activation=False)

    def forward(self, features: Tensor) -> Tensor:
        return _points(features, perceptron_weights(self.mlp.parameters()), self.circles, CIRCLE_SCALE, self.block_rows)


@loops_survive_tracing
def _points(features: Tensor, weights: Perceptron, circles: int, scale: float, rows: int) -> Tensor:
    rows = block_rows(features, rows)
    found = features
    for begin in range(0, max(1, features.size(0)), rows):
        block = features[begin : begin + rows]
        place = perceptron(node_table(block, tables.NUM_NODE_FEATURES).t(), weights)  # [B, dimension - circles]
        turning = on_circle(place[:, :circles] * scale, block[:, 1:2] * math.pi)
        turning.append(place[:, circles:])
        found = with_block(found, torch.cat(turning, dim=1), begin, features.size(0))
    return found


class EdgeFilter(nn.Module):
    """A multilayer perceptron on each edge: its geometry and its two spacepoints.

    It sees edges within a window of curvature alone, about two thirds of them; the others have the logit `OUTSIDE`.

    Shapes:
        features: [N,3] FP32, the contract's columns.
        edge_index: [2,E] INT64; the order of the rows does not matter; E may be 0.
        returns: [E] FP32 logits.

    Attributes:
        block_rows: edges of a block; 0 for what suits the device.
    """

    def __init__(self, *, hidden: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.block_rows = 0
        self.input = EdgeInput(tables.NUM_NODE_FEATURES, tables.NUM_EDGE_FEATURES, hidden)
        self.mlp = mlp([*[hidden] * (layers - 1), 1], final_activation=False)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        weights = perceptron_weights([*self.input.weights(), *self.mlp.parameters()])
        return _edge_scores(features, edge_index, weights, self.block_rows)


@loops_survive_tracing
def _edge_scores(features: Tensor, edge_index: Tensor, weights: Perceptron, rows: int) -> Tensor:
    nodes = node_table(features, tables.X)
    rows = block_rows(nodes, rows)
    distance, r, phi = nodes[tables.DISTANCE], nodes[tables.R], nodes[tables.PHI]
    found = nodes
    for begin in range(0, max(1, edge_index.size(1)), rows):
        block = edge_index[:, begin : begin + rows]
        if on_gpu(nodes):  # which would have to wait for the number of those inside
            edges = edge_features(*ends_at(nodes, outwards(distance, block)))  # [16,B]
            scores = perceptron(edges.t(), weights).squeeze(1)
            scores = scores.masked_fill_(edges[tables.BEND].abs() > tables.LARGEST_BEND, tables.OUTSIDE)
        else:
            inside = inside_window(r, phi, block)
            edges = edge_features(*ends_at(nodes, outwards(distance, block[:, inside])))
            scores = nodes.new_full([block.size(1)], tables.OUTSIDE)
            scores[inside] = perceptron(edges.t(), weights).squeeze(1)
        found = with_block(found, scores, begin, edge_index.size(1))
    return found


@loops_survive_tracing
def update_states(
    states: Tensor, context: Tensor, update: Perceptron, head: Perceptron, rows: int
) -> tuple[Tensor, Tensor]:
    """The step after a round: the states in their new context, and what is read from them.

    Args:
        states: [E,size+C] and their context; written over, unless there are gradients.
        context: [E,C] that takes the place of theirs.
        update: parameters of a perceptron, [E,size+C] -> [E,size], whose output is added to the states.
        head: those of another one, [E,size+C] -> [E,K], on what they are then.
        rows: edges of a block; 0 for what suits the device.

    Returns:
        [E,size+C] states and their context, [K,E] of `head`.
    """
    rows = block_rows(states, rows)
    size = update[0][-1].size(0)
    found = states.new_empty((head[0][-1].size(0), states.size(0)))
    after: list[Tensor] = []
    for begin in range(0, max(1, states.size(0)), rows):
        block, around = states[begin : begin + rows], context[begin : begin + rows]
        if torch.is_grad_enabled():
            block = torch.cat((block[:, :size], around), dim=1)
            block = torch.cat((block[:, :size] + perceptron(block, update), around), dim=1)
            after.append(block)
        else:
            block[:, size:] = around
            hidden, weight, bias = hidden_layers(block, update)
            state = block[:, :size].add_(bias)
            torch.addmm(state, hidden, weight.t(), out=state)
        found[:, begin : begin + rows] = perceptron(block, head).t()
    return joined(after) if torch.is_grad_enabled() else states, found
