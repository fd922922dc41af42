"""What the same answer means on a GPU: bounds that the measured reports keep, and that a GPU at hand keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import torch

from exatrkx_perf import ROOT
from exatrkx_perf.gpu_check.answers import beyond_bounds, compare_answers
from exatrkx_perf.gpu_check.events import Check

if TYPE_CHECKING:
    from pathlib import Path

REPORTS: Final = sorted((ROOT / "perf" / "gpu").glob("*.json"))


def rows(report: Path) -> list[dict[str, Any]]:
    """Its answers; the number of edges was not written down at first, and is at least that of spacepoints."""
    found: list[dict[str, Any]] = json.loads(report.read_text())["answers"]
    return [{"edges": row["spacepoints"], **row} for row in found]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.stem)
def test_measured_reports_are_within_the_bounds(report: Path) -> None:
    found = rows(report)
    assert len(found) == 23
    assert [text for row in found for text in beyond_bounds(row)] == []


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"labels_changed": 1}, "labels that differ: 1, at most 0"),
        ({"score_difference": [1e-4, 1e-3, 0.1]}, "median difference of scores: 0.0001, at most 3e-05"),
        ({"score_difference": [1e-6, 1e-2, 0.1]}, "99th percentile of differences of scores: 0.01, at most 0.003"),
        ({"score_repeat": 1e-4}, "largest difference of scores between runs: 0.0001, at most 5e-05"),
        ({"score_repeat": float("nan")}, "largest difference of scores between runs: nan, at most 5e-05"),
        ({"edges": 10**6, "filter_changes": 13}, "edges that one of both kept: 13, at most 12"),
    ],
)
def test_what_is_beyond_the_bounds_is_named(changed: dict[str, Any], text: str) -> None:
    row = rows(REPORTS[0])[0]
    assert beyond_bounds(row | changed) == [f"{row['spacepoints']} spacepoints: {text}"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same_answers(tmp_path: Path) -> None:
    found = compare_answers(Check("cuda:0", tmp_path, None))
    assert [text for row in found for text in beyond_bounds(row)] == []
