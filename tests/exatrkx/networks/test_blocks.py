"""Blocks: whatever their size, eager, traced or in training, the answer is that of all edges at once; memory is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import torch

from exatrkx.events.event import features
from exatrkx.events.readers import read_events
from exatrkx.networks.mlp import EdgeFilter, Embedding, mlp
from exatrkx.networks.storage import Network, load_network
from exatrkx.networks.tables import (
    block_rows,
    columns_at,
    gpu_forms,
    perceptron,
    perceptron_taken_apart,
    perceptron_weights,
    perceptron_with_layer_norm,
    taken_apart,
)
from exatrkx.networks.torchscript import inference, probe, trace
from exatrkx.networks.triplet_network import TripletNetwork
from exatrkx.pipeline import Pipeline
from exatrkx.project_files import project_files
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_perf.timing import measure

if TYPE_CHECKING:
    from torch import Tensor

KINDS: Final = ("embed", "filter", "gnn")
HUGE: Final = 2**40


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(11)


def network_of(kind: str) -> Network:
    networks: dict[str, Network] = {
        "embed": Embedding(hidden=16),
        "filter": EdgeFilter(hidden=16),
        "gnn": TripletNetwork(hidden=8),
    }
    return networks[kind]


def inputs_of(kind: str, num_spacepoints: int, num_edges: int) -> tuple[Tensor, ...]:
    return probe(num_spacepoints, num_edges)[: 1 if kind == "embed" else 2]


@pytest.mark.parametrize("rows", [1, 2, 7, HUGE])
@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_networks_answer_the_same_in_blocks_of_any_size(kind: str, rows: int) -> None:
    network = load_network(WEIGHTS_DIR / f"{kind}.safetensors")
    inputs = inputs_of(kind, 50, 300)
    with torch.inference_mode():
        expected = network(*inputs)
        network.block_rows = rows
        torch.testing.assert_close(network(*inputs), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(0, 0), (1, 0), (2, 1), (50, 300), (700, 5_000), (9_000, 60_000)])
def test_the_committed_networks_answer_the_same_in_the_forms_of_a_gpu(kind: str, size: tuple[int, int]) -> None:
    """Those of few edges, of many, and of more than are computed with room for all continuations."""
    network, inputs = load_network(WEIGHTS_DIR / f"{kind}.safetensors"), inputs_of(kind, *size)
    with torch.inference_mode():
        expected = network(*inputs)
        with gpu_forms():
            found = network(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert size[0] < 700 or not torch.equal(found, expected), "they are other operators"


def test_the_bundled_events_have_the_same_edges_and_labels_in_the_forms_of_a_gpu() -> None:
    """A score moves by the rounding of its triplets' curvatures alone."""
    pipeline = Pipeline.from_weights()
    for event in read_events(project_files().events):
        expected = pipeline(features(event))
        with gpu_forms():
            found = pipeline(features(event))
        np.testing.assert_array_equal(found.edge_index, expected.edge_index)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.edge_scores, expected.edge_scores, rtol=0.0, atol=0.2)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_around_the_end_of_a_block(kind: str, traced: bool) -> None:
    """The trace is of more blocks than some of these graphs have, and of fewer than others: it must keep its loops."""
    in_one_block, network = network_of(kind).eval(), network_of(kind).eval()
    network.load_state_dict(in_one_block.state_dict())
    network.block_rows = 20
    served = trace(kind, network) if traced else network
    with inference():
        for size in (2, 19, 20, 21, 39, 40, 41, 200):
            inputs = inputs_of(kind, size, size)
            found = served(*inputs)
            assert found.shape[0] == size
            torch.testing.assert_close(found, in_one_block(*inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_do_not_depend_on_the_blocks(kind: str) -> None:
    network, inputs = network_of(kind), inputs_of(kind, 40, 150)
    gradients = []
    for rows in (0, 7):
        network.block_rows = rows
        network.zero_grad()
        network(*inputs).square().mean().backward()
        gradients.append([one.grad.clone() for one in network.parameters() if one.grad is not None])
    assert len(gradients[0]) >= len(list(network.parameters())) - 2, "a rank chooses, and learns by its own loss alone"
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


def test_a_perceptron_is_its_modules_one_after_the_other() -> None:
    for final_activation in (False, True):
        network = mlp([5, 8, 8, 3], final_activation=final_activation)
        x = torch.randn(9, 5)
        torch.testing.assert_close(perceptron(x, perceptron_weights(network.parameters())), network(x))


def test_training_is_in_one_block_and_inference_in_many() -> None:
    like = torch.zeros(1)
    assert block_rows(like, 0) > HUGE
    with torch.no_grad():
        assert block_rows(like, 0) == 16_384
        assert block_rows(like, 5) == 5


def answer(kind: str, rows: int, size: tuple[int, int]) -> None:
    torch.set_num_threads(1)
    network = load_network(WEIGHTS_DIR / f"{kind}.safetensors")
    network.block_rows = rows
    with inference():
        network(*inputs_of(kind, *size))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "size", "most_mib"),
    [("embed", (200_000, 0), 80.0), ("filter", (20_000, 1_000_000), 90.0), ("gnn", (20_000, 600_000), 350.0)],
)
def test_memory_is_that_of_a_block(kind: str, size: tuple[int, int], most_mib: float) -> None:
    """Most resident memory in a process of its own, the event, the weights and torch's own among it."""
    in_blocks, _ = measure(1, answer, kind, 0, size)
    at_once, _ = measure(1, answer, kind, HUGE, size)
    assert in_blocks.peak_mib < most_mib
    assert at_once.peak_mib > in_blocks.peak_mib + 50.0


def parameters(sizes: list[int], *, final_activation: bool) -> list[Tensor]:
    """Of a perceptron whose gains have both signs, are 0 or next to it, and whose layers have large means."""
    network = mlp(sizes, final_activation=final_activation)
    weights = [parameter.detach() for parameter in network.parameters()]
    for i, weight in enumerate(weights):
        if i % 4 == 1:
            weight.add_(3.0)
        if i % 4 > 1:  # gain and bias of a LayerNorm
            weight.copy_(torch.randn_like(weight))
            weight[:5] = torch.tensor([0.0, 1e-42, -1e-42, -1e-12, 1e-6]) if i % 4 == 2 else torch.randn(5)
    return weights


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize(("outputs", "final_activation"), [(1, False), (4, False), (5, False), (5, True)])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_layer_norm_taken_apart(layers: int, outputs: int, final_activation: bool, scripted: bool) -> None:
    weights = parameters([9, *[24] * layers, outputs], final_activation=final_activation)
    function, apart = perceptron_taken_apart, taken_apart
    if scripted:
        function, apart = torch.jit.script(function), torch.jit.script(apart)
    for rows in (0, 1, 300):
        x = 5.0 * torch.randn(9, rows).t()
        with torch.inference_mode():
            exact = perceptron_with_layer_norm(x.double(), [weight.double() for weight in weights])
            torch.testing.assert_close(function(x, apart(weights)).double(), exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_networks_answer_as_they_are_trained(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, inputs = load_network(WEIGHTS_DIR / f"{kind}.safetensors"), inputs_of(kind, 700, 5_000)
    with torch.inference_mode():
        found = network(*inputs)
        for module in ("mlp", "triplet_network"):
            monkeypatch.setattr(
                f"exatrkx.networks.{module}.perceptron", lambda x, pair: perceptron_with_layer_norm(x, pair[0])
            )
        expected = network(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.equal(found, expected), "they are other operators"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_traces_on_a_gpu(kind: str) -> None:
    """With room for all continuations, without, and with layer norms taken apart, but for one output of 1,000."""
    network = load_network(WEIGHTS_DIR / f"{kind}.safetensors")
    traced = trace(kind, network).to("cuda")
    for size in ((0, 0), (1, 0), (2, 1), (700, 5_000), (9_000, 60_000), (135_000, 135_000)):
        inputs = inputs_of(kind, *size)
        with inference():
            found, expected = traced(*(one.cuda() for one in inputs)).cpu(), network(*inputs)
        assert found.shape == expected.shape
        assert not found.numel() or torch.quantile((found - expected).abs().flatten(), 0.999) < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("rows", [131_071, 131_072, 400_000])
def test_layer_norm_on_a_gpu(rows: int) -> None:
    weights, x = parameters([16, 64, 64, 1], final_activation=False), torch.randn(16, rows).t()
    with torch.inference_mode():
        exact = perceptron_with_layer_norm(x.double(), [weight.double() for weight in weights])
        found = perceptron(x.cuda(), ([weight.cuda() for weight in weights], []))
        torch.testing.assert_close(found.cpu().double(), exact, rtol=5e-5, atol=5e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("columns", [8, 9])
def test_columns_on_a_gpu(columns: int) -> None:
    table, index = torch.randn(columns, 1000), torch.randint(0, 1000, (5000,))
    for chosen in (index, index[:1], index[:0]):
        assert torch.equal(columns_at(table.cuda(), chosen.cuda()).cpu(), columns_at(table, chosen))
