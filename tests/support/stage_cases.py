"""What the tests of the graph stages share: the implementations, and graphs to try them on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.stages import native

if TYPE_CHECKING:
    from collections.abc import Iterator

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

IMPLEMENTATIONS: Final = (
    pytest.param(
        "native", marks=pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
    ),
    "scipy",
)


@contextmanager
def running(implementation: str) -> Iterator[None]:
    """Calls of a stage inside run in this implementation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.CHOICE_VARIABLE, implementation)
        assert native.available() == (implementation == "native")
        yield


def fp32(values: list[Any]) -> FloatArray:
    return np.array(values, dtype=np.float32)


def tracks_embedding(spacepoints: int, seed: int = 1) -> FloatArray:
    """[N,8] FP32: tight groups of some ten points, most of the spread in four of the dimensions; in random order."""
    generator = np.random.default_rng(seed)
    spread = np.array([1.0, 0.8, 0.5, 0.2, 0.05, 0.03, 0.02, 0.01])
    group = np.repeat(np.arange(spacepoints), generator.integers(3, 18, size=spacepoints))[:spacepoints]
    centre = generator.normal(size=(spacepoints, 8)) * spread
    points = centre[group] + generator.normal(size=(spacepoints, 8)) * (0.03 * spread + 0.005)
    shuffled: FloatArray = generator.permutation(points).astype(np.float32)
    return shuffled


def random_graph(num_nodes: int, num_edges: int, seed: int = 1) -> tuple[IntArray, FloatArray]:
    """[2,E] edges between any two of N nodes, loops and repetitions among them, and [E] scores."""
    generator = np.random.default_rng(seed)
    edge_index = generator.integers(0, num_nodes, size=(2, num_edges))
    return edge_index, generator.normal(size=num_edges).astype(np.float32)
