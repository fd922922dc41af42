"""Evaluation of track finders on samples with truth: figures of merit summed over events, and by whom and where."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isnan
from statistics import median
from typing import TYPE_CHECKING, Final

from exatrkx.events.truth import edge_truth, owned_true_edges, require_truth, true_edges
from exatrkx.fitting.settings import FitSettings
from exatrkx.performance.definitions import FieldMetrics, field_metrics
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.matching import found_particles
from exatrkx.performance.metrics import EdgeMetrics, TrackMetrics, match_labels, score_candidates, score_edges, share
from exatrkx.performance.selection import SELECTIONS, TARGET, ParticleSelection, is_electron, leaves_track
from exatrkx.performance.trackml import trackml_score
from exatrkx.validation.binned import MATCHINGS, BinnedFigures
from exatrkx.validation.causes import Causes
from exatrkx.validation.finders import GRAPHS, Finder, direct
from exatrkx.validation.fits import FittedTracks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exatrkx.events.event import Event
    from exatrkx.events.truth import BoolArray
    from exatrkx.performance.matching import Candidates
    from exatrkx.pipeline import Pipeline
    from exatrkx.validation.cost import NetworkCost
    from exatrkx.validation.finders import Found

PARTICLE_KINDS: Final = ("electrons", "all others")
"""Electrons lose energy by bremsstrahlung and are lost for it, so their efficiency is told apart."""


@dataclass(slots=True)
class StageFigures:
    """A graph summed over events: its quality, and how many edges it had."""

    edges: EdgeMetrics = field(default_factory=EdgeMetrics.zero)
    count: int = 0


@dataclass(slots=True)
class Validation:
    """Figures summed over events.

    Attributes:
        selection: the particles that were to be found.
        events, spacepoints, candidates: how many there were.
        seconds: that each event took of which it is known.
        stages: of each stage's graph; counts of nothing where only labels are known.
        tracks: of the track candidates.
        kinds: efficiency of each kind of particle in each matching; the kinds together are all selected particles.
        binned: in bins of pT, η, production radius and |z|, and distance to the nearest particle.
        other_definitions: the same candidates as other groups judge them.
        samples: the figures for each of `SELECTIONS`, by its name.
        trackml: the TrackML score of each event that has one.
        particles: those that leave enough spacepoints for a candidate of their own, selected or not.
        causes: why tracks that were found are not perfect.
        fits: how well the tracks' helices are measured.
    """

    selection: ParticleSelection = TARGET
    events: int = 0
    spacepoints: int = 0
    candidates: int = 0
    seconds: list[float] = field(default_factory=list)
    stages: dict[str, StageFigures] = field(default_factory=lambda: {name: StageFigures() for name in GRAPHS})
    tracks: TrackMetrics = field(default_factory=TrackMetrics.zero)
    kinds: dict[str, dict[str, Ratio]] = field(
        default_factory=lambda: {kind: dict.fromkeys(MATCHINGS, Ratio(0, 0)) for kind in PARTICLE_KINDS}
    )
    binned: BinnedFigures = field(default_factory=BinnedFigures)
    other_definitions: FieldMetrics = field(default_factory=FieldMetrics.zero)
    samples: dict[str, TrackMetrics] = field(default_factory=lambda: {name: TrackMetrics.zero() for name in SELECTIONS})
    trackml: list[float] = field(default_factory=list)
    particles: int = 0
    causes: Causes = field(default_factory=Causes)
    fits: FittedTracks = field(default_factory=FittedTracks)

    @property
    def median_ms(self) -> float:
        """Milliseconds of the event in the middle, which the slow first ones do not move; NaN where none is known."""
        return 1000.0 * median(self.seconds) if self.seconds else float("nan")

    def add(self, found: Found, event: Event) -> None:
        """Count what was found in one event, which must have truth.

        Raises:
            ValueError: the event has no truth.
        """
        selected = self.selection.mask(event)
        candidates = match_labels(found.labels, event)
        self.tracks += score_candidates(candidates, selected)
        self.binned.count_tracks(found.labels, candidates, self.selection, event)
        self._count_kinds(candidates, selected, event)
        self._judge(found, candidates, selected, event)
        if found.graphs:
            self._count_edges(found, selected, event)
        self.events += 1
        self.spacepoints += len(event)
        self.candidates += len(candidates)
        if not isnan(found.seconds):
            self.seconds.append(found.seconds)

    def _judge(self, found: Found, candidates: Candidates, selected: BoolArray, event: Event) -> None:
        """Count by the field's other definitions, for the named samples of particles, and what is not perfect."""
        truth = require_truth(event)
        self.other_definitions += field_metrics(found.labels, truth, candidates, selected)
        for name, selection in SELECTIONS.items():
            self.samples[name] += score_candidates(candidates, selection.mask(event))
        score = trackml_score(found.labels, truth, candidates)
        if not isnan(score):
            self.trackml.append(score)
        self.particles += int(leaves_track(event).sum())
        self.causes.count(found, candidates, selected, event)
        self.fits.count(found.labels, candidates, selected, event)

    def _count_kinds(self, candidates: Candidates, selected: BoolArray, event: Event) -> None:
        electron = is_electron(require_truth(event).particles)
        for name, matching in MATCHINGS.items():
            found = found_particles(candidates, matching, len(selected))
            for kind, chosen in zip(PARTICLE_KINDS, (selected & electron, selected & ~electron), strict=True):
                self.kinds[kind][name] += share(found[chosen])

    def _count_edges(self, found: Found, selected: BoolArray, event: Event) -> None:
        truth, size = require_truth(event), len(event)
        every = true_edges(truth, size)
        wanted, particle = owned_true_edges(truth, size, selected)
        for name, edge_index in found.graphs.items():
            kept = edge_truth(wanted, edge_index, size)
            self.stages[name].edges += score_edges(kept, edge_truth(edge_index, every, size))
            self.stages[name].count += edge_index.shape[1]
            self.binned.count_edges(name, particle, kept, event)


def validate(
    finder: Finder | Pipeline,
    events: Iterable[Event],
    selection: ParticleSelection = TARGET,
    fit: FitSettings | None = None,
) -> Validation:
    """Find the tracks of every event, fit them in this field and to this beam line, and sum the figures.

    Raises:
        ValueError: an event has no truth.
        ExatrkxError: as the pipeline or the client does.
    """
    source = finder if isinstance(finder, Finder) else direct(finder)
    total = Validation(selection, fits=FittedTracks(fit or FitSettings()))
    for event in events:
        require_truth(event)  # before time is spent on it
        total.add(source.find(event), event)
    return total


PILEUP: Final = re.compile(r"(?:µ|μ|mu)\s*=?\s*(\d+(?:\.\d+)?)\s*$", re.IGNORECASE)
"""How a sample's name ends when it says the mean number of pile-up collisions."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A set of events that has a section of the report.

    Attributes:
        name: of the section; in plots, too.
        paths: of its events.
    """

    name: str
    paths: tuple[str, ...]

    @property
    def pileup(self) -> float | None:
        """µ, the mean number of pile-up collisions, where the name ends in it, as `µ = 40` does."""
        found = PILEUP.search(self.name)
        return float(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of one finder in one sample.

    Attributes:
        sample: whose events they were.
        finder: what found the tracks.
        result: how good they are.
        cost: of each network in one event of the sample; empty where it is not known.
    """

    sample: Sample
    finder: Finder
    result: Validation
    cost: tuple[NetworkCost, ...] = ()


def samples_of(evaluations: Iterable[Evaluation]) -> list[Sample]:
    """Each sample once, in the order in which they come first."""
    return list(dict.fromkeys(one.sample for one in evaluations))


def finders_of(evaluations: Iterable[Evaluation]) -> list[str]:
    """The name of each finder once, in the order in which they come first."""
    return list(dict.fromkeys(one.finder.name for one in evaluations))
