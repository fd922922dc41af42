"""Track metrics as other groups define them: acorn's three matchings, fakes as HEPTv2 counts them, hit efficiency."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from exatrkx.events.truth import spacepoints_per_particle
from exatrkx.performance.intervals import Ratio
from exatrkx.performance.matching import MAJORITY, NO_PARTICLE, Candidates, Matching, shared_spacepoints
from exatrkx.performance.metrics import Pooled, fakes, share

if TYPE_CHECKING:
    from exatrkx.events.event import IntArray, Truth
    from exatrkx.events.truth import BoolArray


@dataclass(frozen=True, slots=True)
class FieldMetrics(Pooled):
    """The field's other figures of the same candidates, beside `exatrkx.performance.metrics.TrackMetrics`.

    acorn looks at every pair of a candidate and a particle that share a spacepoint, not at majority particles alone.
    A pair's purity is shared / spacepoints of the candidate, its completeness shared / spacepoints of the particle.

    Attributes:
        acorn_atlas: selected particles that a pair reconstructs / selected particles; purity > 0.5 (style `ATLAS`).
        acorn_one_way: the same, completeness > 0.5, whoever else is in the candidate (style `one_way`).
        acorn_two_way: the same, both (style `two_way`); the double majority wherever no spacepoint has two particles.
        acorn_fakes: candidates without a pair that matches / candidates; purity > 0.5 (styles `ATLAS` and `one_way`).
        acorn_two_way_fakes: the same, both (style `two_way`).
        fakes_of_selected: candidates in which no particle made more than half / candidates whose majority particle is
            selected. So HEPTv2 counts fakes: those of noise and of particles below the cut are left out.
        hit_efficiency: spacepoints of found particles that their candidates hold / all that these particles made; of
            selected particles, found by the double majority.
        hit_purity: the same spacepoints / all in these candidates.

    Source: acorn, `stages/track_building/utils.py`, with a matching fraction of 0.5; HEPTv2 (Graph-COM),
    `heptv2/eval/metrics.py`. Hit efficiency and hit purity as Belle II defines them.
    """

    acorn_atlas: Ratio
    acorn_one_way: Ratio
    acorn_two_way: Ratio
    acorn_fakes: Ratio
    acorn_two_way_fakes: Ratio
    fakes_of_selected: Ratio
    hit_efficiency: Ratio
    hit_purity: Ratio

    @classmethod
    def zero(cls) -> FieldMetrics:
        """Nothing counted yet: what a sum over events starts from."""
        return cls(*(Ratio(0, 0) for _ in fields(cls)))


def field_metrics(labels: IntArray, truth: Truth, candidates: Candidates, selected: BoolArray) -> FieldMetrics:
    """Score the candidates of one event by the field's other definitions.

    Args:
        labels: [N] a candidate's label ≥ 0 for each spacepoint, negative for a spacepoint on no candidate.
        truth: of the event.
        candidates: the same, matched.
        selected: [P] the particles that should have been found.
    """
    pairs = shared_spacepoints(labels, truth)
    pure = pairs.shared > MAJORITY * pairs.size[pairs.candidate]
    complete = pairs.shared > MAJORITY * spacepoints_per_particle(truth, len(labels))[pairs.particle]

    def found(reconstructs: BoolArray) -> Ratio:
        flags = np.zeros(len(selected), dtype=np.bool_)
        flags[pairs.particle[reconstructs]] = True
        return share(flags[selected])

    def unmatched(matches: BoolArray) -> Ratio:
        flags = np.ones(len(pairs.label), dtype=np.bool_)
        flags[pairs.candidate[matches]] = False
        return share(flags)

    with_particle = candidates.particle != NO_PARTICLE
    of_selected = with_particle & selected[candidates.particle] if len(selected) else with_particle
    tracks = of_selected & candidates.matched(Matching.DOUBLE_MAJORITY)
    held, made = (int(counts[tracks].sum()) for counts in (candidates.shared, candidates.particle_size))
    return FieldMetrics(
        acorn_atlas=found(pure),
        acorn_one_way=found(complete),
        acorn_two_way=found(pure & complete),
        acorn_fakes=unmatched(pure),
        acorn_two_way_fakes=unmatched(pure & complete),
        fakes_of_selected=share(fakes(candidates)[of_selected]),
        hit_efficiency=Ratio(held, made),
        hit_purity=Ratio(held, int(candidates.size[tracks].sum())),
    )
