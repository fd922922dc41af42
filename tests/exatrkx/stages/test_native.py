"""The compiled stages as a library: that it is found, fits, is left out when it does not, and never crashes."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import shutil
import subprocess
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_cases import random_graph, running, tracks_embedding

from exatrkx.errors import ContractError, ExatrkxError
from exatrkx.stages import native
from exatrkx.stages.edges import fixed_radius_edges, score_threshold
from exatrkx.stages.track_building import label_components

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STAGES: Final = Path(__file__).resolve().parents[3] / "backends" / "exatrkx" / "stages"
COMPILER: Final = shutil.which(os.environ.get("CXX", "g++"))

needs_native = pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler on PATH")


@pytest.fixture
def use_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Makes `exatrkx.stages.native` load this file as the stages' library, until the test is over."""

    def use(path: Path) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None, origin=str(path)))
        native._library.cache_clear()

    yield use
    native._library.cache_clear()


def compiled(source: Path, output: Path, *options: str) -> Path:
    assert COMPILER is not None
    command = [COMPILER, "-std=c++20", "-shared", "-fPIC", "-pthread", *options, str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    return output


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler on PATH")
def test_installing_where_there_is_a_compiler_built_the_stages() -> None:
    assert native._library() is not None


@needs_native
@pytest.mark.parametrize("implementation", ["scipy", "native"])
def test_an_implementation_can_be_chosen(implementation: str) -> None:
    with running(implementation):
        assert native.available() == (implementation == "native")
    assert native.available()


@needs_compiler
def test_another_interface_is_not_used(
    tmp_path: Path, use_library: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    functions = " ".join(f"int {name}() {{ return 0; }}" for name in native._SIGNATURES)
    source = tmp_path / "other.cpp"
    source.write_text(f'extern "C" {{ int exatrkx_abi_version() {{ return {native.ABI_VERSION + 1}; }} {functions} }}')
    use_library(compiled(source, tmp_path / "other.so"))
    with caplog.at_level(logging.WARNING):
        assert not native.available()
    assert f"interface {native.ABI_VERSION + 1}, not {native.ABI_VERSION}" in caplog.text
    assert fixed_radius_edges(np.zeros((3, 2), np.float32), radius=1.0, max_neighbors=5, max_edges=9).shape == (2, 3)


def test_a_broken_file_is_not_used(
    tmp_path: Path, use_library: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("not a library")
    use_library(broken)
    with caplog.at_level(logging.WARNING):
        assert not native.available()
    assert "broken.so is not used" in caplog.text


def test_a_call_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    native._library.cache_clear()
    try:
        assert not native.available()
        with pytest.raises(ExatrkxError, match="the compiled stages are not built"):
            native.label_components(*random_graph(5, 5), 5, threshold=np.float32(0), min_hits=1)
    finally:
        native._library.cache_clear()


@pytest.mark.parametrize(
    ("variable", "threads"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("0", None), ("many", None), ("", None), ("-1", None)]
)
def test_threads_by_environment(variable: str, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert native.default_threads.__wrapped__() == (threads or len(os.sched_getaffinity(0)))


@needs_native
@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats(0, 1))
def test_threshold_in_both_languages(cut: float) -> None:
    library = native._library()
    assert library is not None
    assert library.exatrkx_score_threshold(cut) == score_threshold(cut)


@needs_native
def test_edges_that_nobody_holds_give_their_memory_back_at_once() -> None:
    gc.disable()  # which would come sooner or later
    try:
        edge_index, scores = random_graph(50, 200)
        selected = weakref.ref(native.select_edges(edge_index, scores, threshold=np.float32(0)))
        found = weakref.ref(
            native.fixed_radius_edges(tracks_embedding(50), radius=0.2, max_neighbors=20, max_edges=10**6)
        )
        assert (selected(), found()) == (None, None)
    finally:
        gc.enable()


@needs_native
def test_many_callers_at_once_get_what_one_gets() -> None:
    embedding = tracks_embedding(3000)

    def search(_: int) -> bytes:
        found = native.fixed_radius_edges(embedding, radius=0.2, max_neighbors=20, max_edges=10**6, threads=3)
        return found.tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(search, range(40)))) == 1


@needs_native
def test_an_error_on_a_helper_thread_reaches_the_caller() -> None:
    for _ in range(20):
        with pytest.raises(ExatrkxError, match="more than max_edges = 1000 edges among 30000"):
            native.fixed_radius_edges(tracks_embedding(30_000), radius=0.3, max_neighbors=50, max_edges=1000, threads=4)


@needs_compiler
@pytest.mark.slow
def test_without_wide_instructions_the_answer_is_the_same(tmp_path: Path, use_library: Callable[[Path], None]) -> None:
    embeddings = [tracks_embedding(4000), np.random.default_rng(3).normal(size=(500, 13)).astype(np.float32)]

    def search() -> list[bytes]:
        return [
            fixed_radius_edges(embedding, radius=radius, max_neighbors=cap, max_edges=10**8).tobytes()
            for embedding in embeddings
            for radius in (1e-16, 0.2, 1e15)[: 2 if len(embedding) > 1000 else 3]
            for cap in (3, 10**9)
        ]

    with_them = search()
    # With every check of the standard library on, so that an access out of bounds ends the test.
    use_library(
        compiled(
            STAGES / "c_api.cpp",
            tmp_path / "portable.so",
            "-O1",
            "-ffp-contract=off",
            "-DEXATRKX_STAGES_PORTABLE",
            "-D_GLIBCXX_ASSERTIONS",
        )
    )
    assert native.available()
    assert search() == with_them
    with pytest.raises(ContractError, match=r"EDGE_INDEX: entries must be in \[0, 2\), found 9 at column 0"):
        label_components(np.array([[9], [0]]), np.ones(1, np.float32), 2, cut=0.5, min_hits=1)
