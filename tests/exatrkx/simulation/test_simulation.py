"""Simulation: the same events from the same seed, and the physics that they must show."""

from __future__ import annotations

import json
import math
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.errors import SimulationError
from exatrkx.events.event import Event, Truth
from exatrkx.events.parquet import count_events, read_events
from exatrkx.simulation.settings import BEAM_SPOT, MAX_ABS_ETA, SimulationSettings

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

from exatrkx.simulation.__main__ import main
from exatrkx.simulation.chain import Simulation, simulate
from exatrkx.simulation.collect import KEPT_MIN_PT
from exatrkx.simulation.detector import FIELD, Detector
from exatrkx.simulation.generator import MIN_PT, GeneratedParticle
from exatrkx.simulation.resolution import CELLS, write_smearing

pytestmark = pytest.mark.simulation

BARREL_RADII = (32, 72, 116, 172, 260, 360, 500, 660, 820, 1020)
"""Of the layers of the Generic detector, in mm."""

PILE_UP = 4.0

MUON = GeneratedParticle(1, 1, 13, -1.0, 0.10566, (0.0, 0.0, 0.0, 0.0), (100.0, 0.0, 1.0))
"""Nearly straight, along x."""


@pytest.fixture(scope="module")
def hard() -> list[Event]:
    """Three tt̄ events without pile-up."""
    simulation = Simulation(SimulationSettings(seed=5))
    return [simulation.event(number) for number in range(3)]


@pytest.fixture(scope="module")
def piled() -> list[Event]:
    """The same hard process with some pile-up."""
    simulation = Simulation(SimulationSettings(seed=5, pileup=PILE_UP))
    return [simulation.event(number) for number in (2, 0, 1)]


def truth(event: Event) -> Truth:
    assert event.truth is not None
    return event.truth


def hits_per_particle(event: Event) -> npt.NDArray[np.int64]:
    return np.bincount(truth(event).particle, minlength=len(truth(event).particles))


def ways(event: Event, min_pt: float) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """(particle, its spacepoints in order) of charged primaries from near the beam with at least 7."""
    known, result = truth(event), []
    p = known.particles
    for particle in np.flatnonzero(p.primary & (p.charge != 0) & (p.pt > min_pt) & (p.vr < 1) & (np.abs(p.eta) < 3)):
        mine = np.flatnonzero(known.particle == particle)
        if len(mine) >= 7:
            result.append((int(particle), known.spacepoint[mine[np.argsort(known.order[mine])]]))
    return result


def curvature(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """1/R in 1/mm of the circle through these points (algebraic least squares), positive when they turn to the left."""
    design = np.stack((x, y, np.ones_like(x)), axis=1)
    a, b, c = np.linalg.lstsq(design, x**2 + y**2, rcond=None)[0]
    turn = (x[1] - x[0]) * (y[-1] - y[0]) - (y[1] - y[0]) * (x[-1] - x[0])
    return math.copysign(1 / math.sqrt(c + (a**2 + b**2) / 4), turn)


def same(left: Event, right: Event) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in ("event_id", "x", "y", "z")
    ) and all(
        np.array_equal(getattr(truth(left), name), getattr(truth(right), name))
        for name in ("spacepoint", "particle", "order")
    )


def test_events_have_the_expected_size(hard: list[Event]) -> None:
    assert [event.event_id for event in hard] == [0, 1, 2]
    for event in hard:
        assert 500 < len(event) < 6000
        assert 50 < len(truth(event).particles) < 1000
        assert event.x.dtype == event.y.dtype == event.z.dtype == np.float32


def test_spacepoints_lie_on_the_detector(hard: list[Event]) -> None:
    r = np.concatenate([event.r for event in hard])
    z = np.abs(np.concatenate([event.z for event in hard]))
    assert r.min() > 25
    assert r.max() < 1100
    assert z.max() < 3000
    barrel = r[z < 450]
    for radius in BARREL_RADII:
        assert np.any(np.abs(barrel - radius) < 12), radius
    for r_range, z_range in (((30, 180), (590, 1510)), ((230, 710), (1210, 2990)), ((740, 1100), (1210, 2990))):
        inside = (r > r_range[0]) & (r < r_range[1]) & (z > z_range[0]) & (z < z_range[1])
        assert np.count_nonzero(inside) > 10, (r_range, z_range)


def test_every_spacepoint_has_a_particle(hard: list[Event]) -> None:
    for event in hard:
        known = truth(event)
        assert set(known.spacepoint.tolist()) == set(range(len(event)))
        # Merged measurements have several particles, and are few.
        assert len(event) <= len(known) < 1.02 * len(event)


def test_order_counts_from_zero_along_each_particle(hard: list[Event]) -> None:
    for event in hard:
        known = truth(event)
        for particle in np.unique(known.particle):
            assert sorted(known.order[known.particle == particle]) == list(range(np.sum(known.particle == particle)))


def test_stiff_particles_move_away_from_their_vertex(hard: list[Event]) -> None:
    steps = []
    for event in hard:
        p = truth(event).particles
        for particle, way in ways(event, min_pt=2.0):
            from_vertex = np.hypot(event.r[way], event.z[way] - p.vz[particle])
            steps.append(np.diff(from_vertex) > 0)
    assert np.concatenate(steps).mean() > 0.99


def test_the_field_bends_by_charge_and_momentum(hard: list[Event]) -> None:
    """In GeV, T and m, pT = 0.3 B R, and positive charges turn clockwise in a field along z."""
    ratios = []
    for event in hard:
        p = truth(event).particles
        for particle, way in ways(event, min_pt=1.0):
            found = curvature(event.x[way].astype(np.float64), event.y[way].astype(np.float64))
            expected = -p.charge[particle] * 0.299792458e-3 * FIELD / p.pt[particle]
            ratios.append(found / expected)
    assert len(ratios) > 50
    assert abs(np.median(ratios) - 1) < 0.02
    assert np.mean(np.abs(np.asarray(ratios) - 1) < 0.1) > 0.8


def test_targets_leave_enough_spacepoints(hard: list[Event]) -> None:
    """About ten layers stand between the beam and |η| = 3, and more in the forward direction."""
    for event in hard:
        p = truth(event).particles
        chosen = p.primary & (p.charge != 0) & (p.pt > 1) & (np.abs(p.eta) < 3) & (p.vr < 10)
        counts = hits_per_particle(event)[chosen]
        assert 9 < counts.mean() < 16
        assert np.mean(counts >= 7) > 0.9


def test_particles_are_those_that_matter(hard: list[Event]) -> None:
    for event in hard:
        p, counts = truth(event).particles, hits_per_particle(event)
        assert len(set(p.particle_id.tolist())) == len(p)
        assert np.all((counts > 0) | (p.primary & (p.charge != 0) & (p.pt > KEPT_MIN_PT)))
        assert not np.any(counts[p.charge == 0])
        assert set(np.unique(p.charge)) <= {-1.0, 0.0, 1.0}
        assert np.all(p.pt[p.primary] > 0.999 * MIN_PT)
        assert np.all(np.abs(p.eta[p.primary]) < 1.001 * MAX_ABS_ETA)
        assert p.pt.max() > 5


def test_the_material_makes_electrons(hard: list[Event]) -> None:
    secondary = np.concatenate([~truth(e).particles.primary for e in hard])
    pdg = np.concatenate([truth(e).particles.pdg for e in hard])
    vr = np.concatenate([truth(e).particles.vr for e in hard])
    assert np.count_nonzero(secondary) > 10
    assert set(np.abs(pdg[secondary]).tolist()) == {11}
    assert np.median(vr[secondary]) > 10
    assert np.median(vr[~secondary]) < 1


def test_decays_are_generated(hard: list[Event]) -> None:
    """K0S and Λ decay in the generator: some primaries start centimetres from the beam."""
    p = [truth(event).particles for event in hard]
    assert any(np.any(q.primary & (q.vr > 10) & (np.abs(q.pdg) == 211)) for q in p)


def test_an_event_does_not_depend_on_those_before_it(hard: list[Event], piled: list[Event]) -> None:
    alone = Simulation(SimulationSettings(seed=5))
    assert same(alone.event(2), hard[2])
    assert same(alone.event(0), hard[0])
    # The fixture made event 2 first; the number alone selects its random numbers.
    assert [event.event_id for event in piled] == [2, 0, 1]


def test_another_seed_or_number_is_another_event(hard: list[Event]) -> None:
    other = Simulation(SimulationSettings(seed=6)).event(0)
    assert len({len(event) for event in (*hard, other)}) == 4


def test_pile_up_adds_collisions(hard: list[Event], piled: list[Event]) -> None:
    collisions, vertices = [], []
    for event in piled:
        p = truth(event).particles
        number = (p.particle_id >> np.uint64(52)).astype(int)
        near = p.primary & (p.vr < 0.1)
        for one in np.unique(number[near]):
            z = p.vz[near & (number == one)]
            vertices.append(np.median(z))
        collisions.append(len(np.unique(number)))
    assert sum(collisions) > len(piled)
    assert len(vertices) < len(piled) * (1 + 4 * PILE_UP)
    assert np.ptp(vertices) > 10
    assert np.abs(vertices).max() < 6 * BEAM_SPOT[2]
    assert sum(map(len, piled)) > sum(map(len, hard))
    assert all((truth(e).particles.particle_id >> np.uint64(52)).max() == 1 for e in hard)


def test_no_particles_no_spacepoints() -> None:
    event = Detector(seed=1).event(7, [])
    assert event.event_id == 7
    assert len(event) == len(truth(event)) == len(truth(event).particles) == 0


def test_an_error_inside_the_chain_comes_out_and_the_next_event_is_whole() -> None:
    def broken(error: Exception) -> Iterator[GeneratedParticle]:
        yield MUON
        raise error

    detector = Detector(seed=1)
    with pytest.raises(SimulationError, match=r"^event 3: Pythia failed"):
        detector.event(3, broken(SimulationError("event 3: Pythia failed")))
    with pytest.raises(SimulationError, match=r"^event 4: ACTS: no such surface"):
        detector.event(4, broken(RuntimeError("no such surface")))
    assert same(detector.event(5, [MUON]), Detector(seed=1).event(5, [MUON]))


def test_one_muon_goes_straight_through() -> None:
    photon = GeneratedParticle(1, 2, 22, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), (0.2, 0.0, 100.0))
    event = Detector(seed=1).event(0, [MUON, photon])
    known = truth(event)
    along = known.spacepoint[(known.particle == 0)][np.argsort(known.order[known.particle == 0])]
    assert np.all(np.diff(event.r[along]) > -5)
    assert np.all(event.x[along] > 0)
    assert {int(np.argmin(np.abs(np.asarray(BARREL_RADII) - r))) for r in event.r[along]} == set(range(10))
    assert known.particles.pdg[0] == 13
    assert known.particles.pt[0] == pytest.approx(100.0)


def test_z_bosons_decay_to_two_muons() -> None:
    simulation = Simulation(SimulationSettings(process="zmumu"))
    masses = []
    for number in range(10):
        p = truth(simulation.event(number)).particles
        muons = np.flatnonzero((np.abs(p.pdg) == 13) & (p.pt > 5))
        if len(muons) == 2:
            px, py, pz = (component[muons].sum(dtype=np.float64) for component in (p.px, p.py, p.pz))
            energy = np.sqrt(p.px[muons] ** 2 + p.py[muons] ** 2 + p.pz[muons] ** 2).sum(dtype=np.float64)
            masses.append(math.sqrt(energy**2 - px**2 - py**2 - pz**2))
    assert len(masses) >= 3
    assert 85 < np.median(masses) < 95


def test_smearing_is_one_cell_over_root_twelve(tmp_path: Path) -> None:
    write_smearing(tmp_path / "smearing.json")
    entries = json.loads((tmp_path / "smearing.json").read_text())["entries"]
    assert sorted(entry["volume"] for entry in entries) == [7, 8, 9, 12, 13, 14, 16, 17, 18]
    for entry in entries:
        (pitches,) = (pitch for volumes, pitch in CELLS.items() if entry["volume"] in volumes)
        found = [axis["stddev"] for axis in entry["value"]["smearing"]]
        assert found == pytest.approx([np.sqrt(pitch**2 / 12) for pitch in pitches])


def test_the_command_gives_the_same_bytes_for_any_number_of_workers(tmp_path: Path, hard: list[Event]) -> None:
    one, two, later = (tmp_path / name for name in ("one.parquet", "two.parquet", "later.parquet"))
    assert main([str(one), "--events", "3", "--seed", "5"]) == 0
    assert main([str(two), "--events", "3", "--seed", "5", "--workers", "2"]) == 0
    assert main([str(later), "--events", "1", "--seed", "5", "--first-event", "2"]) == 0
    assert one.read_bytes() == two.read_bytes()
    for found, expected in zip(read_events(one), hard, strict=True):
        assert same(found, expected)
    assert same(next(read_events(later)), hard[2])


def test_no_events_are_an_ordinary_request(tmp_path: Path) -> None:
    assert main([str(tmp_path / "none.parquet"), "--events", "0"]) == 0
    assert count_events(tmp_path / "none.parquet") == 0


def test_a_worker_that_dies_ends_the_run_with_the_reason() -> None:
    events = simulate(SimulationSettings(), range(10**6, 10**6 + 500))
    next(events)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(SimulationError, match="worker process died"):
        list(events)


def test_an_error_in_a_worker_is_the_run_s() -> None:
    settings = SimulationSettings()
    object.__setattr__(settings, "process", "nonsense")  # past the check, so that the worker meets it
    with pytest.raises(KeyError, match="nonsense"):
        list(simulate(settings, range(2), workers=2))
    assert not multiprocessing.active_children()


def test_an_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "events.parquet")]) == 1
    assert "simulation: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--process", "susy"], "invalid choice: 'susy'"),
        (["--pileup", "-1"], "the mean pile-up must be from 0 to 1000, found -1.0"),
        (["--pileup", "nan"], "the mean pile-up must be from 0 to 1000, found nan"),
        (["--pileup", "2000"], "the mean pile-up must be from 0 to 1000, found 2000.0"),
        (["--seed", "-3"], "the seed must not be negative, found -3"),
        (["--events", "-1"], "must not be negative, found -1"),
        (["--workers", "two"], "invalid number value: 'two'"),
    ],
)
def test_options_that_make_no_sense(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["events.parquet", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_beam_spot_is_as_long_as_asked_for() -> None:
    """The same collisions, farther from each other."""
    spreads = []
    for length in (0.0, BEAM_SPOT[2], 2 * BEAM_SPOT[2]):
        p = truth(Simulation(SimulationSettings(seed=5, pileup=PILE_UP, beam_spot_z=length)).event(0)).particles
        spreads.append(np.ptp(p.vz[p.primary & (p.vr < 0.1)]))
    assert spreads[0] < 1.0
    assert spreads[2] == pytest.approx(2 * spreads[1], rel=0.01)


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="the beam spot's length must be from 0 to 1000 mm, found -1"):
        SimulationSettings(beam_spot_z=-1)
    with pytest.raises(
        ValueError, match="must be one of ttbar, zmumu, minbias, dijet, muon, pion, electron, displaced, found 'susy'"
    ):
        SimulationSettings(process="susy")


def test_without_the_simulation_packages_the_command_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys, runpy; sys.modules['acts'] = None; runpy.run_module('exatrkx.simulation', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.parquet")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "install 'exatrkx[simulate]'" in result.stderr
    assert "Traceback" not in result.stderr
