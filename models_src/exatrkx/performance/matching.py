"""Track-to-particle matching: double majority, LHC and perfect.

Three published criteria, of rising tolerance to lost spacepoints and falling tolerance to wrong ones, are in use in the
field; `Matching` has all three, and `exatrkx.performance.metrics` counts with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from exatrkx.events.event import IntArray, Truth
from exatrkx.events.truth import BoolArray, distinct_hits, spacepoints_per_particle

NO_PARTICLE: Final = -1
"""The majority particle of a candidate none of whose spacepoints was made by a particle."""

MAJORITY: Final = 0.5
"""The share that must be exceeded for more than half."""

LHC_PURITY: Final = 0.75
"""The share of a candidate's spacepoints that the LHC criterion asks for."""


class Matching(Enum):
    """Matching criterion: when a candidate counts as the track of its majority particle.

    Attributes:
        PERFECT: purity = 1 and completeness = 1: exactly the particle's spacepoints.
        LHC: purity ≥ 0.75, whatever part of the particle it is.
        DOUBLE_MAJORITY: purity > 0.5 and completeness > 0.5, so at most one candidate matches a particle.
    """

    PERFECT = "perfect"
    LHC = "lhc"
    DOUBLE_MAJORITY = "double_majority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The C track candidates of one event, by rising label, each with its majority particle.

    Attributes:
        label: [C] the candidate's label, ≥ 0.
        size: [C] spacepoints in the candidate.
        particle: [C] index of the particle with most spacepoints in it (of equals the smallest), else `NO_PARTICLE`.
        shared: [C] how many of the candidate's spacepoints that particle made.
        particle_size: [C] how many spacepoints that particle made in the whole event.
    """

    label: IntArray
    size: IntArray
    particle: IntArray
    shared: IntArray
    particle_size: IntArray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def purity(self) -> npt.NDArray[np.float64]:
        """[C] shared / size: the part of the candidate that its majority particle made."""
        return self.shared / self.size

    @property
    def completeness(self) -> npt.NDArray[np.float64]:
        """[C] shared / particle_size: the part of that particle that the candidate holds; 0 without a particle."""
        completeness: npt.NDArray[np.float64] = self.shared / np.maximum(self.particle_size, 1)
        return completeness

    def matched(self, matching: Matching) -> BoolArray:
        """[C] whether the candidate matches its majority particle, selected for an efficiency or not."""
        purity, completeness = self.purity, self.completeness
        criteria: dict[Matching, BoolArray] = {
            Matching.PERFECT: (purity == 1.0) & (completeness == 1.0),
            Matching.LHC: purity >= LHC_PURITY,
            Matching.DOUBLE_MAJORITY: (purity > MAJORITY) & (completeness > MAJORITY),
        }
        return criteria[matching]


class SharedSpacepoints(NamedTuple):
    """What candidates and particles have in common: one entry for each pair of them that shares a spacepoint.

    Attributes:
        label: [C] the candidates' labels, rising.
        size: [C] spacepoints in each candidate.
        candidate: [K] place of each pair's candidate, rising.
        particle: [K] its particle, rising within the candidate.
        shared: [K] how many of the candidate's spacepoints the particle made.
    """

    label: IntArray
    size: IntArray
    candidate: IntArray
    particle: IntArray
    shared: IntArray


def shared_spacepoints(labels: IntArray, truth: Truth) -> SharedSpacepoints:
    """Count what every candidate shares with every particle.

    Args:
        labels: [N] a candidate's label ≥ 0 for each spacepoint, negative for a spacepoint on no candidate.
        truth: who made what; a spacepoint may belong to no particle, one or several.
    """
    num_spacepoints, num_particles = len(labels), len(truth.particles)
    names, size = np.unique(labels[labels >= 0], return_counts=True)

    particle, spacepoint = distinct_hits(truth, num_spacepoints)
    label = labels[spacepoint]
    on_candidate = label >= 0
    candidate = np.searchsorted(names, label[on_candidate])
    pairs, shared = np.unique(candidate * num_particles + particle[on_candidate], return_counts=True)
    candidate, particle = np.divmod(pairs, max(num_particles, 1))
    return SharedSpacepoints(names, size, candidate, particle, shared)


def match_candidates(labels: IntArray, truth: Truth) -> Candidates:
    """Find every candidate's majority particle; the arguments are those of `shared_spacepoints`."""
    names, size, candidate, particle, shared = shared_spacepoints(labels, truth)

    # Most shared spacepoints first within each candidate; of equals the smallest particle, as these are sorted.
    best_first = np.lexsort((-shared, candidate))
    with_particle, first = np.unique(candidate[best_first], return_index=True)
    best = best_first[first]

    majority = np.full(len(names), NO_PARTICLE, dtype=np.int64)
    held, made = np.zeros_like(majority), np.zeros_like(majority)
    majority[with_particle] = particle[best]
    held[with_particle] = shared[best]
    made[with_particle] = spacepoints_per_particle(truth, len(labels))[particle[best]]
    return Candidates(label=names, size=size, particle=majority, shared=held, particle_size=made)


def found_particles(candidates: Candidates, matching: Matching, num_particles: int) -> BoolArray:
    """[P] True for each particle that at least one candidate matches."""
    found = np.zeros(num_particles, dtype=np.bool_)
    found[candidates.particle[candidates.matched(matching)]] = True
    return found
