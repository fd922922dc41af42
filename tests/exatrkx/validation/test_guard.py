"""Physics guard: the committed networks on the bundled events, and what makes it fail, each by a made-up reference."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exatrkx.events.parquet import read_events
from exatrkx.events.parquet_writer import write_events
from exatrkx.performance.intervals import Ratio
from exatrkx.pipeline import Pipeline
from exatrkx.validation import validate
from exatrkx.validation.guard import (
    TOLD,
    FallenError,
    Figures,
    ReferencesError,
    compare,
    main,
    processor,
    read_references,
)
from exatrkx.working_point import WEIGHTS_DIR

ROOT = Path(__file__).parents[3]
EVENTS = sorted((ROOT / "data" / "events").glob("*.parquet"))
REFERENCES = ROOT / "data" / "physics.json"


@pytest.mark.slow
def test_the_committed_networks_are_not_worse_than_their_references(capsys: pytest.CaptureFixture[str]) -> None:
    """Where this fails and is meant to, `make physics-references` makes them anew."""
    arguments = ["--sample", "bundled", *map(str, EVENTS), "--references", str(REFERENCES), "--no-time"]
    assert main(arguments) == 0, capsys.readouterr().err
    assert "efficiency perfect" in capsys.readouterr().out


def test_every_sample_of_the_makefile_has_a_reference() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (samples,) = (line.partition(":=")[2].split() for line in makefile.splitlines() if line.startswith("PHYSICS :="))
    assert set(read_references(REFERENCES)) == {*samples, "bundled"}


def figures(found: int = 900, perfect: int = 800, cpu: float = 10.0, total: int = 1000) -> Figures:
    counts = dict(zip(TOLD, (found, perfect, 0, 0), strict=True))
    ratios = {name: Ratio(count, total) for name, count in counts.items()}
    return Figures(spacepoints=5000, ratios=ratios, cpu={"mine": cpu})


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        (figures(), []),
        (figures(found=1000, perfect=1000, cpu=1.0), []),
        (figures(found=899, perfect=796), []),
        (figures(found=898), ["a: efficiency double majority fell from 0.9000 to 0.8980"]),
        (figures(perfect=794), ["a: efficiency perfect fell from 0.8000 to 0.7940"]),
        (figures(cpu=10.4), []),
        (figures(cpu=10.6), ["a: CPU time rose from 10.000 to 10.600 of the fixed computation's"]),
        (replace(figures(), cpu={"another": 99.0}), []),
        (replace(figures(), cpu={}), []),
    ],
)
def test_what_may_change_and_what_not(now: Figures, worse: list[str]) -> None:
    rows, found = compare("a", now, figures())
    assert found == worse
    assert len(rows) == len(TOLD) + len(now.cpu)


def test_other_events_are_no_reference() -> None:
    with pytest.raises(ReferencesError, match="expected 1000 particles, 5000 spacepoints, found 1001 particles"):
        compare("a", figures(total=1001), figures())
    with pytest.raises(ReferencesError, match="found 1000 particles, 1 spacepoints"):
        compare("a", replace(figures(), spacepoints=1), figures())


@pytest.fixture
def two_events(tmp_path: Path) -> Path:
    file = tmp_path / "two.parquet"
    write_events(file, read_events(ROOT / "data" / "events" / "ttbar_mu0.parquet", [0, 1]))
    return file


def test_references_are_written_compared_and_missed(
    tmp_path: Path, two_events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "references.json"
    arguments = ["--sample", "two", str(two_events), "--references", str(file)]
    assert main(arguments) == 2
    assert "no reference of two; --write makes one" in capsys.readouterr().err
    assert main([*arguments, "--write"]) == 0
    tracks = validate(Pipeline.from_weights(), read_events(two_events)).tracks
    stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for name in TOLD:
        ratio = getattr(tracks, name)
        assert stored["two"][name] == [ratio.numerator, ratio.denominator]
    assert set(stored["two"]["cpu"]) == {processor()}
    assert stored["two"]["cpu"][processor()] > 0.0
    assert main([*arguments, "--no-time"]) == 0

    worse = tmp_path / "worse"
    shutil.copytree(WEIGHTS_DIR, worse)
    point = json.loads((worse / "working_point.json").read_text(encoding="utf-8"))
    (worse / "working_point.json").write_text(json.dumps({**point, "gnn_cut": 0.999999}), encoding="utf-8")
    capsys.readouterr()
    assert main([*arguments, "--no-time", "--weights", str(worse)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert any("two: efficiency double majority fell from" in line for line in told)
    assert any("two: efficiency perfect fell from" in line for line in told)


@pytest.mark.parametrize("text", ["", "[]", "{}x", '{"two": {}}', '{"two": {"spacepoints": 1}}', '{"two": [1]}'])
def test_what_is_no_reference_is_told(
    tmp_path: Path, two_events: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "references.json"
    file.write_text(text, encoding="utf-8")
    assert main(["--sample", "two", str(two_events), "--references", str(file)]) == 2
    assert "references.json: no reference" in capsys.readouterr().err


def test_falling_is_told_line_by_line() -> None:
    assert FallenError.is_list
    assert figures() == Figures.from_json(json.loads(json.dumps(figures().to_json())))
