"""Detector simulation: ACTS Fatras on the Generic detector in 2 T, digitisation, spacepoints."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import acts
import acts.examples as ex
import acts.examples.json as acts_json
import numpy as np

from exatrkx.errors import SimulationError
from exatrkx.events.event import Event
from exatrkx.fitting.tracker import SOLENOID_FIELD
from exatrkx.simulation.collect import collect
from exatrkx.simulation.faults import FaultyHits
from exatrkx.simulation.generator import MIN_PT, GeneratedParticle
from exatrkx.simulation.modules import Modules
from exatrkx.simulation.profile import IDEAL, DetectorProfile
from exatrkx.simulation.resolution import VOLUMES, write_clustering, write_smearing
from exatrkx.simulation.settings import detector_seed

FIELD: Final = SOLENOID_FIELD
"""Magnetic field along z in T."""

MIN_P: Final = MIN_PT
"""Momentum in GeV below which a particle is followed no further, whether generated or made in the material."""

SIMULATED_HITS: Final = "simhits"
HITS: Final = "simhits_with_faults"
"""Names of the hits of an ideal detector, and of those that the detector's faults left and added."""

MEASUREMENTS: Final = "measurement_subset"
SPACEPOINTS: Final = "spacepoints"
"""Names under which ACTS's whiteboard has every measurement, and the one spacepoint of each."""

MEASUREMENT_CONTAINER: Final = "measurements"
"""The same measurements in a container of their own, which is what indices of measurements refer to."""

CLUSTERS: Final = "clusters"
"""Name of the cells of each measurement."""

PARTICLES: Final = "particles_simulated"
PARTICLE_MEASUREMENTS: Final = "particle_measurements"
MEASUREMENT_PARTICLES: Final = "measurement_particles"
"""Names of the particles, those of the detector's material included, and of the maps between them and measurements."""

Further = Callable[[Any, Any], Iterable[Any]]
"""Makes ACTS algorithms and writers that are to follow the digitisation, of tracking geometry and magnetic field."""

ParticlesOf = Callable[[int], Iterable[GeneratedParticle]]
"""The particles of the event of a number."""

_LEVEL: Final = acts.logging.ERROR
# Fatras gives up on one looping particle in some 100,000 and calls it an error; the hits up to there are kept.
_FATRAS_LEVEL: Final = acts.logging.FATAL


def no_more(_geometry: Any, _field: Any) -> tuple[()]:
    """The simulation alone."""
    return ()


class Detector:
    """The detector and its chain of algorithms, built once, that turn particles into events.

    Args:
        seed: of the interactions with the material and of the smearing.
        further: what runs in each event after that; it cannot change the event.
        profile: the detector's faults.
    """

    def __init__(self, seed: int, further: Further = no_more, profile: DetectorProfile = IDEAL) -> None:
        self._detector = ex.GenericDetector(logLevel=_LEVEL)
        geometry = self._detector.trackingGeometry()
        field = acts.ConstantBField(acts.Vector3(0, 0, FIELD * acts.UnitConstants.T))
        random = ex.RandomNumbers(seed=detector_seed(seed))
        self._simulation, hits = [_fatras(geometry, field, random)], SIMULATED_HITS
        if profile.alters_hits:
            hits = HITS
            self._simulation += [FaultyHits(profile, Modules.of(geometry), seed, hits=SIMULATED_HITS, output=hits)]
        cells = Modules.of(geometry) if profile.geometric_clusters else None
        self._simulation += _digitization(geometry, random, hits, cells)
        self._sink = _Sink(hits, cells)
        self._further = [*further(geometry, field)]

    def event(self, number: int, particles: Iterable[GeneratedParticle]) -> Event:
        """Simulate the event of this number, which selects its random numbers, and of these particles.

        Raises:
            SimulationError: a step of the chain failed.
        """
        numbers = range(number, number + 1)
        self._sequence(numbers, lambda _: particles, [*self._simulation, self._sink, *self._further], threads=1)
        event = self._sink.take()
        if event is None:
            raise SimulationError(f"event {number}: ACTS ended without an event and without saying why")
        return event

    def run(self, numbers: range, particles: ParticlesOf, threads: int = 1) -> None:
        """Simulate the same events in one run of ACTS, for what follows the simulation; no `Event` is made of them.

        Args:
            numbers: of the events, one after the other.
            particles: of each event; called by one thread at a time, in no order.
            threads: of ACTS, each with an event of its own.

        Raises:
            SimulationError: a step of the chain failed; besides, what a Python algorithm raised. Events that other
                threads were at are finished, and no further ones begun.
        """
        if numbers.step != 1:
            raise ValueError(f"the events must follow one another, found {numbers}")
        self._sequence(numbers, particles, [*self._simulation, *self._further], threads)

    def _sequence(self, numbers: range, particles: ParticlesOf, elements: list[Any], threads: int) -> None:
        # Trapping floating-point exceptions would end the run at harmless ones in the propagation.
        sequencer = ex.Sequencer(
            skip=numbers.start, events=len(numbers), numThreads=threads, trackFpes=False, logLevel=_LEVEL
        )
        sequencer.addReader(_Source(particles))
        for element in elements:
            if isinstance(element, ex.IWriter):
                sequencer.addWriter(element)
            else:
                sequencer.addAlgorithm(element)
        try:
            sequencer.run()
        except RuntimeError as error:
            which = f"event {numbers.start}" if len(numbers) == 1 else f"events {numbers.start} … {numbers.stop - 1}"
            raise SimulationError(f"{which}: ACTS: {error}") from error


def _fatras(geometry: Any, field: Any, random: Any) -> Any:
    return ex.FatrasSimulation(
        level=_FATRAS_LEVEL,
        inputParticles="particles_generated",
        outputParticles=PARTICLES,
        outputSimHits=SIMULATED_HITS,
        randomNumbers=random,
        trackingGeometry=geometry,
        magneticField=field,
        generateHitsOnSensitive=True,
        emScattering=True,
        emEnergyLossIonisation=True,
        emEnergyLossRadiation=True,
        emPhotonConversion=True,
        pMin=MIN_P * acts.UnitConstants.GeV,
    )


def _digitization(geometry: Any, random: Any, hits: str, cells: Modules | None) -> Iterator[Any]:
    """From hits to spacepoints; by clusters of the modules' cells, where those are given."""
    yield ex.DigitizationAlgorithm(
        level=_LEVEL,
        digitizationConfigs=_digitization_configs(cells),
        # Hits of one module that could not be told apart become one measurement: closer than 1 σ, or touching clusters.
        doMerge=True,
        mergeCommonCorner=cells is not None,
        surfaceByIdentifier=geometry.geoIdSurfaceMap(),
        randomNumbers=random,
        inputSimHits=hits,
        outputMeasurements=MEASUREMENT_CONTAINER,
        outputMeasurementSubset=MEASUREMENTS,
        outputClusters=CLUSTERS,
        outputMeasurementParticlesMap=MEASUREMENT_PARTICLES,
        outputMeasurementSimHitsMap="measurement_simhits",
        outputParticleMeasurementsMap=PARTICLE_MEASUREMENTS,
        outputSimHitMeasurementsMap="simhit_measurements",
    )
    yield ex.SpacePointMaker(
        level=_LEVEL,
        inputMeasurements=MEASUREMENTS,
        outputSpacePoints=SPACEPOINTS,
        trackingGeometry=geometry,
        geometrySelection=[acts.GeometryIdentifier(volume=volume) for volume in VOLUMES],
    )


def _digitization_configs(cells: Modules | None) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digitization.json"
        if cells is None:
            write_smearing(path)
        else:
            write_clustering(path, cells)
        return acts_json.readDigiConfigFromJson(str(path))


class _Source(ex.IReader):  # type: ignore[misc]  # acts ships no types
    """Puts generated particles on ACTS's whiteboard."""

    def __init__(self, particles: ParticlesOf) -> None:
        super().__init__("Source", _LEVEL)
        self._particles = particles
        self._one_at_a_time = threading.Lock()  # threads would mix their events in the generator, which has one state
        self._output = ex.WriteDataHandle(self, ex.SimParticleContainer, "OutputParticles")
        self._output.initialize("particles_generated")

    def availableEvents(self) -> tuple[int, int]:  # noqa: N802  # the name that ACTS calls
        return 0, 2**62

    def read(self, context: Any) -> Any:
        container = ex.SimParticleContainer()
        with self._one_at_a_time:
            for particle in self._particles(context.eventNumber):
                container.insert(_acts_particle(particle))
        self._output(context, container)
        return ex.ProcessCode.SUCCESS


class _Sink(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Makes an `Event` of what is on the whiteboard at the end of the chain."""

    def __init__(self, hits: str, cells: Modules | None) -> None:
        super().__init__("Sink", _LEVEL)
        self._event: Event | None = None
        self._inputs, self._cells = [], cells
        for key, kind in (
            (PARTICLES, ex.SimParticleContainer),
            (hits, ex.SimHitContainer),
            ("measurement_simhits", ex.MeasurementSimHitsMap),
            (SPACEPOINTS, acts.SpacePointContainer),
            (CLUSTERS, ex.ClusterContainer),
        ):
            handle = ex.ReadDataHandle(self, kind, key)
            handle.initialize(key)
            self._inputs.append(handle)

    def execute(self, context: Any) -> Any:
        *inputs, clusters = (handle(context.eventStore) for handle in self._inputs)
        absorbed = None if self._cells is None else (self._cells, clusters)
        self._event = collect(context.eventNumber, *inputs, absorbed=absorbed)
        return ex.ProcessCode.SUCCESS

    def take(self) -> Event | None:
        """The event, once."""
        event, self._event = self._event, None
        return event


def _acts_particle(particle: GeneratedParticle) -> Any:
    barcode = ex.SimBarcode()
    barcode.vertexPrimary = particle.collision
    barcode.particle = particle.number
    result = ex.SimParticle(barcode, acts.PdgParticle(particle.pdg), particle.charge, particle.mass)
    result.fourPosition = acts.Vector4(*particle.position)
    result.direction = acts.Vector3(*particle.momentum)
    result.absoluteMomentum = float(np.linalg.norm(particle.momentum))
    return result
