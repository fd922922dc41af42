"""Blocks of rows that stay in a core's cache from the first layer of a network to its last.

A layer on all edges at once writes hundreds of megabytes, which the next one reads again from memory: on a CPU that,
and not the arithmetic, is what a network's time goes into. The loops over blocks are written in what TorchScript
understands, and stay loops when a network is traced.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch
from torch import Tensor  # at run time too: TorchScript evaluates the annotations

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


def loops_survive_tracing(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator of a function with loops: compiled to TorchScript where a network is traced, called as it is elsewhere.

    A trace would write a loop down as often as it turned for the example. Arguments are given by place: by name a trace
    does not take them.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch's
            script: Callable[P, T] = torch.jit.script(function)
            return script(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def block_rows(like: Tensor, rows: int) -> int:
    """Rows of a block on this tensor's device, unless `rows` > 0 says otherwise.

    On a CPU the 64 columns of a hidden layer are 4 MiB then, which two levels of cache hold; with smaller blocks the
    calls cost more than the cache gives. A GPU computes all at once, until that would take gigabytes. So does training,
    for which every block is kept anyway.
    """
    if rows > 0:
        return rows
    if torch.is_grad_enabled():
        return 1 << 62
    return 4_194_304 if like.is_cuda else 16_384


def perceptron(x: Tensor, weights: list[Tensor]) -> Tensor:
    """[B,n] -> [B,m] of a multilayer perceptron, given by the parameters of `exatrkx.networks.mlp.mlp` in their order.

    Each four are the weight and the bias of a linear layer, and those of the LayerNorm after it, which ReLU follows.
    """
    for i in range(0, len(weights), 4):
        x = torch.addmm(weights[i + 1], x, weights[i].t())
        if i + 2 < len(weights):
            x = torch.layer_norm(x, [x.size(1)], weights[i + 2], weights[i + 3]).relu_()
    return x
