"""Limits of a machine at a stage's sizes: FLOP/s of its matrix products alone, bytes/s of a copy of its size."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor

from exatrkx_perf.timing import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exatrkx_perf.budget import Budget, Shape

_MOST_COPIED: Final = 1 << 30
_FP32_BYTES: Final = 4


class MachineLimits(NamedTuple):
    """What a machine reaches where nothing else is done; NaN where a stage has none of it."""

    flops_per_s: float
    bytes_per_s: float


def limits_for(budget: Budget, threads: int, repeats: int) -> MachineLimits:
    """Measure both in processes of their own."""
    flops_per_s = bytes_per_s = float("nan")
    if budget.products:
        products, flops = measure(repeats, multiply, list(budget.products.items()), threads)
        flops_per_s = 1e3 * flops / products.wall_ms
    if budget.median_write:
        copies, copied = measure(repeats, copy, budget.median_write, budget.moved, threads)
        bytes_per_s = 1e3 * copied / copies.wall_ms
    return MachineLimits(flops_per_s, bytes_per_s)


def multiply(products: Sequence[tuple[Shape, int]], threads: int) -> int:
    """The matrix products of these shapes, each as often as it says; returns their FLOPs."""
    torch.set_num_threads(threads)
    left = _buffer(0, max(rows * inner for (rows, inner, _), _ in products))
    right = _buffer(1, max(inner * columns for (_, inner, columns), _ in products))
    answer = _buffer(2, max(rows * columns for (rows, _, columns), _ in products))
    flops = 0
    for (rows, inner, columns), number in products:
        factors = left[: rows * inner].view(rows, inner), right[: inner * columns].view(inner, columns)
        for _ in range(number):
            torch.mm(*factors, out=answer[: rows * columns].view(rows, columns))
        flops += 2 * number * rows * inner * columns
    return flops


def copy(size: int, moved: int, threads: int) -> int:
    """Copies of so many bytes each, until about as many are moved as `moved` says, or 1 GiB; returns those moved."""
    torch.set_num_threads(threads)
    source, target = (_buffer(place, max(size // _FP32_BYTES, 1)) for place in range(2))
    each = 2 * source.nbytes
    number = max(1, min(moved, _MOST_COPIED) // each)
    for _ in range(number):
        target.copy_(source)
    return number * each


@functools.cache  # the first call of a method is not timed
def _buffer(_place: int, size: int) -> Tensor:
    return torch.full((size,), 0.5)
