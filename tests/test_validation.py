"""Validation: figures that add up, and a report that says them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exatrkx.event import Event
from exatrkx.event_file import read_events, write_events
from exatrkx.pipeline import Pipeline
from exatrkx.validate import main
from exatrkx.validation import validate

EVENTS = Path(__file__).parents[1] / "data" / "events" / "ttbar_mu0.parquet"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The committed networks: what is validated is what is shipped."""
    return Pipeline.from_weights()


def test_two_halves_make_the_whole(pipeline: Pipeline) -> None:
    whole = validate(pipeline, read_events(EVENTS, [0, 1, 2, 3]))
    first, second = validate(pipeline, read_events(EVENTS, [0, 1])), validate(pipeline, read_events(EVENTS, [2, 3]))
    assert whole.tracks == first.tracks + second.tracks
    assert whole.candidates == first.candidates + second.candidates
    assert whole.stages["GNN"].edges == first.stages["GNN"].edges + second.stages["GNN"].edges


def test_the_committed_networks_find_the_tracks_of_the_bundled_events(pipeline: Pipeline) -> None:
    result = validate(pipeline, read_events(EVENTS))
    stages = result.stages
    assert result.events == 20
    assert stages["neighbours"].edges.efficiency.value > 0.98
    assert stages["neighbours"].count > stages["filter"].count > stages["GNN"].count
    assert stages["GNN"].edges.purity.value > stages["filter"].edges.purity.value
    # Looser than the report's figures by what 20 events can deviate.
    assert result.tracks.efficiency_double_majority.value > 0.93
    assert result.tracks.fake_rate.value < 0.02
    assert result.tracks.duplicate_rate.value < 0.04


def test_an_event_without_truth_is_refused(pipeline: Pipeline) -> None:
    one = np.ones(4, dtype=np.float32)
    with pytest.raises(ValueError, match="no truth"):
        validate(pipeline, [Event(event_id=8, x=one, y=one, z=one)])


def test_the_command_reports_and_keeps_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, report = tmp_path / "two.parquet", tmp_path / "report.md"
    write_events(events, read_events(EVENTS, [0, 1]))
    assert main([str(events), "--output", str(report)]) == 0
    printed = capsys.readouterr().out
    assert report.read_text() in printed
    for word in ("efficiency, double majority", "fake rate", "| GNN |", "two.parquet", "95 % interval"):
        assert word in printed


def test_a_missing_file_ends_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.parquet")]) == 1
    assert "absent.parquet" in capsys.readouterr().err
