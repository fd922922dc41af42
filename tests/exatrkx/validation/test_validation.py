"""Validation: figures that add up, and a report that says them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import handmade
import numpy as np
import pytest

from exatrkx.events.event import Event
from exatrkx.events.parquet import read_events
from exatrkx.events.parquet_writer import write_events
from exatrkx.events.truth import require_truth
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.metrics import TrackMetrics, match_labels, track_metrics
from exatrkx.performance.selection import SELECTIONS, TARGET, ParticleSelection, leaves_track
from exatrkx.pipeline import Pipeline
from exatrkx.validation import Validation, validate
from exatrkx.validation.__main__ import main, served
from exatrkx.validation.binned import DISTANCE, ETA, PT, RADIUS, VERTEX_Z, BinnedRatio, Quantity
from exatrkx.validation.causes import ALL, Causes
from exatrkx.validation.finders import Finder, Found, direct
from exatrkx.working_point import WorkingPoint
from exatrkx_server import TritonServer

EVENTS = Path(__file__).parents[3] / "data" / "events" / "ttbar_mu0.parquet"


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
    assert whole.binned == first.binned + second.binned
    assert second.binned == validate(pipeline, read_events(EVENTS, [3, 2])).binned, "a sum changes none of its parts"


@pytest.fixture(scope="module")
def evaluated(pipeline: Pipeline) -> tuple[list[Event], Validation]:
    events = list(read_events(EVENTS, range(6)))
    return events, validate(pipeline, events)


def test_bins_add_up_to_the_totals(evaluated: tuple[list[Event], Validation]) -> None:
    events, result = evaluated
    tracks = {
        "double majority": result.tracks.efficiency_double_majority,
        "LHC": result.tracks.efficiency_lhc,
        "perfect": result.tracks.efficiency_perfect,
    }
    # The bins of η go beyond the selection, which ends at an edge of them.
    inside = [place for place, (low, high) in enumerate(ETA.bins) if low >= -3.0 and high <= 3.0]

    def selected(line: BinnedRatio) -> Ratio:
        return sum((line.ratios[place] for place in inside), Ratio(0, 0))

    assert {name: selected(one) for name, one in result.binned.kinds(Quantity.EFFICIENCY, ETA).items()} == tracks
    for stage, binned in result.binned.kinds(Quantity.EDGE_EFFICIENCY, ETA).items():
        assert binned.total == result.stages[stage].edges.efficiency
    assert selected(result.binned.kinds(Quantity.DUPLICATE_RATE, ETA)[""]) == result.tracks.duplicate_rate
    fakes = result.binned.kinds(Quantity.FAKE_RATE, ETA)[""].total
    assert fakes.denominator <= result.tracks.fake_rate.denominator
    soft, forward = replace(TARGET, min_pt=0.5), replace(TARGET, max_abs_eta=4.0)
    for axis, values, chosen in ((PT, "pt", soft), (ETA, "eta", forward), (RADIUS, "vr", TARGET)):
        inside_bins = 0
        for event in events:
            particles = require_truth(event).particles
            wanted = getattr(particles, values)[chosen.mask(event)].tolist()
            inside_bins += sum(axis.edges[0] <= value < axis.edges[-1] for value in wanted)
        in_bins = result.binned.kinds(Quantity.EFFICIENCY, axis)
        assert {one.total.denominator for one in in_bins.values()} == {inside_bins}
    near = result.binned.kinds(Quantity.EFFICIENCY, DISTANCE)
    assert {name: one.total for name, one in near.items()} == tracks, "every particle has a neighbour"
    vertices = np.concatenate([require_truth(event).particles.vz[TARGET.mask(event)] for event in events])
    for binned in result.binned.kinds(Quantity.EFFICIENCY, VERTEX_Z).values():
        assert binned.total.denominator == int((np.abs(vertices) < VERTEX_Z.edges[-1]).sum())


def test_what_is_counted_of_each_event(evaluated: tuple[list[Event], Validation], pipeline: Pipeline) -> None:
    """Named samples, other definitions, score and causes, each event by itself."""
    events, result = evaluated
    assert result.samples["standard"] == result.tracks
    totals = {name: TrackMetrics.zero() for name in SELECTIONS}
    causes = Causes()
    for event in events:
        found = direct(pipeline).find(event)
        for name, selection in SELECTIONS.items():
            totals[name] += track_metrics(found.labels, event, selection)
        causes.count(found, match_labels(found.labels, event), TARGET.mask(event), event)
    assert result.samples == totals
    assert result.causes == causes
    assert result.particles == sum(int(leaves_track(event).sum()) for event in events)
    assert len(result.trackml) == len(events)
    assert all(0.5 < score < 1.0 for score in result.trackml)
    double, perfect = result.tracks.efficiency_double_majority, result.tracks.efficiency_perfect
    assert result.causes.found == double.numerator
    assert result.causes.tracks[ALL] == double.numerator - perfect.numerator > 0
    assert result.other_definitions.acorn_two_way == double, "no spacepoint of these events has two particles"
    assert result.other_definitions.acorn_fakes == result.tracks.fake_rate
    assert result.other_definitions.acorn_two_way_fakes == result.tracks.unmatched_rate


def test_electrons_and_all_others_are_all(evaluated: tuple[list[Event], Validation]) -> None:
    events, result = evaluated
    for name, total in (("double majority", "efficiency_double_majority"), ("perfect", "efficiency_perfect")):
        both = result.kinds["electrons"][name] + result.kinds["all others"][name]
        assert both == getattr(result.tracks, total)
    electrons = sum(int(np.sum(ParticleSelection(electrons="only").mask(event))) for event in events)
    assert result.kinds["electrons"]["LHC"].denominator == electrons > 0


@pytest.mark.slow
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
    for word in ("efficiency, double majority", "fake rate", "| GNN |", "two.parquet", "95 % interval", "settings:   "):
        assert word in printed
    kept = json.loads((tmp_path / "report.md.settings.json").read_text())
    assert kept["samples"] == {"two.parquet": [str(events)]}
    assert kept["networks"]["embed weights_sha256"] == WorkingPoint.load().embedding
    assert kept["networks"]["radius"] == WorkingPoint.load().radius


def test_a_missing_file_ends_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "absent.parquet")]) == 2
    assert "absent.parquet" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_told_before_the_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "absent.parquet"), "--output", str(tmp_path / "none" / "report.md")]) == 1
    assert "report.md: no such folder" in capsys.readouterr().err


def found_as(labels: Sequence[int]) -> Finder:
    """A finder with one answer to everything, and no graphs."""
    return Finder(lambda _: Found(labels=np.asarray(labels, dtype=np.int64), seconds=0.5), "Nowhere", "made up")


def test_labels_alone_have_no_edge_figures() -> None:
    result = validate(found_as([0, 0, 0]), [handmade.event(3, [[0, 1, 2]])], ParticleSelection(min_spacepoints=3))
    assert result.binned.kinds(Quantity.EDGE_EFFICIENCY, PT) == {}
    assert result.stages["GNN"].count == 0
    assert result.tracks.efficiency_perfect.numerator == 1
    assert result.median_ms == 500.0


def test_an_event_of_nothing_counts_as_an_event() -> None:
    result = validate(found_as([]), [handmade.event(0, [])])
    assert result.events == 1
    assert all(not ratio.total.denominator for ratio in result.binned.ratios.values())


@pytest.mark.slow
def test_samples_are_compared_in_report_table_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, report = tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "report.md"
    write_events(first, read_events(EVENTS, [0]))
    write_events(second, read_events(EVENTS, [1, 2]))
    samples = ["--sample", "µ = 0", str(first), "--sample", "µ = 10", str(second)]
    assert main([*samples, "--output", str(report), "--plots", str(tmp_path / "plots")]) == 0
    printed = capsys.readouterr().out
    assert "## µ = 0\n" in printed
    assert "| µ = 10 | networks | 2 | " in printed
    assert "| electrons | " in printed
    assert "| [0, 0.1) | " in printed
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    binned = {f"efficiency_{name}" for name in ("pt", "eta", "radius", "vertex_z", "distance")}
    binned |= {"edge_efficiency_pt", "edge_efficiency_eta"}
    assert drawn == binned | {"rates_eta", "samples"}

    counted: Counter[tuple[str, str]] = Counter()
    with report.with_suffix(".csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert row["finder"] == "networks"
            assert 0 <= int(row["numerator"]) <= int(row["denominator"])
            assert float(row["low"]) < float(row["high"])
            figure = (row["quantity"], row["matching_or_stage"], row["variable"])
            selected = float(row["low"]) >= -3.0 and float(row["high"]) <= 3.0
            if figure == ("track efficiency", "perfect", "eta") and selected:
                counted[row["sample"], "found"] += int(row["numerator"])
                counted[row["sample"], "all"] += int(row["denominator"])
    for sample in ("µ = 0", "µ = 10"):
        section = printed.split(f"## {sample}\n")[1]
        line = next(line for line in section.splitlines() if line.startswith("| efficiency, perfect"))
        assert f"{counted[sample, 'found']} / {counted[sample, 'all']}" in line


@pytest.mark.server
def test_a_server_is_judged_by_its_labels(server: TritonServer) -> None:
    event = next(read_events(EVENTS, [0]))
    with served(server.grpc_url, "exatrkx_ensemble") as finder:
        result = validate(finder, [event])
        labels = finder.find(event).labels
    assert result.binned == validate(found_as(labels.tolist()), [event]).binned
    assert result.candidates == labels.max() + 1
    assert result.median_ms > 0.0
    assert "exatrkx_ensemble" in finder.origin


def test_plots_without_mplhep_are_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mplhep", None)
    assert main([str(tmp_path / "absent.parquet"), "--plots", str(tmp_path)]) == 1
    assert "pip install 'exatrkx[perf]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "no events"),
        (["--sample", "µ = 0"], "a name and then files"),
        (["--sample", "a", "x.csv", "--sample", "a", "y.csv"], "different names"),
        (["x.csv", "--server", "127.0.0.1:8001", "--weights", "."], "a server has its own"),
        (["x.csv", "--model", "exatrkx_custom"], "--server URL"),
        (["x.csv", "--output", "report.csv"], "Markdown"),
        (
            ["x.csv", "--tracks", "CKF"],
            "--tracks CKF: expected a file for each of 1 samples (x.csv), or - for one without",
        ),
        (["x.csv", "--tracks", "CKF", "a.csv", "b.csv"], "found 2"),
        (
            ["x.csv", "--tracks", "CKF", "a.csv", "--tracks", "CKF", "b.csv"],
            "different names, found networks, CKF, CKF",
        ),
        (["x.csv", "--tracks", "networks", "a.csv"], "finders must have different names"),
        (["x.csv", "--no-networks"], "leaves nothing to evaluate"),
        (["x.csv", "--no-networks", "--tracks", "CKF", "-"], "leaves nothing to evaluate"),
        (["x.csv", "--no-networks", "--tracks", "CKF", "a.csv", "--weights", "."], "which --no-networks leaves out"),
    ],
)
def test_options_that_make_no_sense(arguments: Sequence[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("module", ["exatrkx.validation", "exatrkx.validate"])
def test_both_names_of_the_command(module: str) -> None:
    shown = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "--sample" in shown.stdout
