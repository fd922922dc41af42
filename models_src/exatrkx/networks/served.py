"""TorchScript network as it is served: the network, and beside its output the digest of the features that it was given.

Added to that digest are those of its edges and of its output, see `exatrkx.digest`.

Plain TorchScript, which Triton's LibTorch backend runs. This project's own backends and the pipeline in one process
take the bare network out of it; where they need a digest, they work it out by themselves, in less time.
"""

from __future__ import annotations

import io

import torch
from torch import Tensor, nn

from exatrkx.digest import BITS_FACTOR, HALF, PERIOD, POSITION_FACTOR
from exatrkx.networks.torchscript import EDGE_NETWORKS, to_bytes


def features_digest(
    features: Tensor, bits_factor: int = BITS_FACTOR, position_factor: int = POSITION_FACTOR, half: int = HALF
) -> Tensor:
    """`exatrkx.digest.features_digest` as INT64 [1]; the constants are defaults because TorchScript sees no globals."""
    words = torch.view_copy(features.contiguous(), dtype=torch.int32).reshape(-1).to(torch.int64)
    size = words.numel()
    position = torch.arange(size, 2 * size, dtype=torch.int64, device=features.device)
    words = (words * bits_factor).add_(position, alpha=position_factor)
    return (words >> half).mul_(words).sum().reshape(1)


def payload_digest(payload: Tensor, period: int = PERIOD, factor: int = BITS_FACTOR) -> Tensor:
    """`exatrkx.digest.payload_digest` as INT64 [1]."""
    words = payload.contiguous().reshape(-1)
    if payload.dtype == torch.float32:
        words = torch.view_copy(words, dtype=torch.int32)
    whole = words.numel() - words.numel() % period
    columns = words[:whole].reshape(-1, period).sum(0)
    columns[: words.numel() - whole] += words[whole:]
    powers = torch.full([period], factor, dtype=torch.int64, device=payload.device).cumprod(0)
    return columns.mul_(powers).sum().reshape(1)


class _ServedEmbedding(nn.Module):
    def __init__(self, bare_network: nn.Module) -> None:
        super().__init__()
        self.bare_network = bare_network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        digest = features_digest(features)
        embedding = self.bare_network(features)
        return embedding, digest + payload_digest(embedding)


class _ServedEdgeNetwork(_ServedEmbedding):
    def forward(self, features: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        # An index out of range would end a GPU's context, and with it everything that the server does there.
        if bool(((edge_index < 0) | (edge_index >= features.size(0))).any()):
            raise ValueError(f"INPUT__1: entries must be in [0, {features.size(0)})")
        digest = features_digest(features) + payload_digest(edge_index)
        scores = self.bare_network(features, edge_index)
        return scores, digest + payload_digest(scores)


def with_digest(
    kind: str, network: torch.jit.ScriptModule, kernel_parameters: Tensor | None = None
) -> torch.jit.ScriptModule:
    """The network with the digest of its features, INT64 [1], as a second output.

    Args:
        kind: the served model: embed, filter or gnn.
        network: with the contract's output; `torchscript.load_torchscript` gives it back from the file.
        kernel_parameters: of `exatrkx.networks.kernel_parameters`, kept beside it for the custom backend on a GPU.
    """
    form = _ServedEdgeNetwork if kind in EDGE_NETWORKS else _ServedEmbedding
    # As it is read from a file: one that was just frozen does not fit into another module.
    bare = torch.jit.load(io.BytesIO(to_bytes(network)))  # type: ignore[no-untyped-call]  # torch's
    served = form(bare).eval()
    if kernel_parameters is not None:
        served.register_buffer("kernel_parameters", kernel_parameters)
    script: torch.jit.ScriptModule = torch.jit.script(served)
    return script
