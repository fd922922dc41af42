"""The CKF: on exactly the simulated events, with the efficiency that a Kalman filter must have there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from exatrkx.ckf.settings import SETTINGS
from exatrkx.errors import EventFormatError, SimulationError
from exatrkx.events.event import Event
from exatrkx.events.saved_tracks import SavedTracks
from exatrkx.performance.metrics import TrackMetrics, track_metrics
from exatrkx.reporting.tables import TRACK_ROWS
from exatrkx.simulation.profile import PROFILES
from exatrkx.simulation.settings import SimulationSettings

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

from exatrkx.ckf.__main__ import main
from exatrkx.ckf.figures import CkfFigures
from exatrkx.ckf.reconstruction import Reconstructed, Reconstruction
from exatrkx.simulation.chain import Simulation
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
    reconstruction, simulation = Reconstruction(settings, SETTINGS["tuned"]), Simulation(settings)
    found = [reconstruction.event(number) for number in range(2)]
    assert all(same(one.event, simulation.event(one.event.event_id)) for one in found)
    assert total(found).efficiency_double_majority.value > 0.9


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
    assert main(["--events", "1", "--tracks", str(tmp_path / "tracks.root")]) == 2
    assert "ckf: " in (error := capsys.readouterr().err)
    assert ".parquet or .csv, found '.root'" in error


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
