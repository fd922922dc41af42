"""Residuals and pulls of fitted tracks: of true candidates, of those that do not count, and of none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import helices
import numpy as np
import pytest

from exatrkx.events.event import Event
from exatrkx.events.readers import read_events
from exatrkx.events.tracks import TracksWriter
from exatrkx.fitting.settings import FitSettings
from exatrkx.performance.selection import TARGET
from exatrkx.project_files import project_files
from exatrkx.validation import validate
from exatrkx.validation.__main__ import main
from exatrkx.validation.evaluation import Evaluation, Sample
from exatrkx.validation.finders import Finder, Found
from exatrkx.validation.fits import PARAMETERS, fits_table, median_and_width

TRUE = Finder(lambda event: Found(labels=helices.true_labels(event), seconds=0.0), "truth", "none", name="truth")


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(read_events(project_files().events))[:8]


def table_of(finder: Finder, events: list[Event], fit: FitSettings | None = None) -> dict[str, list[str]]:
    """The cells of each parameter's row."""
    result = validate(finder, events, fit=fit)
    lines = fits_table([Evaluation(sample=Sample("all", ()), finder=finder, result=result)])
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:]]
    return {name: rest for _finder, name, *rest in cells}


def test_true_candidates_have_pulls_of_one(events: list[Event]) -> None:
    table = table_of(TRUE, events)
    assert list(table) == list(PARAMETERS)
    electrons_too = sum(np.count_nonzero(TARGET.mask(event)) for event in events)
    for _unit, tracks, unfitted, *_, pull, width in table.values():
        assert 0.9 * electrons_too < int(tracks) < electrons_too
        assert unfitted == "0"
        assert abs(float(pull)) < 0.2
        assert 0.75 < float(width) < 1.25
    assert 20.0 < float(table["d0"][4]) < 60.0  # µm


def test_another_field_and_another_beam_line_are_seen(events: list[Event]) -> None:
    here, there = (table_of(TRUE, events, fit) for fit in (None, FitSettings(beam=(5.0, 0.0))))
    assert float(there["d0"][4]) == pytest.approx(float(here["d0"][4]), rel=0.2)  # the truth moves, too
    wrong = table_of(TRUE, events, FitSettings(field=1.0))
    assert float(wrong["q/pT"][6]) > 5.0


def test_candidates_that_match_nothing_are_not_counted(events: list[Event]) -> None:
    noise = replace(TRUE, find=lambda event: Found(labels=np.arange(len(event)) // 7 * 3, seconds=0.0))
    none = replace(TRUE, find=lambda event: Found(labels=np.full(len(event), -1), seconds=0.0))
    assert table_of(none, events) == {}
    assert table_of(noise, events[:1]) == {}
    assert table_of(TRUE, []) == {}


def test_median_and_width_are_those_of_a_gaussian() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 100_000)
    assert median_and_width(values) == pytest.approx((3.0, 2.0), abs=0.03)


def test_the_report_has_the_table(tmp_path: Path) -> None:
    events = project_files().events / "ttbar_mu10.parquet"
    with TracksWriter(tmp_path / "true.parquet") as writer:
        for event in read_events(events):
            writer.write(event, helices.true_labels(event))
    tracks = ("--no-networks", "--tracks", "truth", str(tmp_path / "true.parquet"))
    assert main([str(events), *tracks, "--beam", "0.5", "0", "--output", str(tmp_path / "report.md")]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "closest to the beam line (x = 0.5, y = 0 mm) in 2 T" in report
    assert "| q/pT | 1/TeV |" in report
