"""Particle guns and dijets: what is asked for is what goes through the detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.events.event import Event, Particles
from exatrkx.simulation.settings import MAX_ABS_ETA, SimulationSettings

pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

from exatrkx.simulation.__main__ import main
from exatrkx.simulation.chain import Simulation

pytestmark = pytest.mark.simulation


def simulated(**settings: object) -> Event:
    return Simulation(SimulationSettings(**settings)).event(0)  # type: ignore[arg-type]


def primaries(event: Event) -> tuple[Particles, npt.NDArray[np.int64]]:
    assert event.truth is not None
    particles = event.truth.particles
    return particles, np.flatnonzero(particles.primary)


@pytest.mark.parametrize(("process", "pdg"), [("muon", 13), ("pion", 211), ("electron", 11)])
def test_a_gun_shoots_flat_in_eta_and_phi(process: str, pdg: int) -> None:
    particles, shot = primaries(simulated(process=process, particles=400, pt=25.0))
    assert len(shot) == 400
    assert set(np.abs(particles.pdg[shot])) == {pdg}
    np.testing.assert_allclose(particles.pt[shot], 25.0, rtol=1e-5)
    # Electron and negative muon are the particles, the negative pion is the antiparticle.
    np.testing.assert_array_equal(particles.charge[shot], np.sign(particles.pdg[shot]) * (1 if pdg == 211 else -1))
    assert 150 < np.count_nonzero(particles.charge[shot] > 0) < 250
    for values, limit in ((particles.eta[shot], MAX_ABS_ETA), (np.arctan2(particles.py, particles.px)[shot], np.pi)):
        assert np.abs(values).max() < limit * 1.0001
        counts, _ = np.histogram(values, bins=4, range=(-limit, limit))
        assert np.abs(counts - 100).max() < 50
    assert particles.vr[shot].max() < 0.1


def test_single_particles_lie_beside_pile_up() -> None:
    event = simulated(process="muon", pileup=10.0, seed=5)
    particles, shot = primaries(event)
    collision = particles.particle_id[shot] >> np.uint64(52)
    assert np.count_nonzero(collision == 1) == 1
    assert np.count_nonzero(collision > 1) > 10


def test_displaced_pairs_come_from_their_vertices() -> None:
    particles, shot = primaries(
        simulated(process="displaced", particles=200, pt=5.0, max_radius=200.0, beam_spot_z=0.0)
    )
    vertex, pairs = np.unique(np.stack((particles.vx, particles.vy, particles.vz), axis=1)[shot], axis=0), []
    for place in vertex:
        inside = [i for i in shot if particles.vx[i] == place[0] and particles.vz[i] == place[2]]
        pairs.append(sorted(particles.charge[inside]))
    assert pairs
    assert all(pair == [-1.0, 1.0] for pair in pairs)
    radius = np.hypot(vertex[:, 0], vertex[:, 1])
    assert radius.max() < 200.1
    assert 0.25 < np.mean(radius < 100) / 1.6 < 0.5  # uniform, but for those that are out of the tracker in z


def test_dijets_have_the_transverse_momentum_that_was_asked_for() -> None:
    def leading(least: float) -> float:
        event = simulated(process="dijet", pt_hat_min=least, seed=5)
        particles, shot = primaries(event)
        return float(np.sort(particles.pt[shot])[-10:].sum())

    assert leading(1500.0) > 3 * leading(50.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--process", "dijet", "--pt-hat-min", "0"], "pt_hat_min must be from 10 to 5000 GeV, found 0.0"),
        (["--process", "muon", "--pt", "0.01"], "pt must be from 0.15 to 1000 GeV, found 0.01"),
        (["--process", "muon", "--particles", "0"], "particles must be from 1 to 10000, found 0"),
        (["--process", "displaced", "--max-radius", "nan"], "max_radius must be from 0 to 1000 mm, found nan"),
    ],
)
def test_numbers_that_make_no_sense(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["events.parquet", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
