"""Particles for the tests of `exatrkx_acts`, and what such an algorithm leaves on the whiteboard of ACTS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import acts
import acts.examples as ex
import numpy as np
import pytest

from exatrkx.events.event import Event
from exatrkx.simulation.chain import Simulation
from exatrkx.simulation.collect import measurement_indices
from exatrkx.simulation.detector import MEASUREMENT_PARTICLES, SPACEPOINTS
from exatrkx.simulation.generator import GeneratedParticle
from exatrkx.simulation.settings import BEAM_SPOT, SimulationSettings

MUON_MASS: Final = 0.10566

Particles = Callable[[int], Iterable[GeneratedParticle]]


def muon(number: int = 1, momentum: tuple[float, float, float] = (5.0, 0.0, 1.0), **where: Any) -> GeneratedParticle:
    return GeneratedParticle(1, number, 13, -1.0, MUON_MASS, where.get("position", (0.0, 0.0, 0.0, 0.0)), momentum)


GRAZING: Final = muon(momentum=(4.777, 1.478, 0.0), position=(955.3, 295.5, 200.0, 0.0))
"""Made before the last layer of the barrel, where no two modules overlap: one spacepoint, at r = 1020 mm."""


def muons(event: int, count: int = 12) -> Iterator[GeneratedParticle]:
    """Muons of 2 to 30 GeV in pT from one vertex of the beam spot."""
    random = np.random.default_rng([7, event])
    vertex = random.normal(scale=BEAM_SPOT).tolist()
    for number in range(1, count + 1):
        pt = math.exp(random.uniform(math.log(2.0), math.log(30.0)))
        phi, eta = random.uniform(-math.pi, math.pi), random.uniform(-2.5, 2.5)
        charge = random.choice([-1, 1])
        yield GeneratedParticle(
            1,
            number,
            -13 * int(charge),
            float(charge),
            MUON_MASS,
            (*vertex, 0.0),
            (pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)),
        )


class Gun:
    """A generator of these particles and no others."""

    def __init__(self, particles: Particles) -> None:
        self.event = particles


@pytest.fixture
def shoot(monkeypatch: pytest.MonkeyPatch) -> Callable[[Particles], None]:
    """Makes simulations that are built afterwards have these particles."""

    def replace(particles: Particles) -> None:
        monkeypatch.setattr("exatrkx.simulation.chain.Generator", lambda _settings: Gun(particles))

    return replace


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the whiteboard has of one event, after the proto-tracks."""

    event: Event
    proto_tracks: list[list[int]]
    measurements: list[int]
    """[N] of each spacepoint."""
    owners: dict[int, set[int]]
    """Of each measurement on a proto-track the numbers of the particles that made it."""

    @property
    def spacepoints(self) -> list[list[int]]:
        """The proto-tracks, as spacepoints."""
        place = {measurement: spacepoint for spacepoint, measurement in enumerate(self.measurements)}
        return [[place[measurement] for measurement in track] for track in self.proto_tracks]


class Watch(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Keeps what it sees of each event, by the event's number."""

    def __init__(self, proto_tracks: str = "prototracks") -> None:
        super().__init__("Watch", acts.logging.ERROR)
        self.seen: dict[int, Seen] = {}
        self._handles = []
        kinds = {
            proto_tracks: ex.ProtoTrackContainer,
            SPACEPOINTS: acts.SpacePointContainer,
            MEASUREMENT_PARTICLES: ex.MeasurementParticlesMap,
        }
        for key, kind in kinds.items():
            handle = ex.ReadDataHandle(self, kind, key)
            handle.initialize(key)
            self._handles.append(handle)

    def execute(self, context: Any) -> Any:
        tracks, spacepoints, particles = (handle(context.eventStore) for handle in self._handles)
        found = [list(track) for track in tracks]
        x, y, z = (np.array(column, dtype=np.float32) for column in (spacepoints.x, spacepoints.y, spacepoints.z))
        self.seen[context.eventNumber] = Seen(
            event=Event(event_id=context.eventNumber, x=x, y=y, z=z),
            proto_tracks=found,
            measurements=measurement_indices(spacepoints),
            owners={m: {p.particle for p in particles.valuesFor(m)} for track in found for m in track},
        )
        return ex.ProcessCode.SUCCESS


def watched(
    finding: Any, numbers: range, threads: int = 1, settings: SimulationSettings | None = None
) -> dict[int, Seen]:
    """Simulate these events, let the algorithm find their tracks, and say what there is of each that got so far."""
    watch = Watch()
    try:
        Simulation(settings or SimulationSettings(seed=5), lambda _geometry, _field: [finding, watch]).run(
            numbers, threads
        )
    except Exception as error:
        error.add_note(f"events that came through: {sorted(watch.seen)}")
        raise
    return watch.seen
