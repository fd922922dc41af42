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

MOST_MEMORY_MIB: Final = {"ensemble": 6500, "ensemble, compiled stages": 5000, "custom, compiled": 3200}
"""Of the GPU, with the server's context and Triton's pool of 512, after events without and with high pile-up."""

MOST_OF_A_STAGE_MIB: Final = 700
"""Nearly all of it is the context that a process has for itself."""

MUST_BE_REFUSED: Final = ("NaN", "equal spacepoints", "index")

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


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.stem)
def test_measured_servers_gave_the_same_labels_in_bounded_memory(report: Path) -> None:
    served: dict[str, Any] = json.loads(report.read_text())["served"]
    assert served.keys() >= MOST_MEMORY_MIB.keys()
    for name, found in served.items():
        assert found["events_equal"] == found["events"] == 23, name
    for name, most in MOST_MEMORY_MIB.items():
        assert all(int(mib) <= most for mib in served[name]["memory_mib"]), name
        for process in served[name]["processes"]:
            program, _, mib = process.rpartition(",")
            assert "python_backend_stub" not in program or int(mib) <= MOST_OF_A_STAGE_MIB, process


def test_measured_servers_refused_what_is_bad_and_lived() -> None:
    """In the reports of a run that had the time for it: an earlier one had not."""
    rows = [row for report in REPORTS for row in json.loads(report.read_text())["bad"] or ()]
    assert {row["stages"] for row in rows} == {"python", "compiled"}
    for row in rows:
        lives = [name for name in row if name.endswith("_lives")]
        assert lives
        assert all(row[name] is True for name in lives), row
        if any(word in row["request"] for word in MUST_BE_REFUSED):
            assert row["outcome"].startswith("RequestRejectedError"), row


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
