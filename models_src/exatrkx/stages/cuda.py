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


AXES: Final = 3
"""Dimensions that the grid is laid over (kAxes in grid.cuh): those in which the points are spread most."""
MOST_CELLS: Final = {1: 1 << 20, 2: 1 << 10, 3: 1 << 7}
"""Along each axis, by the number of axes: some 10^6 in all, which bounds the memory of the cells' starts."""
CELLS_PER_RADIUS: Final = 2.0
"""Along each axis: with small cells fewer points are looked at that are too far, with too small ones most are empty."""

LANES: Final = 8
"""Threads that share a point (kLanes in neighbours.cu)."""
MOST_LISTED: Final = 128
"""Neighbours of a point that are remembered; points with more are looked around again."""
MOST_LISTED_IN_ALL: Final = 1 << 28
"""A gigabyte."""
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
    num_nodes = len(embedding)
    if num_nodes < 2:  # noqa: PLR2004 - no pair
        check_finite(embedding, FRNN.input("EMBEDDING").name)
        return xp.empty((2, 0), dtype=np.int64)
    points = _SortedPoints.of(xp, launch, xp.ascontiguousarray(embedding), radius)
    capped = max_neighbors < num_nodes - 1
    capacity = min(max_neighbors, MOST_LISTED, max(1, MOST_LISTED_IN_ALL // num_nodes))
    neighbours = xp.zeros(num_nodes, dtype=np.int32)
    near = xp.empty((num_nodes, capacity), dtype=np.int32)
    most = np.int32(1 + (max_neighbors if capped else capacity))
    blocks = blocks_for(num_nodes * LANES)
    launch("list_neighbours", blocks, THREADS, *points.indexed, most, np.int32(capacity), neighbours, near)
    limit = (np.int64(min(max_edges, np.iinfo(np.int64).max)), xp.zeros(2, dtype=np.uint64))
    furthest = xp.full(num_nodes, np.inf)
    if capped:
        ranks = (neighbours, np.int32(max_neighbors), furthest)
        launch("find_furthest", min(num_nodes, _RANKING_BLOCKS), THREADS, *points.alone, *ranks, *limit)
    row_size = xp.zeros(num_nodes, dtype=np.int64)
    where = (*points.indexed, furthest, np.int32(capacity), neighbours, near, *limit)
    launch("find_edges", blocks, THREADS, *where, row_size, _NOWHERE)
    row_end = xp.cumsum(row_size)
    num_edges = int(row_end[-1])
    if num_edges > max_edges:
        raise too_large(FRNN.input("EMBEDDING").name, num_nodes, max_edges, num_edges)
    edges = xp.empty(num_edges, dtype=np.int64)  # row · N + column
    edge_index = xp.empty((2, num_edges), dtype=np.int64)
    if num_edges > 0:
        launch("find_edges", blocks, THREADS, *where, row_end - row_size, edges)
        edges.sort()
        sizes = (np.int64(num_edges), np.int32(num_nodes))
        launch("split_edges", blocks_for(num_edges), THREADS, edges, *sizes, edge_index)
    return edge_index


@dataclass(frozen=True, slots=True)
class _SortedPoints:
    """The points in the order of their cells.

    Attributes:
        array: [N,D] FP32.
        index: [N] INT32 the spacepoint that each of them is.
        plan: [4,AXES] FP64, see `plan_grid`.
        start: [cells + 1] INT64 the first point of each cell.
        radius: of the search.
    """

    array: Array
    index: Array
    plan: Array
    start: Array
    radius: np.float64

    @classmethod
    def of(cls, xp: Any, launch: Launch, embedding: Array, radius: float) -> _SortedPoints:
        """Refuses an entry that is not finite; one wait tells, and where the points are."""
        num_nodes, dims = embedding.shape
        wide = embedding.astype(np.float64)
        box = np.array(xp.stack((wide.min(axis=0), wide.max(axis=0), wide.std(axis=0))).tolist())
        if not np.isfinite(box).all():
            check_finite(embedding, FRNN.input("EMBEDDING").name)
        host_plan = plan_grid(box[0], box[1], box[2], radius)
        plan = xp.asarray(host_plan)
        cell = xp.empty(num_nodes, dtype=np.int32)
        sizes = (np.int32(num_nodes), np.int32(dims))
        launch("find_cells", blocks_for(num_nodes), THREADS, embedding, *sizes, plan, cell)
        order = xp.argsort(cell)
        cells = xp.arange(int(np.prod(host_plan[-1])) + 1, dtype=np.int32)
        start = xp.searchsorted(cell[order], cells).astype(np.int64, copy=False)
        return cls(xp.ascontiguousarray(embedding[order]), order.astype(np.int32), plan, start, np.float64(radius))

    @property
    def alone(self) -> tuple[object, ...]:
        """What kernels that know no spacepoints are given."""
        num_nodes, dims = self.array.shape
        return self.array, np.int32(num_nodes), np.int32(dims), self.plan, self.start, self.radius

    @property
    def indexed(self) -> tuple[object, ...]:
        """The same with the spacepoints."""
        return self.array, self.index, *self.alone[1:]


def plan_grid(lowest: Array, highest: Array, spread: Array, radius: float) -> Array:
    """The grid's axes for points in a box and with deviations `spread`, [D] FP64 each, on the host.

    Cells are at least `radius` / `CELLS_PER_RADIUS` wide, so that a point's neighbours are in few cells around its own.

    Returns:
        [4,AXES] FP64: dimension, lower edge, cells per unit and number of cells of each axis.
    """
    extent = highest - lowest
    axes = np.argsort(-spread, kind="stable")[:AXES]
    plan = np.zeros((4, AXES))
    dimension, lower, per_unit, cells = plan[:, : len(axes)]
    plan[3] = 1.0
    dimension[:] = axes
    lower[:] = lowest[axes]
    with np.errstate(over="ignore"):
        cells[:] = np.clip(np.floor(CELLS_PER_RADIUS * extent[axes] / radius), 1, MOST_CELLS[len(axes)])
    split = cells > 1
    per_unit[split] = cells[split] / extent[axes][split]
    return plan


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
