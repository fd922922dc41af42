"""TorchScript: tracing of networks with a proof that each keeps the contract, loading, and inference."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from exatrkx.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EDGE_NETWORKS: Final = ("filter", "gnn")

# Sizes other than the traced one, the smallest among them: (spacepoints, edges).
PROBES: Final = ((0, 0), (1, 0), (2, 0), (2, 1), (3, 2), (50, 1), (50, 300), (700, 5_000))
TRACED_SIZE: Final = (40, 120)

TOLERANCE: Final = 1e-4
"""Largest difference, relative to the largest output, that another order of the same sums may make."""

_SHAPE_OPERATORS: Final = {"aten::squeeze", "aten::view", "aten::reshape", "aten::flatten"}
_PROBABILITY_OPERATORS: Final = {"aten::sigmoid", "aten::sigmoid_", "aten::softmax"}


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof of equality: the probes, and the largest difference between TorchScript and eager network."""

    probes: int
    largest_difference: float


class _OneScorePerEdge(nn.Module):
    """A network that returns [E,1], or [E] already, as one that returns [E]: the contract's shape."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, edge_index: Tensor) -> Tensor:
        scores: Tensor = self.network(features, edge_index)
        return scores.reshape(-1)


def probe(num_spacepoints: int, num_edges: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random features [N,3] within the detector and edges [2,E] between different spacepoints, larger index first."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand((num_spacepoints, 3), generator=generator) * 2.0 - 1.0
    features[:, 0] = features[:, 0].abs() + 0.03
    if not num_edges:
        return features, torch.zeros((2, 0), dtype=torch.int64)
    high = torch.randint(1, num_spacepoints, (num_edges,), generator=generator)
    low = (torch.rand(num_edges, generator=generator) * high).long()
    return features, torch.stack((high, low))


def trace(kind: str, network: nn.Module) -> torch.jit.ScriptModule:
    """The eager network as TorchScript, traced at `TRACED_SIZE` and frozen.

    Args:
        kind: the served model: embed, filter or gnn.
        network: in evaluation mode, on the CPU.

    Raises:
        ContractError: the network cannot be traced with the contract's inputs.
    """
    try:
        with torch.no_grad():
            example = _inputs(kind, *TRACED_SIZE)
            traced = torch.jit.trace(network.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
    except Exception as error:
        # Whatever a user's forward raises: it is the network that does not fit.
        raise ContractError(f"{kind}: the network fails on the contract's inputs: {error}") from error
    frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
    return frozen


def prove(kind: str, served: nn.Module, eager: nn.Module | None = None) -> Proof:
    """Check a network on every probe against the contract, and against its eager form where that is given.

    Raises:
        ContractError: the output is no FP32 tensor of the contract's shape, or not finite; the network returns
            probabilities; or it differs from the eager network.
    """
    if isinstance(served, torch.jit.ScriptModule) and kind in EDGE_NETWORKS and _ends_in_probability(served):
        raise ContractError(f"{kind}: the network ends in a sigmoid or softmax; the contract wants logits")
    largest = 0.0
    width: int | None = None
    for size in PROBES:
        inputs = _inputs(kind, *size)
        output = _answer(kind, served, inputs)
        _check_output(kind, output, inputs)
        if kind == "embed":
            if width not in (None, output.size(1)):
                raise ContractError(f"embed: {width} columns for one event, {output.size(1)} for another")
            width = output.size(1)
        if eager is not None and output.numel():
            expected = _answer(kind, eager, inputs).reshape(output.shape)
            scale = max(1.0, expected.abs().max().item())
            largest = max(largest, (output - expected).abs().max().item() / scale)
    if largest > TOLERANCE:
        raise ContractError(f"{kind}: TorchScript and eager network differ by {largest:.2g}, more than {TOLERANCE}")
    return Proof(len(PROBES), largest)


def served_form(kind: str, network: nn.Module) -> torch.jit.ScriptModule:
    """The network as it is served: TorchScript, with a last step that makes [E,1] scores [E] where it needs one.

    Args:
        kind: the served model: embed, filter or gnn.
        network: eager, or TorchScript already, which stays as it is where its shape is right.

    Raises:
        ContractError: the network fails on the contract's inputs.
    """
    inputs = _inputs(kind, *TRACED_SIZE)
    if kind in EDGE_NETWORKS and _answer(kind, network, inputs).shape == (inputs[1].size(1), 1):
        return trace(kind, _OneScorePerEdge(network))
    return network if isinstance(network, torch.jit.ScriptModule) else trace(kind, network)


def to_bytes(script: torch.jit.ScriptModule) -> bytes:
    """The content of the network's TorchScript file."""
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    return buffer.getvalue()


def _inputs(kind: str, num_spacepoints: int, num_edges: int) -> tuple[Tensor, ...]:
    features, edge_index = probe(num_spacepoints, num_edges)
    return (features, edge_index) if kind in EDGE_NETWORKS else (features,)


def _answer(kind: str, network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
    try:
        with torch.inference_mode():
            output = network(*inputs)
    except Exception as error:
        # As in trace: a user's forward may raise anything.
        raise ContractError(f"{kind}: the network fails on inputs of shape {shapes}: {error}") from error
    if not isinstance(output, Tensor):
        raise ContractError(f"{kind}: the network must return one tensor, found {type(output).__name__}")
    return output


def _check_output(kind: str, output: Tensor, inputs: tuple[Tensor, ...]) -> None:
    if output.dtype != torch.float32:
        raise ContractError(f"{kind}: the output must be FP32, found {output.dtype}")
    if kind in EDGE_NETWORKS:
        want = f"[{inputs[1].size(1)}], a score for each edge"
        fits = output.shape == (inputs[1].size(1),)
    else:
        want = f"[{len(inputs[0])},D], a point for each spacepoint"
        fits = output.dim() == 2 and len(output) == len(inputs[0]) and output.size(1) >= 1  # noqa: PLR2004 - a matrix
    if not fits:
        raise ContractError(f"{kind}: the output must have shape {want}; found {list(output.shape)}")
    if not math.isfinite(output.abs().sum().item()):
        raise ContractError(f"{kind}: the output is not finite for {len(inputs[0])} ordinary spacepoints")


def _ends_in_probability(script: torch.jit.ScriptModule) -> bool:
    graph = script.inlined_graph  # its nodes live no longer than it does
    node = next(iter(graph.outputs())).node()
    while node.kind() in _SHAPE_OPERATORS:
        node = next(iter(node.inputs())).node()
    return node.kind() in _PROBABILITY_OPERATORS


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
        reason = str(error).partition("\n")[0]  # torch appends its own stack
        raise ContractError(f"{path}: no TorchScript network: {reason}") from error


@contextlib.contextmanager
def inference(*, optimized: bool = False) -> Iterator[None]:
    """Run networks in this thread without gradients, and TorchScript as it is written unless `optimized`.

    The optimiser watches the first runs, compiles what it saw, and does so again for other sizes. Every event has
    another size: the GNN's first run took 150 ms that way and 20 ms as written, and later ones were no faster.
    """
    with torch.inference_mode(), torch.jit.optimized_execution(optimized):  # type: ignore[attr-defined]  # torch's
        yield
