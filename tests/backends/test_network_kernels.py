"""The networks' kernels against the networks themselves: on host threads, and on a GPU where there is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from network_program import NetworkProgram, roughened, served_file
from torch import Tensor

from exatrkx.networks import mlp, tables, triplet_network
from exatrkx.networks.kernel_parameters import HEADER, LAYOUT, kernel_parameters
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.storage import load_network
from exatrkx.networks.torchscript import inference, probe
from exatrkx.networks.triplet_network import Round, TripletNetwork
from exatrkx.working_point import WEIGHTS_DIR
from exatrkx_perf import EVENTS
from exatrkx_perf.gpu_check.answers import LARGEST_99TH_PERCENTILE, LARGEST_MEDIAN
from exatrkx_perf.stage_inputs import from_events, graphs_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import nn

    Floats = npt.NDArray[np.float32]

pytestmark = pytest.mark.slow

SOURCES: Final = Path(__file__).resolve().parents[2] / "backends" / "exatrkx"
GPU: Final = pytest.param(
    "cuda:0",
    marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")],
)
on_each_device = pytest.mark.parametrize("device", ["cpu", GPU])

KINDS: Final = ("embed", "filter", "gnn")


@pytest.fixture
def program(tmp_path: Path) -> NetworkProgram:
    return NetworkProgram(tmp_path)


def answer(network: nn.Module, *inputs: Tensor) -> Floats:
    with inference():
        found: Floats = network(*inputs).flatten().numpy()
    return found


def differences(program: NetworkProgram, kind: str, network: nn.Module, *inputs: Tensor) -> Floats:
    """|kernels − network| of every number, none of which is NaN or infinite."""
    found = program.by_kernels(served_file(kind, network, program.directory / f"{kind}.pt"), *inputs)
    expected = answer(network, *inputs)
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    assert np.isfinite(found).all()
    apart: Floats = np.abs(found - expected)
    return apart


@pytest.fixture(scope="module")
def shipped() -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """The committed networks, with what each is given in an event of 1,473 spacepoints."""
    (event,) = from_events([EVENTS], [1_473], WEIGHTS_DIR)
    graphs = graphs_of(event, WEIGHTS_DIR, threads=1, seed=1)
    features = torch.from_numpy(event.features)
    inputs: dict[str, tuple[Tensor, ...]] = {
        "embed": (features,),
        "filter": (features, torch.from_numpy(graphs.neighbours.edge_index)),
        "gnn": (features, torch.from_numpy(graphs.filtered.edge_index)),
    }
    return {kind: (load_network(WEIGHTS_DIR / f"{kind}.safetensors"), inputs[kind]) for kind in KINDS}


@on_each_device
@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_networks(kind: str, device: str, shipped: dict[str, Any], tmp_path: Path) -> None:
    network, inputs = shipped[kind]
    found = differences(NetworkProgram(tmp_path, device), kind, network, *inputs)
    assert np.median(found) < LARGEST_MEDIAN
    assert np.quantile(found, 0.99) < LARGEST_99TH_PERCENTILE


@on_each_device
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_each_time(kind: str, device: str, shipped: dict[str, Any], tmp_path: Path) -> None:
    """Also where threads differ: sums are taken in one order."""
    network, inputs = shipped[kind]
    program, file = NetworkProgram(tmp_path, device), served_file(kind, network, tmp_path / "model.pt")
    first = program.by_kernels(file, *inputs)
    for _ in range(3):
        np.testing.assert_array_equal(program.by_kernels(file, *inputs), first)


SIZES: Final = [(0, 0), (1, 0), (2, 1), (40, 129), (500, 3_000)]


@pytest.mark.parametrize(("num_spacepoints", "num_edges"), SIZES)
@pytest.mark.parametrize("columns", [3, 5])
def test_untrained_networks(program: NetworkProgram, num_spacepoints: int, num_edges: int, columns: int) -> None:
    features, edge_index = probe(num_spacepoints, num_edges, columns=columns)
    networks: dict[str, nn.Module] = {"embed": Embedding(), "filter": EdgeFilter(), "gnn": TripletNetwork()}
    for kind, network in networks.items():
        inputs = (features,) if kind == "embed" else (features, edge_index)
        found = differences(program, kind, roughened(network), *inputs)
        assert np.quantile(found, 0.98) < 1e-3 if len(found) else True
        assert np.median(found) < 1e-5 if len(found) else True


@pytest.mark.parametrize("layers", [2, 5])
@pytest.mark.parametrize(("dimension", "circles"), [(8, 2), (6, 1), (8, 0), (12, 4)])
def test_embeddings_of_other_sizes(program: NetworkProgram, layers: int, dimension: int, circles: int) -> None:
    network = roughened(Embedding(layers=layers, dimension=dimension, circles=circles))
    assert differences(program, "embed", network, probe(300, 0)[0]).max() < 1e-3


@pytest.mark.parametrize(("rounds", "most"), [(1, 1), (2, 10), (3, 16), (6, 4)])
def test_gnns_of_other_sizes(program: NetworkProgram, rounds: int, most: int) -> None:
    network = roughened(TripletNetwork(rounds=rounds, most=most))
    found = differences(program, "gnn", network, *probe(400, 2_000, seed=rounds))
    assert np.quantile(found, 0.98) < 1e-3


def belief_that_decides(network: TripletNetwork, inputs: tuple[Tensor, Tensor]) -> Tensor:
    """[E] logits by which edges are left out of the later rounds."""
    with inference():
        return network.evidence(*inputs).early[triplet_network.FULL_ROUNDS + 1]


def move_belief(network: TripletNetwork, step: float) -> None:
    """Add this to those logits."""
    deciding = list(network.rounds)[triplet_network.FULL_ROUNDS]
    assert isinstance(deciding, Round)
    with torch.no_grad():
        deciding.beliefs.bias[0] += step


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_hopeless_edges_are_left_out(program: NetworkProgram, part: float) -> None:
    inputs = probe(400, 2_500, seed=3)
    network = roughened(TripletNetwork(rounds=5))
    move_belief(network, tables.HOPELESS - float(torch.quantile(belief_that_decides(network, inputs), part)))
    left_out = (belief_that_decides(network, inputs) <= tables.HOPELESS).numpy()
    assert abs(left_out.mean() - part) < 0.05
    assert (answer(network, *inputs)[left_out] <= tables.HOPELESS).all()
    assert np.quantile(differences(program, "gnn", network, *inputs), 0.98) < 1e-3


def test_all_edges_are_hopeless(program: NetworkProgram) -> None:
    network = roughened(TripletNetwork(rounds=5))
    move_belief(network, -1e3)
    assert differences(program, "gnn", network, *probe(100, 500)).max() < 1e-2


def hub(num_edges: int) -> tuple[Tensor, Tensor]:
    """Half of the edges enter one spacepoint, the other half leave it."""
    features, _ = probe(num_edges + 1, 0, seed=7)
    features[:, 2] = 0.0
    features[:, 0] = torch.linspace(0.05, 1.0, num_edges + 1)
    middle = num_edges // 2
    others = torch.tensor([i for i in range(num_edges + 1) if i != middle])
    return features, torch.stack((others, torch.full_like(others, middle)))


@pytest.mark.parametrize("num_edges", [2, 20, 1_000])
def test_a_crowded_spacepoint(program: NetworkProgram, num_edges: int) -> None:
    found = differences(program, "gnn", roughened(TripletNetwork(most=16)), *hub(num_edges))
    assert np.quantile(found, 0.95) < 1e-2


def test_edges_may_be_permuted_turned_and_doubled(program: NetworkProgram) -> None:
    features, edge_index = probe(300, 1_500, seed=5)
    for kind, network in {"filter": EdgeFilter(), "gnn": TripletNetwork()}.items():
        file = served_file(kind, roughened(network), program.directory / "model.pt")
        found = program.by_kernels(file, features, edge_index)
        order = torch.randperm(edge_index.shape[1])
        permuted = program.by_kernels(file, features, edge_index[:, order].contiguous())
        assert np.quantile(np.abs(permuted - found[order.numpy()]), 0.98) < 1e-3
        np.testing.assert_array_equal(program.by_kernels(file, features, edge_index.flip(0).contiguous()), found)
        twice = torch.cat((edge_index, edge_index), dim=1)
        doubled = differences(program, kind, network, features, twice)
        assert np.quantile(doubled, 0.95) < 1e-3


@pytest.mark.parametrize("entry", [0.0, 1e-38, 1e20, 3e38])
def test_extreme_features(program: NetworkProgram, entry: float) -> None:
    """What is no number stays none, to be refused in the end; at the edge of FP32 it depends on the order of a sum."""
    features, edge_index = probe(60, 300, seed=2)
    features[::7, 0] = entry
    features[3::7, 2] = -entry
    for kind, network in {"filter": EdgeFilter(), "gnn": TripletNetwork()}.items():
        expected = answer(roughened(network), features, edge_index)
        found = program.by_kernels(served_file(kind, network, program.directory / "model.pt"), features, edge_index)
        good = np.isfinite(expected)
        assert np.mean(np.isfinite(found) != good) < 0.02
        assert good.all() == (entry < 1e30)
        both = good & np.isfinite(found)
        assert np.median(np.abs(found[both] - expected[both])) < 1e-3 if both.any() else True


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("embed", Embedding(hidden=64)),
        ("embed", Embedding(dimension=20)),
        ("filter", EdgeFilter(hidden=32)),
        ("filter", EdgeFilter(layers=4)),
        ("gnn", TripletNetwork(hidden=16)),
        ("gnn", TripletNetwork(triplet_hidden=8)),
        ("gnn", TripletNetwork(most=17)),
    ],
)
def test_networks_of_other_sizes_run_as_torchscript(program: NetworkProgram, kind: str, network: nn.Module) -> None:
    inputs = probe(50, 200)[: 1 if kind == "embed" else 2]
    done = program.run(served_file(kind, network.eval(), program.directory / "model.pt"), *inputs)
    assert (done.returncode, done.stdout) == (0, "torchscript\n")
    np.testing.assert_array_equal(np.fromfile(program.output, dtype=np.float32), answer(network, *inputs))


def test_torchscript_can_be_asked_for(program: NetworkProgram) -> None:
    network, inputs = EdgeFilter().eval(), probe(50, 200)
    file = served_file("filter", network, program.directory / "model.pt")
    assert program.run(file, *inputs, networks="torchscript").stdout == "torchscript\n"
    np.testing.assert_array_equal(np.fromfile(program.output, dtype=np.float32), answer(network, *inputs))
    refused = program.run(file, *inputs, networks="cuda")
    assert refused.returncode == 1
    assert refused.stderr == "EXATRKX_NETWORKS: expected kernels or torchscript, found 'cuda'\n"


def test_parameters_that_are_cut_off_are_refused(program: NetworkProgram) -> None:
    for kind, network in {"embed": Embedding(), "filter": EdgeFilter(), "gnn": TripletNetwork()}.items():
        parameters = kernel_parameters(network.eval())
        assert parameters is not None
        inputs = probe(5, 4)[: 1 if kind == "embed" else 2]
        for wrong in (parameters[:-4], torch.cat((parameters, torch.zeros(4)))):
            done = program.run(served_file(kind, network, program.directory / "model.pt", wrong), *inputs)
            assert done.returncode == 1
            assert re.search(rf"kernel_parameters: expected .*numbers, found {len(wrong)}", done.stderr)
        for other in (torch.zeros(HEADER), torch.zeros(0), torch.cat((torch.tensor([LAYOUT + 1.0]), parameters[1:]))):
            done = program.run(served_file(kind, network, program.directory / "model.pt", other), *inputs)
            assert (done.returncode, done.stdout) == (0, "torchscript\n")


def constants(text: str) -> dict[str, float]:
    found = re.findall(r"constexpr (?:float|int|std::size_t) k(\w+) = (-?[\d.e-]+)F?;", text)
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper(): float(value) for name, value in found}


def test_the_kernels_have_the_networks_constants() -> None:
    found = constants((SOURCES / "networks" / "cuda" / "tables.cuh").read_text())
    known = vars(tables) | {
        "UNLIKELY": triplet_network.UNLIKELY,
        "CONTEXT": triplet_network.NUM_CONTEXT,
        "CIRCLE_SCALE": mlp.CIRCLE_SCALE,
        "PI": torch.pi,
        "NODE_FEATURES": tables.NUM_NODE_FEATURES,
        "EDGE_INPUTS": tables.NUM_EDGE_INPUTS,
        "TRIPLET_FEATURES": tables.NUM_TRIPLET_FEATURES,
    }
    assert len(found) > 20
    assert {name: np.float32(value) for name, value in found.items()} == {
        name: np.float32(known[name]) for name in found
    }
    driver = constants((SOURCES / "engine" / "gpu" / "gnn.cpp").read_text())
    assert driver["FULL_ROUNDS"] == triplet_network.FULL_ROUNDS
