"""Where particles leave hits: ACTS Fatras on the Generic detector in 2 T, digitisation, spacepoints."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import acts
import acts.examples as ex
import acts.examples.json as acts_json
import numpy as np

from exatrkx.errors import SimulationError
from exatrkx.event import Event
from exatrkx.simulation.collect import collect
from exatrkx.simulation.generator import DETECTOR_STREAM, MIN_PT, GeneratedParticle
from exatrkx.simulation.resolution import VOLUMES, write_smearing

FIELD: Final = 2.0
"""Magnetic field along z in T."""

Generate = Callable[[int], Iterable[GeneratedParticle]]

_LEVEL: Final = acts.logging.ERROR
# Fatras gives up on one looping particle in 100,000 and says so as an error; the hits up to there are kept.
_FATRAS_LEVEL: Final = acts.logging.FATAL


class Detector:
    """The detector, built once, that turns particles into events.

    Args:
        seed: of the interactions with the material and of the smearing; ACTS makes of it one stream per event.
    """

    def __init__(self, seed: int) -> None:
        self._detector = ex.GenericDetector(logLevel=_LEVEL)
        self._geometry = self._detector.trackingGeometry()
        self._field = acts.ConstantBField(acts.Vector3(0, 0, FIELD * acts.UnitConstants.T))
        stream = np.random.SeedSequence(seed, spawn_key=(DETECTOR_STREAM,)).generate_state(1, np.uint64)
        self._random = ex.RandomNumbers(seed=int(stream[0]))
        with tempfile.TemporaryDirectory() as folder:
            smearing = Path(folder) / "smearing.json"
            write_smearing(smearing)
            self._smearing = acts_json.readDigiConfigFromJson(str(smearing))

    def events(self, first: int, count: int, generate: Generate) -> list[Event]:
        """Simulate the events numbered `first`, …, `first + count − 1`, of the particles that `generate` gives.

        Raises:
            SimulationError: a step of the chain failed.
        """
        source, sink = _Source(generate), _Sink()
        sequencer = ex.Sequencer(skip=first, events=count, numThreads=1, trackFpes=False, logLevel=_LEVEL)
        sequencer.addReader(source)
        for algorithm in (*self._algorithms(), sink):
            sequencer.addAlgorithm(algorithm)
        sequencer.run()
        return sink.events

    def _algorithms(self) -> Iterator[Any]:
        yield ex.FatrasSimulation(
            level=_FATRAS_LEVEL,
            inputParticles="particles_generated",
            outputParticles="particles_simulated",
            outputSimHits="simhits",
            randomNumbers=self._random,
            trackingGeometry=self._geometry,
            magneticField=self._field,
            generateHitsOnSensitive=True,
            emScattering=True,
            emEnergyLossIonisation=True,
            emEnergyLossRadiation=True,
            emPhotonConversion=True,
            pMin=MIN_PT * acts.UnitConstants.GeV,
        )
        yield ex.DigitizationAlgorithm(
            level=_LEVEL,
            digitizationConfigs=self._smearing,
            surfaceByIdentifier=self._geometry.geoIdSurfaceMap(),
            randomNumbers=self._random,
            inputSimHits="simhits",
            outputMeasurements="measurements",
            outputMeasurementSubset="measurement_subset",
            outputClusters="clusters",
            outputMeasurementParticlesMap="measurement_particles",
            outputMeasurementSimHitsMap="measurement_simhits",
            outputParticleMeasurementsMap="particle_measurements",
            outputSimHitMeasurementsMap="simhit_measurements",
        )
        yield ex.SpacePointMaker(
            level=_LEVEL,
            inputMeasurements="measurement_subset",
            outputSpacePoints="spacepoints",
            trackingGeometry=self._geometry,
            geometrySelection=[acts.GeometryIdentifier(volume=volume) for volume in VOLUMES],
        )


class _Source(ex.IReader):  # type: ignore[misc]  # acts ships no types
    """Puts generated particles on ACTS's whiteboard."""

    def __init__(self, generate: Generate) -> None:
        super().__init__("Source", _LEVEL)
        self._generate = generate
        self._particles = ex.WriteDataHandle(self, ex.SimParticleContainer, "OutputParticles")
        self._particles.initialize("particles_generated")

    def availableEvents(self) -> tuple[int, int]:  # noqa: N802  # the name that ACTS calls
        return 0, 2**62

    def read(self, context: Any) -> Any:
        particles = ex.SimParticleContainer()
        for particle in self._generate(context.eventNumber):
            particles.insert(_acts_particle(particle))
        self._particles(context, particles)
        return ex.ProcessCode.SUCCESS


class _Sink(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Makes an `Event` of what is on the whiteboard at the end of the chain."""

    _INPUTS: Final = {
        "particles_simulated": ex.SimParticleContainer,
        "simhits": ex.SimHitContainer,
        "measurement_simhits": ex.MeasurementSimHitsMap,
        "spacepoints": acts.SpacePointContainer,
    }

    def __init__(self) -> None:
        super().__init__("Sink", _LEVEL)
        self.events: list[Event] = []
        self._handles = []
        for key, kind in self._INPUTS.items():
            handle = ex.ReadDataHandle(self, kind, key)
            handle.initialize(key)
            self._handles.append(handle)

    def execute(self, context: Any) -> Any:
        self.events.append(collect(context.eventNumber, *(handle(context.eventStore) for handle in self._handles)))
        return ex.ProcessCode.SUCCESS


def _acts_particle(particle: GeneratedParticle) -> Any:
    barcode = ex.SimBarcode()
    barcode.vertexPrimary = particle.vertex
    barcode.particle = particle.number
    result = ex.SimParticle(barcode, acts.PdgParticle(particle.pdg), particle.charge, particle.mass)
    result.fourPosition = acts.Vector4(*particle.position)
    result.direction = acts.Vector3(*particle.momentum)
    result.absoluteMomentum = float(np.linalg.norm(particle.momentum))
    return result
