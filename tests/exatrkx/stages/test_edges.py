"""Edge selection, in both CPU implementations."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_cases import IMPLEMENTATIONS, FloatArray, IntArray, fp32, random_graph, running

from exatrkx.errors import ContractError
from exatrkx.stages import native
from exatrkx.stages.edges import score_threshold, select_edges
from exatrkx.working_point import logit

in_each = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
often = settings(max_examples=200, derandomize=True, deadline=None)

INFINITY: Final = np.float32(np.inf)


def column_by_column(edge_index: IntArray, scores: FloatArray, cut: float) -> list[tuple[int, int]]:
    """The definition, with Python's FP64 numbers."""
    pairs = zip(*edge_index.tolist(), strict=True)
    return [pair for pair, score in zip(pairs, scores.tolist(), strict=True) if score > logit(cut)]


def pairs_of(edge_index: IntArray) -> list[tuple[int, int]]:
    assert edge_index.dtype == np.int64
    assert edge_index.shape[0] == 2
    return list(zip(*edge_index.tolist(), strict=True))


@often
@given(st.floats(0, 1))
def test_threshold_decides_as_the_exact_logit_does(cut: float) -> None:
    threshold = score_threshold(cut)
    for score in (threshold, np.nextafter(threshold, INFINITY), np.nextafter(threshold, -INFINITY)):
        assert (score > threshold) == (float(score) > logit(cut))


@in_each
@often
@given(
    st.lists(st.floats(width=32, allow_nan=False), max_size=40),
    st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1e-300, 1 - 1e-16]),
)
def test_column_by_column(implementation: str, logits: list[float], cut: float) -> None:
    edge_index = np.arange(2 * len(logits)).reshape(2, -1)
    scores = np.array(logits, dtype=np.float32)
    with running(implementation):
        assert pairs_of(select_edges(edge_index, scores, cut=cut)) == column_by_column(edge_index, scores, cut)


@in_each
def test_a_score_on_the_cut_is_dropped(implementation: str) -> None:
    edge_index = np.array([[1, 2, 3], [0, 0, 0]])
    scores = np.array([-1e-45, 0.0, 1e-45], dtype=np.float32)
    with running(implementation):
        assert pairs_of(select_edges(edge_index, scores, cut=0.5)) == [(3, 0)]


@in_each
def test_probabilities_zero_and_one(implementation: str) -> None:
    edge_index = np.array([[1, 2, 3], [0, 0, 0]])
    scores = np.array([-np.inf, 0.0, np.inf], dtype=np.float32)
    with running(implementation):
        assert pairs_of(select_edges(edge_index, scores, cut=0.0)) == [(2, 0), (3, 0)]
        assert pairs_of(select_edges(edge_index, scores, cut=1.0)) == []


@in_each
@pytest.mark.parametrize("num_edges", [0, 1, 2, 65_535, 65_536, 65_537, 200_000])
def test_any_number_of_edges(implementation: str, num_edges: int) -> None:
    edge_index, scores = random_graph(1000, num_edges)
    with running(implementation):
        selected = select_edges(edge_index, scores, cut=0.3)
        as_column = select_edges(edge_index, scores[:, None], cut=0.3)
    np.testing.assert_array_equal(selected, edge_index[:, scores.astype(np.float64) > logit(0.3)])
    np.testing.assert_array_equal(as_column, selected)
    assert selected.flags.c_contiguous


@pytest.mark.skipif(not native.available(), reason="the compiled stages are not built")
def test_number_of_threads_changes_nothing() -> None:
    edge_index, scores = random_graph(1000, 300_000)
    found = [
        native.select_edges(edge_index, scores, threshold=score_threshold(0.5), threads=threads)
        for threads in (1, 2, 9)
    ]
    assert len({edges.tobytes() for edges in found}) == 1


@in_each
def test_layout_of_the_arrays_does_not_matter(implementation: str) -> None:
    edge_index, scores = random_graph(50, 100)
    with running(implementation):
        selected = select_edges(edge_index, scores, cut=0.5)
        strided = select_edges(np.asfortranarray(edge_index), np.repeat(scores, 2)[::2], cut=0.5)
    np.testing.assert_array_equal(strided, selected)


GOOD_INDEX: Final = np.array([[1, 2, 3], [0, 0, 0]])
GOOD_SCORES: Final = np.array([0, 1, 2], dtype=np.float32)


@in_each
@pytest.mark.parametrize(
    ("edge_index", "scores", "text"),
    [
        (GOOD_INDEX.astype(np.int32), GOOD_SCORES, r"EDGE_INDEX: expected INT64 \[2,-1\], found int32 \[2,3\]"),
        (GOOD_INDEX.T, GOOD_SCORES, r"EDGE_INDEX: expected INT64 \[2,-1\], found int64 \[3,2\]"),
        (GOOD_INDEX[0], GOOD_SCORES, r"EDGE_INDEX: expected INT64 \[2,-1\], found int64 \[3\]"),
        (GOOD_INDEX, GOOD_SCORES.astype(np.float64), r"EDGE_SCORES: expected FP32 \[-1\], found float64 \[3\]"),
        (GOOD_INDEX, GOOD_SCORES[None], r"EDGE_SCORES: expected FP32 \[-1\], found float32 \[1,3\]"),
        (GOOD_INDEX, GOOD_SCORES[0], r"EDGE_SCORES: expected FP32 \[-1\], found float32 \[\]"),
        (GOOD_INDEX, GOOD_SCORES[:2], "EDGE_SCORES: expected one entry for each of 3 edges, found 2"),
        (GOOD_INDEX, fp32([0, np.nan, 1]), "EDGE_SCORES: entries must be numbers, found nan at entry 1"),
        (GOOD_INDEX - 1, GOOD_SCORES, "EDGE_INDEX: entries must not be negative, found -1 at column 0"),
        (GOOD_INDEX - [[0], [7]], fp32([0, 0, np.nan]), "EDGE_SCORES: entries must be numbers, found nan at .*"),
    ],
)
def test_bad_input(implementation: str, edge_index: IntArray, scores: FloatArray, text: str) -> None:
    with running(implementation), pytest.raises(ContractError, match=f"^{text}$"):
        select_edges(edge_index, scores, cut=0.5)


def test_threshold_is_the_logit_rounded_down() -> None:
    assert score_threshold(0.5) == 0.0
    assert score_threshold(0.0) == -INFINITY
    assert score_threshold(1.0) == INFINITY
    assert math.isclose(score_threshold(0.7), math.log(7 / 3), rel_tol=1e-6)
