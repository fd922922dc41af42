"""Parameters of this package's networks as the custom backend's GPU kernels read them: one row of numbers.

On a GPU a network as TorchScript is some hundred operators, of which each writes to memory what the next one reads. The
kernels in backends/exatrkx/networks/cuda compute it in a few, with what lies between in registers. They are for the
architectures of this package alone, and so served files carry beside the network, which is TorchScript as ever, these
numbers; a network of anybody else's has none, and runs as TorchScript.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor

from exatrkx.networks.mlp import EdgeFilter, Embedding
from exatrkx.networks.tables import taken_apart
from exatrkx.networks.triplet_network import TripletNetwork

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from exatrkx.networks.triplet_network import Round

LAYOUT: Final = 1
"""First number of the header, to be raised with every change here or of what the kernels make of the numbers."""

HEADER: Final = 8
"""Numbers before the parameters: `LAYOUT`, the kind of network, and its sizes."""

_ALIGNED: Final = 4  # a thread reads so many numbers at once


def kernel_parameters(network: nn.Module) -> Tensor | None:
    """[P] FP32 header and parameters of a network; None for one of another architecture.

    The header: the layout; 1, hidden size, hidden layers, outputs and circles of an `Embedding`; 2, hidden size and
    hidden layers of an `EdgeFilter`; 3, hidden size, triplets' hidden size, rounds and most continuations of a
    `TripletNetwork`. Parameters are `taken_apart`, those of a layer as [in,out]; each tensor begins at a multiple of
    four numbers, and so does each of its rows where there are several.
    """
    with torch.no_grad():
        if type(network) is Embedding:
            return _packed(*_of_embedding(network))
        if type(network) is EdgeFilter:
            return _packed(*_of_filter(network))
        if type(network) is TripletNetwork:
            return _packed(*_of_gnn(network))
    return None


def _of_embedding(network: Embedding) -> tuple[list[int], list[Tensor]]:
    apart = taken_apart(list(network.mlp.parameters()))
    return [1, len(apart[0]), _hidden_layers(apart), len(apart[-1]), network.circles], _perceptron(apart)


def _of_filter(network: EdgeFilter) -> tuple[list[int], list[Tensor]]:
    apart = taken_apart([*network.input.weights(), *network.mlp.parameters()])
    return [2, len(apart[0]), _hidden_layers(apart)], _perceptron(apart)


def _of_gnn(network: TripletNetwork) -> tuple[list[int], list[Tensor]]:
    rounds = cast("list[Round]", list(network.rounds))
    heads = [*(one.beliefs for one in rounds), network.score]
    encoder = taken_apart([*network.edge_input.weights(), *network.edge_encoder.parameters()])
    parts = [*_perceptron(encoder), *_perceptron(list(network.rank.parameters()))]
    triplet = list(network.triplet.parameters())
    parts += [*_perceptron(taken_apart(list(heads[0].parameters()))), *_perceptron(triplet)]
    for one, head in zip(rounds, heads[1:], strict=True):
        for layers in (one.update, head):
            parts += _perceptron(taken_apart(list(layers.parameters())))
    return [3, network.rank.in_features, len(triplet[0]), len(rounds), network.most], parts


def _hidden_layers(apart: list[Tensor]) -> int:
    return (len(apart) - 2) // 3


def _perceptron(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Matrices as `_columns` has them, and the vectors among them as they are."""
    return [_columns(one) if one.dim() > 1 else one for one in parameters]


def _columns(weight: Tensor) -> Tensor:
    """[out,in] -> [in,out], with columns of zeros up to a multiple of four where there are several."""
    missing = -len(weight) % _ALIGNED if len(weight) > 1 else 0
    return torch.nn.functional.pad(weight.t(), (0, missing))


def _packed(sizes: list[int], parts: Iterable[Tensor]) -> Tensor:
    header = torch.zeros(HEADER)
    header[: 1 + len(sizes)] = torch.tensor([float(LAYOUT), *map(float, sizes)])
    flat = [part.detach().flatten().float().cpu() for part in parts]
    return torch.cat([header, *(torch.nn.functional.pad(one, (0, -len(one) % _ALIGNED)) for one in flat)])
