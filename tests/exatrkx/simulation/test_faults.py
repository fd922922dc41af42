"""Faults of the detector: each does what it says and nothing else, and the truth knows whose each spacepoint is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exatrkx.events.event import Event, Truth
from exatrkx.events.parquet import read_events
from exatrkx.simulation.profile import IDEAL, PROFILES, DetectorProfile
from exatrkx.simulation.settings import SimulationSettings

acts = pytest.importorskip("acts")
pytest.importorskip("pythia8mc")

import acts.examples as ex  # noqa: E402 - after the check that it is there

from exatrkx.simulation.__main__ import main  # noqa: E402
from exatrkx.simulation.chain import Simulation  # noqa: E402
from exatrkx.simulation.detector import Detector  # noqa: E402
from exatrkx.simulation.faults import Faults  # noqa: E402
from exatrkx.simulation.generator import GeneratedParticle, Generator  # noqa: E402
from exatrkx.simulation.modules import Modules  # noqa: E402
from exatrkx.simulation.resolution import LONG_STRIPS, PIXELS, SHORT_STRIPS  # noqa: E402

pytestmark = pytest.mark.simulation

BUNDLED = Path(__file__).parents[3] / "data" / "events"
HITS = 200_000


def muon(number: int = 1, y: float = 0.0) -> GeneratedParticle:
    """Nearly straight, along x, from (0, y, 0)."""
    return GeneratedParticle(1, number, 13, -1.0, 0.10566, (0.0, y, 0.0, 0.0), (100.0, 0.0, 1.0))


@lru_cache(maxsize=4)
def detector(profile: DetectorProfile) -> Detector:
    return Detector(1, profile=profile)


def simulated(profile: DetectorProfile, particles: Iterable[GeneratedParticle]) -> tuple[Event, Truth]:
    event = detector(profile).event(0, particles)
    assert event.truth is not None
    return event, event.truth


@pytest.fixture(scope="module")
def geometry() -> object:
    return ex.GenericDetector(logLevel=acts.logging.ERROR)


@pytest.fixture(scope="module")
def modules(geometry: ex.GenericDetector) -> Modules:
    return Modules.of(geometry.trackingGeometry())


def test_an_ideal_detector_gives_the_bundled_events_again() -> None:
    """They were made before there were faults, with the seed of data/events/README.md."""
    again = Simulation(SimulationSettings(seed=101, detector=PROFILES["ideal"]))
    for bundled in read_events(BUNDLED / "ttbar_mu0.parquet", range(2)):
        event = again.event(bundled.event_id)
        assert event.truth is not None
        assert bundled.truth is not None
        for name in ("x", "y", "z"):
            # Another processor's rounding may differ.
            np.testing.assert_allclose(getattr(event, name), getattr(bundled, name), rtol=1e-5, atol=1e-3)
        for name in ("spacepoint", "particle", "order"):
            np.testing.assert_array_equal(getattr(event.truth, name), getattr(bundled.truth, name))


def test_an_ideal_profile_writes_the_bytes_that_none_writes(tmp_path: Path) -> None:
    plain, ideal = tmp_path / "plain.parquet", tmp_path / "ideal.parquet"
    assert main([str(plain), "--events", "1"]) == 0
    assert main([str(ideal), "--events", "1", "--detector", "ideal", "--noise", "0"]) == 0
    assert plain.read_bytes() == ideal.read_bytes()


def test_a_realistic_profile_gives_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    assert main([str(one), "--events", "2", "--detector", "realistic"]) == 0
    assert main([str(two), "--events", "2", "--detector", "realistic", "--workers", "2"]) == 0
    assert one.read_bytes() == two.read_bytes()


def test_options_replace_those_of_the_profile(tmp_path: Path) -> None:
    def noise(*options: str) -> int:
        file = tmp_path / "events.parquet"
        assert main([str(file), "--events", "1", *options]) == 0
        (event,) = read_events(file)
        assert event.truth is not None
        return len(event) - len(np.unique(event.truth.spacepoint))

    assert noise("--detector", "realistic", "--noise", "0") == 0
    assert noise("--noise", "0.5") > noise("--detector", "realistic") > 0


def test_hits_are_lost_by_the_kind_of_their_layer(modules: Modules) -> None:
    profile = DetectorProfile(pixel_inefficiency=0.02, short_strip_inefficiency=0.2, long_strip_inefficiency=1.0)
    module = np.random.default_rng(3).integers(len(modules), size=HITS)
    kept, shift, noisy, _ = Faults(profile, modules, seed=1).event(4, module)
    for volumes, expected in ((PIXELS, 0.98), (SHORT_STRIPS, 0.8), (LONG_STRIPS, 0.0)):
        assert kept[np.isin(modules.volume[module], volumes)].mean() == pytest.approx(expected, abs=0.005)
    assert not shift.any()
    assert not len(noisy)


def test_dead_modules_see_nothing_in_any_event(modules: Modules) -> None:
    faults = Faults(DetectorProfile(dead_modules=0.1, noise=1.0), modules, seed=1)
    assert faults.dead.mean() == pytest.approx(0.1, abs=0.01)
    module = np.random.default_rng(3).integers(len(modules), size=HITS)
    for number in (0, 5):
        kept, _, noisy, _ = faults.event(number, module)
        np.testing.assert_array_equal(kept, ~faults.dead[module])
        assert not faults.dead[noisy].any()
    assert np.array_equal(Faults(DetectorProfile(dead_modules=0.1), modules, seed=1).dead, faults.dead)
    assert not np.array_equal(Faults(DetectorProfile(dead_modules=0.1), modules, seed=2).dead, faults.dead)


def test_a_detector_that_is_dead_gives_an_event_of_no_spacepoints() -> None:
    event, truth = simulated(DetectorProfile(dead_modules=1.0, noise=1.0), [muon()])
    assert len(event) == len(truth) == 0
    assert len(truth.particles) == 1


def test_noise_lies_anywhere_on_the_modules(modules: Modules, geometry: ex.GenericDetector) -> None:
    """As ACTS's own surfaces say, and as dense at either end of a trapezoid."""
    module = np.repeat(np.arange(0, len(modules), 19), 20)
    random = np.random.default_rng(1)
    places = modules.position(module, modules.anywhere(module, random))
    surfaces = geometry.trackingGeometry().geoIdSurfaceMap()
    context = acts.GeometryContext.dangerouslyDefaultConstruct()
    tolerance = acts.BoundaryTolerance.none()
    for index, place in zip(module.tolist(), places.tolist(), strict=True):
        surface = surfaces[modules.surface[index]]
        assert surface.isOnSurface(context, acts.Vector3(*place), acts.Vector3(0, 0, 1), tolerance, 1e-3)
    widest = int(np.argmax(modules.half[:, 1] / modules.half[:, 0]))
    low, high, length = modules.half[widest]
    local = modules.anywhere(np.full(HITS, widest), random)
    upper = (low + 3 * high) / (4 * (low + high))  # of the area
    assert (local[:, 1] > 0).mean() == pytest.approx(upper, abs=0.005)
    for end in (-1.0, 1.0):
        near = np.abs(local[:, 1] / length - end) < 0.02
        assert np.abs(local[near, 0]).max() == pytest.approx(low if end < 0 else high, rel=0.02)


def test_the_number_of_noise_hits_goes_with_the_hits_and_they_are_nobodys() -> None:
    event, truth = simulated(DetectorProfile(noise=5.0), [muon()])
    quiet, _ = simulated(IDEAL, [muon()])
    noise = len(event) - len(truth)
    assert abs(noise - 5 * len(quiet)) < 6 * np.sqrt(5 * len(quiet))
    assert len(truth) == len(quiet)
    assert not truth.particle.any()
    assert sorted(truth.order.tolist()) == list(range(len(quiet)))


@pytest.mark.parametrize("profile", [DetectorProfile(smearing=0.2), DetectorProfile(misalignment=0.2)])
def test_hits_are_displaced_in_the_plane_of_their_module(modules: Modules, profile: DetectorProfile) -> None:
    module = np.random.default_rng(3).integers(len(modules), size=HITS)
    faults = Faults(profile, modules, seed=1)
    (_, first, *_), (_, second, *_) = faults.event(0, module), faults.event(1, module)
    normal = np.cross(modules.axes[module, 0], modules.axes[module, 1])
    np.testing.assert_allclose(np.einsum("hx,hx->h", first, normal), 0.0, atol=1e-9)
    for axis in (0, 1):
        along = np.einsum("hx,hx->h", first, modules.axes[module, axis])
        assert along.std() == pytest.approx(0.2, rel=0.03)
    # Modules stay where they are; hits are displaced each by itself.
    assert np.array_equal(first, second) == (profile.misalignment > 0)


def test_smeared_hits_are_farther_from_the_muon() -> None:
    def spread(profile: DetectorProfile) -> float:
        event, _ = simulated(profile, [muon()])
        pixels = event.r < 200
        x, y = event.x[pixels].astype(np.float64), event.y[pixels].astype(np.float64)
        return float(np.sqrt(np.mean((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2)))

    assert spread(IDEAL) < 0.05
    assert spread(DetectorProfile(smearing=1.0)) > 0.3


def test_clusters_that_touch_are_one_spacepoint_of_all_their_particles() -> None:
    """Two muons 10 µm apart share every cell, 20 mm apart none."""
    profile = DetectorProfile(geometric_clusters=True)
    alone, _ = simulated(profile, [muon()])
    near, truth = simulated(profile, [muon(), muon(2, y=0.01)])
    assert len(near) == len(alone)
    assert len(truth) == 2 * len(near)
    for particle in (0, 1):
        assert sorted(truth.spacepoint[truth.particle == particle].tolist()) == list(range(len(near)))
    far, apart = simulated(profile, [muon(), muon(2, y=20.0)])
    assert len(far) == len(apart)
    assert np.bincount(apart.spacepoint).max() == 1


def test_clusters_are_about_as_precise_as_the_smearing() -> None:
    def centre(profile: DetectorProfile) -> npt.NDArray[np.float32]:
        event, truth = simulated(profile, [muon()])
        way = truth.spacepoint[np.argsort(truth.order)]
        return np.stack((event.x[way], event.y[way], event.z[way]), axis=1)

    smeared, clustered = centre(IDEAL), centre(DetectorProfile(geometric_clusters=True))
    distance = np.linalg.norm(smeared - clustered, axis=1)
    assert np.median(distance[:4]) < 0.1
    assert distance.max() < 15


def test_the_beam_line_is_off_the_axis_and_tilted() -> None:
    beam = DetectorProfile(beam_x=1.0, beam_y=-2.0, beam_tilt_x=4.0, beam_tilt_y=-5.0)
    straight, moved = (
        {(one.collision, one.momentum): one.position for one in Generator(settings).event(0)}
        for settings in (SimulationSettings(pileup=3, detector=detector) for detector in (IDEAL, beam))
    )
    both = sorted(straight.keys() & moved.keys())  # not what one of them puts out of the tracker
    assert len(both) > 0.99 * len(straight) > 100
    shifts: dict[int, tuple[float, float]] = {}
    for collision, momentum in both:
        (x, y, z, _), place = straight[collision, momentum], moved[collision, momentum]
        assert place[2] == z
        shift = (place[0] - x, place[1] - y)
        # All of a collision moves with its vertex, decays far from it too.
        assert shift == pytest.approx(shifts.setdefault(collision, shift), abs=1e-9)
        if np.hypot(x, y) < 0.1:
            assert shift == pytest.approx((1.0 + 0.004 * z, -2.0 - 0.005 * z), abs=1e-3)


def test_a_realistic_detector_loses_and_adds_what_its_profile_says() -> None:
    ideal, real = (
        Simulation(SimulationSettings(seed=5, detector=PROFILES[name])).event(0) for name in ("ideal", "realistic")
    )
    assert ideal.truth is not None
    assert real.truth is not None
    assert len(real.truth) / len(ideal.truth) == pytest.approx(0.97 * 0.995, abs=0.03)
    noise = len(real) - len(np.unique(real.truth.spacepoint))
    assert noise / len(real.truth) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pixel-inefficiency", "1.5"], "pixel_inefficiency must be from 0 to 1, found 1.5"),
        (["--dead-modules", "-0.1"], "dead_modules must be from 0 to 1, found -0.1"),
        (["--noise", "nan"], "noise must be from 0 to 10, found nan"),
        (["--smearing", "-1"], "smearing must be from 0 to 10, found -1.0"),
        (["--misalignment", "inf"], "misalignment must be from 0 to 10, found inf"),
        (["--beam-x", "-21"], "beam_x must be from -20 to 20, found -21.0"),
        (["--beam-tilt-y", "90"], "beam_tilt_y must be from -10 to 10, found 90.0"),
        (["--detector", "broken"], "invalid choice: 'broken'"),
    ],
)
def test_impossible_numbers_are_refused_by_name(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["events.parquet", "--detector", "realistic", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_every_number_of_a_profile_has_bounds() -> None:
    for one in fields(DetectorProfile):
        if one.name != "geometric_clusters":
            impossible: dict[str, Any] = {one.name: 1e6}
            with pytest.raises(ValueError, match=f"^{one.name} must be from"):
                replace(IDEAL, **impossible)
