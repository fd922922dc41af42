"""How good the fitted tracks are, as ACTS counts and histograms it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import acts
import acts.examples as ex
import numpy as np

from exatrkx.performance.intervals import Ratio
from exatrkx.performance.selection import TARGET
from exatrkx.validation.binned import Axis, BinnedRatio
from exatrkx_acts.distribution import Distribution
from exatrkx_acts.fitting import TrackNames
from exatrkx_acts.parameters import PARAMETERS, SCALE, Parameter

MAX_PROMPT_R: Final = 0.1
"""Distance in mm from the beam line up to which a particle that residuals and pulls count was produced.

ACTS takes the truth from the production vertex to the perigee on a straight line. A particle of 1 GeV turns by 0.6 mrad
in each mm of its way, half of the resolution in φ.
"""

ETA: Final = Axis("eta", "η of the particle", "", tuple(np.linspace(-3.0, 3.0, 13).tolist()))
PT: Final = Axis("pt", "pT of the particle", "GeV", (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0))
"""Bins of the efficiency."""

_BINS: Final = 200
SELECTED: Final = "particles_to_find"
_PROMPT: Final = "prompt_particles_to_find"
"""Names under which the whiteboard has the particles to be found, and of these those from the beam line."""

_LEVEL: Final = acts.logging.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The figures of ACTS's performance writers.

    Attributes:
        tracks: fitted tracks.
        efficiency: particles to be found that have a track, of all of them.
        fake_ratio: tracks that match no particle whatsoever, of all tracks.
        duplicate_ratio: tracks whose particle has a better one, of all tracks.
        efficiency_eta, efficiency_pt: the efficiency in bins of the particle's η, and of its pT in GeV.
        residuals, pulls: of each parameter, by its key: fitted − true in its unit, and that over the fit's error; of
            tracks that match a prompt particle to be found.
    """

    tracks: int
    efficiency: Ratio
    fake_ratio: Ratio
    duplicate_ratio: Ratio
    efficiency_eta: BinnedRatio
    efficiency_pt: BinnedRatio
    residuals: dict[str, Distribution]
    pulls: dict[str, Distribution]

    def distributions(self) -> Iterator[tuple[Parameter, str, str, Distribution]]:
        """Parameter, "residual" or "pull", its unit, and its values."""
        for p in PARAMETERS:
            yield p, "residual", p.unit, self.residuals[p.key]
            yield p, "pull", "", self.pulls[p.key]


def selecting(particles: str, particle_measurements: str, beam: tuple[float, float] = (0.0, 0.0)) -> Iterator[Any]:
    """ACTS's own selection of the particles of `exatrkx.performance.selection.TARGET`, and of these the prompt ones.

    Args:
        particles: their name on ACTS's whiteboard.
        particle_measurements: the name of the map from them to measurements.
        beam: x and y in mm of the beam line.
    """
    yield ex.ParticleSelector(
        level=_LEVEL,
        inputParticles=particles,
        inputParticleMeasurementsMap=particle_measurements,
        outputParticles=SELECTED,
        ptMin=TARGET.min_pt * acts.UnitConstants.GeV,
        absEtaMax=TARGET.max_abs_eta,
        measurementsMin=TARGET.min_spacepoints,
        removeNeutral=TARGET.charged,
        removeSecondaries=TARGET.primary,
    )
    yield _PromptSelector(beam)


class PerformanceWriters:
    """ACTS's performance writers of the tracks of one finder, for one run of a sequencer, after `selecting`."""

    def __init__(self, names: TrackNames, particle_measurements: str) -> None:
        self._names, self._particle_measurements = names, particle_measurements
        self._finding: Any = None
        self._fit: Any = None

    def elements(self) -> Iterator[Any]:
        """The writers, to be added to the sequencer."""
        self._finding = ex.PythonPatternRecognitionPerformanceWriter(
            level=_LEVEL,
            inputTracks=self._names.tracks,
            inputParticles=SELECTED,
            inputTrackParticleMatching=self._names.particles,
            inputParticleTrackMatching=self._names.of_particles,
            inputParticleMeasurementsMap=self._particle_measurements,
            effPlotToolConfig=_efficiency_bins(),
        )
        yield self._finding
        self._fit = ex.PythonTrackParameterPerformanceWriter(
            level=_LEVEL,
            inputTracks=self._names.tracks,
            inputParticles=_PROMPT,
            inputTrackParticleMatching=self._names.particles,
            resPlotToolConfig=_residual_bins(),
        )
        yield self._fit

    def result(self) -> Performance:
        """What they counted, after the run."""
        counted = self._finding.stats()
        found, fitted = self._finding.histograms(), self._fit.histograms()
        # This one has an entry of every track that the writer looked at, as far as |η| < 3; the others end somewhere.
        compared = round(float(fitted["nMeasurements_vs_eta"].histogram.counts().sum()))
        tracks = counted["nTotalTracks"]
        return Performance(
            tracks=tracks,
            efficiency=Ratio(counted["nTotalMatchedParticles"], counted["nTotalParticles"]),
            fake_ratio=Ratio(counted["nTotalFakeTracks"], tracks),
            duplicate_ratio=Ratio(counted["nTotalDuplicateTracks"], tracks),
            efficiency_eta=_binned(found["trackeff_vs_eta"], ETA),
            efficiency_pt=_binned(found["trackeff_vs_pT"], PT),
            residuals={p.key: _distribution(fitted[f"res_{p.key}"], compared, SCALE) for p in PARAMETERS},
            pulls={p.key: _distribution(fitted[f"pull_{p.key}"], compared) for p in PARAMETERS},
        )


class _PromptSelector(ex.IAlgorithm):  # type: ignore[misc]  # acts ships no types
    """Particles from the beam line; ACTS's own selector knows no other line than the z axis."""

    def __init__(self, beam: tuple[float, float]) -> None:
        super().__init__("PromptSelector", _LEVEL)
        self._beam = beam
        self._input = ex.ReadDataHandle(self, ex.SimParticleContainer, "InputParticles")
        self._input.initialize(SELECTED)
        self._output = ex.WriteDataHandle(self, ex.SimParticleContainer, "OutputParticles")
        self._output.initialize(_PROMPT)

    def execute(self, context: Any) -> Any:
        prompt, most = ex.SimParticleContainer(), MAX_PROMPT_R * acts.UnitConstants.mm
        for particle in self._input(context.eventStore):
            if math.hypot(*(particle.position[axis] - self._beam[axis] for axis in (0, 1))) < most:
                prompt.insert(particle)
        self._output(context, prompt)
        return ex.ProcessCode.SUCCESS


def _efficiency_bins() -> Any:
    config = ex.EffPlotToolConfig()
    bins = config.varBinning
    bins["Eta"] = acts.Axis.variable(ETA.edges, "η")
    bins["Pt"] = acts.Axis.variable(PT.edges, "pT [GeV]")
    config.varBinning = bins
    return config


def _residual_bins() -> Any:
    config = ex.ResPlotToolConfig()
    bins = config.varBinning
    bins["Eta"] = acts.Axis.variable(ETA.edges, "η")
    bins["Pull"] = acts.Axis.regular(_BINS, -5.0, 5.0, "pull")
    for parameter in PARAMETERS:
        reach = parameter.reach / SCALE
        bins[f"Residual_{parameter.key}"] = acts.Axis.regular(_BINS, -reach, reach, parameter.key)
    config.varBinning = bins
    return config


def _distribution(histogram: Any, total: int, scale: float = 1.0) -> Distribution:
    edges = scale * np.asarray(histogram.histogram.axis(0).edges)
    return Distribution(edges=edges, counts=np.asarray(histogram.histogram.values()), total=total)


def _binned(efficiency: Any, axis: Axis) -> BinnedRatio:
    counts = (efficiency.accepted.values().tolist(), efficiency.total.values().tolist())
    return BinnedRatio(axis, tuple(Ratio(round(part), round(whole)) for part, whole in zip(*counts, strict=True)))
