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
from exatrkx.checks import check_finite, too_large
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


PLAN: Final = (4, 3)
"""Shape of a grid's plan, as in grid.cuh."""
CELLS: Final = 1 << 18
"""Most cells of a grid (kCellBits in grid.cu): room for where they start."""
_PARTS: Final = 2048
"""Parts of the points that are measured at the same time."""

EDGES_OF_THREAD: Final = 8
"""Edges that a thread selects from (kEdgesOfThread in selection.cu)."""

LANES: Final = 8
"""Threads that share a point (kLanes in neighbours.cu)."""
MOST_LISTED: Final = 128
"""Neighbours of a point that are remembered; points with more are looked around again."""
MOST_LISTED_IN_ALL: Final = 1 << 26
"""A quarter of a gigabyte."""
LARGEST_LIMIT: Final = (1 << 62) - 1
"""On edges: with more no kernel can count."""
_RANKING_BLOCKS: Final = 1024
"""Each looks for one point after the other that has too many neighbours."""
_NOWHERE: Final = np.uint64(0)
"""Null pointer: the edges are only counted."""


def fixed_radius_edges(embedding: Array, *, radius: float, max_neighbors: int, max_edges: int) -> Array:
    """[2,E] edges of a CuPy array; see `exatrkx.stages.edges`, which has checked the arguments but not the entries."""
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
    num_nodes, dims = embedding.shape
    if num_nodes < 2:  # noqa: PLR2004 - no pair
        check_finite(embedding, FRNN.input("EMBEDDING").name)
        return xp.empty((2, 0), dtype=np.int64)
    limit, scratch = min(max_edges, LARGEST_LIMIT), _Scratch.of(xp, num_nodes, dims)
    points = _points_by_cell(xp, launch, xp.ascontiguousarray(embedding), radius, scratch)
    capacity = min(max_neighbors, MOST_LISTED, max(1, MOST_LISTED_IN_ALL // num_nodes))
    near, furthest = xp.empty((num_nodes, capacity), dtype=np.int32), xp.empty(num_nodes)
    capped = max_neighbors < num_nodes - 1
    blocks = blocks_for(num_nodes * LANES)
    lists = (np.int32(capacity), scratch.neighbours, near, furthest, np.int64(limit), scratch.found)
    most = np.int32(max_neighbors if capped else capacity)
    launch("list_neighbours", blocks, THREADS, *points.alone, most, *lists)
    if capped:
        launch("find_furthest", min(num_nodes, _RANKING_BLOCKS), THREADS, *points.alone, most, *lists)
    row_size = scratch.row_size
    launch("find_edges", blocks, THREADS, *points.indexed, *lists, row_size, _NOWHERE, _NOWHERE)
    row_end = xp.cumsum(row_size)
    num_edges = int(row_end[-1])
    if num_edges > limit:
        check_finite(embedding, FRNN.input("EMBEDDING").name)
        raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges, limit + 1)
    edge_index = xp.empty((2, num_edges), dtype=np.int64)
    if num_edges > 0:
        edges = xp.empty(num_edges, dtype=np.int64)  # row · N + column
        launch("find_edges", blocks, THREADS, *points.indexed, *lists, row_size, row_end, edges)
        sizes = (np.int64(num_edges), np.int32(num_nodes))
        launch("order_edges", blocks_for(num_edges), THREADS, edges, *sizes, row_end, edge_index)
    return edge_index


@dataclass(frozen=True, slots=True)
class _Scratch:
    """What the kernels count in, all of it zeros at first.

    Attributes:
        extents: [D,4] words, see grid.cu.
        found: [3] INT64 edges, see limit.cuh.
        row_size: [N] INT64 edges of each spacepoint's row.
        cell_size: [CELLS + 1] INT32 points of each cell, that of cell c behind it.
        neighbours: [N] INT32 of each point.
    """

    extents: Array
    found: Array
    row_size: Array
    cell_size: Array
    neighbours: Array

    @classmethod
    def of(cls, xp: Any, num_nodes: int, dims: int) -> _Scratch:
        wide = xp.zeros(4 * dims + 3 + num_nodes, dtype=np.int64)
        narrow = xp.zeros(CELLS + 1 + num_nodes, dtype=np.int32)
        ends = 4 * dims, 4 * dims + 3
        return cls(wide[: ends[0]], wide[ends[0] : ends[1]], wide[ends[1] :], narrow[: CELLS + 1], narrow[CELLS + 1 :])


@dataclass(frozen=True, slots=True)
class _PointsByCell:
    """The points in the order of their cells.

    Attributes:
        array: [N,D] FP32.
        index: [N] INT32 the spacepoint that each of them is.
        plan: `PLAN` FP64 dimension, lower edge, cells per unit and number of cells of each axis of the grid.
        start: [CELLS + 1] INT32 the first point of each cell.
        radius: of the search.
    """

    array: Array
    index: Array
    plan: Array
    start: Array
    radius: np.float64

    @property
    def alone(self) -> tuple[object, ...]:
        """What kernels that know no spacepoints are given."""
        num_nodes, dims = self.array.shape
        return self.array, np.int32(num_nodes), np.int32(dims), self.plan, self.start, self.radius

    @property
    def indexed(self) -> tuple[object, ...]:
        """The same with the spacepoints."""
        return self.array, self.index, *self.alone[1:]


def _points_by_cell(xp: Any, launch: Launch, embedding: Array, radius: float, scratch: _Scratch) -> _PointsByCell:
    """Nothing is waited for, and an entry that is not finite uses up the limit on edges."""
    num_nodes, dims = embedding.shape
    points, blocks = (embedding, np.int32(num_nodes), np.int32(dims)), blocks_for(num_nodes)
    parts, width = min(num_nodes, _PARTS), np.float64(radius)
    extents, cell_size = scratch.extents, scratch.cell_size
    launch("measure_points", blocks_for(parts * dims), THREADS, *points, np.int32(parts), extents, scratch.found)
    plan = xp.empty(PLAN)
    launch("plan_grid", 1, THREADS, extents, *points[1:], width, plan)
    cell, place, index = xp.empty((3, num_nodes), dtype=np.int32)
    launch("find_cells", blocks, THREADS, *points, plan, cell, place, cell_size)
    start, by_cell = xp.cumsum(cell_size, dtype=np.int32), xp.empty_like(embedding)
    launch("sort_points", blocks, THREADS, *points, cell, place, start, by_cell, index)
    return _PointsByCell(by_cell, index, plan, start, width)


def selected_edges(xp: Any, launch: Launch, edge_index: Array, scores: Array, threshold: np.float32) -> Array | None:
    """[2,E'] edges whose score is above the threshold; `xp` is the array library of `edge_index` [2,E].

    None where a score is NaN or an index negative.
    """
    edge_index, scores = xp.ascontiguousarray(edge_index), xp.ascontiguousarray(scores)
    num_edges = len(scores)
    if num_edges == 0:
        return edge_index
    threads = -(-num_edges // EDGES_OF_THREAD)
    blocks, graph = blocks_for(threads), (edge_index, scores, np.int64(num_edges), threshold)
    selected = xp.empty(threads, dtype=np.int64)
    launch("count_selected", blocks, THREADS, *graph, selected)
    end = xp.cumsum(selected)
    num_selected = int(end[-1])
    if num_selected > num_edges:
        return None
    copied = xp.empty((2, num_selected), dtype=np.int64)
    launch("copy_selected", blocks, THREADS, *graph, end, np.int64(num_selected), copied)
    return copied
