"""Saved tracks beside the networks: evaluated as any others, refused where they are of other events, and reported."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, IntArray
from exatrkx.events.parquet import read_events
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.tracks import Per, TracksWriter
from exatrkx.events.truth import require_truth
from exatrkx.performance.metrics import track_metrics
from exatrkx.performance.selection import TARGET
from exatrkx.validation import __main__ as command
from exatrkx.validation import validate
from exatrkx.validation.__main__ import main
from exatrkx.validation.finders import Finder, Found, saved
from exatrkx.validation.report import image_lines

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu0.parquet"


def true_labels(event: Event) -> IntArray:
    """Every spacepoint is its first particle's: what a perfect finder finds."""
    truth = require_truth(event)
    labels = np.full(len(event), -1, dtype=np.int64)
    labels[truth.spacepoint[::-1]] = truth.particle[::-1]
    return labels


def halves(event: Event) -> IntArray:
    """All even spacepoints are one track, and all odd ones another: fakes."""
    return np.arange(len(event), dtype=np.int64) % 2


def empty(number: int) -> Event:
    """An event with truth and without spacepoints."""
    event = next(read_events(EVENTS, [0]))
    truth = require_truth(event)
    truth = replace(truth, spacepoint=truth.spacepoint[:0], particle=truth.particle[:0], order=truth.order[:0])
    return Event(event_id=number, x=event.x[:0], y=event.y[:0], z=event.z[:0], truth=truth)


def write(file: Path, events: Iterable[Event], per: Per = "spacepoint", *, seconds: float | None = 0.25) -> Path:
    with TracksWriter(file, per, timed=seconds is not None) as writer:
        for event in events:
            writer.write(event, true_labels(event), seconds)
    return file


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(read_events(EVENTS, [3, 5]))


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
@pytest.mark.parametrize("per", ["spacepoint", "track"])
def test_saved_tracks_are_judged_as_the_same_tracks_are(
    tmp_path: Path, events: list[Event], per: Per, name: str
) -> None:
    file = write(tmp_path / name, reversed(events), per)
    with saved("mine", file) as finder:
        result = validate(finder, [*events, empty(99)])
    expected = validate(Finder(lambda e: Found(labels=true_labels(e), seconds=0.25), "", ""), [*events, empty(99)])
    assert (result.tracks, result.binned, result.kinds) == (expected.tracks, expected.binned, expected.kinds)
    assert result.tracks.efficiency_lhc.value == 1.0
    assert result.events == 3
    assert result.seconds == [0.25, 0.25], "an event without rows has no time"
    assert result.median_ms == 250.0
    assert (finder.name, finder.origin) == ("mine", f"tracks of {name}")


def test_tracks_without_times_have_none(tmp_path: Path, events: list[Event]) -> None:
    with saved("mine", write(tmp_path / "t.csv", events, seconds=None)) as finder:
        assert np.isnan(validate(finder, events).median_ms)


def test_tracks_of_other_events_are_refused(tmp_path: Path, events: list[Event]) -> None:
    file = write(tmp_path / "t.parquet", events)
    first, second = events
    shorter = replace(first, x=first.x[:-1], y=first.y[:-1], z=first.z[:-1])
    x, y, z = (np.append(place, np.float32(1.0)) for place in (first.x, first.y, first.z))
    longer = replace(first, x=x, y=y, z=z)
    moved = replace(first, y=first.y[::-1].copy())
    cases: list[tuple[Sequence[Event], str]] = [
        ([first], r"tracks of 1 events that are not in the sample, the first of them event 5"),
        ([], r"tracks of 2 events that are not in the sample, the first of them event 3"),
        ([first, second, replace(first, event_id=4)], "no tracks of event 4 in it"),
        ([first, second, first], "told apart by the event's number, and 3 came twice"),
        ([shorter], rf"event 3 has {len(first) - 1} spacepoints, found spacepoint {len(first) - 1}"),
        ([longer], rf"event 3 has {len(first) + 1} spacepoints, found rows of {len(first)}"),
        ([moved], r"event 3 is another one: spacepoint 0 has y = "),
    ]
    for asked, reason in cases:
        with pytest.raises(EventFormatError, match=rf"t\.parquet: .*{reason}"), saved("mine", file) as finder:  # noqa: PT012
            for event in asked:
                finder.find(event)


def test_an_error_within_is_not_hidden_by_events_left_over(tmp_path: Path, events: list[Event]) -> None:
    def evaluated() -> None:
        with saved("mine", write(tmp_path / "t.parquet", events)):
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        evaluated()


def scripted(find: Finder) -> object:
    """What stands in for `exatrkx.validation.__main__.networks_of`."""

    def networks_of(_: object) -> AbstractContextManager[Finder]:
        return nullcontext(find)

    return networks_of


def test_mismatched_tracks_are_told_before_the_networks_run(
    tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(_: Event) -> Found:
        raise AssertionError("the networks ran")

    monkeypatch.setattr(command, "networks_of", scripted(Finder(never, "", "")))
    write_events(tmp_path / "e.parquet", events)
    tracks = write(tmp_path / "t.parquet", events[1:])
    assert main([str(tmp_path / "e.parquet"), "--tracks", "CKF", str(tracks)]) == 2
    assert f"validate: {tracks}: no tracks of event 3 in it" in capsys.readouterr().err


@pytest.fixture
def two_samples(tmp_path: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of two samples, one of them with an event of nothing; the networks find halves."""
    fakes = Finder(lambda event: Found(labels=halves(event), seconds=0.004), "nowhere", "made up")
    monkeypatch.setattr(command, "networks_of", scripted(fakes))
    others = [*read_events(EVENTS, [0]), empty(7)]
    write_events(tmp_path / "a.parquet", events)
    write_events(tmp_path / "b.parquet", others)
    write(tmp_path / "ta.parquet", events)
    write(tmp_path / "tb.csv", others, seconds=None)
    names = ("µ = 40", str(tmp_path / "a.parquet")), ("µ = 0", str(tmp_path / "b.parquet"))
    return [word for name in names for word in ("--sample", *name)]


def rows_of(report: str, *cells: str) -> list[list[str]]:
    """The rows of all tables that begin with these cells."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in report.splitlines() if line[:1] == "|"]
    return [row for row in rows if tuple(row[: len(cells)]) == cells]


def test_finders_stand_beside_each_other_in_report_and_table(
    tmp_path: Path, two_samples: list[str], events: list[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / "ta.parquet"), str(tmp_path / "tb.csv")]
    output = tmp_path / "r.md"
    assert (
        main([*two_samples, "--tracks", "CKF", *files, "--tracks", "half", "-", files[1], "--output", str(output)]) == 0
    )
    report = output.read_text()
    assert report in capsys.readouterr().out
    assert [row[:3] for row in rows_of(report, "µ = 40")] == [["µ = 40", "networks", "2"], ["µ = 40", "CKF", "2"]]
    assert [row[1] for row in rows_of(report, "µ = 0")] == ["networks", "CKF", "half"]
    (mine,), (network,) = rows_of(report, "µ = 40", "CKF"), rows_of(report, "µ = 40", "networks")
    assert mine[3].startswith("1.0000 [")
    assert (mine[-1], network[-1]) == ("250.0", "4.0")
    assert network[4].startswith("1.0000 ["), "every half is a fake"
    assert rows_of(report, "µ = 0", "CKF")[0][-1] == "–", "nobody measured"

    total = sum(int(TARGET.mask(event).sum()) for event in events)
    against = rows_of(report, "CKF", "40")[0]
    assert re.search(rf"\({total} / {total}\)", against[2])
    assert [row[1] for row in rows_of(report, "networks") if len(row) == 7] == ["0", "40"], "by rising µ"
    tracks = [track_metrics(halves(event), event).fake_rate for event in events]
    fakes = tracks[0] + tracks[1]
    section = report.split("## µ = 40\n")[1].split("## µ = 0\n")[0]
    row = rows_of(section, "fake rate")[0]
    assert row[1].endswith(f"({fakes.numerator} / {fakes.denominator})")
    assert "double majority, CKF" in section
    assert "- Found by CKF (tracks of ta.parquet): " in section
    assert {line.split(",")[1] for line in output.with_suffix(".csv").read_text().splitlines()} == {
        "finder",
        "networks",
        "CKF",
        "half",
    }


def images(report: str) -> list[str]:
    return [unquote(link) for link in re.findall(r"!\[[^]]+\]\(([^)]+)\)", report)]


@pytest.mark.slow
def test_the_report_shows_its_plots(tmp_path: Path, two_samples: list[str]) -> None:
    files = [str(tmp_path / "ta.parquet"), str(tmp_path / "tb.csv")]
    output, plots = tmp_path / "deep" / "r.md", tmp_path / "my plots"
    output.parent.mkdir()
    assert main([*two_samples, "--tracks", "CKF", *files, "--output", str(output), "--plots", str(plots)]) == 0
    shown = [(output.parent / link).resolve() for link in images(output.read_text())]
    assert sorted(shown) == sorted(plots.iterdir())
    assert all(link.startswith("../my plots/") for link in images(output.read_text()))
    assert shown[0].stem == "samples"
    assert output.read_text().index("samples.png") > output.read_text().index("## Against µ")
    assert all(path.stat().st_size < 80_000 for path in shown)


@pytest.mark.slow
def test_one_sample_has_each_plot_below_its_table(tmp_path: Path, two_samples: list[str]) -> None:
    output, plots = tmp_path / "r.md", tmp_path / "plots"
    one = ["--tracks", "CKF", str(tmp_path / "ta.parquet"), "--output", str(output), "--plots", str(plots)]
    assert main([two_samples[2], *one]) == 0
    report = output.read_text()
    assert set(images(report)) == {f"plots/{path.name}" for path in plots.iterdir()}
    tables = [report.index(f"\n| {axis}") for axis in ("pT / GeV", "η", "production radius / mm")]
    shown = [report.index(f"efficiency_{name}.png") for name in ("pt", "eta", "radius")]
    assert sorted([*tables, *shown]) == [place for pair in zip(tables, shown, strict=True) for place in pair]


def test_no_events_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_events(tmp_path / "none.parquet", [])
    tracks = write(tmp_path / "t.parquet", [])
    options = ["--tracks", "CKF", str(tracks), "--no-networks", "--plots", str(tmp_path / "plots")]
    assert main([str(tmp_path / "none.parquet"), *options]) == 0
    assert "- Events: 0 (none.parquet), 0 spacepoints each" in (printed := capsys.readouterr().out)
    assert "nan" not in printed
    assert main([str(tmp_path / "none.parquet"), "--tracks", "CKF", str(write(tmp_path / "u.csv", [empty(1)]))]) == 0


def test_saved_tracks_alone_need_no_torch(tmp_path: Path, events: list[Event]) -> None:
    write_events(tmp_path / "e.parquet", events)
    tracks = write(tmp_path / "t.parquet", events, "track")
    options = [str(tmp_path / "e.parquet"), "--no-networks", "--tracks", "mine", str(tracks)]
    code = (
        "import sys; from exatrkx.validate import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=True)
    assert "- Found by mine (tracks of t.parquet): " in done.stdout


def test_links_of_a_report(tmp_path: Path) -> None:
    captions = {"b": "second", "absent": "never drawn", "a": "first"}
    plots = {"a": tmp_path / "p q" / "a.png", "b": tmp_path / "b(1).png"}
    lines = image_lines(plots, captions, tmp_path / "report")
    assert list(lines.items()) == [("b", "![second](../b%281%29.png)"), ("a", "![first](../p%20q/a.png)")]


def test_the_cost_of_the_networks_is_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_events(tmp_path / "e.parquet", [empty(9), *read_events(EVENTS, [4])])
    assert main([str(tmp_path / "e.parquet")]) == 0
    printed = capsys.readouterr().out
    size = len(next(read_events(EVENTS, [4])))
    assert f"counted in one event of {size:,} spacepoints" in printed
    costs = {name: rows_of(printed, name)[-1] for name in ("embed", "filter", "gnn", "all")}
    events_costs = [float(costs[name][6].replace(",", "")) for name in ("embed", "filter", "gnn")]
    assert sum(events_costs) == pytest.approx(float(costs["all"][6].replace(",", "")), abs=0.2)
    assert costs["embed"][4] == "–"
    assert float(costs["gnn"][4].replace(",", "")) > 1000
