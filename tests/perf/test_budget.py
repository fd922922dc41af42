"""Budget of networks against numbers counted by hand, and the machine's limits against what they are asked to do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exatrkx.networks.storage import load_network
from exatrkx.networks.tables import gpu_forms
from exatrkx.networks.torchscript import probe
from exatrkx.validation.cost import count_macs
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_perf import EVENTS, machine_limits
from exatrkx_perf.budget import Budget, count_budget
from exatrkx_perf.stage_inputs import from_events, graphs_of

ROWS, INNER, HIDDEN = 10, 3, 5
BYTES = 4


def test_a_small_perceptron_by_hand() -> None:
    network = nn.Sequential(nn.Linear(INNER, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, 1))
    found = count_budget(network, torch.zeros(ROWS, INNER))
    assert (found.operators, found.waits) == (3, 0)  # a linear layer is one operator; views of its weights are none
    assert found.products == {(ROWS, INNER, HIDDEN): 1, (ROWS, HIDDEN, 1): 1}
    assert found.flops == 2 * ROWS * (INNER * HIDDEN + HIDDEN)
    first = HIDDEN + ROWS * INNER + INNER * HIDDEN + ROWS * HIDDEN
    in_place = 2 * ROWS * HIDDEN
    last = 1 + ROWS * HIDDEN + HIDDEN + ROWS
    assert found.moved == BYTES * (first + in_place + last)
    assert found.by_size == {BYTES * ROWS * HIDDEN: BYTES * (first + in_place), BYTES * ROWS: BYTES * last}
    assert found.median_write == BYTES * ROWS * HIDDEN


TABLE = torch.zeros(100, 2)
INDEX = torch.tensor([1, 2, 3])
SOURCE = torch.zeros(3, 2)
_TABLE, _INDEX, _SOURCE = (tensor.nbytes for tensor in (TABLE, INDEX, SOURCE))


@pytest.mark.parametrize(
    ("call", "moved"),
    [
        (lambda: TABLE.index_select(0, INDEX), _INDEX + 2 * _SOURCE),
        (lambda: TABLE[INDEX], _INDEX + 2 * _SOURCE),
        (lambda: TABLE.index_add(0, INDEX, SOURCE), 2 * _TABLE + _INDEX + 3 * _SOURCE),
        (lambda: TABLE.clone().index_add_(0, INDEX, SOURCE), 2 * _TABLE + _INDEX + 3 * _SOURCE),
        (lambda: torch.add(TABLE, 1.0, out=TABLE), 2 * _TABLE),
        (lambda: TABLE.copy_(SOURCE[:1].expand(100, 2)), _TABLE + 2 * BYTES),
        (TABLE.zero_, _TABLE),
        (lambda: TABLE.t()[:, 5:].expand(2, 95), 0),
        (lambda: TABLE.new_empty(7), 0),
    ],
)
def test_what_an_operator_moves(call: object, moved: int) -> None:
    assert callable(call)
    found = count_budget(call)
    assert found.moved == sum(found.by_size.values()) == moved


@pytest.mark.parametrize(
    ("call", "waits"),
    [
        (lambda: torch.nonzero(TABLE), 1),
        (lambda: torch.repeat_interleave(INDEX), 1),
        (lambda: INDEX.sum().item(), 1),
        (INDEX.sum, 0),
    ],
)
def test_what_the_host_waits_for(call: object, waits: int) -> None:
    assert callable(call)
    assert count_budget(call).waits == waits


@pytest.mark.parametrize("kind", ["embed", "filter", "gnn"])
def test_the_committed_networks_ask_for_the_macs_of_their_layers(kind: str) -> None:
    network = load_network(WEIGHTS_DIR / f"{kind}.safetensors")
    inputs: tuple[Tensor, ...] = probe(300, 2_000)[: 1 if kind == "embed" else 2]
    found = count_budget(network, *inputs)
    assert found.flops == 2 * count_macs(network, *inputs) > 0
    assert found.flops == sum(2 * m * k * n * number for (m, k, n), number in found.products.items())
    assert 0 < found.median_write <= found.moved


@pytest.fixture(scope="module")
def small_event() -> dict[str, tuple[Tensor, ...]]:
    """What each network is given in an event of 1,473 spacepoints."""
    (event,) = from_events([EVENTS], [1_473], WEIGHTS_DIR)
    graphs = graphs_of(event, WEIGHTS_DIR, threads=1, seed=1)
    features = torch.from_numpy(event.features)
    edges = {"filter": graphs.neighbours.edge_index, "gnn": graphs.filtered.edge_index}
    return {"embed": (features,)} | {kind: (features, torch.from_numpy(graph)) for kind, graph in edges.items()}


@pytest.mark.parametrize(
    ("kind", "operators", "megabytes"), [("embed", 19, 15.0), ("filter", 43, 18.0), ("gnn", 263, 110.0)]
)
def test_what_a_small_event_asks_of_a_gpu(
    kind: str, operators: int, megabytes: float, small_event: dict[str, tuple[Tensor, ...]]
) -> None:
    with gpu_forms():
        found = count_budget(load_network(WEIGHTS_DIR / f"{kind}.safetensors"), *small_event[kind])
    assert found.operators <= operators
    assert found.waits == 0
    assert found.moved <= 1e6 * megabytes


@pytest.mark.parametrize(("kind", "operators", "waits"), [("embed", 19, 0), ("filter", 43, 0), ("gnn", 360, 4)])
def test_what_a_large_event_asks_of_a_gpu(kind: str, operators: int, waits: int) -> None:
    """With more edges than there is room for all continuations of, and fewer than layer norms are taken apart for."""
    with gpu_forms():
        inputs = probe(9_000, 60_000)[: 1 if kind == "embed" else 2]
        found = count_budget(load_network(WEIGHTS_DIR / f"{kind}.safetensors"), *inputs)
    assert found.operators <= operators
    assert found.waits <= waits


def test_fewer_blocks_are_fewer_operators_for_the_same_flops() -> None:
    network = load_network(WEIGHTS_DIR / "filter.safetensors")
    inputs = probe(300, 2_000)
    whole = count_budget(network, *inputs)
    network.block_rows = 500
    blocks = count_budget(network, *inputs)
    assert blocks.flops == whole.flops
    assert blocks.operators > whole.operators
    assert sum(blocks.products.values()) == 4 * sum(whole.products.values())


def test_arrays_are_read_or_written_once() -> None:
    arrays = np.zeros((10, 8), np.float32), np.zeros((2, 6), np.int64)
    found = Budget.of_arrays(*arrays, 7, "no array")
    assert (found.operators, found.flops, found.moved, found.median_write) == (0, 0, 416, 208)
    assert Budget().median_write == 0


def test_the_limits_do_what_is_asked_of_them() -> None:
    shapes = Counter({(20, 3, 5): 4, (1, 7, 2): 2})
    assert machine_limits.multiply(list(shapes.items()), 1) == 2 * (4 * 20 * 3 * 5 + 2 * 1 * 7 * 2)
    assert machine_limits.copy(100, 1_000, 1) == 1_000
    assert machine_limits.copy(2, 1, 1) == 2 * BYTES, "once at least, and a whole number"


def test_a_stage_without_products_has_no_limit_of_them() -> None:
    found = machine_limits.limits_for(Budget.of_arrays(np.zeros(1 << 16)), 1, 3)
    assert found.flops_per_s != found.flops_per_s
    assert found.bytes_per_s > 0.0
