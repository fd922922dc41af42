"""Tables of nodes, edges and segments: their columns and scales, and the blocks in which their rows are worked through.

A layer on all edges at once writes hundreds of megabytes, which the next one reads again from memory: on a CPU that,
and not the arithmetic, is what a network's time goes into. A block of rows stays in a core's cache from the first layer
to the last. The loops over blocks are written in what TorchScript understands, and stay loops when a network is traced.

Columns and scales are read as attributes of this module, which TorchScript takes for constants; names in a module's own
globals it does not know.
"""

from __future__ import annotations

import contextlib
import functools
import math
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import torch
from torch import Tensor  # at run time too: TorchScript evaluates the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

SMALLEST_R: Final = 1e-3
"""1 mm in the columns' unit; slopes are taken over at least this much of r, so that none is infinite."""

CURVATURE_SCALE: Final = 0.3
"""Δφ/Δr, in rad/m, of a particle of pT = 1 GeV in 2 T: 0.15 · B / pT."""

LARGEST_CURVATURE: Final = 3.0
"""Δφ/Δr, in rad/m, of a particle of pT = 0.1 GeV: spacepoints that are farther apart in φ are no edge of a track."""

LARGEST_BEND: Final = math.asinh(LARGEST_CURVATURE / CURVATURE_SCALE)
"""The same as the magnitude of an edge's feature `BEND`."""

OUTSIDE: Final = -20.0
"""Logit of an edge that the filter's network need not see."""

VERTEX_SCALE: Final = 0.1
"""Spread of the collisions along the beam, in m, to the nearest power of ten."""

SHORTEST_CHORD: Final = 1e-4
"""0.1 mm in m: what shorter chords are taken for, so that none has an infinite curvature."""

FARTHEST_INTERCEPT: Final = 3.0
"""In m, the detector's half length: what is farther away, or undefined, is as good as there."""

CURVATURE_STEP: Final = 0.02
POLAR_STEP: Final = 0.002
INTERCEPT_STEP: Final = 0.001
"""Differences, in 1/m, rad and m, at which the scale turns from linear to logarithmic: the resolution at best."""

LARGEST_CURVATURE_STEP: Final = 0.05
LARGEST_POLAR_STEP: Final = 0.012
"""Differences, without unit and in rad m, of two segments that may be one track, in curvature and polar angle, times
the harmonic sum a b / (a + b) of their chords: how far the spacepoint between them is off, to the resolution."""

LARGEST: Final = 12.0
"""Bound of logits in exponents, so that their sums are finite in FP32."""

LARGEST_RANK: Final = 1024.0
"""Bound of the logits that continuations are chosen by: beyond it all are equal."""

HOPELESS: Final = -7.0
"""Logit below which an edge is left out of the GNN's later rounds."""

# Columns of the table of nodes: the networks' features of a spacepoint first, then what edges are computed from.
R: Final = 0
Z: Final = 1
ETA: Final = 2
TANH_ETA: Final = 3
PHI: Final = 4
DISTANCE: Final = 5
X: Final = 6
Y: Final = 7
NUM_NODE_COLUMNS: Final = 8
NUM_NODE_FEATURES: Final = 4

NUM_EDGE_FEATURES: Final = 8
NUM_EDGE_INPUTS: Final = 2 * NUM_NODE_FEATURES + NUM_EDGE_FEATURES
BEND: Final = 2 * NUM_NODE_FEATURES + 5  # which of them is the curvature

# Columns of the table of segments.
DIRECTION_X: Final = 0
DIRECTION_Y: Final = 1
CHORD: Final = 2
CURVATURE: Final = 3
POLAR_ANGLE: Final = 4
INTERCEPT: Final = 5
SINE: Final = 6
LOG_CHORD: Final = 7
END_RADIUS: Final = 8
KINK: Final = 9  # and the last two
NUM_SEGMENT_COLUMNS: Final = 12

NUM_TRIPLET_FEATURES: Final = 14


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


def on_gpu(like: Tensor) -> bool:
    """Whether to compute as suits a GPU: each operator takes some microseconds to start there, each wait some more."""
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        return like.is_cuda or _gpu_forms.get()
    return like.is_cuda


_gpu_forms: Final = ContextVar("gpu_forms", default=False)


@contextlib.contextmanager
def gpu_forms() -> Iterator[None]:
    """Let eager networks compute on a CPU as they do on a GPU, to count its operators and compare its answers."""
    token = _gpu_forms.set(True)
    try:
        yield
    finally:
        _gpu_forms.reset(token)


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
    return 4_194_304 if on_gpu(like) else 16_384


def columns_at(table: Tensor, index: Tensor) -> Tensor:
    """[C,N], [B] -> [C,B]: columns of a table."""
    if on_gpu(table):
        return table.gather(1, index.unsqueeze(0).expand(table.size(0), -1))
    return table.index_select(1, index)


def ends_at(table: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """[C,N], [2,B] -> [C,B], [C,B]: columns of a table at both ends of edges."""
    found = columns_at(table, ends.reshape(-1))
    return found[:, : ends.size(1)], found[:, ends.size(1) :]


def joined(blocks: list[Tensor]) -> Tensor:
    """The blocks one after the other; no copy where there is one."""
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


def with_block(found: Tensor, block: Tensor, begin: int, num_rows: int) -> Tensor:
    """A result of `num_rows` rows with this block of them; the block itself where there is but one.

    Blocks kept until all are there would lie between what is freed after each, and the heap could not join that.

    Args:
        found: what this gave for the block before; anything for the first one.
        block: rows from `begin` on.
        begin: 0 for the first block.
        num_rows: of all blocks.
    """
    if block.size(0) == num_rows:
        return block
    if begin == 0:
        found = block.new_empty([num_rows] + list(block.size())[1:])  # noqa: RUF005 - TorchScript unpacks none
    found[begin : begin + block.size(0)] = block
    return found


Perceptron = tuple[list[Tensor], list[Tensor]]
"""Parameters of `exatrkx.networks.mlp.mlp` in their order; and the same `taken_apart`, or none: not yet."""


def perceptron_weights(parameters: Iterable[Tensor]) -> Perceptron:
    """What `perceptron` is given; in a trace what depends on the parameters alone is a constant."""
    weights = list(parameters)
    state: object = torch._C._get_tracing_state()
    if state is None:
        return weights, [] if torch.is_grad_enabled() or on_gpu(weights[0]) else taken_apart(weights)
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]  # torch does not list it
    try:
        return weights, [one.detach() for one in taken_apart(weights)]
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]


def perceptron(x: Tensor, parameters: Perceptron) -> Tensor:
    """[B,n] -> [B,m] of a multilayer perceptron.

    Each four of its parameters are the weight and the bias of a linear layer, and those of the LayerNorm after it,
    which ReLU follows.
    """
    weights, apart = parameters
    if as_trained(x):
        return perceptron_with_layer_norm(x, weights)
    return perceptron_taken_apart(x, apart if len(apart) > 0 else taken_apart(weights))


def hidden_layers(x: Tensor, parameters: Perceptron) -> tuple[Tensor, Tensor, Tensor]:
    """[B,n] -> [B,h] of a perceptron without its last linear layer, and that one's weight and bias."""
    weights, apart = parameters
    if as_trained(x):
        return perceptron_with_layer_norm(x, weights[:-2]), weights[-2], weights[-1]
    apart = apart if len(apart) > 0 else taken_apart(weights)
    return layers_taken_apart(x, apart), apart[-2], apart[-1]


def as_trained(x: Tensor) -> bool:
    """Whether perceptrons have their LayerNorms as they are: where they learn, and where there are few rows on a GPU.

    Most of a LayerNorm is worked out once for all rows otherwise. That takes more operators.
    """
    return torch.is_grad_enabled() or (on_gpu(x) and x.size(0) < 131_072)  # noqa: PLR2004 - TorchScript knows no name


def perceptron_with_layer_norm(x: Tensor, weights: list[Tensor]) -> Tensor:
    """`perceptron` as it is trained."""
    for i in range(0, len(weights), 4):
        x = torch.addmm(weights[i + 1], x, weights[i].t())
        if i + 2 < len(weights):
            x = torch.layer_norm(x, [x.size(1)], weights[i + 2], weights[i + 3]).relu_()
    return x


def taken_apart(weights: list[Tensor]) -> list[Tensor]:
    """The parameters of a perceptron for `perceptron_taken_apart`.

    All that does not depend on the row is done to the parameters: the mean is taken out of the linear layer before, and
    gain and bias become part of the one after: ReLU(gain · x + bias) = gain · max(x, −bias / gain) + bias where
    gain > 0, and a negative gain turns its column's sign.

    Returns:
        Weight, bias and least output of each layer with LayerNorm; then weight and bias of the last one, or, where that
        has LayerNorm too, its gain and bias.
    """
    gain, shift = weights[0].new_empty(0), weights[0].new_empty(0)  # of the columns of x, still to be done
    found: list[Tensor] = []
    for i in range(0, len(weights), 4):
        weight, bias = weights[i], weights[i + 1]
        if i > 0:
            bias = torch.addmv(bias, weight, shift)
            weight = weight * gain
        if i + 2 >= len(weights):
            found += [weight, bias]
            return found
        sign = torch.where(weights[i + 2] < 0, -1.0, 1.0)
        weight = (weight - weight.mean(0)) * sign.unsqueeze(1)
        bias = (bias - bias.mean()) * sign
        beta, gain = weights[i + 3], weights[i + 2].abs()
        split = gain > 1e-20  # noqa: PLR2004 - else the column is ReLU(bias) in every row
        found += [weight, bias, torch.where(split, -beta / gain, 0.0)]
        gain = torch.where(split, gain, 0.0)
        shift = torch.where(split, beta, beta.relu())
    found += [gain, shift]
    return found


def perceptron_taken_apart(x: Tensor, apart: list[Tensor]) -> Tensor:
    """`perceptron` of parameters `taken_apart`, without gradients: [B,n] -> [B,m], equal but for rounding."""
    x = layers_taken_apart(x, apart)
    if apart[-2].dim() == 1:
        return torch.addcmul(apart[-1], x, apart[-2])
    if not on_gpu(x) and apart[-1].size(0) <= 4:  # noqa: PLR2004 - few columns are long rows for the matrix product
        return torch.addmm(apart[-1].unsqueeze(1), apart[-2], x.t()).t()
    return torch.addmm(apart[-1], x, apart[-2].t())


def layers_taken_apart(x: Tensor, apart: list[Tensor]) -> Tensor:
    """[B,n] -> [B,h] of all linear layers that have a LayerNorm, but for what the next layer does.

    `torch.layer_norm` takes as long as the linear layer before it: on a CPU it goes row by row, and on a GPU it starts
    a block of threads for each.
    """
    for i in range(0, len(apart) - 2, 3):
        x = torch.addmm(apart[i + 1], x, apart[i].t())
        norm = torch.linalg.vector_norm(x, 2, [1], True)
        x.mul_((norm.square_() / x.size(1)).add_(1e-5).rsqrt_())  # eps of torch.layer_norm
        torch.maximum(x, apart[i + 2], out=x)
    return x
