"""TorchScript: the form in which networks are served; tracing, loading, and inference."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from exatrkx.contract import NUM_FEATURES
from exatrkx.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EDGE_NETWORKS: Final = ("filter", "gnn")

TRACED_SIZE: Final = (40, 120)

SATURATED: Final = 1e-7
"""A probability closer to 0 or 1 than this is one: FP32 has none between it and 1, and a logit must be finite."""


class _LogitPerEdge(nn.Module):
    """A network that returns [E,1], or probabilities, as one that returns [E] logits: the contract's form."""

    def __init__(self, network: nn.Module, *, probabilities: bool) -> None:
        super().__init__()
        self.network = network
        self.probabilities = probabilities

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores: Tensor = self.network(features, edge_index).reshape(-1)
        return torch.logit(scores, SATURATED) if self.probabilities else scores


def probe(num_spacepoints: int, num_edges: int, seed: int = 0, columns: int = NUM_FEATURES) -> tuple[Tensor, Tensor]:
    """Random features [N,F] within the detector and edges [2,E] between different spacepoints, larger index first."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand((num_spacepoints, columns), generator=generator) * 2.0 - 1.0
    features[:, 0] = features[:, 0].abs() + 0.03
    if not num_edges:
        return features, torch.zeros((2, 0), dtype=torch.int64)
    high = torch.randint(1, num_spacepoints, (num_edges,), generator=generator)
    low = (torch.rand(num_edges, generator=generator) * high).long()
    return features, torch.stack((high, low))


def trace(kind: str, network: nn.Module, columns: int = NUM_FEATURES) -> torch.jit.ScriptModule:
    """The eager network as TorchScript, traced at `TRACED_SIZE` and frozen.

    Args:
        kind: the served model: embed, filter or gnn.
        network: in evaluation mode, on the CPU.
        columns: F, of FEATURES.

    Raises:
        ContractError: the network cannot be traced with the contract's inputs.
    """
    try:
        with torch.no_grad():
            example = probe_inputs(kind, *TRACED_SIZE, columns)
            traced = torch.jit.trace(network.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
    except Exception as error:
        # Whatever a user's forward raises: it is the network that does not fit.
        raise ContractError(f"{kind}: the network fails on the contract's inputs: {_reason(error)}") from error
    frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
    return frozen


def contract_form(
    kind: str, network: nn.Module, *, probabilities: bool = False, columns: int = NUM_FEATURES
) -> nn.Module:
    """The network itself, or with a last step where its scores are [E,1] or, as the caller knows, probabilities.

    Args:
        kind: the served model: embed, filter or gnn.
        network: eager or TorchScript.
        probabilities: the scores are probabilities, to be turned into logits; beyond ±16 they lose their order.
        columns: F, of FEATURES.

    Raises:
        ContractError: the network fails on the contract's inputs.
    """
    if kind not in EDGE_NETWORKS:
        return network
    inputs = probe_inputs(kind, *TRACED_SIZE, columns)
    column = answer(kind, network, inputs).shape == (inputs[1].size(1), 1)
    return _LogitPerEdge(network, probabilities=probabilities) if column or probabilities else network


def served_form(
    kind: str, network: nn.Module, *, probabilities: bool = False, columns: int = NUM_FEATURES
) -> torch.jit.ScriptModule:
    """The network as it is served: `contract_form` as TorchScript, which stays as it is where it is that already.

    Raises:
        ContractError: the network fails on the contract's inputs.
    """
    form = contract_form(kind, network, probabilities=probabilities, columns=columns)
    return form if isinstance(form, torch.jit.ScriptModule) else trace(kind, form, columns)


def to_bytes(script: torch.jit.ScriptModule) -> bytes:
    """The content of the network's TorchScript file.

    Raises:
        ContractError: it calls Python, and so cannot be written.
    """
    buffer = io.BytesIO()
    try:
        torch.jit.save(script, buffer)
    except RuntimeError as error:
        raise ContractError(f"the network cannot be written as TorchScript: {_reason(error)}") from error
    return buffer.getvalue()


def probe_inputs(kind: str, num_spacepoints: int, num_edges: int, columns: int = NUM_FEATURES) -> tuple[Tensor, ...]:
    """The inputs of a served network, as the contract has them, of this size; see `probe`."""
    features, edge_index = probe(num_spacepoints, num_edges, columns=columns)
    return (features, edge_index) if kind in EDGE_NETWORKS else (features,)


def answer(kind: str, network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The network's output, computed as it is when it is served.

    Raises:
        ContractError: the network fails, or returns no single tensor.
    """
    shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
    try:
        with inference():
            output = network(*inputs)
    except Exception as error:
        # As in trace: a user's forward may raise anything.
        raise ContractError(f"{kind}: the network fails on inputs of shape {shapes}: {_reason(error)}") from error
    if not isinstance(output, Tensor):
        raise ContractError(f"{kind}: the network must return one tensor, found {type(output).__name__}")
    return output


def foreign_operator(name: str) -> str:
    """What is said of an operator that no PyTorch has by itself."""
    return (
        f"it uses {name}, an operator of a library beyond PyTorch, which a server does not load; write it with "
        "PyTorch's own, as Tensor.index_add and scatter_reduce are for torch_scatter's, and export it again"
    )


def load_torchscript(path: Path, device: str = "cpu") -> torch.jit.ScriptModule:
    """Read a TorchScript network in evaluation mode; out of a served file the bare network, which gives one tensor.

    Raises:
        ContractError: the file is missing or is no TorchScript.
    """
    if not path.is_file():
        raise ContractError(f"{path}: no such file; exatrkx export writes it")
    try:
        script: torch.jit.ScriptModule = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]  # torch's
        return getattr(script.eval(), "bare_network", script)  # see exatrkx.networks.served
    except RuntimeError as error:
        unknown = re.search(r"Unknown builtin op: ([\w:]+\w)", str(error))
        reason = foreign_operator(unknown[1]) if unknown else _reason(error)
        raise ContractError(f"{path}: no TorchScript network: {reason}") from error


@contextlib.contextmanager
def inference(*, optimized: bool = False) -> Iterator[None]:
    """Run networks in this thread without gradients, and TorchScript as it is written unless `optimized`.

    The optimiser watches the first runs, compiles what it saw, and does so again for other sizes. Every event has
    another size: the GNN's first run took 150 ms that way and 20 ms as written, and later ones were no faster.

    From here on the process multiplies matrices in FP32 on a GPU too, never in TF32, whose ten bits would move scores
    across the cuts.
    """
    torch.set_float32_matmul_precision("highest")
    with torch.inference_mode(), torch.jit.optimized_execution(optimized):  # type: ignore[attr-defined]  # torch's
        yield


def _reason(error: Exception) -> str:
    """The first line: torch appends its own stack."""
    return str(error).strip().partition("\n")[0]
