"""ColliderML release-1 Parquet: what ACTS writes is read, and ACTS reads what is written of tracks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import helices
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event
from exatrkx.events.readers import count_events, input_files, read_events
from exatrkx.events.saved_tracks import SavedTracks
from exatrkx.events.tracks import Per, TracksWriter
from exatrkx.fitting.tracks import fit_tracks
from exatrkx.simulation.profile import DetectorProfile
from exatrkx.simulation.settings import SimulationSettings

acts = pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

import acts.examples as ex  # noqa: E402 - after the check that it is there
from acts import arrow  # noqa: E402
from acts.examples import arrow as ex_arrow  # noqa: E402

from exatrkx.simulation import detector  # noqa: E402
from exatrkx.simulation.chain import Simulation  # noqa: E402

pytestmark = pytest.mark.simulation

EVENTS: Final = (3, 4)


def writers(folder: Path) -> Callable[[Any, Any], Iterator[Any]]:
    """ACTS's own: hits with the positions of their clusters, and particles, a file for each event."""

    def made(_geometry: Any, _field: Any) -> Iterator[Any]:
        level = acts.logging.ERROR
        yield ex_arrow.ArrowParticleOutputConverter(
            level=level, inputParticles=detector.PARTICLES, outputTable="particles_table"
        )
        yield ex_arrow.ArrowSimHitOutputConverter(
            level=level,
            inputSimHits=detector.HITS,
            inputParticles=detector.PARTICLES,
            inputClusters=detector.CLUSTERS,
            inputSimHitMeasurementsMap="simhit_measurements",
            outputTable="hits_table",
        )
        yield ex_arrow.ParquetWriter(
            level=level,
            collections={"particles_table": "particles", "hits_table": "tracker_hits"},
            expectedSchemas={
                "particles_table": arrow.particleSchema(),
                "hits_table": arrow.simHitSchema(),
            },
            outputDir=str(folder),
            eventsPerShard=1,
        )

    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """Two files of ACTS's, of an event each, and the events."""
    folder = tmp_path_factory.mktemp("acts")
    profile = DetectorProfile(pixel_inefficiency=0.1, noise=0.2)
    simulation = Simulation(SimulationSettings(seed=5, detector=profile), writers(folder))
    return folder, [simulation.event(number) for number in EVENTS]


def hits_by_particle(event: Event) -> dict[tuple[float, ...], list[tuple[int, ...]]]:
    """Positions in units of 0.1 mm of the hits of each particle, in the order along its way."""
    assert event.truth is not None
    found: dict[tuple[float, ...], list[tuple[int, ...]]] = {}
    particles = event.truth.particles
    place = np.round(np.stack([event.x, event.y, event.z], axis=1).astype(np.float64) * 10).astype(int)
    for hit in np.lexsort((event.truth.order, event.truth.particle)):
        which = event.truth.particle[hit]
        momentum = tuple(np.round([particles.px[which], particles.py[which], particles.pz[which]], 4).tolist())
        found.setdefault(momentum, []).append(tuple(place[event.truth.spacepoint[hit]].tolist()))
    return found


def test_what_acts_writes_is_the_event(written: tuple[Path, list[Event]], caplog: pytest.LogCaptureFixture) -> None:
    folder, events = written
    read = list(read_events(folder / "tracker_hits"))
    assert [event.event_id for event in read] == [event.event_id for event in events]
    assert count_events(folder / "tracker_hits") == 2
    assert {file.parent.name for file in input_files(folder / "tracker_hits")} == {"tracker_hits", "particles"}
    assert all("hits without a measured position" in record.message for record in caplog.records)
    for found, expected in zip(read, events, strict=True):
        assert found.truth is not None
        assert expected.truth is not None
        assert len(found.truth) < len(found)  # noise is of nobody
        hits, others = hits_by_particle(expected), hits_by_particle(found)
        assert hits.keys() <= others.keys()
        same = sum(hits[momentum] == others[momentum] for momentum in hits)
        assert same > 0.9 * len(hits)  # a hit without a measurement is no spacepoint of the event
        charges = dict(zip(expected.truth.particles.px.tolist(), expected.truth.particles.charge.tolist(), strict=True))
        for px, charge in zip(found.truth.particles.px.tolist(), found.truth.particles.charge.tolist(), strict=True):
            assert charges.get(px, charge) == charge


def test_rows_against_arrow(written: tuple[Path, list[Event]]) -> None:
    folder, _ = written
    for event, file in zip(
        read_events(folder / "tracker_hits"), sorted((folder / "tracker_hits").iterdir()), strict=True
    ):
        row = pq.read_table(file).to_pylist()[0]
        particles = pq.read_table(folder / "particles" / file.name.replace("tracker_hits", "particles")).to_pylist()[0]
        assert event.truth is not None
        made = dict(zip(event.truth.spacepoint.tolist(), event.truth.particle.tolist(), strict=True))
        names = event.truth.particles.particle_id.tolist()
        assert {hit: name for hit, name in enumerate(row["particle_id"]) if name != 2**64 - 1} == {
            hit: names[place] for hit, place in made.items()
        }
        for place, name in enumerate(particles["particle_id"]):
            assert names[place] == name
        np.testing.assert_array_equal(event.truth.particles.primary, particles["primary"])
        np.testing.assert_array_equal(event.truth.particles.vz, np.float32(particles["vz"]))
        times = np.array(row["time"])
        for place in set(made.values()):
            hits = event.truth.spacepoint[event.truth.particle == place]
            order = event.truth.order[event.truth.particle == place]
            assert (np.diff(times[hits[np.argsort(order)]]) >= 0).all()


def copied(written: tuple[Path, list[Event]], folder: Path) -> tuple[Path, Path]:
    """The first file of hits, and that of its particles."""
    shutil.copytree(written[0], folder, dirs_exist_ok=True)
    hits, particles = (min((folder / name).iterdir()) for name in ("tracker_hits", "particles"))
    return hits, particles


def test_without_particles(written: tuple[Path, list[Event]], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hits, particles = copied(written, tmp_path)
    particles.unlink()
    (event,) = read_events(hits)
    assert event.truth is not None
    assert np.isnan(event.truth.particles.px).all()
    assert f"{hits}: no file of particles beside it" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda table: table.set_column(0, "event_id", pa.array([8])),
            "particles.*: event 3 of tracker_hits.* is not in",
        ),
        (lambda table: table.drop_columns(["px"]), "particles.*: column 'px' is missing"),
        (
            lambda table: table.set_column(2, "pdg_id", pa.array([[1, 2]])),
            "event 3: its columns of particles differ in length",
        ),
        (
            lambda table: table.set_column(1, "particle_id", pa.array([[1] * len(table["px"][0])])),
            "event 3: particle 1 is there more than once",
        ),
    ],
)
def test_particles_that_do_not_fit(
    written: tuple[Path, list[Event]], tmp_path: Path, change: Callable[[Any], Any], reason: str
) -> None:
    hits, particles = copied(written, tmp_path)
    pq.write_table(change(pq.read_table(particles)), particles)
    with pytest.raises(EventFormatError, match=reason):
        list(read_events(hits))


@pytest.mark.parametrize("per", ["spacepoint", "track"])
def test_tracks_come_back(written: tuple[Path, list[Event]], tmp_path: Path, per: Per) -> None:
    events = list(read_events(written[0] / "tracker_hits"))
    labels = [np.random.default_rng(event.event_id).integers(-1, 40, len(event)) for event in events]
    with TracksWriter(tmp_path / "tracks.parquet", per, layout="colliderml") as writer:
        for event, found in zip(events, labels, strict=True):
            writer.write(event, found)
    saved = SavedTracks.read(tmp_path / "tracks.parquet")
    for event, found in zip(events, labels, strict=True):
        np.testing.assert_array_equal(saved.labels(event), found)
    if per == "spacepoint":
        rows = pq.read_table(tmp_path / "tracks.parquet")
        assert rows.column_names == ["event_id", "hit_id", "track_id"]
        assert len(rows) == sum((found >= 0).sum() for found in labels)  # those of no track are left out
        with pytest.raises(EventFormatError, match="found spacepoint"):
            saved.labels(Event(event_id=3, x=events[0].x[:5], y=events[0].y[:5], z=events[0].z[:5]))


def test_acts_reads_the_tracks_and_writes_them_again(written: tuple[Path, list[Event]], tmp_path: Path) -> None:
    """With the schema that ACTS's converter of release 1 has for them."""
    events = list(read_events(written[0] / "tracker_hits"))
    (tmp_path / "tracks").mkdir()
    with TracksWriter(tmp_path / "tracks" / "tracks.parquet", "track", layout="colliderml") as writer:
        for event in events:
            writer.write(event, helices.true_labels(event, fewest=1))
    schema = {"tracks_table": ex_arrow.ColliderMLRelease1InputConverter.tracksSchema()}
    level = acts.logging.ERROR
    sequencer = ex.Sequencer(events=len(EVENTS), numThreads=1, trackFpes=False, logLevel=level)
    common = {"level": level, "collections": {"tracks_table": "tracks"}, "expectedSchemas": schema}
    sequencer.addReader(ex_arrow.ParquetReader(inputDir=str(tmp_path), **common))
    sequencer.addWriter(ex_arrow.ParquetWriter(outputDir=str(tmp_path / "again"), **common))
    sequencer.run()
    again = pq.read_table(tmp_path / "again" / "tracks")
    own = pq.read_table(tmp_path / "tracks" / "tracks.parquet")
    assert again["event_id"].to_pylist() == [0, 1]  # ACTS counts what it reads
    assert again.schema.remove_metadata() == own.schema.remove_metadata()
    assert again.drop_columns("event_id").to_pylist() == own.drop_columns("event_id").to_pylist()
    parameters = {name: np.array(again[name][0].as_py(), dtype=np.float64) for name in ("theta", "qop", "d0")}
    fits = fit_tracks(events[0].x, events[0].y, events[0].z, helices.true_labels(events[0], fewest=1))
    fitted = fits["ndf"] > 0
    assert 0 < fitted.sum() < len(fitted)
    np.testing.assert_array_equal(np.isfinite(parameters["qop"]), fitted)
    pt = np.abs(np.sin(parameters["theta"]) / parameters["qop"])[fitted]
    np.testing.assert_allclose(pt, fits["pt"][fitted], rtol=1e-5)
    np.testing.assert_allclose(parameters["d0"], fits["d0"], rtol=1e-5, atol=1e-6)


def test_a_layout_of_parquet_has_no_other_suffix(tmp_path: Path) -> None:
    with pytest.raises(EventFormatError, match=r"in the layout colliderml ends in \.parquet, found '\.csv'"):
        TracksWriter(tmp_path / "tracks.csv", layout="colliderml")
