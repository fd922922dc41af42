"""The GNN on triplets: support against a sum written out, and training that makes triplets count for their tracks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from exatrkx.networks.storage import load_network
from exatrkx.networks.torchscript import probe
from exatrkx.networks.triplet_network import FULL_ROUNDS, HOPELESS, Support, TripletNetwork
from exatrkx.training.events import load_training_events
from exatrkx.training.tasks import TripletTask
from exatrkx.working_point import WEIGHTS_DIR

pytestmark = pytest.mark.slow

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu0.parquet"


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(3)


def test_support_is_the_logarithm_of_a_sum_over_triplets() -> None:
    links = torch.tensor([[0, 0, 2, 1], [1, 2, 1, 1]])  # from, to
    triplet, belief = torch.randn(4), torch.randn(3)
    expected = [
        math.log1p(
            sum(
                math.exp(triplet[place] + belief[links[0, place]]) for place in range(4) if int(links[1, place]) == edge
            )
        )
        for edge in range(3)
    ]
    torch.testing.assert_close(Support()(links, triplet, belief), torch.tensor(expected))


@pytest.mark.parametrize("size", [(0, 0), (2, 1), (50, 300)])
def test_evidence_has_a_score_for_every_edge_and_triplet(size: tuple[int, int]) -> None:
    network = TripletNetwork(hidden=8, triplet_hidden=4, rounds=3)
    features, edge_index = probe(*size)
    found = network.evidence(features, edge_index)
    assert [len(scores) for scores in found.early] == [size[1]] * 4
    assert len(found.first) == len(found.second) == len(found.triplets)
    assert torch.equal(found.scores, network(features, edge_index))


def test_scores_stay_finite_where_everything_meets() -> None:
    """One spacepoint with thousands of edges on both sides, and extreme coordinates."""
    network = TripletNetwork(hidden=8, triplet_hidden=4, rounds=2).eval()
    features = probe(2_001, 0)[0]
    features[0] = torch.tensor([0.5, 0.0, 0.0])
    features[-1] = torch.tensor([1e4, 1.0, -1e4])
    edge_index = torch.stack((torch.arange(1, 2_001), torch.zeros(2_000, dtype=torch.int64)))
    with torch.inference_mode():
        for parameter in network.parameters():
            parameter.mul_(50.0)
        assert torch.isfinite(network(features, edge_index)).all()


def test_an_edge_hears_of_edges_that_it_does_not_touch() -> None:
    """After two rounds the third edge of a chain matters to the first."""
    network = TripletNetwork(hidden=8, triplet_hidden=4, rounds=2).eval()
    features = torch.tensor([[0.03 + 0.1 * layer, 0.01 * layer, 0.05 * layer] for layer in range(4)])
    chain = torch.tensor([[1, 2, 3], [0, 1, 2]])
    bent = features.clone()
    bent[3, 1] += 0.05
    with torch.inference_mode():
        assert not torch.isclose(network(features, chain)[0], network(bent, chain)[0], rtol=0, atol=1e-6)
        alone = chain[:, [0, 2]]
        assert torch.equal(network(features, alone)[0], network(bent, alone)[0])


def test_hopeless_edges_stop_after_the_first_rounds_and_change_no_other() -> None:
    """Their score of then stays; the others' is that of all rounds on all edges, but for what is too small."""
    network = load_network(WEIGHTS_DIR / "gnn.safetensors")
    assert isinstance(network, TripletNetwork)
    features = load_training_events([EVENTS], limit=1)[0].features
    row = torch.randint(1, len(features), (20_000,), generator=torch.Generator().manual_seed(1))
    edge_index = torch.stack((row, torch.div(row, 2, rounding_mode="floor")))
    with torch.inference_mode():
        scores, all_rounds = network(features, edge_index), network.evidence(features, edge_index)
    hopeless = all_rounds.early[FULL_ROUNDS + 1] <= HOPELESS
    assert hopeless.any()
    assert not hopeless.all()
    torch.testing.assert_close(scores[hopeless], all_rounds.early[FULL_ROUNDS + 1][hopeless], rtol=0, atol=0.05)
    torch.testing.assert_close(scores[~hopeless], all_rounds.scores[~hopeless], rtol=0, atol=0.5)


def test_triplets_learn_to_be_of_one_track() -> None:
    """Right triplets score above wrong ones after a few steps on one event; without their loss they do not have to."""
    event = load_training_events([EVENTS], limit=1)[0]
    generator = torch.Generator().manual_seed(1)
    row = torch.randint(1, len(event), (20_000,), generator=generator)
    wrong = torch.stack((row, (torch.rand(20_000, generator=generator) * row).long()))
    graph = torch.unique(torch.cat((event.true_edges, wrong), dim=1), dim=1)
    network = TripletNetwork(hidden=8, rounds=1)
    task = TripletTask(network, lambda _features: graph)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        (loss,) = task.losses(event, 1)
        loss.backward()  # type: ignore[no-untyped-call]  # torch.Tensor.backward is untyped
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    with torch.inference_mode():
        found = network.evidence(event.features, graph)
    right = (event.gap(graph)[found.first] > 0) & (event.gap(graph)[found.second] > 0)
    assert right.any()
    assert not right.all()
    assert found.triplets[right].median() > found.triplets[~right].quantile(0.9)
