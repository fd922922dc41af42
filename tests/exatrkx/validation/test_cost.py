"""The cost of networks, against sums over their layers, and against networks whose products can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from tiny_networks import TinyEdges, TinyEmbedding
from torch import Tensor, nn

from exatrkx.events.event import FloatArray, IntArray
from exatrkx.networks.mlp import EdgeFilter
from exatrkx.networks.storage import load_network
from exatrkx.networks.tables import HOPELESS, LARGEST_CURVATURE, SMALLEST_R
from exatrkx.networks.triplet_network import FULL_ROUNDS, TripletNetwork
from exatrkx.validation.cost import count_macs, network_cost
from exatrkx.working_point import WEIGHTS_DIR


def hits_and_edges(num_nodes: int, num_edges: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    random = np.random.default_rng(num_nodes)
    hits = random.uniform(0.1, 0.9, (num_nodes, 3)).astype(np.float32)
    edges = random.integers(0, max(1, num_nodes), (2, num_edges)).astype(np.int64)
    return hits, edges


def by_layers(network: nn.Module, *inputs: Tensor) -> int:
    """Weights of each linear layer times its rows, the spacepoints, edges or triplets: the oracle."""

    def weights(module: nn.Module) -> int:
        return sum(one.weight.numel() for one in module.modules() if isinstance(one, nn.Linear))

    if isinstance(network, EdgeFilter):
        return weights(network) * bent_little(*(one.numpy() for one in inputs))
    if not isinstance(network, TripletNetwork):
        return weights(network) * inputs[-1].shape[0]
    with torch.inference_mode():
        evidence = network.evidence(*inputs)
    rounds = list(network.rounds)
    late = [*(one.update for one in rounds[FULL_ROUNDS:]), *(one.beliefs for one in rounds[FULL_ROUNDS + 1 :])]
    of_triplets = weights(network.triplet)
    of_late = sum(weights(cast("nn.Module", one)) for one in [*late, network.score])
    return (
        (weights(network) - of_triplets - of_late) * inputs[1].shape[1]
        + of_triplets * len(evidence.triplets)
        + of_late * int((evidence.early[FULL_ROUNDS + 1] > HOPELESS).sum())
    )


def bent_little(hits: FloatArray, edges: IntArray) -> int:
    """How many pairs the filter's network is asked about: those with |Δφ/Δr| within the window, in rad/m."""
    turn = np.exp(1j * np.pi * (hits[edges[1], 1].astype(float) - hits[edges[0], 1]))
    dr = np.abs(hits[edges[1], 0].astype(float) - hits[edges[0], 0])
    return int((np.abs(np.angle(turn)) <= LARGEST_CURVATURE * np.maximum(dr, SMALLEST_R)).sum())


@pytest.mark.parametrize("size", [(0, 0), (1, 0), (2, 1), (300, 5000)])
@pytest.mark.parametrize("kind", ["embed", "filter", "gnn"])
def test_the_committed_networks_cost_what_their_layers_do(kind: str, size: tuple[int, int]) -> None:
    network = load_network(WEIGHTS_DIR / f"{kind}.safetensors")
    hits, edges = hits_and_edges(*size)
    cost = network_cost(kind, network, hits, None if kind == "embed" else edges)
    inputs = [torch.from_numpy(hits), torch.from_numpy(edges)][: 1 if kind == "embed" else 2]
    assert cost.event == by_layers(network, *inputs)
    assert (cost.spacepoints, cost.edges) == (size[0], 0 if kind == "embed" else size[1])
    assert (cost.per_edge is None) == (kind == "embed")
    assert cost.weights == sum(one.numel() for one in network.parameters())
    assert cost.weight_bytes == 4 * cost.weights


class Products(nn.Module):
    """Matrix products of sizes that are known: of each spacepoint, of each edge, of each pair of edges that meet."""

    def __init__(self, *, pairs: bool = False, fixed: bool = False) -> None:
        super().__init__()
        self.node, self.edge, self.pair = (nn.Linear(3, width, bias=False) for width in (5, 7, 11))
        self.pairs, self.fixed = pairs, fixed

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        self.node(features)
        ends = features.index_select(0, edge_index[0])  # [E,3]
        score: Tensor = self.edge(ends).sum(dim=1)
        if self.pairs:
            same = (edge_index[0][:, None] == edge_index[0][None, :]).nonzero()
            different = same[same[:, 0] < same[:, 1]]
            self.pair(ends.index_select(0, different[:, 0]))
        if self.fixed:
            self.node(torch.ones(1, 3))
        return score


@pytest.mark.parametrize("fixed", [False, True])
def test_what_is_linear_is_told_by_slopes(fixed: bool) -> None:
    hits, edges = hits_and_edges(50, 90)
    cost = network_cost("gnn", Products(fixed=fixed), hits, edges)
    assert (cost.per_spacepoint, cost.per_edge) == (15.0, 21.0)
    assert cost.event == 50 * 15 + 90 * 21 + 15 * fixed
    assert cost.rest == 15 * fixed


def test_pairs_of_edges_are_the_rest() -> None:
    hits, _ = hits_and_edges(6, 0)
    star = np.array([[5, 5, 5, 5, 1], [0, 1, 2, 3, 0]])
    cost = network_cost("gnn", Products(pairs=True), hits, star)
    assert (cost.per_spacepoint, cost.per_edge) == (15.0, 21.0)
    assert cost.rest == 6 * 33, "four edges that meet are six pairs"


@pytest.mark.parametrize(
    ("network", "with_edges"),
    [(TinyEmbedding(), False), (TinyEdges(1.0), True), (lambda features, _: features.sum(dim=1), True)],
)
def test_networks_without_products_and_weights_are_free(network: Callable[..., Tensor], with_edges: bool) -> None:
    hits, edges = hits_and_edges(10, 20)
    cost = network_cost("free", network, hits, edges if with_edges else None)
    assert (cost.weights, cost.weight_bytes, cost.event, cost.per_spacepoint, cost.rest) == (0, 0, 0, 0.0, 0.0)


def test_batched_products_and_half_precision_are_counted() -> None:
    def network(features: Tensor) -> Tensor:
        return torch.bmm(features[:, :, None], features[:, None, :])  # [N,3,1] × [N,1,3]

    assert count_macs(network, torch.ones(4, 3)) == 4 * 9
    layer = nn.Linear(3, 2).to(torch.bfloat16)
    cost = network_cost("embed", lambda features: layer(features.to(torch.bfloat16)), np.ones((5, 3), np.float32), None)
    assert cost.event == 5 * 6


def test_counting_leaves_random_numbers_and_gradients_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    network = nn.Linear(3, 2)
    state = torch.get_rng_state()
    network_cost("embed", network, np.ones((5, 3), np.float32), None)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(before, state)
    assert network.weight.grad is None
