"""`perf/figures.py`: the command line with stand-ins for what takes minutes, and a crowded event through a server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_networks import clumps

from exatrkx.events.event import features
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.readers import read_events
from exatrkx_perf import EVENTS
from exatrkx_perf.commands import figures
from exatrkx_perf.errors import MeasurementError
from exatrkx_perf.goals import Goal
from exatrkx_perf.median_range import MedianRange
from exatrkx_perf.project_figures import SPACEPOINTS, ProjectFigures

if TYPE_CHECKING:
    from pathlib import Path


def goal(name: str, measured: float, at_most: float = 10.0) -> Goal:
    return Goal(name, MedianRange(measured, measured, measured, 1), at_most, "s")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two events, of which the first is to be taken."""
    path = tmp_path_factory.mktemp("events") / "crowded.parquet"
    first, second, *_ = read_events([EVENTS])
    write_events(path, [second, first])
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ProjectFigures]]:
    """What was measured of which event, with figures made up: 3 s for a plain one, 7 s for a crowded one."""
    calls: list[tuple[str, ProjectFigures]] = []

    def plain(watch: ProjectFigures) -> list[Goal]:
        calls.append(("plain", watch))
        return [goal(f"plain, {watch.threads} threads", 3.0)]

    def of_crowd(watch: ProjectFigures) -> list[Goal]:
        calls.append(("crowded", watch))
        return [goal(f"crowded, {watch.threads} threads", 7.0)]

    monkeypatch.setattr(ProjectFigures, "goals", plain)
    monkeypatch.setattr(ProjectFigures, "crowded_goals", of_crowd)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # pytest's own stay
    return calls


def test_a_crowded_event_is_measured_beside_the_plain_one(
    crowded: Path, asked: list[tuple[str, ProjectFigures]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "figures.md"
    assert figures.main(["--threads", "1,2", "--crowded", str(crowded), "--output", str(output)]) == 0
    assert [(kind, watch.threads) for kind, watch in asked] == [
        ("plain", 1),
        ("crowded", 1),
        ("plain", 2),
        ("crowded", 2),
    ]
    (first, *_), plain = read_events([crowded]), asked[0][1]
    np.testing.assert_array_equal(asked[1][1].event, features(first))
    assert abs(len(plain.event) - SPACEPOINTS) < 500
    assert replace(asked[1][1], event=plain.event) == plain, "all else is the same"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.read_text().splitlines() if "|" in line]
    assert rows[0] == ["figure", "measured", "at most", "met"]
    assert rows[2:] == [
        ["plain, 1 threads", "3.0 s", "10 s", "yes"],
        ["crowded, 1 threads", "7.0 s", "10 s", "yes"],
        ["plain, 2 threads", "3.0 s", "10 s", "yes"],
        ["crowded, 2 threads", "7.0 s", "10 s", "yes"],
    ]
    table, _, settings = capsys.readouterr().out.strip().rpartition("\n")
    assert output.read_text().partition("\n\n")[2].strip() == table
    assert settings.startswith("settings:")


def test_without_it_nothing_crowded_is_measured(asked: list[tuple[str, ProjectFigures]], tmp_path: Path) -> None:
    assert figures.main(["--threads", "1", "--output", str(tmp_path / "figures.md")]) == 0
    assert [kind for kind, _ in asked] == ["plain"]


def test_a_figure_that_is_not_met_is_said(
    crowded: Path,
    asked: list[tuple[str, ProjectFigures]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ProjectFigures, "crowded_goals", lambda _watch: [goal("crowded", 11.0)])
    arguments = ["--threads", "1", "--crowded", str(crowded), "--output", str(tmp_path / "figures.md")]
    assert figures.main(arguments) == 1
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.split()[-2] for line in table if "crowded" in line] == ["no"]
    assert len(asked) == 1


@pytest.mark.usefixtures("asked")
def test_what_goes_wrong_is_said(
    crowded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_watch: ProjectFigures) -> Any:
        raise MeasurementError("the server ended by SIGKILL")

    output = ["--threads", "1", "--output", str(tmp_path / "figures.md")]
    assert figures.main([*output, "--crowded", str(tmp_path / "none.parquet")]) == 2
    assert "none.parquet" in capsys.readouterr().err
    monkeypatch.setattr(ProjectFigures, "crowded_goals", fails)
    assert figures.main([*output, "--crowded", str(crowded)]) == 2
    assert capsys.readouterr().err == "figures.py: the server ended by SIGKILL\n"


@pytest.mark.server
def test_a_crowded_event_through_the_ensemble(tiny_repository: Path, tmp_path: Path) -> None:
    event = clumps(40, 5)[0]
    watch = ProjectFigures(repository=tiny_repository, event=event, threads=1, repeats=2, log_folder=tmp_path)
    seconds, memory = watch.crowded_goals()
    assert (seconds.name, seconds.unit) == ("ensemble, event of 200 spacepoints, 1 thread", "s")
    assert seconds.measured.number == 2, "the call that warms up is not counted"
    assert 0.0 < seconds.measured.low <= seconds.measured.median
    assert (memory.name, memory.unit) == ("server's most resident memory, event of 200 spacepoints, 1 thread", "GiB")
    assert 0.05 < memory.measured.median < 6.0
