"""The three networks on one event, and the same weights with the products of nodes taken anew for every edge."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from exatrkx.arrays import retain_freed_memory
from exatrkx.networks.mlp import EdgeInput
from exatrkx.networks.storage import load_network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]


class ProductsPerEdge(nn.Module):
    """`EdgeInput` as it is often written: one linear layer on the concatenation of an edge and its two nodes."""

    def __init__(self, split: EdgeInput) -> None:
        super().__init__()
        self.split = split

    def forward(self, node: Tensor, edge: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
        split = self.split
        weight = torch.cat((split.edge.weight, split.inner.weight, split.outer.weight), dim=1)
        whole = torch.cat((edge, node.index_select(0, inner), node.index_select(0, outer)), dim=1)
        result: Tensor = split.activation(nn.functional.linear(whole, weight, split.inner.bias))
        return result


class NetworkCall(NamedTuple):
    """Which network to run, and how."""

    weights: Path
    stage: str
    threads: int
    per_edge: bool = False


def run(call: NetworkCall, features: FloatArray, edge_index: IntArray | None) -> FloatArray:
    """What the network of a stage makes of an event: [N,D] points or [E] logits."""
    network = _loaded(call)
    tensors = [torch.from_numpy(array) for array in (features, edge_index) if array is not None]
    with torch.inference_mode():
        answer: FloatArray = network(*tensors).numpy()
    return answer


@functools.cache  # once in the process that measures, and not in the time of a call
def _loaded(call: NetworkCall) -> Callable[..., Tensor]:
    retain_freed_memory()
    torch.set_num_threads(call.threads)
    network = load_network(call.weights / f"{call.stage}.safetensors")
    if call.per_edge:
        _replace(network)
    return network


def _replace(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, EdgeInput):
            setattr(module, name, ProductsPerEdge(child))
        else:
            _replace(child)


def same_scores(one: FloatArray, other: FloatArray) -> bool:
    """Whether two sets of outputs agree to what single precision leaves of them."""
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-3, atol=1e-3))
