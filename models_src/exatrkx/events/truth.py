"""Truth of the simulation: which spacepoints a particle made, and which edges a perfect graph would have."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exatrkx.errors import EventFormatError
from exatrkx.events.event import Event, IntArray, Truth

BoolArray = npt.NDArray[np.bool_]


def require_truth(event: Event) -> Truth:
    """The event's truth.

    Raises:
        EventFormatError: the event has none.
    """
    if event.truth is None:
        raise EventFormatError(f"event {event.event_id} has no truth: its particles are not known")
    return event.truth


def distinct_hits(truth: Truth, num_spacepoints: int) -> tuple[IntArray, IntArray]:
    """Every (particle, spacepoint) pair once, sorted by particle and then by spacepoint: two arrays of one length."""
    keys = np.unique(truth.particle * num_spacepoints + truth.spacepoint)
    particle, spacepoint = np.divmod(keys, max(num_spacepoints, 1))
    return particle, spacepoint


def spacepoints_per_particle(truth: Truth, num_spacepoints: int) -> IntArray:
    """[P] the number of distinct spacepoints that each particle made or had a part in."""
    particle, _ = distinct_hits(truth, num_spacepoints)
    return np.bincount(particle, minlength=len(truth.particles)).astype(np.int64)


def true_edges(truth: Truth, num_spacepoints: int, particles: BoolArray | None = None) -> IntArray:
    """The sequential true edges: consecutive spacepoints of one charged particle along its way.

    Args:
        truth: who made what, H entries.
        num_spacepoints: N, the number of spacepoints of the event.
        particles: [P] the particles whose edges are wanted; all of them unless given. Neutral ones have no edges.

    Returns:
        [2,T] each pair once, row 0 > row 1, sorted by row 0 and then by row 1, without self-loops: the form of
        every edge list of the pipeline.
    """
    return owned_true_edges(truth, num_spacepoints, particles)[0]


def owned_true_edges(
    truth: Truth, num_spacepoints: int, particles: BoolArray | None = None
) -> tuple[IntArray, IntArray]:
    """The edges of `true_edges`, and whose they are.

    Returns:
        [2,T] the edges, and [T] the particle of each: of several that share an edge the smallest index.
    """
    wanted = truth.particles.charge != 0
    if particles is not None:
        wanted &= particles
    hits = np.flatnonzero(wanted[truth.particle])
    along = hits[np.lexsort((truth.order[hits], truth.particle[hits]))]
    spacepoint, particle = truth.spacepoint[along], truth.particle[along]
    first, second = spacepoint[:-1], spacepoint[1:]
    # Two hits of one particle can lie on one spacepoint, which is no edge.
    joined = (particle[:-1] == particle[1:]) & (first != second)
    keys, place = np.unique(_edge_keys(first[joined], second[joined], num_spacepoints), return_index=True)
    return np.stack(np.divmod(keys, max(num_spacepoints, 1))), particle[:-1][joined][place]


def edge_truth(edge_index: IntArray, true_edge_index: IntArray, num_spacepoints: int) -> BoolArray:
    """[E] whether each edge is one of the true edges, whichever of its ends comes first.

    Args:
        edge_index: [2,E] edges to classify.
        true_edge_index: [2,T] true edges, as `true_edges` gives them.
        num_spacepoints: N, the number of spacepoints of the event.
    """
    true_keys = np.sort(_edge_keys(true_edge_index[0], true_edge_index[1], num_spacepoints))
    if not true_keys.size:
        return np.zeros(edge_index.shape[1], dtype=np.bool_)
    keys = _edge_keys(edge_index[0], edge_index[1], num_spacepoints)
    place = np.searchsorted(true_keys, keys)
    place[place == true_keys.size] = 0
    found: BoolArray = true_keys[place] == keys
    return found


def _edge_keys(first: IntArray, second: IntArray, num_spacepoints: int) -> IntArray:
    """[E] one number for each unordered pair, in the order of (larger index, smaller index)."""
    keys: IntArray = np.maximum(first, second).astype(np.int64) * num_spacepoints + np.minimum(first, second)
    return keys
