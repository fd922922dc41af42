"""The three networks: shapes at every size, symmetries, and the way to disk and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from exatrkx.errors import ContractError
from exatrkx.networks import tables
from exatrkx.networks.geometry import edge_features, node_table, outwards
from exatrkx.networks.mlp import EdgeFilter, EdgeInput, Embedding
from exatrkx.networks.storage import load_network, network_bytes
from exatrkx.networks.torchscript import probe
from exatrkx.networks.triplet_network import TripletNetwork

if TYPE_CHECKING:
    from pathlib import Path

EDGE_NETWORKS: list[type[EdgeFilter | TripletNetwork]] = [EdgeFilter, TripletNetwork]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(7)


@pytest.mark.parametrize("num_spacepoints", [0, 1, 2, 300])
def test_embedding_gives_a_point_for_each_spacepoint(num_spacepoints: int) -> None:
    features, _ = probe(num_spacepoints, 0)
    assert Embedding(dimension=5)(features).shape == (num_spacepoints, 5)


@pytest.mark.parametrize("kind", EDGE_NETWORKS)
@pytest.mark.parametrize("size", [(0, 0), (1, 0), (2, 0), (2, 1), (3, 2), (200, 1), (200, 1500)])
def test_edge_networks_give_a_finite_score_for_each_edge(
    kind: type[EdgeFilter | TripletNetwork], size: tuple[int, int]
) -> None:
    scores = kind()(*probe(*size))
    assert scores.shape == (size[1],)
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("kind", EDGE_NETWORKS)
def test_scores_do_not_depend_on_the_order_of_spacepoints_edges_or_ends(
    kind: type[EdgeFilter | TripletNetwork],
) -> None:
    network = kind().eval()
    features, edge_index = probe(60, 220)
    edge_index = torch.unique(edge_index, dim=1)[:, :160]
    order = torch.randperm(60)
    place = torch.empty_like(order)
    place[order] = torch.arange(60)
    shuffle = torch.randperm(160)
    relabelled = place[edge_index][:, shuffle].flip(0)
    with torch.inference_mode():
        expected = network(features, edge_index)[shuffle]
        torch.testing.assert_close(network(features[order], relabelled), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", EDGE_NETWORKS)
def test_turning_the_event_about_the_beam_changes_no_score(kind: type[EdgeFilter | TripletNetwork]) -> None:
    network = kind().eval()
    features, edge_index = probe(60, 200)
    turned = features.clone()
    turned[:, 1] = (turned[:, 1] + 0.7 + 1.0) % 2.0 - 1.0  # many pairs now lie on either side of ±π
    with torch.inference_mode():
        torch.testing.assert_close(network(turned, edge_index), network(features, edge_index), rtol=1e-3, atol=1e-3)


def test_embedding_has_no_seam_at_pi() -> None:
    left = torch.tensor([[0.5, -1.0 + 1e-7, 0.2]])
    right = torch.tensor([[0.5, 1.0 - 1e-7, 0.2]])
    network = Embedding().eval()
    torch.testing.assert_close(network(left), network(right), rtol=0, atol=1e-4)


@pytest.mark.parametrize("mirrored", [1.0, -1.0])
@pytest.mark.parametrize("turn", [0.0, 0.3, 1.0])
def test_turning_and_mirroring_the_event_changes_no_distance(turn: float, mirrored: float) -> None:
    features, _ = probe(80, 0)
    turned = features * torch.tensor([1.0, mirrored, 1.0]) + torch.tensor([0.0, turn, 0.0])
    network = Embedding(dimension=7, circles=3).eval()
    with torch.inference_mode():
        before, after = network(features), network(turned)
        torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), rtol=1e-3, atol=1e-2)
        assert not turn or not torch.allclose(before, after, atol=0.1), "the circles turn"


def test_an_embedding_needs_room_for_its_circles() -> None:
    assert Embedding(dimension=4, circles=2)(probe(3, 0)[0]).shape == (3, 4)
    with pytest.raises(ValueError, match="2 circles take 4 dimensions, found 3"):
        Embedding(dimension=3)


def test_edge_features_take_the_short_way_round_and_survive_the_beam_axis() -> None:
    features = torch.tensor([[0.1, 0.99, 0.0], [0.2, -0.99, 0.1], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    edge_index = torch.tensor([[1, 3], [0, 2]])
    nodes = node_table(features)
    inner, outer = outwards(nodes[tables.DISTANCE], edge_index)
    edges = edge_features(nodes[:, inner], nodes[:, outer])
    assert inner.tolist()[0] == 0
    assert math.isclose(edges[-tables.NUM_EDGE_FEATURES + 3, 0].item(), 0.02, abs_tol=1e-6)
    assert torch.isfinite(edges).all()


def test_edge_input_is_one_linear_layer_on_the_concatenation() -> None:
    layer = EdgeInput(node_size=4, edge_size=3, hidden=6)
    inner, outer, edge = torch.randn(5, 4), torch.randn(5, 4), torch.randn(5, 3)
    joined = layer.inner(inner) + layer.outer(outer) + layer.edge(edge)
    torch.testing.assert_close(layer(inner, outer, edge), layer.activation(joined))


@pytest.mark.parametrize(
    ("kind", "sizes", "network"),
    [
        ("embed", {"hidden": 16, "layers": 2, "dimension": 4}, Embedding(hidden=16, layers=2, dimension=4)),
        ("filter", {"hidden": 8, "layers": 2}, EdgeFilter(hidden=8, layers=2)),
        ("gnn", {"hidden": 8, "rounds": 1}, TripletNetwork(hidden=8, rounds=1)),
    ],
)
def test_networks_survive_the_disk(
    tmp_path: Path, kind: str, sizes: dict[str, int], network: Embedding | EdgeFilter | TripletNetwork
) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(network_bytes(kind, sizes, network))
    loaded = load_network(path)
    inputs = probe(20, 40)[: 1 if kind == "embed" else 2]
    assert type(loaded) is type(network)
    assert torch.equal(loaded(*inputs), network.eval()(*inputs))


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    with pytest.raises(ContractError, match=r"broken\.safetensors"):
        load_network(path)
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path / "absent.safetensors")


def test_the_filter_leaves_out_edges_beyond_the_largest_curvature_alone() -> None:
    """By the feature of the edge's curvature, which is computed in another way; on both sides of φ = ±π, too."""
    network = EdgeFilter(hidden=8).eval()
    features, edge_index = probe(60, 500)
    nodes = node_table(features)
    both = outwards(nodes[tables.DISTANCE], edge_index)
    curvature = edge_features(nodes[:, both[0]], nodes[:, both[1]])[2 * tables.NUM_NODE_FEATURES + 5]
    outside = curvature.abs() > math.asinh(tables.LARGEST_CURVATURE / tables.CURVATURE_SCALE)
    assert outside.any()
    assert not outside.all()
    with torch.inference_mode():
        scores = network(features, edge_index)
    assert torch.equal(scores == tables.OUTSIDE, outside)
