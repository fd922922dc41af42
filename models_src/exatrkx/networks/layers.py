"""Building blocks that the three networks share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import nn

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
