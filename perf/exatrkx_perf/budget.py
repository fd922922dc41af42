"""Budget of a network's call: operators, FLOPs of matrix products, bytes moved and waits, counted on a CPU as it runs.

Counted are PyTorch's operators that compute or copy; each is a kernel launch at least on a GPU. An operator moves the
bytes that it reads and those that it writes, wherever they lie: a gather reads as many rows as it writes, an operator
in place reads what it writes over, a view moves nothing. A wait is an operator whose answer's size or value the host
needs before it can go on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Shape = tuple[int, int, int]
"""Rows, inner size and columns of a matrix product."""

_aten: Final = torch.ops.aten
_ALLOCATIONS: Final = {_aten.empty, _aten.empty_like, _aten.new_empty, _aten.detach, _aten.lift_fresh}
_PRODUCTS: Final = {_aten.mm: 0, _aten.addmm: 1}
"""Where the first factor stands among the arguments."""
_GATHERS: Final = {_aten.index_select, _aten.gather, _aten.index}
_SCATTERS: Final = {_aten.index_add, _aten.index_add_, _aten.scatter_add, _aten.scatter_add_}
_FILLS: Final = {_aten.copy_, _aten.fill_, _aten.zero_}
_WAITS: Final = {_aten.nonzero, _aten.repeat_interleave, _aten._local_scalar_dense}


@dataclass(slots=True)
class Budget:
    """What a call asks of a machine.

    Attributes:
        operators: that computed or copied.
        waits: of them, those whose answer the host waits for on a GPU.
        flops: of matrix products, two for each multiply-accumulate.
        moved: bytes read and written.
        products: how often there was a matrix product of each shape.
        by_size: of the bytes moved, those by operators that wrote so many each.
    """

    operators: int = 0
    waits: int = 0
    flops: int = 0
    moved: int = 0
    products: Counter[Shape] = field(default_factory=Counter)
    by_size: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of_arrays(cls, *arrays: object) -> Budget:
        """What reading or writing each of these once takes, which a stage between the networks cannot do without."""
        moved = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        return cls(moved=moved, by_size=Counter({moved // 2: moved}))

    @property
    def median_write(self) -> int:
        """Bytes that an operator writes: those that write no more than so many move half of all bytes."""
        passed = 0
        for size, moved in sorted(self.by_size.items()):
            passed += moved
            if 2 * passed >= self.moved:
                return size
        return 0


def count_budget(call: Callable[..., object], *arguments: object) -> Budget:
    """The budget of one call of a network in eager mode, without gradients; what TorchScript does is not seen."""
    counting = _Counting()
    with torch.no_grad(), counting:
        call(*arguments)
    return counting.budget


class _Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.budget = Budget()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if not func.is_view and packet not in _ALLOCATIONS:
            self._add(func, packet, args, kwargs or {}, answer)
        return answer

    def _add(self, func: Any, packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        found = self.budget
        found.operators += 1
        found.waits += packet in _WAITS
        if packet in flop_registry:
            found.flops += flop_registry[packet](*args, **kwargs, out_val=answer)
        if packet in _PRODUCTS:
            left, right = args[_PRODUCTS[packet] :][:2]
            found.products[left.shape[0], left.shape[1], right.shape[1]] += 1
        written = sum(map(stored_bytes, _tensors(answer)))
        moved = written + _read_bytes(func, packet, args, kwargs, written)
        found.moved += moved
        found.by_size[written] += moved


def stored_bytes(tensor: Tensor) -> int:
    """Bytes in memory; entries that a view repeats, as `expand` does, are there once."""
    entries = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        entries *= size if stride else min(size, 1)
    return entries * tensor.element_size()


def _read_bytes(func: Any, packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], written: int) -> int:
    """Of all arguments but those that are only written to; of a table that is indexed, of the rows alone."""
    outputs = {one.name for one in func._schema.arguments if one.is_out}
    read = [*args, *(value for name, value in kwargs.items() if name not in outputs)]
    if packet in _GATHERS:
        return written + sum(map(stored_bytes, _tensors(read[1:])))
    if packet in _SCATTERS:  # table, dimension, index, source: rows are read and written again, in place no others
        table = -written if func._schema.is_mutable else written
        return table + stored_bytes(read[2]) + 3 * stored_bytes(read[3])
    return sum(map(stored_bytes, _tensors(read[1:] if packet in _FILLS else read)))


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
