"""Helices of tests, walked along in small steps of closed form, and candidates that are true particles."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from exatrkx.events.event import Event, IntArray
from exatrkx.events.truth import require_truth, spacepoints_per_particle

Array = npt.NDArray[np.float64]

LIGHT = 0.299792458e-3
"""GeV per T and mm."""


def along(place: Array, momentum: Array, charge: float, length: float, field: float = 2.0) -> tuple[Array, Array]:
    """Place [3] in mm and momentum [3] in GeV of a particle after a length of its way in mm."""
    p = float(np.linalg.norm(momentum))
    turn = -LIGHT * charge * field * length / p
    cosine, sine = math.cos(turn), math.sin(turn)
    px, py, pz = momentum
    later = np.array([px * cosine - py * sine, px * sine + py * cosine, pz])
    if abs(turn) < 1e-9:
        return place + momentum / p * length, later
    across = np.array([px * sine - py * (1.0 - cosine), py * sine + px * (1.0 - cosine)]) / turn
    return place + np.array([*across, pz]) * length / p, later


def true_labels(event: Event, fewest: int = 3) -> IntArray:
    """[N] the candidate of each spacepoint: the particle that made it, where that made enough of them."""
    truth = require_truth(event)
    many = spacepoints_per_particle(truth, len(event)) >= fewest
    labels = np.full(len(event), -1, dtype=np.int64)
    hits = np.flatnonzero(many[truth.particle])[::-1]
    labels[truth.spacepoint[hits]] = truth.particle[hits]
    return labels
