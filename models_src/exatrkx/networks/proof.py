"""Proof of a network before it is served: what it does, on graphs of many sizes, against contract and eager form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from exatrkx.contract import MODELS, NUM_FEATURES
from exatrkx.errors import ContractError
from exatrkx.networks.torchscript import EDGE_NETWORKS, answer, foreign_operator, probe_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

# Sizes other than the traced one, the smallest among them: (spacepoints, edges).
PROBES: Final = ((0, 0), (1, 0), (2, 0), (2, 1), (3, 2), (50, 1), (50, 300), (700, 5_000))

_COLUMNS: Final = range(NUM_FEATURES, 65)
"""Numbers of columns of FEATURES that are tried; networks of the field take up to 44."""

TOLERANCE: Final = 1e-4
"""Largest difference, relative to the largest output, that another order of the same sums may make."""

_BUILT_IN: Final = frozenset({"aten", "prim", "quantized"})
"""Namespaces of the operators that every PyTorch has."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof of a network: the probes, and how far TorchScript and eager network were apart.

    Attributes:
        probes: graphs that it was tried on.
        largest_difference: relative to the largest output; None where there was no eager network to compare with.
    """

    probes: int
    largest_difference: float | None


def require_columns(kind: str, network: nn.Module, columns: int) -> None:
    """Refuse a network that takes other numbers of columns of FEATURES than this one, as its inputs' shapes say.

    Raises:
        ContractError: with the numbers that it takes.
    """
    taken = [columns] if _takes(kind, network, columns) else [one for one in _COLUMNS if _takes(kind, network, one)]
    if taken and columns not in taken:  # one that fails on all of them has another fault, which is told later
        raise ContractError(
            f"{kind}: the network takes {' or '.join(map(str, taken[:3]))} columns of FEATURES, and {columns} are "
            "named, the position's three among them: name those after it, in their order and with what they are "
            "divided by, with --extra-features, as charge/100,count"
        )


def _takes(kind: str, network: nn.Module, columns: int) -> bool:
    try:
        answer(kind, network, probe_inputs(kind, 3, 2, columns))
    except ContractError:
        return False
    return True


def prove(
    kind: str,
    served: nn.Module,
    eager: nn.Module | None = None,
    *,
    logits: bool = False,
    columns: int = NUM_FEATURES,
) -> Proof:
    """Check a network on every probe against the contract, and against its eager form where that is given.

    Args:
        kind: the served model: embed, filter or gnn.
        served: the network, TorchScript or eager.
        eager: what it must be equal to.
        logits: scores that all lie in [0, 1] are known to be logits.
        columns: F, of FEATURES.

    Raises:
        ContractError: the output is no FP32 tensor of the contract's shape, or not finite; it is not one of the inputs
            alone, see `require_function`; the scores are probabilities; the network differs from the eager one, or uses
            operators that a server does not have.
    """
    if isinstance(served, torch.jit.ScriptModule):
        _require_built_in_operators(kind, served)
    differences: list[float] = []
    outputs: list[Tensor] = []
    for size in PROBES:
        inputs = probe_inputs(kind, *size, columns)
        output = require_function(kind, served, inputs)
        _check_output(kind, output, inputs)
        outputs.append(output)
        if eager is not None and output.numel():
            differences.append(_difference(output, answer(kind, eager, inputs).reshape(output.shape)))
    if kind in EDGE_NETWORKS and not logits and _within_0_and_1(outputs):
        raise ContractError(
            f"{kind}: all scores lie in [0, 1], as probabilities do, and the contract wants logits: "
            "export with --scores probabilities turns them, --scores logits takes them as they are"
        )
    widths = sorted({output.size(1) for output in outputs if kind not in EDGE_NETWORKS})
    if len(widths) > 1:
        raise ContractError(f"{kind}: {widths[0]} columns for one event, {widths[1]} for another")
    largest = max(differences, default=None)
    if largest is not None and not largest <= TOLERANCE:
        raise ContractError(f"{kind}: TorchScript and eager network differ by {largest:.2g}, more than {TOLERANCE}")
    return Proof(len(PROBES), largest)


def examine(kind: str, network: nn.Module, columns: int = NUM_FEATURES) -> None:
    """`require_function` on every probe, with so many columns of FEATURES.

    Raises:
        ContractError: as there.
    """
    for size in PROBES:
        require_function(kind, network, probe_inputs(kind, *size, columns))


def require_function(kind: str, network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The network's output, which must follow from its inputs alone, whatever their order, and leave all as it was.

    What a network does says it, not its flags: layers in training mode draw random numbers (dropout) or change their
    statistics (batch normalisation), which a trace keeps whatever mode is asked for later.

    Raises:
        ContractError: it changes its inputs or itself, draws random numbers, answers differently when it is asked
            again, or depends on the order of edges or spacepoints.
    """
    before = [tensor.clone() for tensor in inputs]
    versions = [tensor._version for tensor in inputs]  # counts changes, those too that leave these values as they were
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        generator = torch.get_rng_state()
        output = answer(kind, network, inputs).clone()  # it may be a buffer that the next call writes to
        draws = not torch.equal(generator, torch.get_rng_state())
        unchanged = [_same(*pair) for pair in zip(inputs, before, strict=True)]
        again = answer(kind, network, tuple(before))
    for spec, tensor, version, same in zip(MODELS[kind].inputs, inputs, versions, unchanged, strict=True):
        if not same or tensor._version != version:
            raise ContractError(
                f"{kind}: the network changes its input {spec.name} in place, which other stages read, too; "
                "let it work on a copy (clone)"
            )
    changed = [name for name, tensor in network.state_dict().items() if not _same(tensor, state[name])]
    if changed:
        raise ContractError(
            f"{kind}: the network changes its own {changed[0]} as it answers, as batch normalisation does in training "
            "mode; trace it after eval()"
        )
    if draws or not _same(output, again):
        reason = "draws random numbers" if draws else "answers differently when it is asked again"
        raise ContractError(f"{kind}: the network {reason}, as dropout does in training mode; trace it after eval()")
    _require_no_order(kind, network, tuple(before))
    return output


def gives_probabilities(kind: str, network: nn.Module, columns: int = NUM_FEATURES) -> bool:
    """Whether all scores of an edge network, on every probe, lie in [0, 1].

    Raises:
        ContractError: the network fails on the contract's inputs.
    """
    return kind in EDGE_NETWORKS and _within_0_and_1(
        [answer(kind, network, probe_inputs(kind, *size, columns)) for size in PROBES]
    )


def _within_0_and_1(outputs: list[Tensor]) -> bool:
    scores = torch.cat([output.reshape(-1) for output in outputs])
    return bool(((scores >= 0.0) & (scores <= 1.0)).all())


def _require_no_order(kind: str, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    rows = "edges" if kind in EDGE_NETWORKS else "spacepoints"
    *features, ordered = inputs
    dim = ordered.dim() - 1 if kind in EDGE_NETWORKS else 0
    ordered = torch.unique(ordered, dim=dim)  # a graph has each edge once; which of two is meant depends on their order
    order = torch.randperm(ordered.size(dim), generator=torch.Generator().manual_seed(1))
    expected = answer(kind, network, (*features, ordered))
    if not expected.dim() or len(expected) != len(order) or len(order) <= 1:
        return  # of another shape, which is refused for that
    difference = _difference(answer(kind, network, (*features, ordered.index_select(dim, order))), expected[order])
    if difference > TOLERANCE:
        raise ContractError(
            f"{kind}: the answer depends on the order of the {rows}: in another order it differs by {difference:.2g}"
        )


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal, NaN and NaN too."""
    return one.shape == other.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest entry where that is above 1."""
    if found.shape != expected.shape:
        return math.inf
    return (found - expected).abs().max().item() / max(1.0, expected.abs().max().item())


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


def _require_built_in_operators(kind: str, script: torch.jit.ScriptModule) -> None:
    graph = script.inlined_graph  # its nodes live no longer than it does
    for name in _operators(graph):
        if name.partition("::")[0] not in _BUILT_IN:
            raise ContractError(f"{kind}: {foreign_operator(name)}")


def _operators(block: torch._C.Graph | torch._C.Block) -> Iterator[str]:
    """The names of all operators in a block and in those within it."""
    for node in block.nodes():
        yield node.kind()
        for inner in node.blocks():
            yield from _operators(inner)
