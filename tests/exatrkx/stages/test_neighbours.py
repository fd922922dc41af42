"""Fixed-radius neighbours against brute force, in both CPU implementations."""

from __future__ import annotations

import math
import subprocess
import sys
from random import Random
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from stage_cases import IMPLEMENTATIONS, FloatArray, IntArray, fp32, running, tracks_embedding

from exatrkx.errors import ContractError, GraphTooLargeError
from exatrkx.stages import native
from exatrkx.stages.edges import fixed_radius_edges

NO_CAP: Final = 10**12
NO_LIMIT: Final = 10**12

in_each = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
often = settings(max_examples=150, derandomize=True, deadline=None)


def brute_force(embedding: FloatArray, radius: float, max_neighbors: int = NO_CAP) -> IntArray:
    """The definition, written out: all pairs, ranks by counting."""
    points = embedding.astype(np.float64)
    num_nodes = len(points)
    squared = np.zeros((num_nodes, num_nodes))
    for column in points.T:
        squared += (column[:, None] - column[None, :]) ** 2
    edges = []
    for i in range(num_nodes):
        for j in range(i):
            closer_to_i = sum(squared[i, k] < squared[i, j] for k in range(num_nodes) if k not in (i, j))
            closer_to_j = sum(squared[j, k] < squared[i, j] for k in range(num_nodes) if k not in (i, j))
            if squared[i, j] < radius * radius and min(closer_to_i, closer_to_j) < max_neighbors:
                edges.append((i, j))
    return np.array(edges, dtype=np.int64).reshape(-1, 2).T


def edges_of(
    embedding: npt.ArrayLike, radius: float, max_neighbors: int = NO_CAP, max_edges: int = NO_LIMIT
) -> IntArray:
    points = np.asarray(embedding, dtype=np.float32)
    found: IntArray = fixed_radius_edges(points, radius=radius, max_neighbors=max_neighbors, max_edges=max_edges)
    assert found.dtype == np.int64
    assert found.shape[0] == 2
    assert found.flags.c_contiguous
    return found


# On a coarse lattice points coincide and distances tie; the other numbers reach denormals and FP32's largest.
LATTICE: Final = st.integers(-3, 3).map(float)
ANY_FLOAT: Final = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def embeddings(draw: st.DrawFn, entries: st.SearchStrategy[float] = LATTICE) -> FloatArray:
    shape = (draw(st.integers(0, 24)), draw(st.integers(1, 16) if draw(st.booleans()) else st.integers(1, 2)))
    drawn: FloatArray = draw(arrays.arrays(np.float32, shape, elements=entries))
    return drawn


@in_each
@often
@given(embeddings(), st.sampled_from([0.5, 1.0, 1.0001, 2.0, 3.5, 100.0]), st.integers(1, 30))
def test_brute_force_on_a_lattice(implementation: str, embedding: FloatArray, radius: float, cap: int) -> None:
    with running(implementation):
        np.testing.assert_array_equal(edges_of(embedding, radius, cap), brute_force(embedding, radius, cap))


@in_each
@often
@given(embeddings(ANY_FLOAT), st.floats(1e-45, 1e39), st.integers(1, 5))
def test_brute_force_over_the_range_of_fp32(
    implementation: str, embedding: FloatArray, radius: float, cap: int
) -> None:
    with running(implementation):
        np.testing.assert_array_equal(edges_of(embedding, radius, cap), brute_force(embedding, radius, cap))


@in_each
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.slow
def test_groups_as_large_as_the_cap(implementation: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    cap = int(generator.integers(1, 40))
    groups = [
        generator.normal(size=3) * 2 + generator.normal(size=(cap + int(generator.integers(0, 3)), 3)) * 0.01
        for _ in range(4)
    ]
    embedding = generator.permutation(np.concatenate(groups)).astype(np.float32)
    radius = float(generator.uniform(0.5, 4))
    with running(implementation):
        np.testing.assert_array_equal(edges_of(embedding, radius, cap), brute_force(embedding, radius, cap))


@in_each
@pytest.mark.parametrize("first", [True, False])
def test_a_leaf_as_large_as_the_cap_with_one_point_outside(implementation: str, first: bool) -> None:
    # The lone point keeps a few of the 32, which themselves have their fill of 31 without it.
    leaf, lone = np.linspace(0.0, 0.3, 32), [1.0]
    embedding = np.concatenate([lone, leaf] if first else [leaf, lone]).astype(np.float32)[:, None]
    with running(implementation):
        edges = edges_of(embedding, 0.75, 31)
    np.testing.assert_array_equal(edges, brute_force(embedding, 0.75, 31))
    assert edges.shape[1] > 32 * 31 / 2


@in_each
@often
@given(embeddings(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_order_of_the_spacepoints_is_a_relabelling(
    implementation: str, embedding: FloatArray, cap: int, random: Random
) -> None:
    order = np.array(random.sample(range(len(embedding)), len(embedding)), dtype=np.int64)
    with running(implementation):
        edges, moved = edges_of(embedding, 2.5, cap), edges_of(embedding[order], 2.5, cap)
    assert {frozenset(pair) for pair in edges.T.tolist()} == {frozenset(pair) for pair in order[moved].T.tolist()}


@pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
@pytest.mark.parametrize("cap", [1, 2, 7, 40, NO_CAP])
@pytest.mark.parametrize(("spacepoints", "radius"), [(31, 0.5), (33, 0.5), (700, 0.3), (5000, 0.25)])
def test_both_implementations_agree_on_tracks(spacepoints: int, radius: float, cap: int) -> None:
    embedding = tracks_embedding(spacepoints)
    with running("native"):
        compiled = edges_of(embedding, radius, cap)
    with running("scipy"):
        np.testing.assert_array_equal(compiled, edges_of(embedding, radius, cap))
    assert compiled.shape[1] > 0


@pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
@pytest.mark.parametrize("cap", [10, NO_CAP])
def test_number_of_threads_changes_nothing(cap: int) -> None:
    embedding = tracks_embedding(20_000)
    found = [
        native.fixed_radius_edges(embedding, radius=0.15, max_neighbors=cap, max_edges=NO_LIMIT, threads=threads)
        for threads in (1, 2, 3, 16)
    ]
    assert len({edges.tobytes() for edges in found}) == 1


@in_each
@pytest.mark.parametrize("dims", [1, 8, 100])
@pytest.mark.parametrize("spacepoints", [0, 1])
def test_fewer_than_two_spacepoints(implementation: str, spacepoints: int, dims: int) -> None:
    with running(implementation):
        assert edges_of(np.zeros((spacepoints, dims)), 1.0).shape == (2, 0)


@in_each
def test_two_spacepoints(implementation: str) -> None:
    with running(implementation):
        assert edges_of([[0.0], [0.5]], 1.0).tolist() == [[1], [0]]
        assert edges_of([[0.0], [0.0]], 1e-30).tolist() == [[1], [0]]
        assert edges_of([[0.0], [1.5]], 1.0).tolist() == [[], []]


@in_each
def test_the_radius_itself_is_outside(implementation: str) -> None:
    just_inside = float(np.nextafter(np.float32(1), np.float32(0)))
    with running(implementation):
        assert edges_of([[0.0], [1.0]], 1.0).shape == (2, 0)
        assert edges_of([[0.0], [1.0]], float(np.nextafter(1.0, 2.0))).shape == (2, 1)
        assert edges_of([[0.0], [just_inside]], 1.0).shape == (2, 1)
        assert edges_of([[0.0, 0.0], [3.0, 4.0]], 5.0).shape == (2, 0)


@in_each
def test_denormals_and_the_largest_numbers(implementation: str) -> None:
    smallest, largest = float(np.float32(1e-45)), float(np.finfo(np.float32).max)
    with running(implementation):
        assert edges_of([[0.0], [smallest]], 1e-44).tolist() == [[1], [0]]
        assert edges_of([[0.0], [smallest]], 1e-46).shape == (2, 0)
        assert edges_of([[largest], [-largest]], 1e38).shape == (2, 0)
        assert edges_of([[largest] * 8, [-largest] * 8], 1e40).tolist() == [[1], [0]]
        assert edges_of([[largest], [-largest], [largest]], 1.0).tolist() == [[2], [0]]
        assert edges_of([[0.0], [0.0]], 1e-200).shape == (2, 0)  # radius² is 0


@in_each
def test_cap_keeps_what_either_end_keeps(implementation: str) -> None:
    # 1 and 2 are each other's nearest; 0 keeps 1, and 3 keeps 2, though neither is kept in return.
    line = [[0.0], [1.0], [1.5], [4.0]]
    with running(implementation):
        assert edges_of(line, 10.0, 1).tolist() == [[1, 2, 3], [0, 1, 2]]
        assert edges_of(line, 1.2, 1).tolist() == [[1, 2], [0, 1]]


@in_each
def test_ties_at_the_cap_are_all_kept(implementation: str) -> None:
    star = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    with running(implementation):
        assert edges_of(star, 5.0, 1).tolist() == [[1, 2, 3, 4], [0, 0, 0, 0]]


@in_each
@pytest.mark.parametrize("cap", [1, 5, NO_CAP])
@pytest.mark.parametrize("spacepoints", [2, 32, 33, 200])
def test_all_in_one_place(implementation: str, spacepoints: int, cap: int) -> None:
    with running(implementation):
        edges = edges_of(np.full((spacepoints, 8), 0.25), 0.1, cap)
    np.testing.assert_array_equal(edges, np.stack(np.tril_indices(spacepoints, -1)))


@in_each
def test_limit_is_the_last_number_allowed(implementation: str) -> None:
    with running(implementation):
        assert edges_of(np.zeros((20, 3)), 1.0, max_edges=190).shape == (2, 190)
        with pytest.raises(GraphTooLargeError, match=r"^EMBEDDING: more than max_edges = 189 edges among 20 spacepoi"):
            edges_of(np.zeros((20, 3)), 1.0, max_edges=189)


@in_each
@pytest.mark.parametrize("cap", [8, NO_CAP])
def test_number_found_of_too_many_edges_is_never_above_theirs(implementation: str, cap: int) -> None:
    """Counted in a sample, until the search ended, or to the last: each is a lower bound, and above the limit."""
    embedding = tracks_embedding(6000)
    with running(implementation):
        edges = edges_of(embedding, 0.3, cap)
        count = edges.shape[1]
        for limit in (1, count // 20, count // 5, count // 2, count - count // 20, count - 1):
            with pytest.raises(GraphTooLargeError, match=f"max_edges = {limit} edges among 6000 spacepoi") as refused:
                edges_of(embedding, 0.3, cap, max_edges=limit)
            assert limit < int(str(refused.value).rpartition("found at least ")[2]) <= count
        np.testing.assert_array_equal(edges_of(embedding, 0.3, cap, max_edges=count), edges)


CROWD: Final = """
import sys
import numpy as np
from exatrkx.errors import GraphTooLargeError
from exatrkx.stages.edges import fixed_radius_edges
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])

spacepoints, max_edges, spread = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
embedding = (spread * np.random.default_rng(1).standard_normal((spacepoints, 8))).astype(np.float32)
fixed_radius_edges(embedding[:10], radius=1.0, max_neighbors=50, max_edges=max_edges)
before = peak()
for max_neighbors in (50, 10**9, 1)[: 2 if spread else 3]:
    try:
        fixed_radius_edges(embedding, radius=1.0, max_neighbors=max_neighbors, max_edges=max_edges)
    except GraphTooLargeError:
        pass
    else:
        sys.exit("not refused")
print((peak() - before) * 1024)
"""


@pytest.mark.parametrize(
    ("implementation", "spacepoints", "max_edges", "spread", "max_bytes"),
    [
        pytest.param(*IMPLEMENTATIONS[0].values, 200_000, 10**6, 0.0, 150e6, marks=IMPLEMENTATIONS[0].marks),
        pytest.param(*IMPLEMENTATIONS[0].values, 200_000, 4 * 10**6, 0.2, 40e6, marks=IMPLEMENTATIONS[0].marks),
        ("scipy", 20_000, 10**6, 0.0, 800e6),
    ],
)
@pytest.mark.slow
def test_a_crowd_is_refused_in_bounded_memory(
    implementation: str,
    spacepoints: int,
    max_edges: int,
    spread: float,
    max_bytes: float,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(native.CHOICE_VARIABLE, implementation)
    command = [sys.executable, "-c", CROWD, str(spacepoints), str(max_edges), str(spread)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < max_bytes


@in_each
def test_layout_of_the_array_does_not_matter_and_it_is_left_as_it_is(implementation: str) -> None:
    embedding = tracks_embedding(200)
    before = embedding.copy()
    with running(implementation):
        edges = edges_of(embedding, 0.3)
        np.testing.assert_array_equal(edges_of(np.asfortranarray(embedding), 0.3), edges)
        np.testing.assert_array_equal(edges_of(np.repeat(embedding, 2, axis=1)[:, ::2], 0.3), edges)
    np.testing.assert_array_equal(embedding, before)


@in_each
@pytest.mark.parametrize(
    ("embedding", "text"),
    [
        (np.zeros((5, 3)), r"EMBEDDING: expected FP32 \[-1,-1\], found float64 \[5,3\]"),
        (np.zeros(5, dtype=np.float32), r"EMBEDDING: expected FP32 \[-1,-1\], found float32 \[5\]"),
        (np.zeros((5, 0), dtype=np.float32), "EMBEDDING: expected at least 1 column, found 0"),
        ([[0.0, 1.0]], r"EMBEDDING: expected FP32 \[-1,-1\], found list"),
        (fp32([[1, 2], [3, math.nan]]), "EMBEDDING: entries must be finite, found nan at row 1, column 1"),
        (fp32([[1, -math.inf], [3, math.nan]]), "EMBEDDING: entries must be finite, found -inf at row 0, column 1"),
        (fp32([[1, 2], [math.inf, 3]]), "EMBEDDING: entries must be finite, found inf at row 1, column 0"),
    ],
)
def test_bad_embeddings(implementation: str, embedding: FloatArray, text: str) -> None:
    with running(implementation), pytest.raises(ContractError, match=f"^{text}$"):
        fixed_radius_edges(embedding, radius=1.0, max_neighbors=5, max_edges=100)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"radius": 0.0}, "radius must be positive and finite, found 0.0"),
        ({"radius": -1.0}, "radius must be positive"),
        ({"radius": np.nan}, "radius must be positive"),
        ({"radius": np.inf}, "radius must be positive"),
        ({"max_neighbors": 0}, "max_neighbors must be at least 1, found 0"),
        ({"max_edges": 0}, "max_edges must be at least 1, found 0"),
    ],
)
def test_bad_parameters(changed: dict[str, Any], text: str) -> None:
    parameters: dict[str, Any] = {"radius": 1.0, "max_neighbors": 5, "max_edges": 100} | changed
    with pytest.raises(ContractError, match=text):
        fixed_radius_edges(np.zeros((2, 2), dtype=np.float32), **parameters)
