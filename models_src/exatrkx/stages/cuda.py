"""CUDA kernels of the stages through CuPy, and the stages that make edges: neighbours on a grid, and selection.

The kernels are compiled for the GPU at hand when they are first called: one thread for each spacepoint or edge.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from exatrkx.arrays import Array
from exatrkx.checks import too_large
from exatrkx.contract import FRNN
from exatrkx.errors import ExatrkxError

Launch: TypeAlias = Callable[..., None]
"""(kernel's name, blocks, threads per block, *arguments): the arguments are arrays and NumPy numbers of C's types."""

THREADS: Final = 128
"""Threads per block, where a kernel has no reason for another number."""

_SOURCES: Final = Path("backends", "exatrkx", "stages", "cuda")


def source_directory() -> Path:
    """Where the .cu files are: in the checkout, or in the installed package; see `exatrkx.project_files`.

    Raises:
        ExatrkxError: in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    places = [root / _SOURCES for root in (package.parents[1], package / "share")]
    for directory in places:
        if directory.is_dir():
            return directory
    raise ExatrkxError(f"the CUDA sources are neither in {places[0]} nor in {places[1]}: install again")


def launch(kernel: str, blocks: int, threads: int, *arguments: object) -> None:
    """Launch a kernel on CuPy's current device and stream."""
    if blocks > 0:
        _module().get_function(kernel)((blocks,), (threads,), arguments)


def blocks_for(items: int) -> int:
    """Blocks of `THREADS` threads that give each item a thread."""
    return -(-items // THREADS)


@functools.cache
def _module() -> Any:
    import cupy  # noqa: PLC0415 - only where a CuPy array has come in

    directory = source_directory()
    files = sorted(directory.iterdir())
    # CuPy keeps compiled kernels on disk under their source and options, but does not look into what is included.
    version = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    code = "".join(f'#include "{path.name}"\n' for path in files if path.suffix == ".cu")
    return cupy.RawModule(code=code, options=("-std=c++17", f"-I{directory}", f"-DEXATRKX_SOURCES={version}"))


AXES: Final = 3
"""Dimensions that the grid is laid over (kAxes in grid.cuh): those in which the points are spread most."""
MOST_CELLS: Final = {1: 1 << 20, 2: 1 << 10, 3: 1 << 7}
"""Along each axis, by the number of axes: some 10^6 in all, which bounds the memory of the cells' starts."""


def fixed_radius_edges(embedding: Array, *, radius: float, max_neighbors: int, max_edges: int) -> Array:
    """[2,E] edges of a CuPy array; see `exatrkx.stages.edges`, which has checked the arguments."""
    import cupy  # noqa: PLC0415 - only where a CuPy array has come in

    with embedding.device:
        return edges_on_grid(cupy, launch, embedding, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)


def edges_on_grid(
    xp: Any,  # the module of the arrays: CuPy ships no types
    launch: Launch,
    embedding: Array,
    *,
    radius: float,
    max_neighbors: int,
    max_edges: int,
) -> Array:
    """[2,E] edges, found by the kernels of neighbours.cu; `xp` is the array library of `embedding`."""
    num_nodes = len(embedding)
    if num_nodes < 2:  # noqa: PLR2004 - no pair
        return xp.empty((2, 0), dtype=np.int64)
    points = _SortedPoints.of(xp, launch, xp.ascontiguousarray(embedding), radius)
    limit = (np.int64(min(max_edges, np.iinfo(np.int64).max)), xp.zeros(2, dtype=np.uint64))
    furthest = _furthest(xp, launch, points, radius, max_neighbors=max_neighbors, limit=limit)
    row_size = xp.empty(num_nodes, dtype=np.int64)
    where = (
        points.array,
        points.index,
        *points.sizes,
        *points.grid,
        points.start,
        np.float64(radius),
        furthest,
        *limit,
    )
    launch("find_edges", blocks_for(num_nodes), THREADS, *where, row_size, *_NOWHERE)
    row_end = xp.cumsum(row_size)
    num_edges = int(row_end[-1])
    if num_edges > max_edges:
        raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges)
    edges = xp.empty(num_edges, dtype=np.int64)  # row · N + column
    if num_edges > 0:
        launch("find_edges", blocks_for(num_nodes), THREADS, *where, row_size, row_end, edges)
        edges.sort()
    return xp.stack((edges // num_nodes, edges % num_nodes))


_NOWHERE: Final = (np.uint64(0), np.uint64(0))
"""Null pointers: the edges are only counted."""


@dataclass(frozen=True, slots=True)
class _SortedPoints:
    """The points in the order of their cells.

    Attributes:
        array: [N,D] FP32.
        index: [N] INT32 the spacepoint that each of them is.
        start: [cells + 1] INT64 the first point of each cell.
        grid: dimension, lower edge, cells per unit and number of cells of each axis: [AXES] each.
    """

    array: Array
    index: Array
    start: Array
    grid: tuple[Array, ...]

    @classmethod
    def of(cls, xp: Any, launch: Launch, embedding: Array, radius: float) -> _SortedPoints:
        num_nodes, dims = embedding.shape
        lowest, highest = (np.array(edge.tolist()) for edge in (embedding.min(axis=0), embedding.max(axis=0)))
        plan = plan_grid(lowest, highest, radius)
        grid = tuple(xp.asarray(column) for column in plan)
        cell = xp.empty(num_nodes, dtype=np.int32)
        sizes = (np.int32(num_nodes), np.int32(dims))
        launch("find_cells", blocks_for(num_nodes), THREADS, embedding, *sizes, *grid, cell)
        order = xp.argsort(cell)
        start = xp.zeros(int(np.prod(plan[-1])) + 1, dtype=np.int64)
        start[1:] = xp.cumsum(xp.bincount(cell, minlength=len(start) - 1))
        return cls(xp.ascontiguousarray(embedding[order]), order.astype(np.int32), start, grid)

    @property
    def sizes(self) -> tuple[np.int32, np.int32]:
        return np.int32(self.array.shape[0]), np.int32(self.array.shape[1])


def plan_grid(lowest: Array, highest: Array, radius: float) -> tuple[Array, Array, Array, Array]:
    """The grid's axes for points in the box [`lowest`, `highest`], [D] FP64 each, on the host.

    Cells are at least `radius` wide, so that a point's neighbours are in its own cell and those beside it.
    """
    extent = highest - lowest
    axes = np.argsort(-extent, kind="stable")[:AXES]
    dimension, cells = np.zeros(AXES, dtype=np.int32), np.ones(AXES, dtype=np.int32)
    lower, per_unit = np.zeros(AXES), np.zeros(AXES)
    dimension[: len(axes)] = axes
    lower[: len(axes)] = lowest[axes]
    with np.errstate(over="ignore"):
        cells[: len(axes)] = np.clip(np.floor(extent[axes] / radius), 1, MOST_CELLS[len(axes)])
    split = cells[: len(axes)] > 1
    per_unit[: len(axes)][split] = cells[: len(axes)][split] / extent[axes][split]
    return dimension, lower, per_unit, cells


def _furthest(
    xp: Any, launch: Launch, points: _SortedPoints, radius: float, *, max_neighbors: int, limit: tuple[np.int64, Array]
) -> Array:
    """[N] FP64 the largest d² that each point keeps: infinity where it has no more than `max_neighbors`.

    `limit` is `max_edges`, and [2] what the kernels have counted: a graph with more edges is given up.
    """
    num_nodes = len(points.index)
    furthest = xp.full(num_nodes, np.inf)
    if max_neighbors >= num_nodes - 1:
        return furthest
    neighbours = xp.empty(num_nodes, dtype=np.int32)
    where = (*points.sizes, *points.grid, points.start, np.float64(radius))
    launch(
        "count_neighbours",
        blocks_for(num_nodes),
        THREADS,
        points.array,
        *where,
        np.int32(max_neighbors + 1),
        neighbours,
    )
    capped = xp.flatnonzero(neighbours > max_neighbors).astype(np.int32)
    launch(
        "find_furthest",
        len(capped),
        THREADS,
        points.array,
        *where[1:],
        capped,
        np.int32(len(capped)),
        np.int32(max_neighbors),
        furthest,
        *limit,
    )
    return furthest


def selected_edges(xp: Any, launch: Launch, edge_index: Array, scores: Array, threshold: np.float32) -> Array | None:
    """[2,E'] edges whose score is above the threshold; `xp` is the array library of `edge_index` [2,E].

    None where a score is NaN or an index negative.
    """
    edge_index, scores = xp.ascontiguousarray(edge_index), xp.ascontiguousarray(scores)
    num_edges = len(scores)
    if num_edges == 0:
        return edge_index
    selected = xp.empty(num_edges, dtype=np.int64)
    count = np.int64(num_edges)
    launch("mark_selected", blocks_for(num_edges), THREADS, edge_index, scores, count, threshold, selected)
    end = xp.cumsum(selected)
    num_selected = int(end[-1])
    if num_selected > num_edges:
        return None
    copied = xp.empty((2, num_selected), dtype=np.int64)
    launch("copy_selected", blocks_for(num_edges), THREADS, edge_index, count, end, np.int64(num_selected), copied)
    return copied
