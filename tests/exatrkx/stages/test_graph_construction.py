"""Another graph construction than the fixed radius: named once, followed by all that builds graphs, and looked at."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import compiled
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import WORKING_POINT, clumps, tiny_pipeline, write_tiny_repository

from exatrkx.errors import ContractError, GraphTooLargeError
from exatrkx.serving.model_config import read_working_point
from exatrkx.stages import edges as stage
from exatrkx.stages.edges import fixed_radius_edges, graph_construction, graph_edges
from exatrkx.working_point import WorkingPoint
from exatrkx_client import TrackingClient
from exatrkx_server import ServerOptions, TritonServer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = (ROOT / "docs" / "graph_construction.md").read_text()


@pytest.fixture
def point(tmp_path: Path) -> WorkingPoint:
    """A working point that names the page's function, in a file."""
    file = tmp_path / "graphs_of_the_docs.py"
    file.write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    return replace(WORKING_POINT, graph_construction=f"{file}:nearest_neighbours")


def point_of(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, **cuts: Any) -> Any:
    module = types.ModuleType("graphs_of_a_test")
    module.__dict__["function"] = function
    monkeypatch.setitem(sys.modules, "graphs_of_a_test", module)
    graph_construction.cache_clear()
    return replace(WORKING_POINT, graph_construction="graphs_of_a_test:function", **cuts)


def points(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0.0, 1.0, (count, 3)).astype(np.float32)


def test_without_a_name_it_is_the_fixed_radius() -> None:
    assert graph_construction("fixed_radius") is fixed_radius_edges
    embedding = points(200)
    point = WORKING_POINT
    expected = fixed_radius_edges(
        embedding, radius=point.radius, max_neighbors=point.max_neighbors, max_edges=point.max_edges
    )
    np.testing.assert_array_equal(graph_edges(embedding, point), expected)
    assert "graph_construction" not in WORKING_POINT.to_json()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(count=st.integers(0, 60), seed=st.integers(0, 1000))
def test_the_pages_function_against_all_distances(count: int, seed: int) -> None:
    scope: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], scope)
    embedding = points(count, seed)
    found = scope["nearest_neighbours"](embedding, radius=0.1, max_neighbors=1, max_edges=1)
    far = np.linalg.norm(embedding[:, None].astype(float) - embedding[None].astype(float), axis=2)
    np.fill_diagonal(far, np.inf)
    nearest = np.argsort(far, axis=1)[:, : min(16, max(count - 1, 0))]
    pairs = {(max(i, int(j)), min(i, int(j))) for i, row in enumerate(nearest) for j in row}
    assert list(zip(*found.tolist(), strict=True)) == sorted(pairs)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("knn", "graph_construction must be one of fixed_radius, or module:function, found 'knn'"),
        ("", "must be one of fixed_radius"),
        ("no_such_module:knn", "'no_such_module:knn' cannot be imported: No module named 'no_such_module'"),
        ("math:knn", "'math:knn' cannot be imported: .*has no attribute 'knn'"),
        ("math:pi", "'math:pi' is no function, but float"),
        ("graphs.py:knn", "'graphs.py:knn' cannot be imported: expected the file's path from /"),
        ("/no/such/graphs.py:knn", "cannot be imported: .*No such file or directory"),
    ],
)
def test_a_name_that_is_none(name: str, reason: str) -> None:
    point = replace(WORKING_POINT, graph_construction=name)
    with pytest.raises(ContractError, match=reason):
        tiny_pipeline(point)


def test_one_that_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stage.GRAPH_CONSTRUCTIONS, "mine", lambda *_args, **_caps: np.array([[1], [0]]))
    graph_construction.cache_clear()
    assert graph_edges(points(3), replace(WORKING_POINT, graph_construction="mine")).tolist() == [[1], [0]]
    graph_construction.cache_clear()


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        (np.array([[0], [1]]), r"the larger index first.*found \[0, 1\] at column 0"),
        (np.array([[1, 2, 1], [0, 1, 0]]), r"found \[1, 0\] at column 2"),
        (np.array([[1, 1], [0, 0]]), r"each pair once.*found \[1, 0\] at column 1"),
        (np.array([[2, 2], [1, 0]]), r"sorted.*found \[2, 0\] at column 1"),
        (np.array([[1], [1]]), r"found \[1, 1\] at column 0"),
        (np.array([[3], [0]]), r"EDGE_INDEX: entries must be in \[0, 3\), found 3 at column 0"),
        (np.array([[1], [-1]]), "found -1 at column 0"),
        (np.array([[1], [0]], dtype=np.int32), r"EDGE_INDEX: expected INT64 \[2,-1\], found int32 \[2,1\]"),
        (np.array([1, 0]), r"found int64 \[2\]"),
        ([[1], [0]], "found list"),
        (None, "found NoneType"),
    ],
)
def test_edges_that_no_later_stage_could_use(edges: Any, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The construction's fault, and so neither a refusal of the event nor a `ContractError`."""
    point = point_of(lambda *_args, **_caps: edges, monkeypatch)
    with pytest.raises(ValueError, match=f"graph_construction graphs_of_a_test:function: .*{reason}") as raised:
        graph_edges(points(3), point)
    assert not isinstance(raised.value, ContractError)


def test_what_it_is_given_and_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    given_to: list[dict[str, Any]] = []

    def two(_embedding: Any, **caps: Any) -> Any:
        given_to.append(caps)
        return np.array([[1, 2], [0, 0]])

    point = point_of(two, monkeypatch, max_edges=2)
    assert graph_edges(points(3), point).shape == (2, 2)
    assert given_to == [{"radius": point.radius, "max_neighbors": point.max_neighbors, "max_edges": 2}]
    with pytest.raises(GraphTooLargeError, match="more than max_edges = 1 edges among 3 spacepoints, found at least 2"):
        graph_edges(points(3), replace(point, max_edges=1))
    bad = points(3)
    bad[1, 2] = np.nan
    with pytest.raises(ContractError, match="EMBEDDING: entries must be finite, found nan at row 1, column 2"):
        graph_edges(bad, point)
    assert len(given_to) == 2, "it is asked for finite points alone"


@pytest.fixture
def repository(tiny_repository: Path, tmp_path: Path, point: WorkingPoint) -> Path:
    """A model repository with that working point."""
    return write_tiny_repository(tiny_repository, tmp_path / "repository", point)


@pytest.mark.server
def test_served_as_called_directly(repository: Path, tmp_path: Path, point: WorkingPoint) -> None:
    assert read_working_point(repository) == point
    event, _ = clumps(20, 5, seed=2)
    expected = tiny_pipeline(point)(event)
    assert expected.neighbour_edges.shape[1] > graph_edges(event, WORKING_POINT).shape[1]
    options = ServerOptions(log_file=tmp_path / "log", custom_backend="python")
    with TritonServer(repository, options) as server:
        for model in ("exatrkx_ensemble", "exatrkx_custom"):
            with TrackingClient(server.grpc_url, model) as client:
                found = client.find_tracks(event, with_edges=True)
            assert found.edge_index is not None
            np.testing.assert_array_equal(found.edge_index, expected.edge_index)
            np.testing.assert_array_equal(found.labels, expected.labels)


@pytest.mark.server
@pytest.mark.slow
def test_a_compiled_server_refuses_it_by_name(repository: Path, tmp_path: Path, point: WorkingPoint) -> None:
    with pytest.raises(Exception, match="graph_construction must be fixed_radius") as raised:  # noqa: SIM117
        with compiled.server(repository, tmp_path, "compiled"):
            pass
    for model in ("frnn", "exatrkx_custom"):
        assert re.search(rf"{model}: .*found {re.escape(point.graph_construction)}", str(raised.value)), str(
            raised.value
        )
