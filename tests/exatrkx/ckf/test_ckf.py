"""The CKF: on exactly the simulated events, with the efficiency that a Kalman filter must have there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import pytest

from exatrkx.ckf.settings import SETTINGS
from exatrkx.errors import EventFormatError, SimulationError
from exatrkx.events.event import Event
from exatrkx.events.readers import read_events
from exatrkx.events.saved_tracks import SavedTracks
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.reporting.tables import TRACK_ROWS
from exatrkx.simulation.profile import PROFILES, DetectorProfile
from exatrkx.simulation.settings import SimulationSettings

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

import acts
import acts.examples as ex

from exatrkx.ckf.__main__ import main
from exatrkx.ckf.figures import CkfFigures
from exatrkx.ckf.measurements import Measured
from exatrkx.ckf.reconstruction import Reconstructed, Reconstruction
from exatrkx.simulation.__main__ import main as simulation_main
from exatrkx.simulation.chain import Simulation
from exatrkx.simulation.detector import MEASUREMENT_CONTAINER
from exatrkx.simulation.generator import GeneratedParticle

pytestmark = pytest.mark.simulation

EVENTS = 8
STAGES = ["seeding", "finding", "ambiguity resolution"]
MUON = GeneratedParticle(1, 1, 13, -1.0, 0.10566, (0.0, 0.0, 0.0, 0.0), (5.0, 0.0, 1.0))


class Gun:
    """A generator of these particles and no others."""

    def __init__(self, *particles: GeneratedParticle) -> None:
        self.particles = particles

    def event(self, _number: int) -> Iterator[GeneratedParticle]:
        yield from self.particles


@pytest.fixture(scope="module")
def reconstruction() -> Reconstruction:
    return Reconstruction(SimulationSettings(seed=5), SETTINGS["tuned"])


@pytest.fixture(scope="module")
def found(reconstruction: Reconstruction) -> list[Reconstructed]:
    """tt̄ events without pile-up."""
    return [reconstruction.event(number) for number in range(EVENTS)]


def shot(
    reconstruction: Reconstruction, monkeypatch: pytest.MonkeyPatch, *particles: GeneratedParticle
) -> Reconstructed:
    monkeypatch.setattr(reconstruction._simulation, "_generator", Gun(*particles))
    return reconstruction.event(0)


def total(events: list[Reconstructed]) -> TrackMetrics:
    return sum((track_metrics(one.labels, one.event) for one in events), start=TrackMetrics.zero())


def same(left: Event, right: Event) -> bool:
    assert left.truth is not None
    assert right.truth is not None
    return (
        left.event_id == right.event_id
        and all(np.array_equal(getattr(left, name), getattr(right, name)) for name in ("x", "y", "z"))
        and all(
            np.array_equal(getattr(left.truth, name), getattr(right.truth, name))
            for name in ("spacepoint", "particle", "order")
        )
    )


def test_the_events_are_those_of_the_simulation(found: list[Reconstructed]) -> None:
    simulation = Simulation(SimulationSettings(seed=5))
    assert all(same(found[number].event, simulation.event(number)) for number in (2, 0))


def test_the_filter_meets_the_faults_of_the_simulation() -> None:
    settings = SimulationSettings(seed=5, detector=PROFILES["realistic"])
    reconstruction, simulation = Reconstruction(settings, SETTINGS["realistic"]), Simulation(settings)
    found = [reconstruction.event(number) for number in range(4)]
    assert all(same(one.event, simulation.event(one.event.event_id)) for one in found)
    tracks, ideal_cuts = total(found), Reconstruction(settings, SETTINGS["tuned"])
    assert tracks.efficiency_double_majority.value > 0.96
    assert tracks.efficiency_perfect.value > 0.88
    assert tracks.fake_rate.value < 0.01
    # One layer in 33 is missing, and noise takes the place of some hits: cuts for an ideal detector lose tracks there.
    with_ideal_cuts = total([ideal_cuts.event(number) for number in range(4)])
    assert tracks.efficiency_perfect.value > with_ideal_cuts.efficiency_perfect.value


SAMPLES: Final = {
    "dijet": ["--process", "dijet", "--pt-hat-min", "1500", "--detector", "realistic"],
    "displaced": ["--process", "displaced", "--particles", "10", "--detector", "realistic"],
    "electron": ["--process", "electron", "--particles", "10", "--smearing", "0.1"],
    "zmumu": ["--process", "zmumu", "--noise", "1", "--geometric-clusters", "--beam-x", "3", "--beam-spot-z", "110"],
    "nothing": ["--process", "zmumu", "--dead-modules", "1"],
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_tracks_belong_to_the_events_of_the_simulation(tmp_path: Path, sample: str) -> None:
    """Of two commands with the same options, in files: spacepoint for spacepoint."""
    events, tracks = tmp_path / "events.parquet", tmp_path / "tracks.parquet"
    options = [*SAMPLES[sample], "--events", "2", "--first-event", "3", "--seed", "5"]
    assert simulation_main([str(events), *options]) == 0
    assert main([*options, "--tracks", str(tracks), "--settings", "realistic"]) == 0
    table, own = pq.read_table(tracks), SavedTracks.read(tracks)
    read = list(read_events([str(events)]))
    for name in ("x", "y", "z"):
        there = np.concatenate([getattr(event, name) for event in read])
        assert np.array_equal(table[name].to_numpy(), there)
    assert sorted(own.rows) == [event.event_id for event in read if len(event)]
    labels = [own.labels(event) for event in read if len(event)]
    scored = [track_metrics(*pair) for pair in zip(labels, [e for e in read if len(e)], strict=True)]
    found = sum(scored, start=TrackMetrics.zero()).efficiency_double_majority
    assert (found.denominator == 0) == (sample == "nothing")
    assert not found.denominator or found.value > 0.7


class Errors(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Keeps place and variances of every measurement of a container."""

    def __init__(self, container: str) -> None:
        super().__init__(f"Errors of {container}", acts.logging.ERROR)
        self.seen: list[tuple[float, ...]] = []
        self._input = ex.ReadDataHandle(self, ex.MeasurementContainer, "Measurements")
        self._input.initialize(container)

    def execute(self, context: Any) -> Any:
        for one in self._input(context.eventStore):
            place, error = one.fullParameters, one.fullCovariance
            self.seen.append((one.geometryId.value, place[0], place[1], error[0, 0], error[1, 1], error[0, 1]))
        return ex.ProcessCode.SUCCESS


@pytest.mark.parametrize("error", [{"misalignment": 0.03}, {"misalignment": 0.03, "smearing": 0.04}, {}])
def test_the_filter_is_told_how_far_modules_are_displaced(error: dict[str, float]) -> None:
    profile = DetectorProfile(geometric_clusters=True, **error)
    measured = Measured(profile)
    simulated, told = Errors(MEASUREMENT_CONTAINER), Errors(measured.container)
    algorithms = [*measured.algorithms(), simulated, told]
    assert (len(algorithms) == 2) == (not error)
    Simulation(SimulationSettings(seed=5, process="zmumu", detector=profile), lambda *_: algorithms).run(range(1))
    before, after = np.asarray(simulated.seen), np.asarray(told.seen)
    assert len(before) > 100
    before[:, 3:5] += sum(value**2 for value in error.values())
    assert np.allclose(after, before, rtol=1e-6, atol=0.0)


def test_labels_are_as_the_pipeline_has_them(found: list[Reconstructed]) -> None:
    for one in found:
        assert one.labels.shape == (len(one.event),)
        assert one.labels.dtype == np.int64
        names, first, size = np.unique(one.labels, return_index=True, return_counts=True)
        assert names.tolist() == list(range(-1, len(names) - 1))
        assert np.all(np.diff(first[1:]) > 0)
        # Seven measurements, of which three may be shared.
        assert size[1:].min() >= 4


def test_nearly_every_particle_is_found(found: list[Reconstructed]) -> None:
    tracks = total(found)
    assert tracks.efficiency_double_majority.denominator > 200
    assert tracks.efficiency_double_majority.value > 0.97
    assert tracks.efficiency_perfect.value > 0.88
    assert tracks.fake_rate.value < 0.01
    assert tracks.duplicate_rate.value < 0.01


def test_the_settings_of_acts_find_most(found: list[Reconstructed]) -> None:
    plain = Reconstruction(SimulationSettings(seed=5), SETTINGS["acts"])
    tracks = total([plain.event(number) for number in range(EVENTS)])
    assert 0.9 < tracks.efficiency_double_majority.value < total(found).efficiency_double_majority.value
    assert tracks.fake_rate.value < 0.01


def test_an_event_does_not_depend_on_those_before_it(found: list[Reconstructed]) -> None:
    alone = Reconstruction(SimulationSettings(seed=5), SETTINGS["tuned"])
    assert np.array_equal(alone.event(3).labels, found[3].labels)
    assert np.array_equal(alone.event(1).labels, found[1].labels)


def test_every_stage_has_its_time(found: list[Reconstructed]) -> None:
    for one in found:
        assert list(one.seconds) == STAGES
        assert all(seconds >= 0 for seconds in one.seconds.values())


def test_nothing_is_found_in_nothing(reconstruction: Reconstruction, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = shot(reconstruction, monkeypatch)
    assert len(empty.event) == len(empty.labels) == 0
    assert list(empty.seconds) == STAGES


def test_a_muon_is_one_track(reconstruction: Reconstruction, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shot(reconstruction, monkeypatch, MUON)
    assert len(one.event) >= 10
    assert np.count_nonzero(one.labels == 0) >= 10
    assert set(one.labels.tolist()) <= {-1, 0}


def test_an_event_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def event(self, number: int) -> Iterator[GeneratedParticle]:
            raise SimulationError(f"event {number}: Pythia failed")

    fresh = Reconstruction(SimulationSettings(seed=5), SETTINGS["tuned"])
    with monkeypatch.context() as patch:
        patch.setattr(fresh._simulation, "_generator", Broken())
        with pytest.raises(SimulationError, match=r"^event 0: Pythia failed"):
            fresh.event(0)
    assert list(fresh.event(0).seconds) == STAGES


def test_figures_add_up(found: list[Reconstructed]) -> None:
    figures = CkfFigures()
    for one in found:
        figures.add(one)
    assert figures.events == EVENTS
    assert figures.spacepoints == sum(len(one.event) for one in found)
    assert figures.candidates == sum(len(set(one.labels.tolist()) - {-1}) for one in found)
    assert figures.tracks == total(found)
    assert figures.seconds["finding"] == pytest.approx(sum(one.seconds["finding"] for one in found))


def test_a_report_of_no_events() -> None:
    assert "- Events: 0" in CkfFigures().markdown("none")


def test_every_figure_has_a_row() -> None:
    assert {name for _, name, _ in TRACK_ROWS} == {field.name for field in fields(TrackMetrics)}


def test_the_command_gives_the_same_for_any_number_of_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: list[Reconstructed]
) -> None:
    tables = []
    for workers in ("1", "2"):
        report = tmp_path / f"{workers}.md"
        options = ["--events", "3", "--seed", "5", "--workers", workers, "--output", str(report)]
        assert main(options) == 0
        assert report.read_text() in capsys.readouterr().out
        tables.append([line for line in report.read_text().splitlines() if not line.endswith("ms |")])
    assert tables[0] == tables[1]
    ratio = total(found[:3]).efficiency_double_majority
    assert any(f"{ratio.numerator} / {ratio.denominator}" in line for line in tables[0])


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_tracks_are_written_with_their_times(tmp_path: Path, suffix: str, found: list[Reconstructed]) -> None:
    file = tmp_path / f"tracks{suffix}"
    assert main(["--events", "2", "--first-event", "1", "--seed", "5", "--tracks", str(file)]) == 0
    saved = SavedTracks.read(file)
    assert list(saved.rows) == [1, 2]
    for one in found[1:3]:
        assert np.array_equal(saved.labels(one.event), one.labels)
        assert 0.0 < saved.seconds(one.event) < 10.0
    with pytest.raises(EventFormatError, match="event 3"):
        saved.labels(found[3].event)


def test_tracks_of_no_known_format_are_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--events", "1", "--tracks", str(tmp_path / "tracks.json")]) == 2
    assert "ckf: " in (error := capsys.readouterr().err)
    assert "found '.json'" in error


def test_an_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--events", "0", "--output", str(tmp_path / "file" / "report.md")]) == 1
    assert "ckf: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--settings", "best"], "invalid choice: 'best'"),
        (["--pileup", "-1"], "the mean pile-up must be from 0 to 1000, found -1.0"),
        (["--events", "-1"], "must not be negative, found -1"),
    ],
)
def test_options_that_make_no_sense(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_without_the_simulation_packages_the_command_says_what_to_install() -> None:
    code = "import sys, runpy; sys.modules['acts'] = None; runpy.run_module('exatrkx.ckf', run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "install 'exatrkx[simulate]'" in result.stderr
    assert "Traceback" not in result.stderr
