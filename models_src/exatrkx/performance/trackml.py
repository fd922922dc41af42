"""TrackML score: the share of an event's weighted hits that is on tracks found by the double majority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from exatrkx.performance.matching import NO_PARTICLE, Candidates, Matching

if TYPE_CHECKING:
    from exatrkx.events.event import FloatArray, IntArray, Truth

Weights = npt.NDArray[np.float64]

ALONG: Final = (10.0, 8.0, 6.0, 5.0, 3.0, 3.0, 3.0, 5.0, 6.0)
"""Weights from the first hit of a particle to the last one, stretched to the number of its hits."""

LEAST_HITS: Final = 4
"""Particles of fewer hits weigh nothing."""

MOST_HITS: Final = 20
"""Hits of a particle beyond these weigh nothing, and the others as if there were no more."""

PT: Final = ((0.05, 0.2), (0.5, 0.2), (3.0, 1.0))
"""Transverse momentum in GeV and the weight of a particle's hits, linear between; 0 below the first."""


def trackml_score(labels: IntArray, truth: Truth, candidates: Candidates) -> float:
    """The score of one event, from 0 to 1; NaN if nothing in it has a weight. A sample's score is the events' mean.

    Each hit weighs by its place along its particle, most at both ends, and by the particle's transverse momentum; noise
    weighs nothing. A hit counts if its candidate has more than half of its spacepoints of the hit's particle, and more
    than half of that particle's. A spacepoint that several particles made is a hit of each of them.

    Args:
        labels: [N] a candidate's label ≥ 0 for each spacepoint, negative for a spacepoint on no candidate.
        truth: of the event.
        candidates: the same labels, matched.

    Source: Amrouche et al., arXiv:1904.06778, section 3; the numbers as in the organisers' trackml-library. Theirs is
    the order by the distance in z from the vertex, here it is the true one.
    """
    particle, spacepoint, weight = hit_weights(truth, len(labels))
    whole = float(weight.sum())
    if not whole:
        return float("nan")
    track = np.full(len(truth.particles), NO_PARTICLE, dtype=np.int64)
    found = candidates.matched(Matching.DOUBLE_MAJORITY)
    track[candidates.particle[found]] = candidates.label[found]
    counts = (labels[spacepoint] == track[particle]) & (track[particle] != NO_PARTICLE)
    return float(weight[counts].sum()) / whole


def hit_weights(truth: Truth, num_spacepoints: int) -> tuple[IntArray, IntArray, Weights]:
    """The weight of each hit: [K] particle, [K] spacepoint, [K] weight, by particle and along it.

    Args:
        truth: of the event; hits of one particle on one spacepoint count once.
        num_spacepoints: N.
    """
    keys = truth.particle * num_spacepoints + truth.spacepoint
    along = np.lexsort((truth.order, keys))
    first = along[np.unique(keys[along], return_index=True)[1]]  # of each pair the hit that comes first
    first = first[np.lexsort((truth.order[first], truth.particle[first]))]
    particle = truth.particle[first]
    size = np.bincount(particle, minlength=len(truth.particles))
    place = np.arange(len(particle)) - np.searchsorted(particle, particle)
    inside = place < MOST_HITS
    weight = np.zeros(len(particle))
    weight[inside] = _TABLE[np.minimum(size[particle[inside]], MOST_HITS), place[inside]]
    return particle, truth.spacepoint[first], weight * _of_pt(truth.particles.pt)[particle]


def _table() -> Weights:
    """[MOST_HITS + 1, MOST_HITS] weights by the number of hits and the place among them; those of a row add up to 1."""
    table = np.zeros((MOST_HITS + 1, MOST_HITS))
    for hits in range(LEAST_HITS, MOST_HITS + 1):
        weights = np.interp(np.linspace(0.0, len(ALONG) - 1.0, hits), np.arange(len(ALONG)), ALONG)
        table[hits, :hits] = weights / weights.sum()
    return table


_TABLE: Final = _table()


def _of_pt(pt: FloatArray) -> Weights:
    """[P] weight of the hits of particles with these transverse momenta in GeV; 0 where that is not known."""
    momenta, weights = zip(*PT, strict=True)
    found: Weights = np.interp(pt, momenta, weights, left=0.0)
    return np.nan_to_num(found, nan=0.0)
