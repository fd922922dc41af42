"""The committed baselines are read, and make the same tables as when they were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exatrkx_perf import ROOT
from exatrkx_perf.commands import breakdown, compare
from exatrkx_perf.results import columns_of, read_rows, read_steps
from exatrkx_perf.stage_rows import Row, csv_of, report

if TYPE_CHECKING:
    from pathlib import Path

BASELINE = ROOT / "perf" / "baseline"


def test_the_comparison_of_the_baseline_is_the_committed_one(tmp_path: Path) -> None:
    assert compare.main([str(BASELINE / "results.csv"), "--output", str(tmp_path), "--no-plots"]) == 0
    assert (tmp_path / "comparison.md").read_text() == (BASELINE / "comparison.md").read_text()


def test_the_steps_of_the_baseline_make_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert breakdown.main([str(BASELINE)]) == 0
    points = {entry.point.at_repeat(0) for entry in read_steps(BASELINE / "steps.csv")}
    assert len({point.model for point in points}) > 2
    assert len(capsys.readouterr().out.splitlines()) > len(points)


@pytest.mark.parametrize("baseline", [BASELINE, BASELINE / "limits"], ids=lambda folder: folder.name)
def test_the_report_of_the_stages_is_the_committed_one(baseline: Path, tmp_path: Path) -> None:
    rows = [row for (row,) in read_rows(baseline / "stages.csv", "stages", Row)]
    assert f"# Stages\n\n{report(rows)}" == (baseline / "stages.md").read_text()
    (tmp_path / "stages.csv").write_bytes(csv_of(rows))
    assert (tmp_path / "stages.csv").read_text() == (baseline / "stages.csv").read_text()
    assert (tmp_path / "stages.csv").read_text().startswith(",".join(columns_of(Row)))
