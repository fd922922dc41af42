"""What networks' kernels are given: header, alignment, and none of networks that they cannot compute."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import TinyEdges
from torch import nn

from exatrkx.networks.kernel_parameters import HEADER, LAYOUT, kernel_parameters
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.served import with_digest
from exatrkx.networks.torchscript import trace
from exatrkx.networks.triplet_network import TripletNetwork


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        (Embedding(), [1, 128, 3, 6, 2]),
        (EdgeFilter(), [2, 64, 2]),
        (TripletNetwork(), [3, 32, 24, 4, 10]),
        (TripletNetwork(hidden=8, triplet_hidden=4, rounds=1, most=3), [3, 8, 4, 1, 3]),
    ],
)
def test_the_header(network: nn.Module, sizes: list[int]) -> None:
    found = kernel_parameters(network)
    assert found is not None
    assert (found.dtype, found.dim(), len(found) % 4) == (torch.float32, 1, 0)
    assert found[:HEADER].tolist() == [LAYOUT, *sizes, *[0] * (HEADER - 1 - len(sizes))]


def test_every_parameter_is_there() -> None:
    """Of the filter's first layer, whose LayerNorm does nothing here, the mean alone is taken out."""
    network = EdgeFilter()
    found = kernel_parameters(network)
    assert found is not None
    weight = torch.cat((network.input.inner.weight, network.input.outer.weight, network.input.edge.weight), dim=1)
    first = found[HEADER : HEADER + 16 * 64].view(16, 64)
    torch.testing.assert_close(first, (weight - weight.mean(0)).t())
    last = network.mlp[-1]
    assert isinstance(last, nn.Linear)
    torch.testing.assert_close(found[-68:-4], last.weight[0])
    assert found[-4:].tolist() == [*last.bias.tolist(), 0.0, 0.0, 0.0]


class Loud(EdgeFilter):
    def forward(self, features: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        return 2.0 * super().forward(features, edge_index)


def test_other_networks_have_none() -> None:
    for network in (TinyEdges(0.5), Loud(), nn.Linear(3, 1), trace("filter", EdgeFilter())):
        assert kernel_parameters(network) is None


def test_a_served_file_has_them_beside_the_network() -> None:
    network = EdgeFilter()
    served = with_digest("filter", trace("filter", network), kernel_parameters(network))
    torch.testing.assert_close(served.kernel_parameters, kernel_parameters(network))
    assert not hasattr(with_digest("filter", trace("filter", network)), "kernel_parameters")
