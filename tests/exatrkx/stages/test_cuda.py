"""The stages on a GPU: their kernels compile, answer right on host threads, and on a GPU where there is one."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from stage_cases import FloatArray, IntArray, random_graph, tracks_embedding

from exatrkx import checks
from exatrkx.errors import ContractError, GraphTooLargeError
from exatrkx.stages import cuda, reference
from exatrkx.stages.cuda import plan_grid, source_directory
from exatrkx.stages.edges import fixed_radius_edges, score_threshold, select_edges
from exatrkx.stages.track_building import label_components

if TYPE_CHECKING:
    from exatrkx.stages.cuda import Launch

pytestmark = pytest.mark.slow

COMPILER: Final = shutil.which(os.environ.get("CXX", "g++"))
NVCC: Final = shutil.which("nvcc")
HOST_THREADS: Final = 3
NO_CAP: Final = 10**9

EMBEDDINGS: Final = {
    "tracks": (tracks_embedding(700), 0.3),
    "many cells": (tracks_embedding(400), 0.02),
    "one dimension": (tracks_embedding(200)[:, :1].copy(), 0.05),
    "two dimensions": (tracks_embedding(200)[:, :2].copy(), 0.1),
    "a lattice, with ties": (np.random.default_rng(2).integers(-2, 3, size=(300, 3)).astype(np.float32), 1.5),
    "one place": (np.full((70, 8), 3.25, dtype=np.float32), 0.1),
    "far away": (tracks_embedding(200) + np.float32(1e6), 0.5),
    "large": (tracks_embedding(200) * np.float32(1e30), 0.3e30),
    "denormal": (tracks_embedding(200) * np.float32(1e-40), 0.3e-40),
    "two": (np.array([[0.0], [0.5]], dtype=np.float32), 0.6),
    "one": (np.zeros((1, 8), dtype=np.float32), 0.6),
    "none": (np.zeros((0, 8), dtype=np.float32), 0.6),
}
in_each = pytest.mark.parametrize("name", EMBEDDINGS)


@pytest.fixture(scope="module")
def launch_on_host(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """Runs the kernels on threads of this machine's processor, in place of `exatrkx.stages.cuda.launcher`."""
    if COMPILER is None:
        pytest.skip("no C++ compiler on PATH")
    sources = Path(__file__).parents[2] / "support" / "cuda_on_host"
    output = tmp_path_factory.mktemp("cuda") / "kernels.so"
    options = ["-std=c++20", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", f"-I{source_directory()}"]
    subprocess.run([COMPILER, *options, str(sources / "kernels.cpp"), "-o", str(output)], check=True)
    library = ctypes.CDLL(str(output))

    def launch(kernel: str, blocks: int, threads: int, *arguments: Any) -> None:
        # Fewer threads a block, and so more blocks: kernels must look for their own end.
        values = [np.array(a.ctypes.data if isinstance(a, np.ndarray) else a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        grid = blocks * (threads // HOST_THREADS + 1) if kernel != "find_furthest" else blocks + 1
        getattr(library, f"launch_{kernel}")(grid, HOST_THREADS, pointers)

    return launch


def edges_on_host(launch: Launch, embedding: FloatArray, radius: float, cap: int, limit: int = NO_CAP) -> IntArray:
    edges: IntArray = cuda.edges_on_grid(np, launch, embedding, radius=radius, max_neighbors=cap, max_edges=limit)
    assert edges.dtype == np.int64
    return edges


@in_each
@pytest.mark.parametrize("cap", [1, 4, 30, NO_CAP])
def test_neighbours_on_host_threads(launch_on_host: Launch, name: str, cap: int) -> None:
    embedding, radius = EMBEDDINGS[name]
    np.testing.assert_array_equal(
        edges_on_host(launch_on_host, embedding, radius, cap),
        reference.fixed_radius_edges(embedding, radius=radius, max_neighbors=cap, max_edges=NO_CAP),
    )


def test_neighbours_on_host_threads_are_limited(launch_on_host: Launch) -> None:
    embedding = np.zeros((20, 3), dtype=np.float32)
    assert edges_on_host(launch_on_host, embedding, 1.0, NO_CAP, 190).shape == (2, 190)
    with pytest.raises(GraphTooLargeError, match="more than max_edges = 189 edges among 20 spacepoints"):
        edges_on_host(launch_on_host, embedding, 1.0, NO_CAP, 189)


def seen_by(launch: Launch, seen: dict[str, list[Any]]) -> Launch:
    """The same launcher, which keeps the arguments of each kernel."""

    def launch_and_keep(kernel: str, blocks: int, threads: int, *arguments: Any) -> None:
        seen.setdefault(kernel, []).append(arguments)
        launch(kernel, blocks, threads, *arguments)

    return launch_and_keep


def test_a_crowd_with_a_cap_is_given_up_on_host_threads(launch_on_host: Launch) -> None:
    """Its points are all at one distance, so each keeps all 299 others: beyond the limit after seven points."""
    seen: dict[str, list[Any]] = {}
    with pytest.raises(GraphTooLargeError):
        edges_on_host(seen_by(launch_on_host, seen), np.zeros((300, 3), dtype=np.float32), 1.0, 5, 1000)
    neighbours, furthest = seen["count_neighbours"][0][-1], seen["find_furthest"][0][-3]
    assert neighbours.tolist() == [6] * 300, "counted no further than is asked"
    assert np.isfinite(furthest).sum() == 7, "seven times 299 ends are more than 1,000 edges"
    assert len(seen["find_edges"]) == 1
    assert seen["find_edges"][0][-3].sum() == 1001


def test_a_crowd_without_a_cap_is_given_up_on_host_threads(launch_on_host: Launch) -> None:
    """All pairs are edges, 4.5 million, of which rows of fewer than 1,024 have 0.5 million."""
    seen: dict[str, list[Any]] = {}
    with pytest.raises(GraphTooLargeError):
        edges_on_host(seen_by(launch_on_host, seen), np.zeros((3000, 3), dtype=np.float32), 1.0, NO_CAP, 5000)
    assert len(seen["find_edges"]) == 1
    assert 5000 < seen["find_edges"][0][-3].sum() < 600_000


@pytest.mark.parametrize(("num_nodes", "num_edges"), [(0, 0), (1, 0), (1, 3), (500, 0), (500, 400), (500, 3000)])
@pytest.mark.parametrize("min_hits", [1, 3, 10**30])
def test_components_on_host_threads(launch_on_host: Launch, num_nodes: int, num_edges: int, min_hits: int) -> None:
    edge_index, scores = random_graph(max(num_nodes, 1), num_edges)
    for cut in (0.0, 0.5, 0.8):
        labels = cuda.labels_by_union(
            np, launch_on_host, edge_index, scores, num_nodes, threshold=score_threshold(cut), min_hits=min_hits
        )
        assert labels.dtype == np.int64
        expected = label_components(edge_index, scores, num_nodes, cut=cut, min_hits=min_hits)
        np.testing.assert_array_equal(labels, expected)


def test_a_long_chain_on_host_threads(launch_on_host: Launch) -> None:
    order = np.random.default_rng(4).permutation(3000)
    edge_index = np.stack([order[1:], order[:-1]])
    labels = cuda.labels_by_union(
        np, launch_on_host, edge_index, np.ones(2999, np.float32), 3000, threshold=np.float32(0), min_hits=3000
    )
    assert not labels.any()


@pytest.mark.parametrize("dims", [1, 2, 3, 8])
@pytest.mark.parametrize("radius", [1e-300, 1e-3, 0.5, 1.0, 1e300])
def test_cells_are_at_least_as_wide_as_the_radius_and_not_too_many(dims: int, radius: float) -> None:
    extent = np.linspace(0.0, 2.0, dims)
    dimension, lower, per_unit, cells = plan_grid(np.full(dims, -1.0), extent - 1.0, radius)
    assert np.prod(cells.astype(float)) <= 2**21
    for axis, k in enumerate(dimension[: min(dims, 3)]):
        assert cells[axis] >= 1
        assert lower[axis] == -1.0
        if cells[axis] > 1:
            assert 1 / per_unit[axis] >= radius
            assert per_unit[axis] * extent[k] == pytest.approx(cells[axis])


@pytest.mark.skipif(NVCC is None, reason="no nvcc on PATH")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("file", ["neighbours.cu", "components.cu"])
def test_nvcc_compiles_without_a_warning(file: str, architecture: str, tmp_path: Path) -> None:
    assert NVCC is not None
    options = ["-std=c++17", "-cubin", f"-arch={architecture}", "-Werror=all-warnings", "-o", str(tmp_path / "out")]
    done = subprocess.run([NVCC, *options, str(source_directory() / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cupy() -> Any:
    library = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        devices = library.cuda.runtime.getDeviceCount()
    except library.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    if devices == 0:
        pytest.skip("no CUDA device")
    return library


@pytest.mark.gpu
@in_each
@pytest.mark.parametrize("cap", [1, 4, 30, NO_CAP])
def test_neighbours_on_a_gpu(cupy: Any, name: str, cap: int) -> None:
    embedding, radius = EMBEDDINGS[name]
    parameters: dict[str, Any] = {"radius": radius, "max_neighbors": cap, "max_edges": NO_CAP}
    edges = fixed_radius_edges(cupy.asarray(embedding), **parameters)
    assert isinstance(edges, cupy.ndarray)
    np.testing.assert_array_equal(cupy.asnumpy(edges), fixed_radius_edges(embedding, **parameters))


@pytest.mark.gpu
@pytest.mark.parametrize("cap", [1, 20, NO_CAP])
def test_a_large_event_on_a_gpu(cupy: Any, cap: int) -> None:
    embedding = tracks_embedding(100_000)
    parameters: dict[str, Any] = {"radius": 0.15, "max_neighbors": cap, "max_edges": NO_CAP}
    edges = fixed_radius_edges(embedding, **parameters)
    scores = np.random.default_rng(5).normal(size=edges.shape[1]).astype(np.float32)
    on_gpu = fixed_radius_edges(cupy.asarray(embedding), **parameters)
    np.testing.assert_array_equal(cupy.asnumpy(on_gpu), edges)
    selected = select_edges(on_gpu, cupy.asarray(scores), cut=0.6)
    np.testing.assert_array_equal(cupy.asnumpy(selected), select_edges(edges, scores, cut=0.6))
    for cut in (0.3, 0.9):
        labels = label_components(on_gpu, cupy.asarray(scores), 100_000, cut=cut, min_hits=3)
        expected = label_components(edges, scores, 100_000, cut=cut, min_hits=3)
        np.testing.assert_array_equal(cupy.asnumpy(labels), expected)


@pytest.mark.gpu
def test_a_crowd_is_refused_on_a_gpu(cupy: Any) -> None:
    crowd = cupy.zeros((200_000, 8), dtype=np.float32)
    with pytest.raises(GraphTooLargeError):
        fixed_radius_edges(crowd, radius=1.0, max_neighbors=50, max_edges=10**6)


@pytest.mark.gpu
def test_bad_input_on_a_gpu(cupy: Any) -> None:
    index, scores = cupy.asarray([[7, 1], [0, 0]]), cupy.asarray([0, 1], dtype=np.float32)
    with pytest.raises(ContractError, match=r"EDGE_INDEX: entries must be in \[0, 5\), found 7 at column 0"):
        label_components(index, scores, 5, cut=0.5, min_hits=1)
    with pytest.raises(ContractError, match=r"EDGE_SCORES: expected on GPU 0, where the edges are, found on the CPU"):
        select_edges(index, cupy.asnumpy(scores), cut=0.5)
    with pytest.raises(ContractError, match="EMBEDDING: entries must be finite, found nan at row 0, column 1"):
        checks.check_finite(cupy.asarray([[0, np.nan]], dtype=np.float32), "EMBEDDING")
