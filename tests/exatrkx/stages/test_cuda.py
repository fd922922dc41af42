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
from hypothesis import HealthCheck, given, settings
from stage_cases import (
    FloatArray,
    IntArray,
    brute_force,
    graphs_without_ties,
    partition,
    random_graph,
    tracks_embedding,
)

from exatrkx import checks
from exatrkx.errors import ContractError, GraphTooLargeError
from exatrkx.stages import cuda, reference
from exatrkx.stages.cuda import source_directory
from exatrkx.stages.edges import fixed_radius_edges, score_threshold, select_edges
from exatrkx.stages.track_building import KernelTrackBuilding, label_clusters, label_components

if TYPE_CHECKING:
    from exatrkx.stages.cuda import Launch
    from exatrkx.stages.track_building import ClustersOnHost

pytestmark = pytest.mark.slow

COMPILER: Final = shutil.which(os.environ.get("CXX", "g++"))
NVCC: Final = shutil.which("nvcc")
HOST_THREADS: Final = 3
BLOCKWISE: Final = ("find_furthest", "contract_components")
"""Kernels whose blocks have an item each, whatever the number of their threads."""
NO_CAP: Final = 10**9

EMBEDDINGS: Final = {
    "tracks": (tracks_embedding(700), 0.3),
    "many cells": (tracks_embedding(400), 0.02),
    "one dimension": (tracks_embedding(200)[:, :1].copy(), 0.05),
    "two dimensions": (tracks_embedding(200)[:, :2].copy(), 0.1),
    "a lattice, with ties": (np.random.default_rng(2).integers(-2, 3, size=(300, 3)).astype(np.float32), 1.5),
    "a crowd": (tracks_embedding(1200) * np.float32(1e-3), 0.5),
    "one place": (np.full((70, 8), 3.25, dtype=np.float32), 0.1),
    "far away": (tracks_embedding(200) + np.float32(1e6), 0.5),
    "large": (tracks_embedding(200) * np.float32(1e30), 0.3e30),
    "denormal": (tracks_embedding(200) * np.float32(1e-40), 0.3e-40),
    "two": (np.array([[0.0], [0.5]], dtype=np.float32), 0.6),
    "one": (np.zeros((1, 8), dtype=np.float32), 0.6),
    "none": (np.zeros((0, 8), dtype=np.float32), 0.6),
}
in_each = pytest.mark.parametrize("name", EMBEDDINGS)
often = settings(
    max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def launch_on_host(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """Runs the kernels on threads of this machine's processor, in place of `exatrkx.stages.cuda.launcher`."""
    if COMPILER is None:
        pytest.skip("no C++ compiler on PATH")
    sources = Path(__file__).parents[2] / "support" / "cuda_on_host"
    output = tmp_path_factory.mktemp("cuda") / "kernels.so"
    folders = (source_directory(), source_directory().parents[1] / "networks" / "cuda")
    options = [
        "-std=c++20",
        "-O1",
        "-ffp-contract=off",
        "-shared",
        "-fPIC",
        "-pthread",
        *(f"-I{one}" for one in folders),
    ]
    subprocess.run([COMPILER, *options, str(sources / "kernels.cpp"), "-o", str(output)], check=True)
    library = ctypes.CDLL(str(output))

    def launch(kernel: str, blocks: int, threads: int, *arguments: Any) -> None:
        # Fewer threads a block, and so more blocks: kernels must look for their own end.
        values = [np.array(a.ctypes.data if isinstance(a, np.ndarray) else a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        grid = blocks * (threads // HOST_THREADS + 1) if kernel not in BLOCKWISE else blocks + 1
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
    neighbours, _, furthest, _, _ = seen["find_furthest"][0][-5:]
    looked_at = np.isfinite(furthest)
    assert looked_at.sum() == 7, "seven times 299 ends are more than 1,000 edges"
    assert (neighbours[looked_at] == 299).all()
    others = neighbours[~looked_at]
    assert 6 <= others.min() <= others.max() < 6 + cuda.LANES, "counted no further than is asked, by each lane"
    assert len(seen["find_edges"]) == 1
    assert seen["find_edges"][0][-3].sum() == 1001


def test_a_crowd_is_given_up_while_neighbours_are_listed_on_host_threads(launch_on_host: Launch) -> None:
    """Each of the points keeps five others at least: beyond the limit after 2,001 of them."""
    seen: dict[str, list[Any]] = {}
    with pytest.raises(GraphTooLargeError):
        edges_on_host(seen_by(launch_on_host, seen), np.zeros((9000, 3), dtype=np.float32), 1.0, 5, 5000)
    neighbours, _, _, _, found = seen["find_furthest"][0][-5:]
    assert 2001 <= (neighbours >= 5).sum() <= 2001 + HOST_THREADS
    assert found[1] == 0, "no point was looked around again"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 150])
def test_entries_that_are_not_finite_on_host_threads(launch_on_host: Launch, value: float, row: int) -> None:
    embedding = tracks_embedding(200)
    embedding[row, 1] = value
    with pytest.raises(ContractError, match=f"EMBEDDING: entries must be finite, found {value} at row {row}, column 1"):
        edges_on_host(launch_on_host, embedding, 0.3, 30)
    one = np.full((1, 1), value, dtype=np.float32)
    with pytest.raises(ContractError, match=f"EMBEDDING: entries must be finite, found {value} at row 0, column 0"):
        edges_on_host(launch_on_host, one, 0.3, 30)


def test_a_crowd_without_a_cap_is_given_up_on_host_threads(launch_on_host: Launch) -> None:
    """All pairs are edges, 4.5 million, of which rows of fewer than 1,024 have 0.5 million."""
    seen: dict[str, list[Any]] = {}
    with pytest.raises(GraphTooLargeError):
        edges_on_host(seen_by(launch_on_host, seen), np.zeros((3000, 3), dtype=np.float32), 1.0, NO_CAP, 5000)
    assert len(seen["find_edges"]) == 1
    assert 5000 < seen["find_edges"][0][-3].sum() < 600_000


@pytest.mark.parametrize("num_edges", [0, 1, 2000])
def test_selection_on_host_threads(launch_on_host: Launch, num_edges: int) -> None:
    edge_index, scores = random_graph(100, num_edges)
    for cut in (0.0, 0.5, 0.8, 1.0):
        found = cuda.selected_edges(np, launch_on_host, edge_index, scores, score_threshold(cut))
        assert found is not None
        np.testing.assert_array_equal(found, select_edges(edge_index, scores, cut=cut))


def test_selection_on_host_threads_sees_bad_entries(launch_on_host: Launch) -> None:
    edge_index, scores = random_graph(100, 200)
    for bad_index, bad_score in ((-1, 0.0), (-(2**40), 9.0), (3, np.nan)):
        edge_index[1, 7], scores[7] = bad_index, bad_score
        assert cuda.selected_edges(np, launch_on_host, edge_index, scores, np.float32(0.5)) is None


def labels_on_host(
    launch: Launch,
    edge_index: IntArray,
    scores: FloatArray,
    num_nodes: int,
    *,
    cut: float,
    min_hits: int,
    clusters_on_host: ClustersOnHost | None = None,
) -> IntArray:
    graph = np.ascontiguousarray(edge_index), scores
    building = KernelTrackBuilding(np, launch, *graph, num_nodes, score_threshold(cut))
    labels: IntArray = building.labels(min_hits, clusters_on_host)
    assert labels.dtype == np.int64
    return labels


@pytest.mark.parametrize(("num_nodes", "num_edges"), [(0, 0), (1, 0), (1, 3), (500, 0), (500, 400), (500, 3000)])
@pytest.mark.parametrize("min_hits", [1, 3, 10**30])
def test_components_on_host_threads(launch_on_host: Launch, num_nodes: int, num_edges: int, min_hits: int) -> None:
    edge_index, scores = random_graph(max(num_nodes, 1), num_edges)
    for cut in (0.0, 0.5, 0.8):
        labels = labels_on_host(launch_on_host, edge_index, scores, num_nodes, cut=cut, min_hits=min_hits)
        expected = label_components(edge_index, scores, num_nodes, cut=cut, min_hits=min_hits)
        np.testing.assert_array_equal(labels, expected)


def test_a_long_chain_on_host_threads(launch_on_host: Launch) -> None:
    order = np.random.default_rng(4).permutation(3000)
    edge_index = np.stack([order[1:], order[:-1]])
    assert not labels_on_host(launch_on_host, edge_index, np.ones(2999, np.float32), 3000, cut=0.5, min_hits=3000).any()


class CountedArrays:
    """NumPy, and how many operators and kernels were started, each of which takes a GPU's driver some microseconds."""

    def __init__(self, launch: Launch) -> None:
        self.started = 0
        self.launch_kernel = launch

    def __getattr__(self, name: str) -> Any:
        self.started += name in ("zeros", "cumsum")  # memory alone starts nothing
        return getattr(np, name)

    def launch(self, *arguments: Any) -> None:
        self.started += 1
        self.launch_kernel(*arguments)


def test_how_much_the_stages_start(launch_on_host: Launch) -> None:
    embedding, radius = EMBEDDINGS["tracks"]
    counted = CountedArrays(launch_on_host)
    cuda.edges_on_grid(counted, counted.launch, embedding, radius=radius, max_neighbors=4, max_edges=NO_CAP)
    assert counted.started <= 13
    counted = CountedArrays(launch_on_host)
    edge_index, scores = random_graph(500, 3000)
    cuda.selected_edges(counted, counted.launch, edge_index, scores, np.float32(0.0))
    assert counted.started <= 3
    edge_index, scores, num_nodes = groups([5] * 50, 2.0, 1)
    graph = np.ascontiguousarray(edge_index), scores, num_nodes, np.float32(0.0)
    for clusters_on_host, most in ((None, 7), (OnHost(0.5), 13)):
        counted = CountedArrays(launch_on_host)
        KernelTrackBuilding(counted, counted.launch, *graph).labels(3, clusters_on_host)
        assert counted.started <= most


class OnHost:
    """Decides what the kernels leave, and counts it."""

    def __init__(self, cut: float) -> None:
        self.cut = cut
        self.seen: list[tuple[int, int]] = []

    def __call__(self, edge_index: IntArray, scores: FloatArray, num_nodes: int) -> IntArray:
        self.seen.append((num_nodes, edge_index.shape[1]))
        labels: IntArray = label_clusters(edge_index, scores, num_nodes, cut=self.cut, min_hits=1)
        return labels


def assert_same_clusters(
    launch: Launch, edge_index: IntArray, scores: FloatArray, num_nodes: int, *, cut: float = 0.5, min_hits: int = 1
) -> list[tuple[int, int]]:
    """That the kernels find what the CPU finds. Returns the nodes and edges of what they left to the CPU."""
    on_host = OnHost(cut)
    found = labels_on_host(launch, edge_index, scores, num_nodes, cut=cut, min_hits=min_hits, clusters_on_host=on_host)
    expected = label_clusters(edge_index, scores, num_nodes, cut=cut, min_hits=min_hits)
    np.testing.assert_array_equal(found, expected)
    return on_host.seen


def groups(sizes: list[int], per_node: float, seed: int, *, ties: bool = False) -> tuple[IntArray, FloatArray, int]:
    """A graph whose edges, each pair at most once, are within groups of these sizes; the nodes are shuffled."""
    random = np.random.default_rng(seed)
    starts = np.cumsum([0, *sizes])
    pairs = []
    for start, size in zip(starts, sizes, strict=False):
        row, column = np.triu_indices(size, 1)
        wanted = min(len(row), round(per_node * size))
        chosen = random.choice(len(row), wanted, replace=False)
        pairs.append(start + np.stack([row[chosen], column[chosen]]))
    edges = random.permutation(starts[-1])[np.concatenate(pairs, axis=1)]
    flip = random.random(edges.shape[1]) < 0.5
    edges = np.where(flip, edges[::-1], edges)[:, random.permutation(edges.shape[1])]
    scores = random.normal(0.7, 2.0, edges.shape[1])
    return edges, (np.round(scores) if ties else scores).astype(np.float32), int(starts[-1])


SMALL_GROUPS: Final = [*range(1, 30), 40, 63, 64]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("per_node", [1.0, 2.5, 8.0])
@pytest.mark.parametrize("cut", [0.3, 0.5, 0.8])
def test_contraction_on_host_threads(launch_on_host: Launch, per_node: float, cut: float, ties: bool) -> None:
    graph = groups(SMALL_GROUPS, per_node, seed=round(10 * per_node), ties=ties)
    assert assert_same_clusters(launch_on_host, *graph, cut=cut) == [], "none is too large for a block"
    assert_same_clusters(launch_on_host, *graph, cut=cut, min_hits=3)


def test_large_components_are_left_to_the_cpu(launch_on_host: Launch) -> None:
    """The one of 65 nodes and the one of 200, without the edges of all others."""
    graph = groups([20, 65, 10, 200, 64], 6.0, seed=3)
    (left,) = assert_same_clusters(launch_on_host, *graph, cut=0.2)
    assert 250 < left[0] <= 265
    assert left[1] <= 6 * 265


def test_repeated_edges_on_host_threads(launch_on_host: Launch) -> None:
    """The sum of three weights may depend on their order, that of two does not."""
    edge_index, scores, num_nodes = groups([12] * 20, 4.0, seed=5)
    twice = np.concatenate([edge_index, edge_index[::-1]], axis=1)
    random = np.random.default_rng(6)
    weights = np.concatenate([scores, random.normal(size=len(scores)).astype(np.float32)])
    assert assert_same_clusters(launch_on_host, twice, weights, num_nodes) == []
    thrice = np.concatenate([twice, edge_index[:, :1]], axis=1)
    ((nodes, _),) = assert_same_clusters(launch_on_host, thrice, np.append(weights, np.float32(0.1)), num_nodes)
    assert nodes <= 12


@pytest.mark.parametrize(("num_nodes", "num_edges"), [(0, 0), (1, 3), (500, 400), (500, 700), (500, 3000)])
def test_contraction_of_random_graphs_on_host_threads(launch_on_host: Launch, num_nodes: int, num_edges: int) -> None:
    graph = random_graph(max(num_nodes, 1), num_edges)
    for cut in (0.01, 0.5, 0.9):
        assert_same_clusters(launch_on_host, *graph, num_nodes, cut=cut, min_hits=2)


@often
@given(graphs_without_ties())
def test_contraction_on_host_threads_against_brute_force(
    launch_on_host: Launch, graph: tuple[IntArray, FloatArray, int]
) -> None:
    edge_index, scores, num_nodes = graph
    labels = labels_on_host(
        launch_on_host, edge_index, scores, num_nodes, cut=0.5, min_hits=1, clusters_on_host=OnHost(0.5)
    )
    assert partition(labels) == set(brute_force(edge_index, scores, num_nodes, 0.5))


def test_infinite_and_subnormal_scores_on_host_threads(launch_on_host: Launch) -> None:
    edge_index = np.array([[1, 2, 2, 4, 5], [0, 1, 0, 3, 4]])
    scores = np.array([np.inf, 1.0, -np.inf, 1e-42, -1e-42], dtype=np.float32)
    assert_same_clusters(launch_on_host, edge_index, scores, 6)


@pytest.mark.parametrize("clusters_on_host", [None, OnHost(0.5)])
@pytest.mark.parametrize(
    ("edges", "scores", "reason"),
    [
        ([[7, 1], [0, 0]], [1.0, 1.0], r"EDGE_INDEX: entries must be in \[0, 5\), found 7 at column 0"),
        ([[1, 1], [0, -(2**40)]], [1.0, 1.0], r"EDGE_INDEX: entries must be in \[0, 5\), found -1099511627776"),
        ([[1, 1], [0, 0]], [1.0, np.nan], "EDGE_SCORES: entries must be numbers, found nan at entry 1"),
    ],
)
def test_bad_entries_on_host_threads(
    launch_on_host: Launch, edges: list[list[int]], scores: list[float], reason: str, clusters_on_host: OnHost | None
) -> None:
    arrays = np.array(edges), np.array(scores, dtype=np.float32)
    with pytest.raises(ContractError, match=reason):
        labels_on_host(launch_on_host, *arrays, 5, cut=0.5, min_hits=1, clusters_on_host=clusters_on_host)


@pytest.mark.parametrize("dims", [1, 2, 3, 8])
@pytest.mark.parametrize("radius", [1e-300, 1e-3, 0.5, 1.0, 1e300])
def test_cells_are_at_least_half_as_wide_as_the_radius_and_not_too_many(
    launch_on_host: Launch, dims: int, radius: float
) -> None:
    extent = np.linspace(0.0, 2.0, dims, dtype=np.float32)
    lowest = np.linspace(-1.0, 1.0, dims, dtype=np.float32)
    points = np.tile(lowest, (101, 1))
    points[100] += extent
    points[0, dims // 2] += extent[dims // 2]  # spread more than those that are longer
    seen: dict[str, list[Any]] = {}
    edges_on_host(seen_by(launch_on_host, seen), points, radius, 1)
    dimension, lower, per_unit, cells = seen["find_cells"][0][3]
    widest = np.argsort(-points.astype(np.float64).std(axis=0), kind="stable")
    assert dimension.tolist() == widest[:3].tolist() + [0] * (3 - dims)
    assert np.prod(cells) <= cuda.CELLS
    for axis, k in enumerate(widest[:3]):
        length = float(points[100, k]) - float(points[1, k])
        assert cells[axis] >= 1
        assert lower[axis] == lowest[k]
        if cells[axis] > 1:
            assert 1 / per_unit[axis] >= radius / 2
            assert per_unit[axis] * length == pytest.approx(cells[axis])


@pytest.mark.skipif(NVCC is None, reason="no nvcc on PATH")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
@pytest.mark.parametrize("file", sorted(path.name for path in source_directory().glob("*.cu")))
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
        clusters = label_clusters(on_gpu, cupy.asarray(scores), 100_000, cut=cut, min_hits=3)
        expected = label_clusters(edges, scores, 100_000, cut=cut, min_hits=3)
        np.testing.assert_array_equal(cupy.asnumpy(clusters), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("per_node", [1.0, 2.5, 8.0])
def test_contraction_on_a_gpu(cupy: Any, per_node: float, ties: bool) -> None:
    """Groups that blocks decide and such as are left, four thousand of them; ten times, since threads differ."""
    edges, scores, num_nodes = groups([*SMALL_GROUPS, 65, 100] * 120, per_node, seed=1, ties=ties)
    for cut in (0.3, 0.8):
        expected = label_clusters(edges, scores, num_nodes, cut=cut, min_hits=2)
        for _ in range(10):
            found = label_clusters(cupy.asarray(edges), cupy.asarray(scores), num_nodes, cut=cut, min_hits=2)
            np.testing.assert_array_equal(cupy.asnumpy(found), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("cap", [50, NO_CAP])
@pytest.mark.parametrize("num_points", [200_000, 1_000_000])
def test_a_crowd_is_refused_on_a_gpu(cupy: Any, num_points: int, cap: int) -> None:
    """Before memory is taken for its edges, of which it has up to 5 · 10¹¹: a GPU has no room for a hundredth."""
    crowd = cupy.zeros((num_points, 8), dtype=np.float32)
    with pytest.raises(GraphTooLargeError):
        fixed_radius_edges(crowd, radius=1.0, max_neighbors=cap, max_edges=10**6)
    few = fixed_radius_edges(crowd[:10], radius=1.0, max_neighbors=cap, max_edges=10**6)
    assert few.shape == (2, 45), "the GPU is as well as before"


@pytest.mark.gpu
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_entries_that_are_not_finite_on_a_gpu(cupy: Any, value: float) -> None:
    embedding = tracks_embedding(5000)
    embedding[4321, 3] = value
    with pytest.raises(ContractError, match=f"EMBEDDING: entries must be finite, found {value} at row 4321, column 3"):
        fixed_radius_edges(cupy.asarray(embedding), radius=0.3, max_neighbors=30, max_edges=10**6)


@pytest.mark.gpu
def test_bad_input_on_a_gpu(cupy: Any) -> None:
    index, scores = cupy.asarray([[7, 1], [0, 0]]), cupy.asarray([0, 1], dtype=np.float32)
    with pytest.raises(ContractError, match=r"EDGE_INDEX: entries must be in \[0, 5\), found 7 at column 0"):
        label_components(index, scores, 5, cut=0.5, min_hits=1)
    with pytest.raises(ContractError, match="EDGE_INDEX: entries must not be negative, found -8 at column 0"):
        select_edges(-1 - index, scores, cut=0.5)
    with pytest.raises(ContractError, match=r"EDGE_SCORES: expected on GPU 0, where the edges are, found on the CPU"):
        select_edges(index, cupy.asnumpy(scores), cut=0.5)
    with pytest.raises(ContractError, match="EMBEDDING: entries must be finite, found nan at row 0, column 1"):
        checks.check_finite(cupy.asarray([[0, np.nan]], dtype=np.float32), "EMBEDDING")
