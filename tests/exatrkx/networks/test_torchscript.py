"""Export: what is served equals the eager network, and what does not keep the contract is refused with the reason."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from exatrkx.errors import ContractError
from exatrkx.networks import geometry, mlp, tables
from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.proof import prove
from exatrkx.networks.storage import load_network
from exatrkx.networks.torchscript import inference, probe, served_form, to_bytes, trace
from exatrkx.networks.triplet_network import TripletNetwork
from exatrkx.networks.user_network import load_user_network
from exatrkx.working_point import WEIGHTS_DIR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Scores(nn.Module):
    """A third-party edge network with a fault, or none, in its last step."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault = fault
        self.linear = nn.Linear(6, 1)

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores: Tensor = self.linear(torch.cat((features[edge_index[0]], features[edge_index[1]]), dim=1))
        return {
            "": scores.squeeze(1),
            "column": scores,
            "squeezed": scores.squeeze(),
            "sigmoid": scores.squeeze(1).sigmoid(),
            "double": scores.squeeze(1).double(),
            "nan": scores.squeeze(1) * torch.nan,
            "per node": features[:, 0],
        }[self.fault]


class Tuple(nn.Module):
    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return features, features


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "make"),
    [("embed", Embedding), ("filter", EdgeFilter), ("gnn", lambda: TripletNetwork(rounds=2))],
)
def test_traced_equals_eager_at_every_size(kind: str, make: Callable[[], nn.Module]) -> None:
    network = make()
    proof = prove(kind, trace(kind, network), network)
    assert proof.largest_difference is not None
    assert proof.largest_difference < 1e-5
    assert proof.probes >= 8


def test_a_difference_to_the_eager_network_is_found() -> None:
    first, second = EdgeFilter(), EdgeFilter()
    with pytest.raises(ContractError, match="differ"):
        prove("filter", trace("filter", first), second)


def test_no_device_is_written_into_the_traces() -> None:
    for kind, network in (("embed", Embedding()), ("filter", EdgeFilter()), ("gnn", TripletNetwork())):
        assert "torch.device(" not in trace(kind, network).code


def on_any_device(_like: Tensor) -> bool:
    return True


def differences_as_on_a_gpu(kind: str) -> list[float]:
    """Between a trace that computes everywhere as on a GPU and the eager network on a CPU, but for one output of 1,000.

    One edge that is hopeless on one side alone has another score; in a process of its own, whose modules it changes.
    """
    sizes = [(0, 0), (1, 0), (2, 1), (700, 5_000), (9_000, 60_000), (135_000, 135_000)]
    inputs = [probe(*size)[: 1 if kind == "embed" else 2] for size in sizes]
    network = load_network(WEIGHTS_DIR / f"{kind}.safetensors")
    with inference():
        expected = [network(*one) for one in inputs]
    for module in (geometry, mlp, tables):
        module.on_gpu = on_any_device  # type: ignore[attr-defined]
    traced = trace(kind, network)
    with inference():
        found = [traced(*one) for one in inputs]
    assert [one.shape for one in found] == [one.shape for one in expected]
    pairs = ((one - other).abs().flatten() for one, other in zip(found, expected, strict=True))
    return [torch.quantile(apart, 0.999).item() for apart in pairs if apart.numel()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embed", "filter", "gnn"])
def test_the_traces_compute_as_on_a_gpu(kind: str) -> None:
    """With room for all continuations, without, and with layer norms taken apart."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(differences_as_on_a_gpu, kind).result()
    assert len(found) >= 4
    assert 0.0 < max(found) < 1e-4


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("squeezed", r"shape \[1\].*found \[\]"),
        ("sigmoid", "logits"),
        ("double", "FP32"),
        ("nan", "not finite"),
        ("per node", "a score for each edge"),
    ],
)
def test_networks_that_break_the_contract_are_refused(fault: str, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        prove("filter", trace("filter", Scores(fault)))


def test_a_network_with_a_column_of_scores_is_served_as_a_row(tmp_path: Path) -> None:
    network = Scores("column")
    traced = torch.jit.trace(network, probe(9, 4))  # type: ignore[no-untyped-call]
    (tmp_path / "column.pt").write_bytes(to_bytes(traced))
    for form in (network, load_user_network(str(tmp_path / "column.pt"))):
        served = served_form("gnn", form)
        assert prove("gnn", served, network).largest_difference == 0.0
        assert served(*probe(5, 1)).shape == (1,)


def test_a_network_that_returns_no_single_tensor_is_refused() -> None:
    with pytest.raises(ContractError, match=r"one tensor|fails"):
        prove("embed", Tuple())


def test_a_network_of_other_inputs_is_refused() -> None:
    with pytest.raises(ContractError, match="fails on"):
        trace("embed", nn.Linear(7, 8))


def test_an_own_network_from_a_module_with_a_checkpoint(tmp_path: Path) -> None:
    source = tmp_path / "own_networks.py"
    source.write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))\n"
    )
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    checkpoint = tmp_path / "own.ckpt"
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, checkpoint)
    loaded = load_user_network(f"{source}:build", checkpoint)
    features, _ = probe(11, 0)
    assert torch.equal(loaded(features), network(features))
    difference = prove("embed", trace("embed", loaded), loaded).largest_difference
    assert difference is not None
    assert difference < 1e-6


def test_an_own_torchscript_file(tmp_path: Path) -> None:
    path = tmp_path / "embed.pt"
    path.write_bytes(to_bytes(trace("embed", Embedding(dimension=4))))
    assert prove("embed", load_user_network(str(path))).probes >= 8


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("absent.pt", "no such file"),
        ("json", "neither"),
        ("json:absent", "no callable"),
        ("json:dumps", "dumps"),
        ("absent_module:build", "cannot be imported"),
        ("absent.py:build", "no such Python file"),
        ("collections:OrderedDict", "must give a torch.nn.Module"),
    ],
)
def test_what_is_no_network_is_refused(source: str, reason: str) -> None:
    with pytest.raises(ContractError, match=reason):
        load_user_network(source)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "other.ckpt"
    torch.save(nn.Linear(2, 2).state_dict(), checkpoint)
    with pytest.raises(ContractError, match=r"other\.ckpt"):
        load_user_network("exatrkx.networks.mlp:Embedding", checkpoint)


def test_matrices_are_multiplied_in_fp32_whatever_the_process_did_before() -> None:
    torch.set_float32_matmul_precision("high")
    with inference():
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cuda.matmul.allow_tf32 is False
